#!/bin/bash
# run_hostile.sh: who is in the way of runs: one who declares the id of another
# before he can, and an index that does not come along.
# timeout: 180
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/run_lib.sh"

new_volume
mount_volume

# --- an id is seen before its daemon knows it: it is taken away, the run goes
cat >thief.py <<'PY'
import json, os, socket, sys, time
path = [l.rstrip("\n").split(":", 2)[2] for l in open("/proc/self/cgroup") if l.startswith("0::/")][0]
dir = None
for l in open("/proc/self/mountinfo"):
    f = l.split()
    if " - cgroup2 " in l:
        root = "" if f[3] == "/" else f[3]
        if path.startswith(root): dir = f[4] + path[len(root):]
start = {"verb": "run-start", "name": "thief", "argv": "", "cwd": "", "user": "", "env": {}}
def dial():
    s = socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect("vol/runs"); return s
seen = set(n for n in os.listdir(dir) if n.startswith("vouch-run-"))
next = dial()
held = []
open("watching", "w").close()
while not os.path.exists("enough"):
    for n in os.listdir(dir):
        if not n.startswith("vouch-run-") or n in seen: continue
        seen.add(n)
        next.sendall((json.dumps(dict(start, run=n[10:])) + "\n").encode())
        if b"true" in next.recv(999):
            held.append(next) # his as long as he likes
            open("taken", "w").write(str(len(held)))
            next = dial()
PY
if own_cgroup; then
	timeout 150 python3 thief.py >thief.out 2>&1 & thief=$!
	until_there watching
	# what is hashed for the declaration gives him time
	for i in $(seq 400); do export "NUMBER_OF_MANY_$i=$i"; done
	for try in $(seq 40); do
		vouch run --name robbed --in mnt -- sh -c ": >mnt/robbed-$try; exit 7" 2>robbed.err
		same "the run goes on" $? 7
		[ ! -e taken ] || break
	done
	for i in $(seq 400); do unset "NUMBER_OF_MANY_$i"; done
	: >enough
	wait $thief || fail "the thief: $(cat thief.out)"
	echo "ids taken away: $(cat taken 2>/dev/null || echo none) in $try runs"
	log_read
	same "it is a run of its own" "$(who robbed-$try | cut -d' ' -f1)" "$(run_id robbed)"
	same "and ended as it did" "$(run_end robbed)" "exit 7"
fi

# --- whose word the index does not tell yet holds up nobody else
cat >slow.py <<'PY'
import json, socket, sqlite3, time
start = {"verb": "run-start", "argv": "", "cwd": "", "user": "", "env": {}}
end = {"verb": "run-end", "how": "exit", "status": 0, "word": True}
def dial():
    s = socket.socket(socket.AF_UNIX); s.settimeout(8); s.connect("vol/runs"); return s.makefile("rw")
def say(f, what): f.write(json.dumps(what) + "\n"); f.flush()
def ask(f, what): say(f, what); return json.loads(f.readline())
a, b = dial(), dial()
print("a starts", ask(a, dict(start, name="waits", run="1" * 32))["ok"])
db = sqlite3.connect("vol/index.db", isolation_level=None, timeout=10)
db.execute("BEGIN IMMEDIATE")
began = time.time()
say(a, end)
print("b starts", ask(b, dict(start, name="other", run="2" * 32))["ok"])
print("b ends", ask(b, dict(end, word=False))["ok"])
got = json.loads(a.readline())
print("a ends", got["ok"], got.get("word"))
took = time.time() - began
db.execute("ROLLBACK"); db.close()
c = dial()
print("c starts", ask(c, dict(start, name="later", run="3" * 32))["ok"])
print("c ends", ask(c, end).get("word"))
print("after %.1f s" % took)
PY
timeout 60 python3 slow.py >slow.out 2>&1 || fail "somebody waits: $(cat slow.out)"
cat slow.out
same "each is answered" "$(head -n 6 slow.out | tr '\n' ' ')" \
	"a starts True b starts True b ends True a ends True None c starts True c ends later.1 "
log_read
same "the end is entered" "$(run_end waits)" "exit 0"
umount_volume
expect "verify" vouch verify vol
