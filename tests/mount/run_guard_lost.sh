#!/bin/bash
# run_guard_lost.sh: who is guarded stays so when the wrapper is killed, the
# daemon is killed, the volume is mounted again, or read-only; who is gone costs
# nothing any more.
# timeout: 120
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/run_lib.sh"

new_volume
mount_volume
mkdir mnt/secret && echo SECRET >mnt/secret/k && echo f >mnt/f
own_cgroup && cgroups=1

# It looks whenever it is asked, and answers what it saw.
cat >looker.sh <<'END'
( while [ ! -e "$1.end" ]; do
	if [ -e "$1.ask" ]; then
		rm "$1.ask"
		$2 cat mnt/secret/k >"$1.got" 2>&1
		$2 sh -c 'echo x >mnt/f' >>"$1.got" 2>&1
		: >"$1.answered"
	fi
	sleep 0.05
done ) </dev/null >/dev/null 2>&1 &
: >"$1.ready"
[ "$3" ] || wait
END

# begin NAME OPTION [HOW]: a guarded looker
begin() {
	vouch run --name "$1" -q $2 --in mnt --hide secret --protect f -- sh looker.sh "$1" "$3" &
	wrapper=$!
	until_there "$1.ready"
}

# looks NAME WHAT [READ-ONLY]: it is asked, and must have seen nothing
looks() {
	rm -f "$1.answered"
	: >"$1.ask"
	until_there "$1.answered"
	grep -q SECRET "$1.got" && fail "$2: it saw what is hidden"
	grep -q "Permission denied" "$1.got" || fail "$2: $(cat "$1.got")"
	grep -q "${3:-Operation not permitted}" "$1.got" || fail "$2: $(cat "$1.got")"
	same "$2: f" "$(cat mnt/f)" f
	same "$2: others" "$(cat mnt/secret/k)" SECRET
}

again() { # [OPTIONS]: mounted again
	umount_volume
	mount_volume "$@"
}

for mode in '' --no-cgroup; do
	[ -n "$cgroups$mode" ] || continue
	name=run${mode#--no-}
	begin "$name" "$mode"
	looks "$name" "$name: at first"
	kill_daemon
	vouch umount -l mnt || fail "the dead mount"
	mount_volume
	looks "$name" "$name: after a crash"
	again
	looks "$name" "$name: mounted once more"
	again -o ro
	looks "$name" "$name: read-only" "Read-only file system"
	again
	: >"$name.end"
	wait $wrapper

	# its wrapper is killed
	name=killed${mode#--no-}
	begin "$name" "$mode"
	kill -9 $wrapper
	wait $wrapper 2>/dev/null
	looks "$name" "$name: without its wrapper"
	: >"$name.end"
done

# what runs on when the run has ended
if [ -n "$cgroups" ]; then
	vouch run --name left -q --in mnt --hide secret --protect f -- sh looker.sh left "env -u VOUCH_RUN" left
	until_there left.ready
	looks left "left: after the end"
	again
	looks left "left: mounted again"
	kill_daemon
	vouch umount -l mnt || fail "the dead mount"
	mount_volume
	looks left "left: after a crash"
	: >left.end
fi

# --- however many runs there were since, and whatever of the log is damaged
many_runs() { # COUNT: declared and ended, without a program
	python3 -c 'import json, secrets, socket, sys
for i in range(int(sys.argv[2])):
    s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); f = s.makefile("rw")
    for m in ({"verb": "run-start", "name": "many", "argv": "", "cwd": "", "user": "", "env": {},
               "run": "%032x" % secrets.randbits(127)}, {"verb": "run-end", "how": "exit", "status": 0}):
        f.write(json.dumps(m) + "\n"); f.flush()
        assert "true" in f.readline(), "run %d" % i
    s.close()' "$PWD/vol/runs" "$1" || fail "many runs"
}
if [ -n "$cgroups" ]; then
	vouch run --name old -q --in mnt --hide secret --protect f -- sh looker.sh old "env -u VOUCH_RUN" left
	until_there old.ready
	many_runs 200
	looks old "old: before"
	again
	looks old "old: mounted after 200 others"

	# what it may not do cannot be read: then it may do nothing
	umount_volume
	python3 -c 'import sqlite3, sys
c = sqlite3.connect("vol/index.db")
c.execute("UPDATE run SET no = no + 1 WHERE name = CAST(? AS BLOB)", ("old",))
assert c.total_changes == 1; c.commit(); c.close()' || fail "the index"
	cp vol/vouch.log log.before
	mount_volume
	looks old "old: not readable" "Permission denied"
	comm -13 log.before vol/vouch.log | grep -q run_not_read || fail "nobody says so"
	: >old.end
fi

# --- denials survive the crash, and are with their run
log_read
same "denials after a crash" "$(jq -s --arg r "$(run_id run)" 'map(select(.kind == "alert" and .run == $r and .what == "denied" and .why == "hidden")) | length > 0' log.jsonl)" \
	"$([ -n "$cgroups" ] && echo true || echo false)"
umount_volume
expect "verify" vouch verify vol
