#!/bin/bash
# run_git.sh: a run says from which commit its program came, and whether the
# work tree was as that commit has it; what is not known is said.
# timeout: 120
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/run_lib.sh"

export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org
export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org

# said WORD: what summary.json has of git; null for nothing
said() {
	jq -c .git "mnt/audit/runs/$1/summary.json"
}

new_volume
mount_volume
# one in the mount itself, one beside it
for at in mnt/repo beside; do
	git init -q -b main $at
	printf '#!/bin/sh\necho "$@" >"$1"\n' >$at/tool.sh
	chmod +x $at/tool.sh
	echo 1 >$at/other
done
git -C mnt/repo add -A && git -C mnt/repo commit -q -m one
head=$(git -C mnt/repo rev-parse HEAD)
cp /bin/true mnt/plain

n=0
# runs WHAT WANTED COMMAND...
runs() {
	local what=$1 wanted=$2
	shift 2
	n=$((n + 1))
	expect "$what" vouch run --name g --in mnt -- "$@"
	same "$what" "$(said g.$n)" "$wanted"
}

git_is() { # DIRTY OF
	echo "{\"commit\":\"$head\",\"dirty\":$1,\"of\":\"$2\"}"
}

runs "no work tree" null mnt/plain
runs "an executable" "$(git_is false executable)" mnt/repo/tool.sh mnt/out
runs "a script" "$(git_is false script)" sh mnt/repo/tool.sh mnt/out
runs "after an option" "$(git_is false script)" bash -u mnt/repo/tool.sh mnt/out
runs "a program in line" null sh -c ': >mnt/out' mnt/repo/tool.sh
cd mnt/repo || exit 1
expect "the directory" vouch run --name g -- sh -c true
cd ../.. && n=$((n + 1))
same "the directory" "$(said g.$n)" "$(git_is false 'working directory')"
# what is tracked counts, wherever it stands: saved or not, staged or not
date >mnt/repo/untracked
runs "an untracked file" "$(git_is false executable)" mnt/repo/tool.sh mnt/out
echo 2 >>mnt/repo/other
runs "a changed file" "$(git_is true executable)" mnt/repo/tool.sh mnt/out
git -C mnt/repo add other
runs "a staged file" "$(git_is true executable)" mnt/repo/tool.sh mnt/out
git -C mnt/repo commit -q -m two
head=$(git -C mnt/repo rev-parse HEAD)
runs "committed" "$(git_is false executable)" mnt/repo/tool.sh mnt/out
rm mnt/repo/other
runs "a removed file" "$(git_is true executable)" mnt/repo/tool.sh mnt/out
# through a link, in a work tree of its own, by PATH
git -C mnt/repo checkout -q other && git -C mnt/repo worktree add -q ../tree >err 2>&1
ln -s tree/tool.sh mnt/link
runs "through a link" "$(git_is false executable)" mnt/link mnt/out
PATH=$PWD/mnt/tree:$PATH runs "by PATH" "$(git_is false executable)" tool.sh mnt/out

# --- what is not known ---
runs "no commit yet" \
	'{"commit":null,"dirty":null,"of":"executable","note":"no commit yet"}' \
	beside/tool.sh mnt/out
echo nonsense >beside/.git/HEAD
runs "not readable" \
	'{"commit":null,"dirty":null,"of":"executable","note":"not readable"}' \
	beside/tool.sh mnt/out
# a helper that does not come to an end; it is not left behind
mkdir bin && cp "$VOUCH" bin/vouch
printf '#!/bin/sh\nexec sleep 987\n' >bin/vouch-git && chmod +x bin/vouch-git
PATH=$PWD/bin:$PATH runs "not in time" \
	'{"commit":null,"dirty":null,"of":"executable","note":"not known in time"}' \
	beside/tool.sh mnt/out

# a statement is signed: what was not known is not claimed in it
code() {
	vouch lineage "g.$n" --in=mnt --as=json |
		jq -c '.materials[] | select(.annotations.what == "code") | .annotations'
}
printf '#!/bin/sh\nprintf "\\001%%020d\\002" 7\n' >bin/vouch-git
PATH=$PWD/bin:$PATH runs "changes not in time" \
	"{\"commit\":\"$(printf %020d 7 | od -An -v -tx1 | tr -d " \n")\",\"dirty\":null,\"of\":\"executable\",\"note\":\"changes not known in time\"}" \
	beside/tool.sh mnt/out
same "not claimed" "$(code)" \
	'{"what":"code","of":"executable","note":"changes not known in time"}'
runs "a program in a work tree" "$(git_is false executable)" mnt/repo/tool.sh mnt/out
same "claimed" "$(code)" '{"what":"code","of":"executable","dirty":false}'

# --- it is in the log, and views tell it ---
log_read
same "in the log" "$(jq -rs 'map(select(.kind == "run-start")) | .[1] |
	"\(.git_of) \(.dirty // false) \(.git | length)"' log.jsonl)" "executable false 40"
vouch log vol -n 1000 | grep -q "run-start    g, commit ${head:0:16} with changes " ||
	fail "vouch log: $(vouch log vol -n 1000 | grep run-start)"
umount_volume
expect "verify" vouch verify vol
expect "the index made anew" vouch reindex vol
