# undo_oracle.py: random work by others before, by a run, by others after; what
# undo must leave is the others' work alone, which is done on a second tree
# beside.  Where others changed what the run had changed, that must stay.
#
#   undo_oracle.py run TREE SEED LOG     what the run does; LOG: what it touched
#   undo_oracle.py make|after|check|keep|same ...

import hashlib, json, os, random, stat, sys

LINES = 40


def walk(top):
    for at, dirs, files in os.walk(top):
        dirs.sort()
        for name in sorted(dirs + files):
            yield os.path.join(at, name)


def kind(path):
    return stat.S_IFMT(os.lstat(path).st_mode)


def text(tag):
    return "".join("%s %d\n" % (tag, i) for i in range(LINES))


def read(path):
    with open(path, "rb") as f:
        return f.read()


def write(path, data, how="wb"):
    with open(path, how) as f:
        f.write(data)


# --- before: the same in both trees ---------------------------------------------


def make(trees, seed):
    for tree in trees:
        r = random.Random(seed)
        os.mkdir(tree)
        dirs = [tree]
        for i in range(r.randint(4, 9)):
            dirs.append(os.path.join(r.choice(dirs), "d%d" % i))
            os.mkdir(dirs[-1], 0o755)
        for i in range(r.randint(20, 40)):
            path = os.path.join(r.choice(dirs), "f%d" % i)
            what = r.randrange(6)
            if what < 3:
                write(path, text("line").encode())
            elif what == 3:
                write(path, r.randbytes(r.choice([0, 10, 5000, 200000])))
            elif what == 4:
                os.symlink("to%d" % r.randrange(99), path)
            else:
                write(path, b"linked%d" % i)
                os.link(path, path + "link")
            if what != 4 and r.randrange(4) == 0:
                os.chmod(path, 0o640)
            if what != 4 and r.randrange(4) == 0:
                os.setxattr(path, "user.a", b"before")


# --- the run ----------------------------------------------------------------------


class Run:
    def __init__(self, tree, seed):
        self.tree, self.r = tree, random.Random(seed)
        self.touched, self.n, self.clock = set(), 0, 0

    def touch(self, path):
        st = os.lstat(path)
        self.touched.add(st.st_ino)
        return st

    def fresh(self):
        self.n += 1
        return "r%d" % self.n

    def pick(self, want):
        all = [p for p in walk(self.tree) if want(p)]
        return self.r.choice(all) if all else None

    def directory(self):
        return self.pick(lambda p: kind(p) == stat.S_IFDIR) or self.tree

    def edit(self):
        path = self.pick(lambda p: kind(p) == stat.S_IFREG)
        self.touch(path)
        data = read(path)
        if data.count(b"\n") >= LINES - 10:  # a text: its first lines alone
            lines = data.split(b"\n")
            lines[self.r.randrange(8)] += b" run%d" % self.r.randrange(999)
            if self.r.randrange(3) == 0:
                lines.insert(self.r.randrange(8), b"put in %d" % self.r.randrange(999))
            data = b"\n".join(lines)
        elif self.r.randrange(2):
            data = data[: self.r.randint(0, len(data))] + self.r.randbytes(self.r.choice([1, 3000]))
        else:
            data = self.r.randbytes(self.r.randrange(70000))
        if self.r.randrange(2):  # as an editor does
            mode = stat.S_IMODE(os.lstat(path).st_mode)
            write(path + ".new", data)
            os.chmod(path + ".new", mode)
            os.rename(path + ".new", path)
            self.touch(path)
        else:
            write(path, data)

    def remove(self):
        path = self.pick(lambda p: kind(p) != stat.S_IFDIR)
        self.touch(path)
        os.unlink(path)

    def remove_tree(self):
        path = self.directory()
        if path == self.tree or self.r.randrange(3):
            return
        for at, dirs, files in os.walk(path, topdown=False):
            for name in files:
                self.touch(os.path.join(at, name))
                os.unlink(os.path.join(at, name))
            for name in dirs:
                sub = os.path.join(at, name)
                self.touch(sub)
                os.unlink(sub) if os.path.islink(sub) else os.rmdir(sub)
        self.touch(path)
        os.rmdir(path)

    def move(self):
        path = self.pick(lambda p: True)
        self.touch(path)
        target = os.path.join(self.directory(), self.fresh())
        if self.r.randrange(3) == 0 and kind(path) != stat.S_IFDIR:
            target = self.pick(lambda p: kind(p) != stat.S_IFDIR)
            self.touch(target)
        if not (target + "/").startswith(path + "/"):
            os.rename(path, target)

    def turn(self):  # names that go round
        v = [p for p in walk(self.tree) if kind(p) == stat.S_IFREG]
        v = self.r.sample(v, min(3, len(v)))
        for p in v:
            self.touch(p)
        if len(v) > 1 and len({os.lstat(p).st_ino for p in v}) == len(v):
            os.rename(v[0], self.tree + "/turn")
            for a, b in zip(v[1:], v):
                os.rename(a, b)
            os.rename(self.tree + "/turn", v[-1])

    def create(self):
        path = os.path.join(self.directory(), self.fresh())
        what = self.r.randrange(5)
        if what == 0:
            os.mkdir(path)
        elif what == 1:
            os.symlink("x", path)
        elif what == 2:
            os.mkfifo(path)
        else:
            write(path, self.r.randbytes(self.r.randrange(9000)))
        self.touch(path)

    def link(self):
        path = self.pick(lambda p: kind(p) == stat.S_IFREG)
        self.touch(path)
        os.link(path, os.path.join(self.directory(), self.fresh()))

    def attributes(self):
        path = self.pick(lambda p: kind(p) not in (stat.S_IFLNK, stat.S_IFIFO))
        self.touch(path)
        if self.r.randrange(2):
            os.chmod(path, self.r.choice([0o700, 0o750, 0o755, 0o600 | 0o100]))
        else:
            os.setxattr(path, "user.a", b"run%d" % self.r.randrange(9))

    def work(self):
        what = [self.edit] * 5 + [self.remove, self.remove_tree, self.move, self.move, self.turn,
                                  self.create, self.create, self.link, self.attributes, self.attributes]
        for _ in range(self.r.randint(15, 60)):
            try:
                self.r.choice(what)()
            except (TypeError, IndexError):
                pass  # there is none of that kind left


