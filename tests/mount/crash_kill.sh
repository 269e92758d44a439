#!/bin/bash
# crash_kill.sh: the daemon is killed under load, again and again; every name
# and byte whose fsync was acknowledged is there after the next mount, and
# what is there is a state that was.
# SEED=n, ROUNDS=n and WORKERS=n run it again; MINUTES=n: so long instead of
# ROUNDS (make nightly).  The moment of the kill is not repeatable.
# timeout: 7200
. "$(dirname "$0")/lib.sh"

seed=${SEED:-$((RANDOM * 32768 + RANDOM))}
workers=${WORKERS:-4}
rounds=${ROUNDS:-4}
[ -z "${MINUTES:-}" ] || rounds=1000000
RANDOM=$((seed % 32768))
echo "SEED=$seed"
new_volume

check_round() { # ROUND
	local w
	for w in $(seq "$workers"); do
		crashload check mnt/$1.$w log.$1.$w $((seed + $1 * 100 + w)) \
			>out 2>&1 || fail "round $1, worker $w: $(cat out)"
		[ "$1" = "$round" ] && cat out
	done
}

pause() { # FROM TO: ms
	local ms=$((($1 + RANDOM % ($2 - $1)) * SLOWNESS))
	sleep "$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))"
}

# Kills a command of ours at a random moment; it may have ended by then.
kill_early() { # MS COMMAND...
	local most=$1
	shift
	"$@" >early.out 2>&1 &
	local pid=$!
	pause 1 "$most"
	kill -9 $pid 2>/dev/null && early=$((early + 1))
	wait $pid 2>/dev/null
}


early=0
for round in $(seq "$rounds"); do
	[ -z "${MINUTES:-}" ] || [ $SECONDS -lt $((MINUTES * 60)) ] || break
	mount_volume
	# all of the rounds before, or of the last ones when there are many
	for old in $(seq $((round > 5 ? round - 5 : 1)) $((round - 1))); do
		check_round "$old"
	done
	mkdir $(seq -f "mnt/$round.%g" "$workers")
	vouch sync mnt || fail "vouch sync"
	pids=
	for w in $(seq "$workers"); do
		crashload run mnt/$round.$w log.$round.$w \
			$((seed + round * 100 + w)) >run.$w 2>&1 &
		pids="$pids $!"
	done
	victim=$(daemon_pid)
	pause 300 1500
	# by turns: under load, while it unmounts, while commands look on
	case $((round % 3)) in
	0)
		kill_early 60 vouch reindex vol
		kill_early 60 vouch verify mnt
		;;
	1) (vouch umount mnt >umount.out 2>&1 &) ; pause 1 50 ;;
	esac
	kill -9 "$victim" 2>/dev/null || [ $((round % 3)) = 1 ] ||
		fail "the daemon was gone before the kill"
	for w in $pids; do
		wait "$w" || [ $((round % 3)) = 1 ] || fail "a worker: $(cat run.*)"
	done
	umount -l mnt 2>/dev/null || fusermount3 -uz mnt 2>/dev/null
	wait_ended "$victim"
	# the recovery itself is killed, too
	for i in 1 2 3; do
		kill_early 120 vouch mount -f vol mnt
		umount -l mnt 2>/dev/null || fusermount3 -uz mnt 2>/dev/null
	done
	kill_early 60 vouch verify vol
	kill_early 60 vouch reindex vol
	mount_volume
	check_round "$round"
	expect "a crash is no damage" vouch verify --deep mnt
	umount_volume
	expect "verify" vouch verify --deep vol
	[ $failures = 0 ] || break
done
[ $early -gt 0 ] || fail "no recovery and no command was killed"
echo "round $round, $early recoveries and commands killed"
expect "fsck" vouch fsck vol
