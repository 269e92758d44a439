#!/bin/bash
# run_lost.sh: what goes without saying so: the wrapper, the daemon, the mount.
# The run ends as lost, once; what its processes do later is still theirs.
# timeout: 180
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/run_lib.sh"

new_volume
mount_volume
cgroups=
own_cgroup && cgroups=1

# begin NAME [OPTIONS]: a run that makes NAME.1, and NAME.2 when NAME.go comes
begin() {
	local name=$1
	shift
	vouch run --name "$name" --in mnt "$@" -- sh -c "
		: >mnt/$name.1
		(setsid sh -c '
			while [ ! -e $name.go ]; do sleep 0.05; done
			: >mnt/$name.2; touch mnt/$name.3') &
		wait" &
	wrapper=$!
	until_there "mnt/$name.1"
}

for mode in '' --no-cgroup; do
	[ -n "$cgroups$mode" ] || continue
	how=cgroup name=killed${mode#--no-}
	[ -z "$mode" ] || how=ancestry # its parent is there and known

	# --- the wrapper is killed
	begin "$name" $mode
	kill -9 $wrapper
	wait $wrapper 2>/dev/null
	: >"$name.go"
	until_there "mnt/$name.3"
	log_read
	same "$name: the end" "$(run_end "$name")" "lost 0"
	same "$name: before" "$(who "$name.1" | cut -d' ' -f1)" "$(run_id "$name")"
	same "$name: after" "$(who "$name.3")" "$(run_id "$name") $how"
done

# --- a run that starts takes nothing away in a cgroup that somebody is in: a
#     run inside may be about to use it
cgroot=$(findmnt -n -t cgroup2 -o TARGET | head -n 1)
if [ -n "$cgroups" ] && [ -d "$cgroot$(sed -n 's/^0:://p' /proc/self/cgroup)" ]; then
	vouch run --name outer --in mnt -- bash -c '
		d='"$cgroot"'$(sed -n "s/^0:://p" /proc/self/cgroup)
		echo "$d" >outer.dir
		mkdir "$d/vouch-run-inside" && touch -d "10 minutes ago" "$d"
		: >outer.ready
		while [ ! -e outer.go ]; do sleep 0.05; done' &
	wrapper=$!
	until_there outer.ready
	expect "a run beside it" vouch run -q --in mnt -- true
	[ -d "$(cat outer.dir)/vouch-run-inside" ] || fail "the cgroup of a run inside is gone"
	: >outer.go
	wait $wrapper
	[ ! -e "$(cat outer.dir)" ] || fail "the cgroup stays when nobody is in it"
fi

# --- a daemon that does not answer: a signal ends us, before and after
stop_daemon() {
	victim=$(daemon_pid)
	kill -STOP "$victim"
}
stop_daemon
vouch run --name never --in vol/../mnt -- touch never-1 2>never.err &
wrapper=$!
sleep 1
start=$SECONDS
kill -TERM $wrapper
wait $wrapper
same "ended before it began" $? 143
[ $((SECONDS - start)) -lt $((10 * SLOWNESS)) ] || fail "it took $((SECONDS - start)) s to end"
kill -CONT "$victim"
[ ! -e never-1 ] || fail "the program was started"
vouch run --name unheard --in mnt -- sh -c ': >unheard.1; until [ -e unheard.go ]; do sleep 0.05; done; exit 6' 2>unheard.err &
wrapper=$!
until_there unheard.1
stop_daemon
: >unheard.go
sleep 1
start=$SECONDS
kill -TERM $wrapper
wait $wrapper
same "the status is still the program's" $? 6
[ $((SECONDS - start)) -lt $((10 * SLOWNESS)) ] || fail "it took $((SECONDS - start)) s to end"
grep -q "counts as lost" unheard.err || fail "nothing is said: $(cat unheard.err)"
kill -CONT "$victim"

# where nobody says which: one that does not answer is left out.  (In a
# namespace without other people's mounts.)
if unshare -m true 2>/dev/null; then
	mkdir mnt2
	vouch init vol2 >/dev/null && vouch mount vol2 mnt2 || fail "a second volume"
	stop_daemon
	unshare -m bash -c '
		awk -v d="$PWD/" "/ fuse.vouchfs / && index(\$5, d) != 1 { print \$5 }" /proc/self/mountinfo |
			xargs -r -d "\n" -n 1 umount -l
		exec vouch run --name either -- touch mnt2/either' 2>either.err
	same "it runs" $? 0
	kill -CONT "$victim"
	grep -q "not declared there: .*/mnt: the daemon does not answer" either.err ||
		fail "nothing is said of it: $(cat either.err)"
	vouch umount mnt2 || fail "umount of the second"
	same "the other has it" "$(vouch log vol2 --all --format=json |
		jq -rs 'map(select(.kind == "run-end")) | map("\(.how) \(.status)") | join(", ")')" "exit 0"
fi

# --- the mount goes in order while a run goes on elsewhere
vouch run --name unmounted --in mnt -- sh -c ': >mnt/u.1; until [ -e u.go ]; do sleep 0.05; done; exit 5' 2>u.err &
wrapper=$!
until_there mnt/u.1
umount_volume
: >u.go
wait $wrapper
same "the status is the program's" $? 5
grep -q "counts as lost" u.err || fail "nothing is said: $(cat u.err)"
mount_volume
log_read
same "unmounted: the end" "$(run_end unmounted)" "lost 0"

# --- a run ends as it did, whatever was said of another
vouch run --name two --in mnt -- sh -c 'exit 3'
vouch run --name two --in mnt -- sh -c 'kill -9 $$' 2>/dev/null
log_read
same "each has its end" "$(jq -rs 'map(select(.kind == "run-end")) | map("\(.how) \(.status)") | .[-2:] | join(", ")' log.jsonl)" \
	"exit 3, signal 9"
same "as many ends as starts" "$(jq -s 'map(select(.kind == "run-end")) | length' log.jsonl)" \
	"$(jq -s 'map(select(.kind == "run-start")) | length' log.jsonl)"
umount_volume
expect "verify" vouch verify vol

# --- the daemon is killed: at the next mount the run has ended as lost
mount_volume
for mode in '' --no-cgroup; do
	[ -n "$cgroups$mode" ] || continue
	how=cgroup name=crash${mode#--no-}
	[ -z "$mode" ] || how=marker
	begin "$name" $mode
	vouch sync mnt
	kill_daemon
	vouch umount -l mnt || fail "the dead mount"
	mount_volume
	log_read
	same "$name: the end" "$(run_end "$name")" "lost 0"
	: >"$name.go"
	until_there "mnt/$name.3"
	log_read
	same "$name: after" "$(who "$name.3")" "$(run_id "$name") $how"
	wait $wrapper || fail "$name: the status is the program's"
	# again: it ended once
	umount_volume
	mount_volume
	log_read
	same "$name: still one end" "$(run_end "$name")" "lost 0"
done

# --- an id is used once, also by somebody who speaks to the channel himself
cat >ask.py <<'PY'
import json, socket, sys
def ask(*lines):
    s = socket.socket(socket.AF_UNIX)
    s.connect("vol/runs")
    f = s.makefile("rw")
    for line in lines:
        f.write((line if isinstance(line, str) else json.dumps(line)) + "\n")
        f.flush()
        print(f.readline().strip())
start = {"verb": "run-start", "run": sys.argv[1], "name": "again", "argv": "", "cwd": "", "user": "", "env": {}}
fresh = dict(start, run="0123456789abcdef" * 2)
ask(start)
ask(dict(start, run="8" + "0" * 31), dict(start, run="f" * 32), dict(start, run="0" * 32), dict(start, run="x"), dict(start, run="AB" * 16), dict(fresh, name="a/b"), dict(fresh, argv="0"),
    dict(fresh, argv="6100"), dict(fresh, env={"62": "0" * 64, "61": "0" * 64}), dict(fresh, env={"": "0" * 64}),
    dict(fresh, env={"61": "0"}), "{", "[]", {"verb": "stop"}, {"verb": "run-end", "how": "exit", "status": 0})
ask(fresh, fresh, {"verb": "run-end", "how": "gone", "status": 0}, {"verb": "run-end", "how": "exit", "status": 4},
    {"verb": "run-end", "how": "exit", "status": 4}, dict(fresh, run="1" * 32))
PY
python3 ask.py "$(run_id two)" >ask.out || fail "the channel"
cat ask.out
same "known" "$(sed -n 1p ask.out | jq -r .error)" "a run of this id is known already"
same "refused" "$(sed -n 2,16p ask.out | jq -r .ok | sort | uniq -c | tr -s ' ')" " 15 false"
same "what nobody declares" "$(sed -n 2,4p ask.out | jq -r .error | sort -u)" "an id of this kind cannot be declared"
same "one run for a connection" "$(sed -n '17,$p' ask.out | jq -r .ok | tr '\n' ' ')" "true false false true false false "
log_read
same "no more was entered" "$(run_end again)" "exit 4"
umount_volume
expect "verify" vouch verify vol
expect "fsck" vouch fsck vol
