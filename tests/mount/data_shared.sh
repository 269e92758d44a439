#!/bin/bash
# data_shared.sh: one file, several processes: writes, maps, holes and fsync
# beside each other lose nothing; readers follow a writer without a torn line.
# SEED=n runs it again.
# timeout: 180
. "$(dirname "$0")/lib.sh"

seed=${SEED:-$((RANDOM * 32768 + RANDOM))}
echo "SEED=$seed"
new_volume
mount_volume
for i in 1 2 3; do
	fileload own mnt/own$i $((seed + i)) 2000 >out 2>&1 || fail "own: $(cat out)"
done
fileload tail mnt/tail 20000 >out 2>&1 || fail "tail: $(cat out)"
sums=$(cd mnt && sha256sum own? tail)
umount_volume
mount_volume
same "mounted again" "$(cd mnt && sha256sum own? tail)" "$sums"
umount_volume
# whole versions of it are entries, and another mount option changes no byte
mount_volume -o entries=every-write
fileload own mnt/every $seed 300 >out 2>&1 || fail "every-write: $(cat out)"
sums=$(cd mnt && sha256sum every)
umount_volume
expect "verify" vouch verify --deep vol
mount_volume -o ro
same "every write, mounted again" "$(cd mnt && sha256sum every)" "$sums"
