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
