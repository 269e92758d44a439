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

# --- denials survive the crash, and are with their run
log_read
same "denials after a crash" "$(jq -s --arg r "$(run_id run)" 'map(select(.kind == "alert" and .run == $r and .what == "denied" and .why == "hidden")) | length > 0' log.jsonl)" \
	"$([ -n "$cgroups" ] && echo true || echo false)"
umount_volume
expect "verify" vouch verify vol
