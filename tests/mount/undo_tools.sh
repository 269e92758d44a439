#!/bin/bash
# Real programs under vouch run, then undo, compared with a copy made before:
# bytes, kinds, modes, links and attributes; then undo of the undo, which gives
# what the programs left.  FULL=1: those that take long, too.
# timeout: 300
. "$TOP/tests/mount/lib.sh"
for p in git make python3; do
	command -v $p >/dev/null || { echo "no $p"; exit 77; }
done

unset MAKEFLAGS MFLAGS MAKELEVEL
new_volume
mount_volume
cat >list.py <<'EOF'
import hashlib, os, stat, sys
first = {}
for at, dirs, files in os.walk(b"mnt/t"):
    dirs.sort()
    for name in sorted(dirs + files):
        path = os.path.join(at, name)
        st = os.lstat(path)
        what = [oct(st.st_mode), st.st_uid, st.st_gid]
        if stat.S_ISREG(st.st_mode):
            with open(path, "rb") as f:
                what.append(hashlib.sha256(f.read()).hexdigest())
        if not stat.S_ISDIR(st.st_mode):
            what += [st.st_nlink, first.setdefault(st.st_ino, path)]
        if stat.S_ISLNK(st.st_mode):
            what.append(os.readlink(path))
        else:
            what += [(a, os.getxattr(path, a)) for a in sorted(os.listxattr(path))]
        print(path, *what)
EOF
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b GIT_CONFIG_GLOBAL=/dev/null

# --- before: a C tree in git, with a branch to rebase -------------------------------

mkdir -p mnt/t/src mnt/t/half/a mnt/t/half/b
cd mnt/t || exit 1
for i in 1 2 3; do
	printf 'int f%d(void)\n{\n\treturn %d;\n}\n' $i $i >src/f$i.c
done
printf 'int f1(void);\nint main(void)\n{\n\treturn f1() - 1;\n}\n' >src/main.c
printf 'prog: src/main.o src/f1.o src/f2.o src/f3.o\n\t$(CC) -o $@ $^\nclean:\n\trm -f prog src/*.o\n' >Makefile
seq 1 60 >text && seq 1 60 >vi && seq 1 60 >patched
for i in $(seq 1 30); do echo $i >half/a/$i; echo $i >half/b/$i; done
ln half/a/1 half/b/one && ln -s ../text half/link && chmod 640 half/a/2 && chmod 2755 half/b
(
	git init -q . && git add src Makefile text && git commit -qm one && git checkout -qb side &&
		echo side >>src/f1.c && git commit -qam side && git checkout -q - &&
		echo '/* main */' >>src/f2.c && git commit -qam two
) >/dev/null || fail "git before"
sed 's/^30$/thirty/' patched >../../patched.new
diff -u patched ../../patched.new >../../p.diff
cd ../.. || exit 1
mkdir old && cp -a mnt/t/half old/half && echo new >old/half/a/3 && rm old/half/a/4 && echo more >old/half/more
tar -C old -cf half.tar half
wheel() { # a wheel made by hand
	python3 - <<'EOF'
import zipfile
with zipfile.ZipFile("tiny-1.0-py3-none-any.whl", "w") as z:
    z.writestr("tiny/__init__.py", "n = 1\n")
    z.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
    z.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    z.writestr("tiny-1.0.dist-info/RECORD", "tiny/__init__.py,,\ntiny-1.0.dist-info/METADATA,,\ntiny-1.0.dist-info/WHEEL,,\ntiny-1.0.dist-info/RECORD,,\n")
EOF
}

# --- one program after the other ----------------------------------------------------

n=0
# tool WORD COMMAND: does it in mnt/t, takes it back, and that as well, and again
tool() {
	local word=$1 status
	python3 list.py >before
	vouch run -q --name "$word" --in=mnt -- bash -c "cd mnt/t && $2" >tool.out 2>&1
	status=$?
	[ $status = 0 ] || { fail "$word gave $status: $(tail -n 5 tool.out)"; return; }
	python3 list.py >after
	cmp -s before after && fail "$word changed nothing"
	expect "undo of $word" vouch undo "$word" --in=mnt
	python3 list.py | diff before - >diff || fail "undo of $word: $(head -n 8 diff)"
	n=$((n + 1))
	expect "undo of the undo of $word" vouch undo undo.$n --in=mnt
	python3 list.py | diff after - >diff || fail "undo of the undo of $word: $(head -n 8 diff)"
	n=$((n + 1))
}
has() { # PROGRAM: or it is told that it is not here
	command -v "$1" >/dev/null && return
	echo "skipped: no $1"
	return 1
}
tool make 'make -j2'
tool python "python3 -c 'import os, tempfile
for n in (\"text\", \"src/main.c\"):
    data = open(n).read()
    fd, t = tempfile.mkstemp(dir=os.path.dirname(n) or \".\")
    os.write(fd, data.replace(\"1\", \"one\").encode()); os.fsync(fd); os.close(fd)
    os.rename(t, n)'"
tool sed 'sed -i "s/^7/seven/" text vi && sed -i.bak s/2/two/ src/f2.c'
tool commit 'git add -A && git commit -qm all'
tool rebase 'git checkout -q side && git rebase -q master 2>&1 || git rebase -q main'
[ -z "${FULL:-}" ] || tool gc 'git gc -q && git checkout -q HEAD~1'
has patch && tool patch 'patch -s patched ../../p.diff'
has vim && tool vim 'vim -es -u NONE -c "%s/^9/nine/" -c wq vi </dev/null; grep -q nine vi'
has rsync && tool rsync 'rsync -a --delete ../../old/half/ half/'
tool tar 'rm -f half/a/9; tar xf ../../half.tar'
tool rm 'rm -rf half/a half/link .git/objects'
wheel
if python3 -c 'import venv' 2>/dev/null; then
	[ -z "${FULL:-}" ] || tool venv 'python3 -m venv --without-pip v'
	if python3 -m pip --version >/dev/null 2>&1; then
		tool pip 'python3 -m pip --disable-pip-version-check install -q --no-index --no-deps --target v/lib ../../tiny-1.0-py3-none-any.whl'
	else
		has pip
	fi
else
	echo "skipped: python3 has no venv"
fi
if [ -n "${FULL:-}" ] && has npm; then
	mkdir -p local/pkg mnt/t/app
	echo '{"name":"pkg","version":"1.0.0","main":"i.js"}' >local/pkg/package.json
	echo 'module.exports = 1' >local/pkg/i.js
	echo '{"name":"app","version":"1.0.0"}' >mnt/t/app/package.json
	tool npm 'cd app && npm install --offline --no-audit --no-fund ../../../local/pkg'
else
	echo "skipped: npm install, git gc, a venv: in nightly alone"
fi
umount_volume
expect "the volume is well" vouch verify vol --deep
