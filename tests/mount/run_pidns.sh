#!/bin/bash
# run_pidns.sh: pid namespaces: whoever the daemon cannot see is known by its
# user alone, and never taken for the process that has its number elsewhere.
# timeout: 120
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/run_lib.sh"

[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
unshare -pf true 2>/dev/null || { echo "no pid namespaces"; exit 77; }

# actor_of NAME: pid, executable and strength of whoever made it
actor_of() {
	jq -rs --arg n "$1" '(map(select(.kind == "actor")) | map({ key: .leaf, value: . }) | from_entries) as $a |
		map(select(.kind == "create" and .name == $n)) | last |
		$a[.actor] | "\(.pid) \(.exe // "-") \(.run_by // "-") \(.uid)"' log.jsonl
}

# --- the daemon outside, the program in a container: it sees all of it
new_volume
mount_volume
unshare -pf --mount-proc vouch run --name boxed --in mnt -- bash -c ': >mnt/in-box; (setsid sh -c ": >mnt/in-box-2" &); sleep 0.3' ||
	fail "a run in a container"
vouch run --name around --in mnt -- unshare -pf --mount-proc bash -c ': >mnt/box-in-run' || fail "a container in a run"
unshare -pf bash -c ': >mnt/loose; exit 0'
until_there mnt/in-box-2
log_read
for f in in-box in-box-2; do
	same "$f: the run" "$(who $f | cut -d' ' -f1)" "$(run_id boxed)"
done
same "a container in a run" "$(who box-in-run | cut -d' ' -f1)" "$(run_id around)"
for f in in-box box-in-run loose; do
	actor_of $f | grep -q '^[1-9][0-9]* /.*bash ' || fail "$f is told to be of: $(actor_of $f)"
done
same "of no run that was declared" "$(who loose | cut -d' ' -f2-)" "process group"
umount_volume

# inside COMMAND...: a daemon in a namespace of its own, until we say so
inside() {
	rm -f up down
	unshare -pf "$@" bash -c 'vouch mount vol mnt && setsid -w bash -c ": >mnt/its-own-$0" && : >up
		while [ ! -e down ]; do sleep 0.05; done
		vouch umount mnt' "$mode" & box=$!
	until_there up
}

# --- the daemon inside, with a /proc that is not its own: the numbers that it
# is told are there, and are somebody else's
mode=alien
inside
bash -c ": >mnt/outer"
refuse "a run" 125 "does not see" vouch run --name unseen --in mnt -- touch mnt/never
refuse "a guarded run" 125 "does not see" vouch run --guard --in mnt -- touch mnt/never
[ ! -e mnt/never ] || fail "it was started"
log_read
: >down
wait $box || fail "the daemon inside"
for f in its-own-alien outer; do
	actor_of $f | grep -q '^[0-9]* - - 0$' || fail "$f is told to be of: $(actor_of $f)"
done
same "not from inside" "$(actor_of outer)" "0 - - 0"
same "no such run" "$(run_id unseen)" none
grep -q 'programs_not_seen' vol/vouch.log || fail "the log of the daemon does not say it"

# --- and with its own: it knows those inside, and of those outside the user;
# a mount namespace comes with that /proc, so outside is who enters only it
mode=own
rm -f mnt/outer
inside --mount-proc
nsenter -t $box -m bash -c "cd '$PWD' && : >mnt/outer-2" || fail "a file from outside"
: >down
wait $box || fail "the daemon inside"
vouch log vol --all --format=json >log.jsonl || fail "log"
actor_of its-own-own | grep -q '^[1-9][0-9]* /.*bash process group 0$' ||
	fail "its own is told to be of: $(actor_of its-own-own)"
same "outside" "$(actor_of outer-2)" "0 - - 0"
expect "verify" vouch verify vol
