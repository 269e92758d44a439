#!/bin/bash
# fsx.sh: never wrong bytes: random operations on files beside an oracle, by
# processes with their own files (fsx) and by several at once on one file
# (fsxmany), through syncs, remounts and empty page caches; beside them the same
# on the native filesystem, which says that the oracle is right.
# OPS=n operations of each of the PROCESSES=n of fsx, with a remount each
# REMOUNT=n; SEED=n the first seed, SEEDS=n how many, ROUNDS=n of fsxmany.
# timeout: 240
. "$TOP/tests/mount/lib.sh"

seed=${SEED:-1}
ops=${OPS:-2000}
processes=${PROCESSES:-2}
rounds=${ROUNDS:-10}
drop=()
[ "$(id -u)" = 0 ] && [ -n "${OVERTIME-}" ] && drop=(-d)
again='vouch umount mnt && vouch mount vol mnt'

new_volume
mount_volume
mkdir native
fsx -p "$processes" native "$seed" $((ops / 2)) >native.out || { cat native.out; fail "the oracle is wrong natively"; }
fsxmany native "$seed" 3 >native.out || { cat native.out; fail "fsxmany is wrong natively"; }
for ((i = 0; i < ${SEEDS:-1}; i++)); do
	fsx -p "$processes" -s 'vouch sync mnt' -r "$again" -R "${REMOUNT:-$((ops / 3))}" "${drop[@]}" mnt $((seed + i)) "$ops" ||
		fail "fsx, SEED=$((seed + i))"
	fsxmany -s 'vouch sync mnt' -r "$again" "${drop[@]}" mnt $((seed + i)) "$rounds" ||
		fail "fsxmany, SEED=$((seed + i))"
done
umount_volume
expect 'every chunk' vouch verify vol --deep
expect 'every row' vouch fsck vol
