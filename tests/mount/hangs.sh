#!/bin/bash
# hangs.sh: a daemon that is stopped: whoever talks to it is told so, and ends;
# it goes on as if nothing had been; and one that is given up is detached.
# timeout: 120
. "$(dirname "$0")/lib.sh"

new_volume
mount_volume
mkdir mnt/dir && echo one >mnt/dir/file
expect "sync" vouch sync mnt
pid=$(daemon_pid)
expect "a patience that is no number" env VOUCH_PATIENCE=x vouch status mnt
mkdir mnt2 others

stop_daemon() { # and it is not waited for as long as usual
	export VOUCH_PATIENCE=1
	kill -STOP "$pid"
	until grep -q '^State:.T' "/proc/$pid/status"; do sleep 0.01; done
}

# Each one in its own surroundings, all at once: they wait.
asked=0
ask() { # WORD...
	asked=$((asked + 1))
	(
		timeout -k 1 $((90 * SLOWNESS)) vouch "$@" >"out.$asked" 2>"err.$asked"
		echo "$? vouch $*" >"got.$asked"
	) &
}

stop_daemon
refuse "status" 1 "process $pid is stopped (kill -CONT $pid" vouch status mnt
ask status
ask status mnt
ask status vol
ask status mnt/dir
ask sync mnt
ask umount mnt
ask umount vol
ask verify vol
ask verify mnt
ask scrub vol
ask gc vol
ask retain list mnt
ask retain set mnt 'logs/**' --for=30d
ask hold add mnt 'x' --reason=why
ask hold list vol
ask replica list vol
ask replica add vol others
ask log vol
ask log mnt/dir/file
ask prove mnt/dir/file
ask prove mnt/dir/new/file
ask blame mnt/dir/file
ask lineage mnt/dir/file
ask show mnt/dir/file
ask show 1.0 vol
ask diff some --in=mnt
ask runs mnt
ask runs vol
ask undo some --in=mnt
ask undo some --in=mnt/dir -n
ask snapshot mnt name
ask restore mnt/dir/file --at=2026-01-01
ask export vol others/log
ask query vol 'select 1'
wait
for n in $(seq $asked); do
	read -r status what <"got.$n"
	case $status in
	0 | 124 | 137) fail "$what gave $status" ;;
	*) grep -q "the daemon of .* does not answer" "err.$n" ||
		fail "$what: $(cat "err.$n")" ;;
	esac
done
# what needs no answer
refuse "mount elsewhere" 1 "mounted\|in use\|lock" vouch mount vol mnt2
refuse "reindex" 1 "does not answer" vouch reindex vol

kill -CONT "$pid"
unset VOUCH_PATIENCE
same "it goes on" "$(cat mnt/dir/file)" one
same "it is mounted" "$(vouch status mnt --format=json | jq -r .state)" mounted
expect "verify" vouch verify mnt
echo two >mnt/dir/two
umount_volume
mount_volume
same "what was written then" "$(cat mnt/dir/two)" two

# --- given up
pid=$(daemon_pid)
stop_daemon
expect "umount --force" vouch umount --force mnt
grep -q " $PWD/mnt " /proc/self/mountinfo && fail "still mounted"
kill -CONT "$pid"
unset VOUCH_PATIENCE
while [ -e "/proc/$pid" ]; do sleep 0.05; done
mount_volume
same "it was saved all the same" "$(cat mnt/dir/two)" two
