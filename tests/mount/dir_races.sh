#!/bin/bash
# dir_races.sh: listings beside changes, directories with more names than
# rows are kept in memory (MANY=100000 for more), and
# processes that append to one file; on a mount, and on the native filesystem
# as control.  SEED=n runs it again.
# timeout: 180
. "$(dirname "$0")/lib.sh"

seed=${SEED:-$((RANDOM * 32768 + RANDOM))}
echo "SEED=$seed"
new_volume
mount_volume
mkdir native
for d in mnt native; do
	mkdir $d/churn $d/many
	expect "$d: listings" dirchurn churn $d/churn $seed 4
	expect "$d: appends" appendrace $d/log $seed 400
done
expect "many names" dirchurn many mnt/many ${MANY:-70000}
expect "natively" dirchurn many native/many 20000
same "the directory is empty" "$(ls -A mnt/many)" ""
umount_volume
expect "fsck" vouch fsck vol
mount_volume -o ro
same "names that stay" "$(ls mnt/churn | grep -c stay)" 700
