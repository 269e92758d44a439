#!/bin/bash
# run_tree.sh: what a run's process tree does belongs to it, whatever becomes
# of the processes: with a cgroup for sure, without one by ancestry and marker.
# timeout: 240
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/run_lib.sh"

new_volume
mount_volume
cgroups=
own_cgroup && cgroups=1

# tree MODE [OPTIONS]: one of everything, in a folder of that name
tree() {
	local mode=$1
	shift
	mkdir "mnt/$mode"
	echo in >"mnt/$mode/input-$mode"
	(cd "mnt/$mode" && vouch run --name "tree-$mode" "$@" -- bash -c '
		mode=$1
		: >direct-$mode
		sh -c "sh -c \"sh -c \\\"touch deep-$mode\\\"\""
		cat input-$mode | tr a-z A-Z >pipe-$mode
		setsid sh -c "touch setsid-$mode"
		# a daemon: its parents go before it touches anything
		(setsid sh -c "(sleep 0.3; touch daemon-$mode) &" &)
		# one that outlives the run
		(setsid sh -c "(sleep 1.5; touch later-$mode) & " &)
		env -i PATH="$PATH" sh -c "touch bare-$mode"
		sleep 0.6
		exit 7' - "$mode")
	same "$mode: exit status" $? 7
	until_there "mnt/$mode/later-$mode"
}

[ -z "$cgroups" ] || tree cgroup
tree none --no-cgroup
: >mnt/outside
log_read

check() { # MODE HOW
	local id name
	id=$(run_id "tree-$1")
	for name in direct deep pipe setsid daemon bare; do
		same "$1: $name" "$(who "$name-$1")" "$id $2"
	done
	same "$1: end" "$(run_end "tree-$1")" "exit 7"
	[ "$(opened_by "tree-$1")" -ge 1 ] || fail "$1: what was opened is not told"
}
if [ -n "$cgroups" ]; then
	check cgroup cgroup
	same "after the end, by the cgroup" "$(who later-cgroup)" "$(run_id tree-cgroup) cgroup"
	jq -rs 'map(select(.kind == "run-start" and .name == "tree-cgroup"))[0].cgroup' log.jsonl |
		grep -q "vouch-run-$(run_id tree-cgroup)$" || fail "RUN_START does not tell the cgroup"
fi
check none ancestry
same "after the end, by the marker" "$(who later-none)" "$(run_id tree-none) marker"
same "no cgroup is told" "$(jq -rs 'map(select(.kind == "run-start" and .name == "tree-none"))[0].cgroup' log.jsonl)" null

# --- what is outside: a group of processes is a run that nobody declared
same "outside is none of them" "$(who outside | cut -d' ' -f2-)" "process group"
setsid sh -c 'touch mnt/group-a; sh -c "touch mnt/group-b" | cat' </dev/null
setsid sh -c 'touch mnt/group-c'
log_read
same "one group is one run" "$(who group-a)" "$(who group-b)"
[ "$(who group-a)" != "$(who group-c)" ] || fail "two groups are one run"
[ "$(who group-a)" != "$(who outside)" ] || fail "a session of its own is not apart"

# --- a run in a run, and the outer one goes on
for mode in '' --no-cgroup; do
	[ -n "$cgroups$mode" ] || continue
	tag=nest${mode#--}
	vouch run $mode --name "outer-$tag" --in mnt -- sh -c "
		touch mnt/before-$tag
		vouch run $mode --name inner-$tag --in mnt -- sh -c 'touch mnt/inside-$tag'
		touch mnt/after-$tag" || fail "$tag: nested"
	log_read
	same "$tag: before" "$(who "before-$tag" | cut -d' ' -f1)" "$(run_id "outer-$tag")"
	same "$tag: inside" "$(who "inside-$tag" | cut -d' ' -f1)" "$(run_id "inner-$tag")"
	same "$tag: after" "$(who "after-$tag" | cut -d' ' -f1)" "$(run_id "outer-$tag")"
	same "$tag: the parent" "$(run_parent "inner-$tag")" "$(run_id "outer-$tag")"
	same "$tag: no parent" "$(run_parent "outer-$tag")" -
done

# --- nobody may claim a run that is over, or not his
old=$(run_id tree-none)
VOUCH_RUN=$old sh -c 'touch mnt/claim-known'
VOUCH_RUN=00112233445566778899aabbccddeeff sh -c 'touch mnt/claim-unknown'
vouch run --name over --no-cgroup --in mnt -- true
log_read
VOUCH_RUN=$(run_id over) sh -c 'touch mnt/claim-over'
log_read
same "a claim of a run that left processes" "$(who claim-known)" "$old marker"
same "a claim of nothing" "$(who claim-unknown | cut -d' ' -f2-)" "process group"
same "a claim of a run that is over" "$(who claim-over | cut -d' ' -f2-)" "process group"

# --- it can all be checked
umount_volume
expect "verify" vouch verify vol
expect "fsck" vouch fsck vol
# of these runs: others may go on beside us
jq -r 'select(.kind == "run-start").run' log.jsonl >ids
expect "nothing is left of the cgroups" bash -c '! find /sys/fs/cgroup -name "vouch-run-*" -newer vol/volume.conf 2>/dev/null |
	grep -F -f ids | while read -r d; do grep -q "populated 0" "$d/cgroup.events" || echo "$d"; done | grep -q .'
[ -s ids ] || fail "no runs in the log"
[ ! -e vol/runs ] || fail "the channel is left"
