#!/bin/bash
# data_direct.sh: who makes a file and only writes it goes round the page
# cache.  Whoever else reads, maps or writes it meanwhile sees the same bytes,
# and a write takes security.capability away without the kernel's help.
. "$(dirname "$0")/lib.sh"

new_volume
mount_volume

python3 - mnt <<'P' || fail "bytes differ"
import mmap, os, random, struct, sys
top, page = sys.argv[1], 4096
rng = random.Random(7)


def make(name):
    return os.open(f"{top}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)


def seen(name, want, *others):
    fd = os.open(f"{top}/{name}", os.O_RDONLY)
    for what in (os.pread(fd, len(want) + 1, 0), *others):
        assert what == want, (name, what[:64], want[:64])
    os.close(fd)


# a reader, a map and a second writer beside the one who made it
for turn in range(40):
    name, have = f"beside-{turn}", bytearray(4 * page)
    out = make(name)
    os.write(out, bytes(have))
    ins = os.open(f"{top}/{name}", os.O_RDWR)
    m = mmap.mmap(ins, len(have))
    for step in range(30):
        at, n = rng.randrange(4 * page - 600), rng.randrange(1, 600)
        b = rng.randbytes(n)
        how = rng.randrange(4)
        if how == 0:
            os.pwrite(ins, b, at)
        elif how == 1:
            m[at : at + n] = b
        else:
            os.pwrite(out, b, at)
        have[at : at + n] = b
        if rng.randrange(3) == 0:
            assert os.pread(ins, len(have), 0) == have, (name, step)
        if rng.randrange(3) == 0:
            assert m[:] == have, (name, step, "mapped")
    if turn % 2:
        os.close(out)
    assert m[:] == have and os.pread(ins, len(have), 0) == have
    m.close()
    os.close(ins)
    seen(name, have)
    if not turn % 2:
        os.pwrite(out, b"end", 5)
        have[5:8] = b"end"
        seen(name, have)
        os.close(out)
    seen(name, have)

# appended by two, the size is what both wrote
out = make("log")
also = os.open(f"{top}/log", os.O_WRONLY | os.O_APPEND)
for i in range(50):
    os.lseek(out, 0, os.SEEK_END)
    os.write(out, b"a%03d\n" % i)
    os.write(also, b"b%03d\n" % i)
os.close(out)
os.close(also)
seen("log", b"".join(b"a%03d\nb%03d\n" % (i, i) for i in range(50)))

# the maker is gone, a second goes on writing; who comes then reads and maps
out, have = make("kept"), bytearray(page)
also = os.open(f"{top}/kept", os.O_WRONLY)
os.write(out, have)
os.close(out)
ins = os.open(f"{top}/kept", os.O_RDONLY)
m = mmap.mmap(ins, page, prot=mmap.PROT_READ)
for i in range(200):
    line = b"%04d\n" % i
    os.pwrite(also, line, 5 * i)
    have[5 * i : 5 * i + 5] = line
    assert m[:] == have and os.pread(ins, page, 0) == have, i
seen("kept", have)
os.close(also)
seen("kept", have)
m.close()
os.close(ins)

# pieces that are no pages, from memory that is not aligned
out, have = make("pieces"), b""
for n in (1, 4095, 4097, 100_001, 3, 1 << 20, 1_234_567):
    b = rng.randbytes(n + 1)
    assert os.write(out, memoryview(b)[1:]) == n
    have += b[1:]
seen("pieces", have)
os.close(out)
seen("pieces", have)

# a capability does not survive a write
cap = struct.pack("<IIIII", 0x02000000, 1 << 10, 0, 0, 0)
out = make("tool")
os.write(out, b"one")
if os.geteuid() == 0:
    os.setxattr(out, "security.capability", cap)
    assert os.getxattr(out, "security.capability") == cap
    os.write(out, b"two")
    assert "security.capability" not in os.listxattr(f"{top}/tool")
    os.close(out)
    out = os.open(f"{top}/tool", os.O_RDWR)
    os.setxattr(out, "security.capability", cap)
    os.write(out, b"three")
    assert "security.capability" not in os.listxattr(f"{top}/tool")
    os.setxattr(out, "security.capability", cap)
os.close(out)
P

umount_volume
mount_volume
# set in an earlier mount, and the first who opens the file writes directly
python3 - mnt/tool <<'P' || fail "a direct write left the capability"
import mmap, os, sys
m = mmap.mmap(-1, 4096)
out = os.open(sys.argv[1], os.O_WRONLY | os.O_DIRECT)
if os.geteuid() == 0:
    assert "security.capability" in os.listxattr(sys.argv[1])
os.write(out, m)
assert "security.capability" not in os.listxattr(sys.argv[1])
os.close(out)
P
same "what was written by both" "$(wc -c <mnt/log)" 500
umount_volume