# --- after ------------------------------------------------------------------------


def other_lines(path, r_seed, replace):
    r = random.Random(r_seed)
    lines = read(path).split(b"\n")
    for i, line in enumerate(lines):
        if line == b"line %d" % (LINES - 4):
            lines[i] = b"other %d" % r.randrange(999)
    data = b"\n".join(lines)
    if replace:
        mode = stat.S_IMODE(os.lstat(path).st_mode)
        write(path + ".o", data)
        os.chmod(path + ".o", mode)
        for a in os.listxattr(path):
            os.setxattr(path + ".o", a, os.getxattr(path, a))
        os.rename(path + ".o", path)
    else:
        write(path, data)


def after(tree, ref, seed, inodes, touched, paths_before):
    r = random.Random(seed)
    kept, n = {}, 0
    for path in list(walk(tree)):
        if not os.path.lexists(path):
            continue
        st = os.lstat(path)
        there = inodes.get(st.st_ino)
        name = os.path.relpath(path, tree)
        if stat.S_ISDIR(st.st_mode) and r.randrange(3) == 0:
            n += 1
            write(path + "/o%d" % n, b"new %d" % n)
            if there:
                write(ref + "/" + there + "/o%d" % n, b"new %d" % n)
            else:
                kept[name + "/o%d" % n] = None
            continue
        if not stat.S_ISREG(st.st_mode) or st.st_nlink > 1 or r.randrange(2):
            continue
        if there and st.st_ino not in touched:
            old, what = ref + "/" + there, r.randrange(5)
            if what == 0:
                for p in (path, old):
                    write(p, b"theirs", "ab")
            elif what == 1:
                for p in (path, old):
                    os.chmod(p, 0o604)
            elif what == 2:
                for p in (path, old):
                    os.setxattr(p, "user.o", b"theirs")
            elif what == 3:
                for p in (path, old):
                    os.unlink(p)
            else:
                n += 1
                for p in (path, old):
                    os.rename(p, os.path.dirname(p) + "/o%d" % n)
        elif name in paths_before and os.path.isfile(ref + "/" + name) and \
                not os.path.islink(ref + "/" + name) and \
                os.lstat(ref + "/" + name).st_nlink == 1 and name not in inodes["dirs moved"] and \
                read(path).count(b"\n") >= LINES - 10 and b"line 30\n" in read(path) and \
                read(ref + "/" + name) == text("line").encode() and inodes["here"].get(name):
            s, replace = r.random(), r.randrange(2)
            other_lines(path, s, replace)
            other_lines(ref + "/" + name, s, False)
        elif r.randrange(3) == 0:
            write(path, r.randbytes(2000))
            kept[name] = None
    for name in kept:
        kept[name] = hashlib.sha256(read(tree + "/" + name)).hexdigest()
    return kept


