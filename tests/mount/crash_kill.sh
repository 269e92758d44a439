#!/bin/bash
# crash_kill.sh: the daemon is killed under load, again and again; every name
# and byte whose fsync was acknowledged is there after the next mount, and
# what is there is a state that was.
# SEED=n and ROUNDS=n run it again; the moment of the kill is not repeatable.
# timeout: 300
. "$(dirname "$0")/lib.sh"

seed=${SEED:-$((RANDOM * 32768 + RANDOM))}
rounds=${ROUNDS:-5}
workers=3
RANDOM=$((seed % 32768))
echo "SEED=$seed"
new_volume

check_round() { # ROUND
	local w
	for w in $(seq $workers); do
		crashload check mnt/$1.$w log.$1.$w $((seed + $1 * 100 + w)) \
			>out 2>&1 || fail "round $1, worker $w: $(cat out)"
		[ "$1" = "$round" ] && cat out
	done
}

for round in $(seq "$rounds"); do
	mount_volume
	for old in $(seq $((round - 1))); do
		check_round "$old"
	done
	mkdir $(seq -f "mnt/$round.%g" $workers)
	vouch sync mnt || fail "vouch sync"
	pids=
	for w in $(seq $workers); do
		crashload run mnt/$round.$w log.$round.$w \
			$((seed + round * 100 + w)) >run.$w 2>&1 &
		pids="$pids $!"
	done
	victim=$(daemon_pid)
	wait_ms=$(((300 + RANDOM % 1200) * SLOWNESS))
	sleep "$(printf '%d.%03d' $((wait_ms / 1000)) $((wait_ms % 1000)))"
	kill -9 "$victim" || fail "the daemon was gone before the kill"
	for w in $pids; do
		wait "$w" || fail "a worker: $(cat run.*)"
	done
	umount -l mnt || fusermount3 -uz mnt || fail "umount of the dead mount"
	mount_volume
	check_round "$round"
	umount_volume
	expect "verify" vouch verify --deep vol
	[ $failures = 0 ] || break
done
expect "fsck" vouch fsck vol
