#!/bin/bash
# vouch undo where something is in the way: rights of ordinary users, bytes that
# were released, a full disk, editors and build tools at work.
. "$TOP/tests/mount/lib.sh"

new_volume
mount_volume -o allow_other

# --- what gc released is said in its own words --------------------------------------

mkdir mnt/g
echo 1 >mnt/g/f && echo 1 >mnt/g/other
expect "the run" vouch run -q --name old --in=mnt -- bash -c 'cd mnt/g; echo 2 >f; rm other; echo 3 >new'
expect "rule" vouch retain set mnt 'g/f' --versions=1
expect "gc" vouch gc mnt
vouch undo old --in=mnt >out 2>err
same "some stay" $? 1
grep -q 'g/f: content: its bytes before the run were released' out || fail "it says: $(cat out err)"
same "the rest is undone" "$(cd mnt/g && echo * && cat other f | tr '\n' ' ')" "f other
1 2 "

# --- programs that people use -----------------------------------------------------------

mkdir mnt/p
(
	cd mnt/p || exit
	seq 1 30 >text && git init -q . && git config user.email a@b && git config user.name c &&
		git add -A && git commit -qm one && printf 'all: a.o\na.o: text\n\tcp text a.o\n' >Makefile
	git checkout -q -b topic && sed -i 's/^9$/nine/' text && git commit -qam two &&
		git checkout -q - && sed -i 's/^20$/twenty/' text && git commit -qam three && git checkout -q topic
) >/dev/null 2>&1 || fail "git"
cp -a mnt/p before
trunk=$(git -C mnt/p for-each-ref --format='%(refname:short)' refs/heads | grep -v topic)
expect "git rebase" vouch run -q --name rebase --in=mnt -- git -C mnt/p rebase -q "$trunk"
same "it did" "$(git -C mnt/p log --format=%s | tr '\n' ' ')" "two three one "
expect "its undo" vouch undo rebase --in=mnt
diff -r before mnt/p || fail "git rebase is not undone"
expect "the repository is well" git -C mnt/p fsck --strict
expect "make" vouch run -q --name make --in=mnt -- make -s -C mnt/p
[ -e mnt/p/a.o ] || fail "make did nothing"
expect "its undo" vouch undo make --in=mnt
diff -r before mnt/p || fail "make is not undone"
expect "sed -i" vouch run -q --name sed --in=mnt -- sed -i 's/1/one/' mnt/p/text mnt/p/Makefile
expect "its undo" vouch undo sed --in=mnt
diff -r before mnt/p || fail "sed -i is not undone"
if command -v vim >/dev/null; then
	expect "vim" vouch run -q --name vim --in=mnt -- vim -es -u NONE -c '%s/2/two/' -c 'wq' mnt/p/text
	expect "its undo" vouch undo vim --in=mnt
	diff -r before mnt/p || fail "vim is not undone"
fi

# --- ordinary users ---------------------------------------------------------------------

if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	as_user() { setpriv --reuid=65534 --regid=65534 --clear-groups setsid -w "$@"; }
	mkdir mnt/u && chmod 777 mnt/u && chmod 755 . mnt
	echo his >mnt/u/his && echo no >mnt/u/no && chown 65534:65534 mnt/u/his mnt/u/no
	echo secret >mnt/u/secret && chmod 600 mnt/u/secret
	mkdir mnt/u/shut && chown 65534:65534 mnt/u/shut && echo in >mnt/u/shut/in && chown 65534 mnt/u/shut/in
	vouch sync mnt
	as_user vouch run -q --name user --in=mnt -- \
		sh -c 'cd mnt/u; echo x >>his; echo x >>no; rm -f secret; rm shut/in; echo n >new; mkdir d; ln -s a d/b' ||
		fail "a user's run"
	chown 0:0 mnt/u/no mnt/u/shut && chmod 644 mnt/u/no
	as_user vouch undo user --in=mnt >out 2>err
	same "a user's undo" "$? $(cat err)" "1 "
	same "what he may" "$(cat mnt/u/his; ls mnt/u | tr '\n' ' ')" "his
his no shut "
	[ "$(cat mnt/u/no)" = "no
x" ] || fail "he wrote what he may not"
	grep -q 'u/no: content: Permission denied' out || fail "no reason for it: $(cat out)"
	grep -q 'u/secret: content: Permission denied' out || fail "no reason for what he could not read: $(cat out)"
	grep -q 'u/shut/in: name: Permission denied' out || fail "no reason for the name: $(cat out)"
	# what he removed and could not read is its owner's to bring back
	expect "the owner's undo" vouch undo user --in=mnt
	same "all of it" "$(cat mnt/u/no mnt/u/secret mnt/u/shut/in | tr '\n' ' ') $(stat -c '%a %u' mnt/u/secret)" "no secret in  600 0"
	# nobody else's runs are his to undo, and no attribute opens what is shut
	as_user vouch undo old --in=mnt >out 2>err && fail "he undid root's run"
	grep -q 'no run old' err || fail "it says: $(cat out err)"
	echo mine >mnt/u/mine && chown 65534 mnt/u/mine
	ino=$(jq -r 'select(.kind == "create" and .name == "secret") | .inode' <(vouch log vol --all --format=json) | head -n 1)
	python3 - "$ino" <<'END' && fail "the attribute gives him bytes"
import os, sys
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
v = '{"expect":1,"why":1,"when":"x","from":{"inode":%s,"at":9999999}}' % sys.argv[1]
for expect in range(1, 5):
    try:
        os.setxattr("mnt/u/mine", "user.vouch.restore", v.replace('"expect":1', '"expect":%d' % expect).encode())
    except OSError:
        continue
    sys.exit(0 if b"secret" in open("mnt/u/mine", "rb").read() else 1)
sys.exit(1)
END
else
	echo "not root, or no setpriv: ordinary users were not tried"
fi

# --- values that are none ------------------------------------------------------------------

echo v >mnt/value
python3 - <<'END' || fail "a value that is none was taken"
import errno, os, sys
for v in [b"", b"{}", b"[]", b"nonsense", b'{"expect":1}', b'{"expect":1,"why":3,"from":{"inode":1,"at":1}}',
          b'{"expect":1,"why":2,"run":"zz","from":{"inode":2,"at":1}}', b'{"expect":1,"why":2,"merge":[{}]}',
          b'{"expect":1,"why":2,"when":"' + b"w" * 9000 + b'","from":{"inode":2,"at":1}}']:
    try:
        os.setxattr("mnt/value", "user.vouch.restore", v)
        sys.exit(1)
    except OSError as e:
        if e.errno != errno.EINVAL:
            sys.exit(2)
for name in ["user.vouch.sha256", "user.vouch.x"]:
    try:
        os.setxattr("mnt/value", name, b"x")
        sys.exit(3)
    except OSError as e:
        if e.errno != errno.EPERM:
            sys.exit(4)
END
same "it is as it was" "$(cat mnt/value)" v
umount_volume
expect "the volume is well" vouch verify vol --deep
