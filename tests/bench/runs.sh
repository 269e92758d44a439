# Runs: what `vouch run` costs a job and by itself, what a run over a tree
# takes up, and git status with the hook.  Ratios are of two rows on ours.
# shellcheck shell=bash
set -u
. "$TOP/tests/bench/lib.sh"

jobs=9
many=100000
[ -z "${QUICK:-}" ] || { many=10000 jobs=5; }
need_space 3000

export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org
export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org

# --- a job of 1,000 files, in turns with and without ---
job() { # NUMBER
	if (($1 % 2)); then
		on=mnt row "1,000 files" file 1000 "" \
			work run names make @/plain 1000 1
	fi
	on=mnt row "1,000 files, vouch run" file 1000 "" \
		work run vouch run -q --in @/ -- names make @/run 1000 1
	if ! (($1 % 2)); then
		on=mnt row "1,000 files" file 1000 "" \
			work run names make @/plain 1000 1
	fi
	on=mnt row "vouch run -- true" run 1 "" \
		work run vouch run -q --in @/ -- true
	on=mnt row "true" run 1 "" work run true
	everywhere rm -rf @/plain @/run
}

# --- space: a tree is read whole, 100 small files are made beside it ---
entries() { # and what was opened, which is part of one
	vouch log vol --all --format=json |
		awk '{ n += 1 + gsub(/"strength":/, "") } END { print n }'
}

index_size() {
	stat -c %s vol/index.db* | awk '{ n += $1 } END { print n }'
}

over_a_tree() {
	local before index was made=$((100 * 4096)) grown i
	mkdir mnt/tree
	for ((i = 0; i < 157; i++)); do
		work write mnt/tree/$i 1 unique $i >/dev/null
	done
	was=$(entries) before=$(stored) index=$(index_size)
	# shellcheck disable=SC2016
	vouch run -q --in mnt -- sh -c 'cat mnt/tree/* >/dev/null
		mkdir mnt/made && cd mnt/made && i=0
		while [ $((i += 1)) -le 100 ]; do
			head -c 4096 /dev/urandom >$i
		done'
	grown=$(($(stored) - before)) index=$(($(index_size) - index))
	was=$(($(entries) - was))
	figure space each $(((grown - made - index) / was))
	figure space index $((index / was))
	rm -rf mnt/tree mnt/made
}

# --- git status ---
git_tree() { # SIDE'S DIRECTORY: empty files, one blob for all
	local d
	for ((d = 0; d < many / 500; d++)); do
		mkdir -p "$1/d$((d / 20))/e$((d % 20))" || return 1
		(cd "$1/d$((d / 20))/e$((d % 20))" && seq 500 | xargs touch) || return 1
	done
	git init -q "$1" && git -C "$1" add -A && git -C "$1" commit -q -m all
}

git_status() {
	local side i
	sides=(native mnt)
	for side in native mnt; do
		git_tree "$here/$side/repo" || { failed=1; return; }
	done
	vouch git-setup mnt/repo
	for i in 1 2 3; do # racy times are over, the caches filled
		git -C native/repo status >/dev/null
		git -C mnt/repo status >/dev/null
		sleep 1
	done
	for ((i = 0; i < jobs; i++)); do
		row "git status of $many, again" file $many "native>=0.67" \
			work run git -C @/repo status
		# a change each, told and untold
		echo $i | tee native/repo/d0/e0/7 >mnt/repo/d0/e0/7
		row "git status of $many, one changed" file $many "native>=0.67" \
			work run git -C @/repo status
	done
}

start_ours
if asks "1,000 files" "vouch run -- true"; then
	for ((r = 0; r < jobs; r++)); do job $r; done
fi
! asks "space" || over_a_tree
! asks "git status" || git_status

fact "a job of 1,000 files under vouch run: its time, of that without" \
	"$(median "1,000 files, vouch run" time.mnt) / $(median "1,000 files" time.mnt)" x "<=1.2"
fact "the same: the daemon's CPU" \
	"$(median "1,000 files, vouch run" cpu.mnt) / $(median "1,000 files" cpu.mnt)" x
fact "vouch run -- true" "1000 * $(median "vouch run -- true" time.mnt)" ms "<=30"
fact "a run that reads 157 MB and makes 100 files: space beyond theirs" \
	"$(median space each)" "B/entry" "<=512"
fact "the same: in the index, which can be made anew" \
	"$(median space index)" "B/entry"
finish
