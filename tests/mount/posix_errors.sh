#!/bin/bash
# posix_errors.sh: what is refused, is refused with the error that programs
# expect; locks, limits, times, sticky and set-gid directories.
# timeout: 120
. "$(dirname "$0")/lib.sh"

new_volume
mount_volume
chmod 755 . mnt
mkdir mnt/d && cd mnt/d || exit 1

cat >../../t.py <<'P'
import ctypes, errno, fcntl, os, socket, stat, struct, subprocess, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
bad = 0

def is_(want, what, fn, *a, **k):
    global bad
    try:
        got = fn(*a, **k)
        got = 0
    except OSError as e:
        got = e.errno
    if got != want:
        bad += 1
        name = lambda n: errno.errorcode.get(n, "none")
        print(f"{what}: {name(got)}, not {name(want)}")

def true_(what, v):
    global bad
    if not v:
        bad += 1
        print("not so:", what)

E = errno
put = lambda p, b=b"x": open(p, "wb").write(b)
put("f"); os.mkdir("dir"); put("dir/in"); os.mkdir("empty")
os.symlink("loop2", "loop1"); os.symlink("loop1", "loop2"); os.symlink("f", "sl")

# --- names
is_(E.ENAMETOOLONG, "name of 256", put, "n" * 256)
is_(0, "name of 255", put, "n" * 255)
is_(0, "removed", os.unlink, "n" * 255)
is_(E.ENAMETOOLONG, "path of 5000", put, "a/" * 2500)
is_(E.ELOOP, "loop", open, "loop1")
is_(E.ELOOP, "nofollow", os.open, "sl", os.O_RDONLY | os.O_NOFOLLOW)
is_(E.ENOTDIR, "file as directory", open, "f/x")
is_(E.ENOTDIR, "O_DIRECTORY", os.open, "f", os.O_DIRECTORY)
is_(E.ENOENT, "nothing", open, "none")
is_(E.ENOENT, "empty path", open, "")
is_(E.EEXIST, "O_EXCL", os.open, "f", os.O_CREAT | os.O_EXCL)
is_(E.EEXIST, "O_EXCL and symlink", os.open, "loop1", os.O_CREAT | os.O_EXCL)
is_(E.EISDIR, "write a directory", os.open, "dir", os.O_WRONLY)
is_(E.EEXIST, "mkdir", os.mkdir, "f")
is_(E.EEXIST, "symlink", os.symlink, "x", "f")
is_(E.ENOENT, "symlink to nothing", os.symlink, "", "e")
is_(0, "long target", os.symlink, "t" * 4095, "long")
true_("long target kept", os.readlink("long") == "t" * 4095)
is_(E.ENAMETOOLONG, "longer target", os.symlink, "t" * 4096, "longer")
is_(E.ENOTEMPTY, "rmdir", os.rmdir, "dir")
is_(E.ENOTDIR, "rmdir of a file", os.rmdir, "f")
is_(E.EISDIR, "unlink of a directory", os.unlink, "dir")
is_(E.EINVAL, "rmdir of .", os.rmdir, "empty/.")
is_(E.ENOTEMPTY, "rmdir of ..", os.rmdir, "empty/..")
is_(E.EBUSY, "rmdir of a mount", os.rmdir, os.path.dirname(os.getcwd()))
is_(E.EPERM, "link of a directory", os.link, "dir", "dl")
is_(E.EEXIST, "link onto a file", os.link, "f", "sl")
is_(E.EXDEV, "link across", os.link, "f", "../../out")
is_(E.EXDEV, "rename across", os.rename, "f", "../../out")
is_(E.EXDEV, "rename into", os.rename, "../../t.py", "t.py")
is_(E.EINVAL, "rename below itself", os.rename, "dir", "dir/x")
is_(E.ENOTEMPTY, "rename onto a full one", os.rename, "empty", "dir")
is_(E.EISDIR, "file onto directory", os.rename, "f", "empty")
is_(E.ENOTDIR, "directory onto file", os.rename, "empty", "f")
is_(E.ENOTDIR, "rename f/", os.rename, "f/", "g")
is_(E.EBUSY, "rename .", os.rename, "empty/.", "x")
os.link("f", "f2"); os.rename("f", "f2")
true_("rename between links does nothing", os.path.exists("f") and os.stat("f").st_nlink == 2)
is_(E.EINVAL, "negative size", os.truncate, "f", -1)
is_(E.EISDIR, "truncate a directory", os.truncate, "dir", 0)
fd = os.open("f", os.O_RDONLY)
is_(E.EBADF, "write to read-only", os.write, fd, b"x")
is_(E.EINVAL, "ftruncate of read-only", os.ftruncate, fd, 0)
os.close(fd)
fd = os.open("dir", os.O_RDONLY)
is_(E.EISDIR, "read of a directory", os.read, fd, 1)
is_(0, "fsync of a directory", os.fsync, fd)
os.close(fd)
os.chdir("empty"); os.rmdir("../empty")
is_(E.ENOENT, "make in a removed directory", put, "x")
is_(0, "stat of a removed working directory", os.stat, ".")
os.chdir("..")

