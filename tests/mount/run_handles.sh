#!/bin/bash
# run_handles.sh: descriptors that pass between runs which overlap, and
# mappings: a write is whose process made it, whoever opened the file; what a
# mapping wrote is of who had it opened, and says "by handle".
# timeout: 600
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/run_lib.sh"

export LC_ALL=C
rounds=${ROUNDS:-12}
new_volume
mount_volume
mkdir mnt/t

# Each actor notes "FILE RUN STRENGTH" of each version that it is to have made.
cat >actor.py <<'P'
import array, mmap, os, random, socket, sys, time
name, kind, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
random.seed(name)
log = open("told." + name, "w")
known = "none" if name.startswith("cron") else name
def told(f, run, how): log.write("%s %s %s\n" % (f, known if run == name else run, how))
def may(f, run, how): open("may." + name, "a").write("%s %s %s\n" % (f, run, how))
def path(f): return "mnt/t/" + f
def make(f): return os.open(path(f), os.O_RDWR | os.O_CREAT | os.O_EXCL)
def child(work):
    pid = os.fork()
    if pid == 0:
        try: work()
        except BaseException as e: os.write(2, repr(e).encode()); os._exit(1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
def edit(i): # as editors do: a new file beside, then the name
    f = "%s-%d" % (name, i)
    for k in range(2):
        with open(path(f) + ".new", "w") as o: o.write("%s %d" % (name, k))
        told(f + ".new", name, "exact")
        os.rename(path(f) + ".new", path(f))
def inherit(i): # opened here, written by a child, which may outlive this
    f = "%s-%d" % (name, i)
    fd = make(f)
    child(lambda: os.write(fd, b"child"))
    os.close(fd)
    told(f, name, "exact")
def map_own(i):
    f = "%s-%d" % (name, i)
    fd = make(f)
    os.ftruncate(fd, 8192)
    os.fsync(fd)
    m = mmap.mmap(fd, 8192)
    m[random.randrange(8000)] = 65
    m.flush(); m.close(); os.close(fd)
    may(f, name, "exact") # its length, when it is looked at between
    told(f, name, "by handle")
def map_child(i): # a mapping that a child writes through: by handle, of who opened it
    f = "%s-%d" % (name, i)
    fd = make(f)
    os.ftruncate(fd, 4096)
    os.fsync(fd)
    m = mmap.mmap(fd, 4096)
    def work(): m[7] = 66; m.flush()
    child(work)
    m.close(); os.close(fd)
    may(f, name, "exact")
    told(f, name, "by handle")
def give(i): # opened here, passed on to another run, which writes
    f = "%s-%d" % (name, i)
    fd = make(f)
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM); s.connect("take.sock")
    s.sendmsg([f.encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
    os.close(fd)
    assert s.recv(1) == b"."
def take(i):
    s, _ = server.accept()
    f, anc, _, _ = s.recvmsg(255, socket.CMSG_SPACE(4))
    fd = array.array("i", anc[0][2])[0]
    f = f.decode()
    if i % 2:
        os.write(fd, b"taken")
    else: # its length by a call, a page through a mapping: of whose handle it is
        os.ftruncate(fd, 4096)
        m = mmap.mmap(fd, 4096); m[1] = 67; m.flush(); m.close()
        told(f, f.rsplit("-", 1)[0], "by handle")
    os.close(fd)
    told(f, name, "exact")
    s.sendall(b".")
def turn(i): # all have it open, and each writes when it is its turn
    if i == 0: globals()["both"] = os.open(path("both"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    mine = int(name[-1])
    while os.readlink("turn") != str(i * 3 + mine): time.sleep(0.002)
    if i % 5 == 4: child(lambda: os.write(both, b"%s %d\n" % (name.encode(), i)))
    elif i % 5 == 3 and mine == 2: os.ftruncate(both, i)
    else: os.write(both, b"%s %d\n" % (name.encode(), i))
    told("both", name, "exact")
    os.symlink(str(i * 3 + mine + 1), "turn." + name); os.rename("turn." + name, "turn")
if kind == "take":
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM); server.bind("take.sock"); server.listen(64)
for i in range(n): globals()[kind](i)
P
# shell loops, appending to one file that all have
cat >loop.sh <<'A'
for ((i = 0; i < $2; i++)); do
	echo "$1 $i" >>mnt/t/shared
	echo "$1" >mnt/t/$1-$i; echo "$1-$i $1 exact" >>told.$1
	(exec 3>mnt/t/$1-sub-$i; sh -c 'echo sub >&3'); echo "$1-sub-$i $1 exact" >>told.$1
done
A
run() { local name=$1; shift; vouch run -q --name "$name" $how --in mnt -- "$@" & pids+=" $!"; }
pids= how=
run taker python3 actor.py taker take $((rounds * 2))
until_there take.sock
run giver-1 python3 actor.py giver-1 give "$rounds"
run editor python3 actor.py editor edit "$rounds"
ln -s 0 turn
run turn-0 python3 actor.py turn-0 turn "$rounds"
run mapper python3 actor.py mapper map_own "$rounds"
run loop-1 bash loop.sh loop-1 "$rounds"
how=--no-cgroup
run giver-2 python3 actor.py giver-2 give "$rounds"
run turn-1 python3 actor.py turn-1 turn "$rounds"
run forker python3 actor.py forker inherit "$rounds"
run mapped python3 actor.py mapped map_child "$rounds"
run loop-2 bash loop.sh loop-2 "$rounds"
for name in cron-1 cron-2; do
	setsid -w python3 actor.py $name edit "$rounds" & pids+=" $!"
done
setsid -w python3 actor.py cron-turn-2 turn "$rounds" & pids+=" $!"
for p in $pids; do wait "$p" || fail "an actor"; done
log_read
jq -rs '
	(map(select(.kind == "actor")) | map({ key: .leaf, value: . }) | from_entries) as $a |
	(map(select(.kind == "run-start")) | map({ key: .run, value: .name }) | from_entries) as $n |
	map(select(.kind == "version")) | .[] |
	"\(.path | ltrimstr("t/")) \($n[$a[.actor // ""].run // "-"] // "none") \(.attribution)"' log.jsonl | sort >made
cat told.* | sort >want
cat may.* | sort >may
grep -v '^shared ' made | comm -13 want - | comm -23 - may >strange
comm -23 want made >missing
echo "$(wc -l <made) versions; by whom and how sure:"
awk '{ $1 = ""; print }' made | sort | uniq -c
[ ! -s strange ] || fail "versions of somebody else: $(head -n 5 strange)"
[ ! -s missing ] || fail "versions that are not told: $(head -n 5 missing)"
# the file that all append to: a version for each of the two who closed it
same "appended to by all" "$(grep -c '^shared loop-[12] exact$' made)" "$(grep -c '^shared ' made)"
[ "$(wc -l <want)" -ge $((rounds * 14)) ] || fail "only $(wc -l <want) changes were told"

# --- of two who have a file open, what one wrote is taken back and nothing else
mkdir mnt/u
seq 10 40 >mnt/u/text
cat >lines.py <<'P'
import os, sys, time
fd = os.open("mnt/u/text", os.O_WRONLY)
name = sys.argv[1]
open("open." + name, "w").close()
while not (os.path.exists("open.a") and os.path.exists("open.b")): time.sleep(0.01)
for n, line in [(0, 0), (1, 20), (2, 1)]: # A, B, A: 3 bytes a line
    if (name == "b") != (n == 1): continue
    while os.readlink("turn") != str(n): time.sleep(0.01)
    os.pwrite(fd, name.encode(), line * 3)
    os.symlink(str(n + 1), "next." + name); os.rename("next." + name, "turn")
P
ln -sfn 0 turn
vouch run -q --name lines-a --in mnt -- python3 lines.py a & a=$!
vouch run -q --name lines-b --in mnt -- python3 lines.py b & b=$!
wait $a || fail "one writer"
wait $b || fail "the other"
vouch diff lines-a --in=mnt >diff || fail "diff"
same "what the one wrote" "$(grep '^+[a-z]' diff | tr '\n' ' ')" "+a0 +a1 "
expect "undo" vouch undo lines-b --in=mnt
same "without the other's" "$(seq 10 40 | sed 's/^10$/a0/; s/^11$/a1/' | cmp - mnt/u/text && echo yes)" yes
umount_volume
expect "verify" vouch verify vol
