#!/usr/bin/env python3
"""Writers whose rounds leave numbers behind in a known order, and what looks
whether a tree is a prefix of what they did.

  write DIR MODE   rounds until DIR/stop is there, or the mount is gone; MODE:
                   sync (fsync after each step), plain
  check DIR...     a line for each; status 1 when in one of them a later step
                   is there without an earlier one

A round n of one writer, in this order: a and b overwritten in place, t cut or
grown to n bytes, c emptied and written anew, d renamed over, e a symbolic link
renamed over, f appended to by a process of its own, g a mkdir.
"""
import os
import sys


def put(fd, n, sync):
    os.pwrite(fd, b"%08d" % n, 0)
    if sync:
        os.fsync(fd)


def appender(path):
    """A process that appends one byte for each that it is told."""
    told, tell = os.pipe()
    done, say = os.pipe()
    if os.fork() == 0:
        os.close(tell)
        os.close(done)
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        while os.read(told, 1):
            try:
                os.write(fd, b"x")
            except OSError:
                os._exit(0)
            os.write(say, b"x")
        os._exit(0)
    os.close(told)
    os.close(say)
    return tell, done


def write(top, sync):
    a = os.open(top + "/a", os.O_RDWR | os.O_CREAT, 0o644)
    b = os.open(top + "/b", os.O_WRONLY | os.O_CREAT, 0o644)
    t = os.open(top + "/t", os.O_RDWR | os.O_CREAT, 0o644)
    tell, done = appender(top + "/f")
    n = 0
    while not os.path.exists(top + "/../stop"):
        n += 1
        put(a, n, sync)
        put(b, n, sync)
        os.ftruncate(t, n)
        with open(top + "/c", "wb", 0) as c:
            put(c.fileno(), n, sync)
        with open(top + "/new", "wb", 0) as d:
            put(d.fileno(), n, sync)
        os.rename(top + "/new", top + "/d")
        os.symlink(str(n), top + "/link")
        os.rename(top + "/link", top + "/e")
        os.write(tell, b"x")
        if not os.read(done, 1):
            return
        os.mkdir("%s/g%08d" % (top, n))
        if n > 4:
            os.rmdir("%s/g%08d" % (top, n - 4))


def number(path):
    try:
        with open(path, "rb") as f:
            text = f.read()
    except FileNotFoundError:
        return 0
    return int(text) if text else None


def size(path):
    return os.stat(path).st_size if os.path.exists(path) else 0


def steps(top):
    made = [int(g[1:]) for g in os.listdir(top) if g.startswith("g")]
    link = top + "/e"
    return [
        ("a", number(top + "/a") or 0),
        ("b", number(top + "/b") or 0),
        ("t", size(top + "/t")),
        ("c", number(top + "/c")),  # None: it is being written
        ("d", number(top + "/d")),
        ("e", int(os.readlink(link)) if os.path.lexists(link) else 0),
        ("f", size(top + "/f")),
        ("g", max(made, default=0)),
    ]


def prefix(seen):
    first = n = seen[0][1]
    for i, (name, value) in enumerate(seen):
        if value is None:  # between emptying and writing: t is done, d is not
            if name != "c" or seen[i - 1][1] != first:
                return False
            n = first - 1
        elif value not in (n, n - 1) or value < first - 1:
            return False
        else:
            n = value
    return True


def check(places):
    status = 0
    for place in places:
        seen = steps(place)
        ok = prefix(seen)
        status |= not ok
        print(os.path.basename(place), "ok" if ok else "TORN",
              *("%s=%s" % s for s in seen))
    return status


if sys.argv[1] == "check":
    sys.exit(check(sys.argv[2:]))
try:
    write(sys.argv[2], sys.argv[3] == "sync")
except OSError:  # the mount is gone
    pass