# --- extended attributes
is_(E.ENODATA, "no attribute", os.getxattr, "f", "user.none")
is_(E.ENODATA, "remove none", os.removexattr, "f", "user.none")
is_(0, "XATTR_CREATE", os.setxattr, "f", "user.a", b"1", os.XATTR_CREATE)
is_(E.EEXIST, "XATTR_CREATE again", os.setxattr, "f", "user.a", b"1", os.XATTR_CREATE)
is_(E.ENODATA, "XATTR_REPLACE", os.setxattr, "f", "user.b", b"1", os.XATTR_REPLACE)
is_(E.EPERM, "user attribute of a symlink", os.setxattr, "long", "user.a", b"1", follow_symlinks=False)
is_(E.EOPNOTSUPP, "unknown namespace", os.setxattr, "f", "what.a", b"1")
is_(E.E2BIG, "attribute of 64 KiB + 1", os.setxattr, "f", "user.a", bytes(65537))
for n in (0, 1, 255, 1024, 1025, 4096, 30000, 65536):
    v = os.urandom(n)
    is_(0, f"attribute of {n}", os.setxattr, "f", "user.n%d" % n, v)
    true_(f"attribute of {n} is read", os.getxattr("f", "user.n%d" % n) == v)
buf = ctypes.create_string_buffer(10)
true_("ERANGE", libc.getxattr(b"f", b"user.n255", buf, 10) == -1 and ctypes.get_errno() == E.ERANGE)
true_("listed", {"user.n0", "user.n65536"} <= set(os.listxattr("f")))

# --- times
for ns in (-1, -62135596800 * 10**9 // 20, 0, 2**31 * 10**9 + 1, 2**33 * 10**9 + 123456789):
    os.utime("f", ns=(ns, ns + 1000))
    true_(f"time {ns}", (os.stat("f").st_atime_ns, os.stat("f").st_mtime_ns) == (ns, ns + 1000))
class TS(ctypes.Structure):
    _fields_ = [("s", ctypes.c_long), ("n", ctypes.c_long)]
NOW, OMIT = (1 << 30) - 1, (1 << 30) - 2
before = os.stat("f")
libc.utimensat(-100, b"f", (TS * 2)(TS(0, OMIT), TS(77, 5)), 0)
st = os.stat("f")
true_("OMIT and a time", st.st_atime_ns == before.st_atime_ns and st.st_mtime_ns == 77 * 10**9 + 5)
libc.utimensat(-100, b"f", (TS * 2)(TS(0, NOW), TS(0, OMIT)), 0)
st = os.stat("f")
true_("NOW and OMIT", abs(st.st_atime - time.time()) < 30 and st.st_mtime_ns == 77 * 10**9 + 5)
time.sleep(0.02); c = os.stat("f").st_ctime_ns
os.chmod("f", 0o640); true_("chmod changes ctime", os.stat("f").st_ctime_ns > c)
m = os.stat("dir").st_mtime_ns; time.sleep(0.02)
put("dir/new"); true_("a new name changes the directory's mtime", os.stat("dir").st_mtime_ns > m)

# --- locks, between processes
put("lock", b"0" * 100)
def other(code):
    return subprocess.run([sys.executable, "-c", "import fcntl, os, sys, struct\nf = open('lock', 'r+b')\n" + code]).returncode
f = open("lock", "r+b")
fcntl.flock(f, fcntl.LOCK_EX)
true_("flock holds", other("fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)") != 0)
fcntl.flock(f, fcntl.LOCK_SH)
true_("flock shared", other("fcntl.flock(f, fcntl.LOCK_SH | fcntl.LOCK_NB)") == 0)
fcntl.flock(f, fcntl.LOCK_UN)
fcntl.lockf(f, fcntl.LOCK_EX, 10, 20)
true_("fcntl holds its range", other("fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB, 5, 25)") != 0)
true_("and no other", other("fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB, 5, 40)") == 0)
true_("F_GETLK tells who", other(f"""
l = struct.unpack('hhqqi4x', fcntl.fcntl(f, fcntl.F_GETLK, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0)))
sys.exit(l[0] != fcntl.F_WRLCK or l[2] != 20 or l[3] != 10 or l[4] != {os.getpid()})""") == 0)
open("lock").close() # closing any descriptor drops a process's locks
true_("fcntl locks end at close", other("fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 20)") == 0)
OFD_SETLK = 37
whole = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)
fcntl.fcntl(f, OFD_SETLK, whole)
open("lock").close()
g = open("lock", "r+b")
is_(E.EAGAIN, "OFD lock", fcntl.fcntl, g, OFD_SETLK, whole)
f.close()
is_(0, "OFD lock, freed", fcntl.fcntl, g, OFD_SETLK, whole)
p = subprocess.Popen([sys.executable, "-c", "import fcntl\nf = open('lock', 'r+b')\nfcntl.lockf(f, fcntl.LOCK_EX)"])
time.sleep(0.3); true_("a waiter waits", p.poll() is None)
g.close(); true_("and gets the lock", p.wait(10) == 0)

