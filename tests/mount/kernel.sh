#!/bin/bash
# kernel.sh: what the kernel leaves to us is kept: set-id bits, ACLs, umask,
# flags of rename, times, holes, mmap, O_DIRECT, O_TMPFILE, listings.
# timeout: 180
. "$(dirname "$0")/lib.sh"

new_volume
mount_volume
cd mnt || exit 1

as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"; }
mode() { stat -c %a "$1"; }

if [ "$(id -u)" = 0 ]; then
	printf x >s
	chmod 6777 s
	as_nobody sh -c 'echo y >>s'
	same "a stranger's write clears set-id bits" "$(mode s)" 777
	chmod 6777 s
	echo z >>s
	same "root's write keeps them" "$(mode s)" 6777
	as_nobody sh -c ': >s'
	same "O_TRUNC clears them" "$(mode s)" 777
	chmod 6777 s
	as_nobody truncate -s 3 s
	same "truncate clears them" "$(mode s)" 777
	chmod 6777 s
	chown 65534 s
	same "chown clears them" "$(mode s)" 777
	chmod 2771 s
	as_nobody sh -c 'true' # and nothing else changes them
	same "set-gid stays" "$(mode s)" 2771
	mkdir -m 700 private
	echo secret >private/f
	as_nobody cat private/f 2>/dev/null && fail "permissions are not checked"
	if command -v setfacl >/dev/null; then
		mkdir acl
		setfacl -m u:65534:rwx,d:u:65534:rw,d:g::r acl || fail "setfacl"
		(umask 077; echo x >acl/f)
		getfacl -ncp acl/f | grep -q 'user:65534:rw' || fail "default ACL"
		as_nobody cat acl/f >/dev/null || fail "ACL does not let in"
		chmod 2755 acl
		chgrp 1 acl
	fi
fi
(umask 027; echo x >um; mkdir umd)
same "umask" "$(mode um),$(mode umd)" 640,750

python3 - <<'P' || fail "python"
import ctypes, errno, fcntl, mmap, os, stat
libc = ctypes.CDLL(None, use_errno=True)

fd = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600)
os.write(fd, b"tmp")
os.link(f"/proc/self/fd/{fd}", "linked", src_dir_fd=fd, follow_symlinks=True)
assert open("linked").read() == "tmp"
os.close(fd)

fd = os.open("m", os.O_RDWR | os.O_CREAT)
os.ftruncate(fd, 10000)
m = mmap.mmap(fd, 10000)
m[5000:5005] = b"hello"
m.flush()
assert os.pread(fd, 5, 5000) == b"hello"
m[9990:10000] = b"0123456789"
m.close()
os.close(fd)
assert open("m", "rb").read()[9990:] == b"0123456789"

fd = os.open("d", os.O_RDWR | os.O_CREAT | os.O_DIRECT)
b = mmap.mmap(-1, 8192)
b[:] = b"x" * 8192
assert os.pwrite(fd, b, 0) == 8192
assert os.preadv(fd, [b], 4096) == 4096
m = mmap.mmap(fd, 8192)
assert m[0] == ord("x")
m[1:2] = b"y"
m.flush()
m.close()
os.close(fd)
assert open("d", "rb").read(2) == b"xy"

fd = os.open("h", os.O_RDWR | os.O_CREAT)
os.pwrite(fd, b"a", 1 << 20)
os.pwrite(fd, b"b", 1 << 26)
at = os.lseek(fd, 0, os.SEEK_DATA)
assert 0 < at <= 1 << 20, at
assert os.lseek(fd, 2 << 20, os.SEEK_HOLE) == 2 << 20
assert os.stat("h").st_blocks * 512 < 1 << 20
assert libc.fallocate(fd, 3, ctypes.c_long(1 << 20), ctypes.c_long(4096)) == 0
assert os.pread(fd, 1, 1 << 20) == b"\0"
try:
    os.lseek(fd, 1 << 40, os.SEEK_DATA)
    raise SystemExit("SEEK_DATA past the end")
except OSError as e:
    assert e.errno == errno.ENXIO
fd2 = os.open("h2", os.O_RDWR | os.O_CREAT)
n = os.copy_file_range(fd, fd2, (1 << 26) + 1, 0, 0)
while n < (1 << 26) + 1:
    k = os.copy_file_range(fd, fd2, (1 << 26) + 1 - n, n, n)
    assert k > 0
    n += k
assert os.pread(fd2, 2, 1 << 26) == b"b"
os.close(fd)
os.close(fd2)

for name in ("x1", "x2"):
    open(name, "w").write(name)
rename = lambda a, b, f: libc.renameat2(-100, a, -100, b, f)
assert rename(b"x1", b"x2", 1) == -1 and ctypes.get_errno() == errno.EEXIST
assert rename(b"x1", b"x2", 2) == 0 and open("x1").read() == "x2"
assert rename(b"x1", b"x2", 8) == -1 and ctypes.get_errno() == errno.EINVAL
if os.geteuid() == 0: # RENAME_WHITEOUT, which an overlay's upper directory needs
    assert rename(b"x1", b"x2", 4) == 0 and open("x2").read() == "x2"
    st = os.stat("x1")
    assert stat.S_ISCHR(st.st_mode) and st.st_rdev == 0
    os.rename("x2", "x1")

fd = os.open("u", os.O_RDWR | os.O_CREAT)
os.write(fd, b"gone")
os.unlink("u")
assert os.pread(fd, 4, 0) == b"gone" and os.fstat(fd).st_nlink == 0
os.close(fd)

os.mkdir("many")
for i in range(2000):
    open(f"many/{i}", "w").close()
seen = []
for e in os.scandir("many"):
    seen.append(e.name)
    if int(e.name) % 3 == 0:
        os.unlink("many/" + e.name)
assert sorted(map(int, seen)) == list(range(2000))
assert len(os.listdir("many")) == 1333
assert all(stat.S_ISREG(e.stat().st_mode) for e in os.scandir("many"))

a, b = open("x1"), open("x1")
fcntl.flock(a, fcntl.LOCK_EX)
try:
    fcntl.flock(b, fcntl.LOCK_EX | fcntl.LOCK_NB)
    raise SystemExit("flock")
except BlockingIOError:
    pass

for ns in (-62135596800 * 10**9 // 20, -1, 0, 1, 2**31 * 10**9, 2**33 * 10**9 + 123456789):
    os.utime("x1", ns=(ns, ns))
    assert os.stat("x1").st_mtime_ns == ns, (ns, os.stat("x1").st_mtime_ns)

for name in (b"a\nb", b"\xff\xfe", b"." * 255, "é".encode() * 100):
    open(name, "w").close()
    assert name in os.listdir(b".")
    os.unlink(name)
try:
    open("n" * 256, "w")
    raise SystemExit("a name of 256 bytes")
except OSError as e:
    assert e.errno == errno.ENAMETOOLONG
try:
    os.setxattr("x1", "user.vouch.sha256", b"1")
    raise SystemExit("user.vouch. can be set")
except PermissionError:
    pass
os.setxattr("x1", "user.a", b"1" * 1000)
assert os.listxattr("x1") == ["user.a"] and os.getxattr("x1", "user.a") == b"1" * 1000
P
mkfifo ff && [ -p ff ] || fail "fifo"
ln -s "$(printf 'y%.0s' $(seq 4000))" deep && same "long symlink" "$(readlink deep | wc -c)" 4001
cd ..
umount_volume