# --- comparing ---------------------------------------------------------------------


def describe(tree):
    out, first = {}, {}
    for path in walk(tree):
        st = os.lstat(path)
        name = os.path.relpath(path, tree)
        v = [oct(st.st_mode)]
        if stat.S_ISREG(st.st_mode):
            v += [st.st_nlink, hashlib.sha256(read(path)).hexdigest()]
            if st.st_nlink > 1:
                v.append(first.setdefault(st.st_ino, name))
        if stat.S_ISLNK(st.st_mode):
            v.append(os.readlink(path))
        elif not stat.S_ISFIFO(st.st_mode):
            v += [[a, os.getxattr(path, a).hex()] for a in sorted(os.listxattr(path))]
        out[name] = v
    return out


def differ(got, want, what):
    bad = 0
    for name in sorted(set(got) | set(want)):
        if got.get(name) != want.get(name):
            print("%s: %s: %s, not %s" % (what, name, got.get(name), want.get(name)))
            bad = 1
    return bad


def main(argv):
    what, seed = argv[0], int(argv[1])
    state = "state.json"
    if what == "make":
        make(["mnt/r", "ref"], seed)
    elif what == "run":
        run = Run("mnt/r", seed)
        run.work()
        json.dump(sorted(run.touched), open("touched.json", "w"))
    elif what == "before":
        json.dump([[os.lstat(p).st_ino, os.path.relpath(p, "mnt/r")] for p in walk("mnt/r")], open(state, "w"))
    elif what == "after":
        before = json.load(open(state))
        inodes = {}
        for ino, name in before:
            inodes[ino] = name
        touched = set(json.load(open("touched.json")))
        inodes["dirs moved"] = set()
        here, names = {}, {name: ino for ino, name in before}
        now = {}
        for p in walk("mnt/r"):
            now[os.path.relpath(p, "mnt/r")] = os.lstat(p).st_ino
        # a text at its old place: edited there, or replaced by an editor
        gone = {ino for ino, _ in before} - set(now.values())
        for name, ino in names.items():
            up, ok = os.path.dirname(name), name in now
            while ok and up:
                ok = now.get(up) == names.get(up)
                up = os.path.dirname(up)
            here[name] = ok and (now[name] == ino or (ino in gone and now[name] not in names.values()))
        inodes["here"] = here
        kept = after("mnt/r", "ref", seed, inodes, touched, set(names))
        json.dump({"kept": kept, "state": describe("mnt/r")}, open("after.json", "w"))
    elif what == "check":
        kept = json.load(open("after.json"))["kept"]
        got, want = describe("mnt/r"), describe("ref")
        now = {v[2] for v in got.values() if len(v) > 2}
        for name, digest in kept.items():
            if digest not in now:
                print("others' %s is not there any more" % name)
                return 1
        # of those and what they lie in nothing more is known
        skip = set()
        for name in list(kept) + [n for n, v in got.items() if len(v) > 2 and v[2] in kept.values()]:
            while name:
                skip.add(name)
                name = os.path.dirname(name)
        if not kept:
            return differ(got, want, "undone")
        conflicts = set(sys.stdin.read().split("\n"))
        bad = 0
        linked = {got[n][2] for n in got if "r/" + n in conflicts and len(got[n]) > 2}
        for name in sorted(set(got) | set(want)):
            if got.get(name) == want.get(name) or name in skip:
                continue
            if len(got.get(name, [])) > 2 and got[name][2] in linked:
                continue  # one more name of what stays
            if os.path.basename(name) in conflicts:
                continue
            if any(("r/" + name).startswith(c) or c.startswith("r/" + name) for c in conflicts if c):
                continue
            print("undone: %s: %s, not %s" % (name, got.get(name), want.get(name)))
            bad = 1
        return bad
    elif what == "same":
        return differ(describe("mnt/r"), json.load(open("after.json"))["state"], "undone twice")
    return 0


sys.exit(main(sys.argv[1:]))