# --- fifo and socket
os.mkfifo("fifo")
p = subprocess.Popen(["sh", "-c", "cat fifo >fifo.out"])
with open("fifo", "wb") as w:
    os.unlink("fifo")
    true_("a removed fifo is still one", stat.S_ISFIFO(os.fstat(w.fileno()).st_mode))
    w.write(b"through" * 10000)
p.wait(10)
true_("fifo", open("fifo.out", "rb").read() == b"through" * 10000)
s = socket.socket(socket.AF_UNIX); s.bind("sock"); s.listen(1)
c = socket.socket(socket.AF_UNIX); c.connect("sock")
a, _ = s.accept(); c.send(b"hello"); true_("socket", a.recv(9) == b"hello")
is_(E.ENXIO, "open of a socket", open, "sock")
is_(E.EADDRINUSE, "bind again", socket.socket(socket.AF_UNIX).bind, "sock")

# --- statfs
v = os.statvfs(".")
true_("statfs", v.f_namemax == 255 and v.f_blocks > 0 and v.f_bavail <= v.f_bfree <= v.f_blocks)

# --- O_TMPFILE that is never linked, and O_EXCL which cannot be
fd = os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_EXCL)
is_(E.ENOENT, "link of an O_EXCL one", os.link, f"/proc/self/fd/{fd}", "t", src_dir_fd=fd, follow_symlinks=True)
os.close(fd)

# --- a listing while the directory changes
os.mkdir("many")
for i in range(20000):
    os.close(os.open(f"many/{i:05}", os.O_CREAT | os.O_WRONLY))
stop = False
def churn():
    i = 0
    while not stop:
        os.close(os.open(f"many/new{i}", os.O_CREAT | os.O_WRONLY))
        if i % 2: os.unlink(f"many/new{i}")
        if i < 5000: os.unlink(f"many/{i * 4:05}")
        i += 1
t = threading.Thread(target=churn); t.start()
for _ in range(5):
    names = os.listdir("many")
    true_("no name twice", len(names) == len(set(names)))
    true_("what stays is listed", {f"{i:05}" for i in range(20000) if i % 4} <= set(names))
stop = True; t.join()
d = os.open("many", os.O_RDONLY)
true_("and again", sorted(os.listdir(d)) == sorted(e.name for e in os.scandir("many")))
os.close(d)
sys.exit(bad != 0)
P
python3 ../../t.py || fail "see above"

# --- what depends on who asks
if [ "$(id -u)" = 0 ]; then
	as() { local u=$1; shift; setpriv --reuid=$u --regid=$u --clear-groups -- "$@"; }
	chmod 755 .
	mkdir -m 1777 sticky
	as 1001 touch sticky/mine || fail "make in a sticky directory"
	refuse "remove another's" 1 "not permitted" as 1002 rm -f sticky/mine
	refuse "rename another's" 1 "not permitted" as 1002 mv sticky/mine sticky/x
	expect "remove one's own" as 1001 rm sticky/mine
	mkdir -m 2777 group && chgrp 4321 group && chmod 2777 group
	as 1001 mkdir group/sub && as 1001 touch group/file
	same "set-gid directory" "$(stat -c '%g %a' group/sub),$(stat -c %g group/file)" \
		"4321 2755,4321"
	echo secret >own && chmod 600 own
	refuse "read another's" 1 "denied" as 1001 cat own
	refuse "chmod another's" 1 "not permitted" as 1001 chmod 777 own
	refuse "chown" 1 "not permitted" as 1001 chown 1001 own
	refuse "times of another's" 1 "denied\|not permitted" as 1001 touch -d 2001-01-01 own
	mkdir -m 755 closed
	refuse "make in another's" 1 "denied" as 1001 touch closed/x
	refuse "trusted attributes" 1 "not permitted" as 1001 setfattr -n trusted.x -v 1 group/file
	touch acl && chmod 600 acl && setfacl -m u:1001:rw acl
	expect "an ACL lets in" as 1001 sh -c 'echo x >>acl'
	refuse "and nobody else" 1 "denied" as 1002 cat acl
	chmod 600 acl
	refuse "the mask is the group's bits" 1 "denied" as 1001 cat acl
	mkdir inherit && setfacl -m d:u:1001:rwx,d:m::rwx inherit && mkdir inherit/sub
	getfacl -ncp inherit/sub 2>/dev/null | grep -q '^default:user:1001:rwx' ||
		fail "default ACL is not inherited"
	getfacl -ncp inherit/sub | grep -q '^user:1001:rwx' || fail "ACL of the new one"
	setfacl -b acl
	same "ACL removed" "$(getfacl -ncp acl | grep -c 1001)" 0
fi
cd ../.. || exit 1
umount_volume
mount_volume
python3 - <<'P' || fail "after mounting again"
import os
os.chdir("mnt/d")
assert all(len(os.getxattr("f", "user.n%d" % n)) == n for n in (0, 1, 255, 1024, 1025, 4096, 30000, 65536))
names = os.listdir("many")
assert {f"{i:05}" for i in range(20000) if i % 4} <= set(names) and len(names) == len(set(names))
P
