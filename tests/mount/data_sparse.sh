#!/bin/bash
# data_sparse.sh: a sparse file tells what it takes and where its holes are,
# open and closed, after another mount, from a new index, in the past; so du,
# cp, tar and rsync keep the holes.
# timeout: 120
. "$(dirname "$0")/lib.sh"

new_volume
mount_volume
blocks() { stat -c %b "$1"; }
# data at 1 MiB and 5 MiB - 3, a hole to 64 MiB + 77
python3 - mnt/f <<'P'
import os, sys
f = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
os.pwrite(f, b"x" * 4096, 1 << 20)
os.pwrite(f, b"y" * 8, (5 << 20) - 3)
os.ftruncate(f, (64 << 20) + 77)
assert os.fstat(f).st_blocks == 3 * 8, os.fstat(f).st_blocks
P
cp mnt/f plain.copy
truncate -s 10000 mnt/empty
printf 'no holes here' >mnt/full
head -c 100000 /dev/zero >mnt/zeros
head -c 300000 /dev/urandom >mnt/punched
fallocate -p -o 8192 -l 200000 mnt/punched

edges='
import os, sys
f = os.open(sys.argv[1], os.O_RDONLY)
at, size = 0, os.fstat(f).st_size
while at < size:
    try: at = os.lseek(f, at, os.SEEK_DATA)
    except OSError: break
    end = os.lseek(f, at, os.SEEK_HOLE)
    print(at, end, end=" ")
    at = end
'
look() { # WHERE DIR
	same "$1: blocks" "$(blocks "$2/f")" 24
	same "$1: size" "$(stat -c %s "$2/f")" $(((64 << 20) + 77))
	same "$1: edges" "$(python3 -c "$edges" "$2/f")" \
		"1048576 1052672 5238784 5246976 "
	same "$1: only a hole" "$(blocks "$2/empty") $(python3 -c "$edges" "$2/empty")" "0 "
	same "$1: no hole" "$(blocks "$2/full")" 1
	same "$1: zeros" "$(blocks "$2/zeros")" 0
	same "$1: punched" "$(blocks "$2/punched")" $(((300000 - 196608 + 511) / 512))
	expect "$1: bytes" cmp "$2/f" plain.copy
}
look "closed" mnt
same "du" "$(du -k mnt/f | cut -f1)" 12

for tool in "cp --sparse=auto" "rsync -S" "cp -a"; do
	rm -rf got && mkdir got
	expect "$tool" $tool mnt/f mnt/empty mnt/punched got
	expect "$tool: bytes" cmp got/f plain.copy
	[ "$(blocks got/f)" -le 64 ] || fail "$tool: $(blocks got/f) blocks"
	expect "$tool: punched" cmp got/punched mnt/punched
done
expect "tar --sparse" tar -C mnt --sparse -cf sparse.tar f empty
[ "$(stat -c %s sparse.tar)" -lt 40000 ] || fail "tar has $(stat -c %s sparse.tar) bytes"
rm -rf got && mkdir got && tar -C got -xf sparse.tar
expect "tar: bytes" cmp got/f plain.copy
mkdir mnt/back
expect "cp into the mount" cp --sparse=auto got/f mnt/back/f
same "copied in" "$(blocks mnt/back/f)" 24

expect "entries" jq -se 'map(select(.kind == "version" and .path == "f")) |
	last | .allocated == 12288 and .size == 67108941' mnt/audit/history/f.jsonl
expect "no holes: nothing said" jq -se \
	'map(select(.kind == "version")) | last | has("allocated") | not' \
	mnt/audit/history/full.jsonl
expect "sync" vouch sync mnt
expect "the present as a past" jq -re .log.seals mnt/audit/status.json
at=mnt/audit/at/$(($(cat out) - 1))
look "in the past" "$at"

umount_volume
mount_volume
look "mounted again" mnt
# a change where nothing was, and one where something was
printf z | dd of=mnt/f bs=1 seek=30000000 conv=notrunc status=none
same "one block more" "$(blocks mnt/f)" 32
fallocate -p -o 1048576 -l 4096 mnt/f
same "one block less" "$(blocks mnt/f)" 24
truncate -s 0 mnt/f
same "nothing" "$(blocks mnt/f)" 0
cp --sparse=always plain.copy mnt/f
umount_volume
expect "reindex" vouch reindex vol
expect "fsck" vouch fsck vol
mount_volume -o ro
look "from a new index" mnt
umount_volume

# df -i: as many as there are, the last second's left aside
mount_volume
in_use() { stat -f -c '%c %d' mnt | awk '{ print $1 - $2 }'; }
before=$(in_use)
mkdir mnt/count && (cd mnt/count && touch {1..50})
vouch sync mnt
for _ in $(seq $((50 * SLOWNESS))); do # it is counted when the index has them
	[ "$(in_use)" = $((before + 51)) ] && break
	sleep 0.1
done
same "inodes in use" "$(in_use)" $((before + 51))
rm -r mnt/count
vouch sync mnt && sleep 1
same "and without them" "$(in_use)" "$before"
umount_volume

# nothing is set aside for fallocate, but what cannot fit is refused
mount_volume
refuse "more than the disk" 1 "no space left" fallocate -l 15T mnt/big
refuse "the same, size kept" 1 "no space left" fallocate -n -l 15T mnt/big
same "nothing is there" "$(stat -c '%s %b' mnt/big)" "0 0"
truncate -s 20T mnt/big
expect "a hole of any size" fallocate -p -l 20T mnt/big
expect "a little of it" fallocate -l 1M mnt/big
