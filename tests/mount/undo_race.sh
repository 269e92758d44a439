#!/bin/bash
# vouch undo while somebody else puts other files in the places of those that it
# takes back, by rename as editors do: none of these is lost.  What was set
# between the plan and its doing stays as well.
. "$TOP/tests/mount/lib.sh"
. "$TOP/tests/mount/undo_lib.sh"

new_volume
mount_volume
N=60

# --- what is expected binds him who says it --------------------------------------------

mkdir mnt/e
cat >expect.py <<'EOF'
import errno, json, os
os.chdir("mnt/e")
def expect(value):
    os.setxattr(".", "user.vouch.expect", json.dumps(value).encode())
def fails(want, f, *args):
    try:
        f(*args)
    except OSError as e:
        assert e.errno == want, (e, want)
    else:
        raise AssertionError(args)
for name in "abcd":
    open(name, "w").close()
os.mkdir("dir")
for bad in (1, {}, [1], [[1]], [[1, 2, 3]], [["a", 0]], [[-1, 0]]):
    fails(errno.EINVAL, expect, bad)
fails(errno.E2BIG, expect, [[5, 0]] * 257)
a = os.stat("a")
expect([[a.st_ino, a.st_mtime_ns]] * 256)
fails(errno.ESTALE, os.unlink, "b")
fails(errno.ESTALE, os.rmdir, "dir")
fails(errno.ESTALE, os.rename, "b", "e")
fails(errno.ESTALE, os.rename, "a", "b")
assert os.system("rm d") == 0, "others are free"
with open("a", "w") as f:
    f.write("x")
fails(errno.EBUSY, os.unlink, "a")
fails(errno.EBUSY, os.rename, "b", "a")
expect([[a.st_ino, 0]])
os.rename("b", "a")
expect([])
os.unlink("a")
os.rename("c", "e")
os.rmdir("dir")
EOF
python3 expect.py || fail "what is expected"
same "what is left" "$(ls mnt/e)" e

# --- other files in their places ---------------------------------------------------

cat >race.py <<'EOF'
# From the undo's first change on, each of its names is replaced once by a file
# of ours, in an order of our own.
import os, random, sys, time
seed, n = int(sys.argv[1]), int(sys.argv[2])
r = random.Random(seed)
names = ["%s%d" % (k, i) for i in range(n) for k in ("new", "link", "is")]
if seed % 2:
    r.shuffle(names)
for name in names:
    with open("mnt/mine/" + name, "w") as f:
        f.write("mine " + name)
open("ready", "w").close()
while os.path.lexists("mnt/r/new0") and not os.path.exists("over"):
    pass
for name in names:
    os.rename("mnt/mine/" + name, "mnt/r/" + name)
EOF
cat >job.sh <<'EOF'
cd mnt/r || exit
for ((i = 0; i < $1; i++)); do echo $i >new$i; mv was$i is$i; done
ln -sfn now link0
for ((i = 1; i < $1; i++)); do cp -P link0 tmp; mv -T tmp link$i; done
EOF
cat >look.py <<'EOF'
import os, sys
bad = 0
for name in ["%s%d" % (k, i) for i in range(int(sys.argv[1])) for k in ("new", "link", "is")]:
    # what the run had moved, and we replaced, may be called as before
    p = "mnt/r/" + name
    if not os.path.isfile(p) or os.path.islink(p) or open(p).read() != "mine " + name:
        print("FAIL: lost or moved: %s: %s" % (name, os.path.lexists(p)))
        bad = 1
for name in os.listdir("mnt/r"):
    if name.startswith(".vouch"):
        print("FAIL: left on its way: " + name)
        bad = 1
sys.exit(bad)
EOF
for round in 1 2; do
	rm -rf mnt/r mnt/mine ready over
	mkdir mnt/r mnt/mine
	for ((i = 0; i < N; i++)); do ln -s was mnt/r/link$i; echo $i >mnt/r/was$i; done
	expect "the run" vouch run -q --name job --in=mnt -- bash job.sh $N
	exec 9<mnt
	flock 9
	vouch undo job.$round --in=mnt >undo.out 2>undo.err 9<&- &
	undo=$!
	setsid python3 race.py $round $N 9<&- &
	race=$!
	at_work $undo
	for ((i = 0; i < 3000; i++)); do [ -e ready ] && break; sleep 0.02; done
	flock -u 9
	exec 9<&-
	wait $undo
	got=$?
	: >over
	wait $race || fail "they could not rename"
	[ $got -le 1 ] && [ ! -s undo.err ] || fail "undo gave $got: $(cat undo.err)"
	python3 look.py $N >why || fail "round $round: $(head -n 5 why; wc -l <why)"
	grep -c changed undo.out
done
umount_volume
expect "the volume is well" vouch verify vol --deep
exit $((failures > 0))
