#!/bin/bash
# data_streams.sh: large files: memory stays bounded while they stream, one
# byte changed in the middle stores little, a second copy of a tree nearly
# nothing, holes nothing at all.
# MIB=n sets how much is streamed.
# timeout: 300
. "$(dirname "$0")/lib.sh"

mib=${MIB:-1024}
# what the packs hold, in KiB
packs() { find vol/packs -type f -printf '%s\n' | awk '{ s += $1 } END { print int(s / 1024) }'; }
peak() { awk '/^VmHWM/ { print int($2 / 1024) }' "/proc/$(daemon_pid)/status"; }
stream() { openssl enc -aes-128-ctr -nosalt -K "$(printf %032d "$1")" -iv 0 \
	-in /dev/zero 2>/dev/null | head -c "$2"; }

new_volume
mount_volume

# --- a stream that nothing compresses
stream 1 ${mib}M >mnt/stream || fail "stream"
stream 1 ${mib}M | cmp - mnt/stream || fail "the stream reads otherwise"
hwm=$(peak)
echo "peak memory after $mib MiB: $hwm MiB"
[ "$hwm" -lt 480 ] || fail "$hwm MiB of memory for a stream"
! grep writes_copied vol/vouch.log || fail "libfuse's buffers are not ours"
rm mnt/stream

# --- one byte in the middle of 100 MB
stream 2 100000000 >mnt/middle
vouch sync mnt
umount_volume
mount_volume
before=$(packs)
printf 'X' | dd of=mnt/middle bs=1 seek=50000000 conv=notrunc 2>/dev/null
umount_volume
mount_volume
after=$(packs)
echo "one byte changed stored $((after - before)) KiB"
[ $((after - before)) -lt 2048 ] || fail "one byte stored $((after - before)) KiB"
{ stream 2 50000000; printf X; stream 2 100000000 | tail -c +50000002; } |
	cmp - mnt/middle || fail "the changed file reads otherwise"

# --- the same bytes twice
before=$(packs)
mkdir mnt/tree
for i in $(seq 60); do
	stream $((i + 10)) $((i * 17000)) >mnt/tree/f$i
done
umount_volume
mount_volume
once=$(($(packs) - before))
cp -r mnt/tree mnt/again || fail "cp -r"
umount_volume
mount_volume
twice=$(($(packs) - before - once))
echo "a tree stored $once KiB, its copy $twice KiB"
[ $once -gt 25000 ] || fail "the tree was not stored: $once KiB"
[ $((twice * 20)) -lt $once ] || fail "its copy stored $twice KiB"
diff -r mnt/tree mnt/again || fail "the copy differs"

# --- a file of holes
before=$(packs)
truncate -s 1G mnt/sparse
for at in 0 123456789 536870912 1073741823; do
	printf 'data' | dd of=mnt/sparse bs=1 seek=$at conv=notrunc 2>/dev/null
done
same "size" "$(stat -c %s mnt/sparse)" 1073741827
umount_volume
mount_volume
[ $(($(packs) - before)) -lt 1024 ] || fail "holes were stored"
python3 - mnt/sparse <<'P' || fail "the sparse file"
import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
at, found, data = 0, [], 0
while True:
    try:
        at = os.lseek(fd, at, os.SEEK_DATA)
    except OSError:
        break
    end = os.lseek(fd, at, os.SEEK_HOLE)
    data += end - at
    found.append((at, end))
    at = end
assert data <= 4 * 8192 + 8, found
for at in (0, 123456789, 536870912, 1073741823):
    assert os.pread(fd, 5, at).rstrip(b"\0") == b"data"
    assert any(a <= at < b for a, b in found), (at, found)
assert os.pread(fd, 65536, 700 << 20) == bytes(65536)
P
umount_volume
expect "verify" vouch verify --deep vol
