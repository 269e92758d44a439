#!/bin/bash
# faults_index.sh: bits of index.db flip between two mounts: fsck tells of it
# or it is harmless; a read gives the file's bytes or an error; the index is
# made again by `vouch reindex`.
# FLIPS=n, SEED=n.
# timeout: 240
. "$(dirname "$0")/lib.sh"

seed=${SEED:-$RANDOM}
RANDOM=$seed
echo "SEED=$seed"
new_volume
mount_volume
for i in $(seq 40); do
	seq $i $((i * 50)) >mnt/f$i
done
mkdir mnt/dir && mv mnt/f1 mnt/dir/
umount_volume
declare -A sum
mount_volume
for f in $(cd mnt && echo f* dir/f*); do
	sum[$f]=$(sha256sum <mnt/$f | cut -d' ' -f1)
done
umount_volume

wrong=0 refused=0 told=0 harmless=0
for n in $(seq "${FLIPS:-25}"); do
	python3 - vol/index.db $((RANDOM * 32768 + RANDOM)) $((n % 3)) <<'P'
import os, random, sys
r = random.Random(int(sys.argv[2]))
fd = os.open(sys.argv[1], os.O_RDWR)
size = os.fstat(fd).st_size
# most pages are empty at the end: aim at bytes that are not zero
while True:
    at = r.randrange(size)
    b = os.pread(fd, 1, at)[0]
    if b or int(sys.argv[3]) == 0:
        break
os.pwrite(fd, bytes([b ^ 1 << r.randrange(8)]), at)
P
	if timeout $((60 * SLOWNESS)) vouch fsck vol >fsck.out 2>fsck.err; then
		harmless=$((harmless + 1))
	else
		[ $? = 1 ] || fail "fsck ended with $?: $(tail -n 3 fsck.err)"
		[ -s fsck.err ] || [ -s fsck.out ] || fail "fsck says nothing"
		told=$((told + 1))
	fi
	if timeout $((60 * SLOWNESS)) vouch mount vol mnt >mount.out 2>&1; then
		for f in "${!sum[@]}"; do
			got=$(sha256sum 2>/dev/null <mnt/$f) || {
				refused=$((refused + 1))
				continue
			}
			[ "${got%% *}" = "${sum[$f]}" ] || {
				wrong=$((wrong + 1))
				fail "flip $n: $f reads otherwise"
			}
		done 2>/dev/null
		kill -0 "$(daemon_pid)" || fail "flip $n: the daemon died"
		vouch umount mnt >umount.out 2>&1 ||
			fail "flip $n: umount: $(cat umount.out)"
	else
		grep -q . mount.out || fail "flip $n: refused without words"
		grep -q 'died' mount.out && fail "flip $n: $(cat mount.out)"
	fi
	expect "flip $n: reindex" vouch reindex vol
	[ $failures -lt 5 ] || break
done
echo "$told told by fsck, $harmless harmless; $refused reads refused, $wrong wrong"
[ $((told + harmless)) -gt 0 ] || fail "nothing was flipped"
mount_volume
for f in "${!sum[@]}"; do
	same "at the end, $f" "$(sha256sum <mnt/$f | cut -d' ' -f1)" "${sum[$f]}"
done
umount_volume
expect "fsck at the end" vouch fsck vol
expect "verify at the end" vouch verify --deep vol
