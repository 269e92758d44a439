#!/bin/bash
# run_users.sh: a volume that root mounted for everybody: ordinary users
# declare runs there, each his own, and get at nothing else.
# timeout: 180
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/run_lib.sh"
. "$(dirname "$0")/users_lib.sh"

mkdir -m 1777 mnt/pub
cd mnt/pub || exit 1
[ "$(stat -c %a /run/vouchfs)" = 755 ] || fail "/run/vouchfs"

# --- neither store nor control socket, and no right to make a cgroup
anna vouch run --name anna --format=json -- sh -c ': >a.1; cat a.1; sh -c ": >a.2"
	(setsid sh -c "(sleep 0.4; touch a.3) &" &) ; sleep 0.8; exit 3' 2>said
same "the status" $? 3
jq . said >/dev/null || fail "what is said: $(cat said)"
same "its word" "$(jq -r .run said)" anna.1
same "how it is kept apart" "$(jq -r .kept_apart_by said)" ancestry
jq -r .no_cgroup said | grep -qi 'permission' || fail "why: $(cat said)"
bert vouch run --name bert -- sh -c ': >b.1; exit 0' || fail "bert"
# two at once in the same directory, and writing the same file
anna sh -c ': >shared; chmod 666 shared'
anna vouch run --name both-a -- sh -c 'for i in $(seq 40); do echo a >>shared; : >"a-$i"; done' &
bert vouch run --name both-b -- sh -c 'for i in $(seq 40); do echo b >>shared; : >"b-$i"; done' &
wait
# a marker is believed of the same user alone
bert vouch run --name hold -- sh -c 'echo $VOUCH_RUN >hold.new; mv hold.new hold
	until [ -e go ]; do sleep 0.05; done' &
until_there hold
id=$(cat hold)
same "the marker" "${#id}" 32
anna env VOUCH_RUN="$id" sh -c ': >claimed-by-anna'
bert env VOUCH_RUN="$id" sh -c ': >claimed-by-bert'
: >go
wait
cd ../.. || exit 1
log_read
for f in a.1 a.2 a.3; do
	same "$f" "$(who $f)" "$(run_id anna) ancestry"
done
same "b.1" "$(who b.1)" "$(run_id bert) ancestry"
for i in $(seq 40); do
	same "a-$i" "$(who "a-$i" | cut -d' ' -f1)" "$(run_id both-a)"
	same "b-$i" "$(who "b-$i" | cut -d' ' -f1)" "$(run_id both-b)"
done
versions_of pub/shared | sort | uniq -c >writers
grep -q "$(run_id both-a)" writers && grep -q "$(run_id both-b)" writers ||
	fail "the shared file: $(cat writers)"
same "the id" "$id" "$(run_id hold)"
same "another's claim" "$(who claimed-by-anna | cut -d' ' -f2-)" "process group"
same "his own" "$(who claimed-by-bert)" "$id marker"
same "the user is the kernel's word" "$(jq -rs 'map(select(.kind == "run-start")) |
	map("\(.name) \(.uid)") | sort | unique | join(" ")' log.jsonl)" "anna 4242 bert 4343 both-a 4242 both-b 4343 hold 4343"

# --- nothing else is answered there
dev=$(awk -v d="$PWD/mnt" '$5 == d { print $3 }' /proc/self/mountinfo | tail -n 1)
for verb in stop sync gc verify status wait run-end; do
	anna env PATH=/usr/bin:/bin python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
s.sendall(("{\"verb\":\"%s\"}\n" % sys.argv[2]).encode()); print(s.recv(999).decode())' \
		"/run/vouchfs/$dev" $verb | grep -q '"ok":false' || fail "$verb is answered"
done
# nor does anybody fill the log or the table
anna env PATH=/usr/bin:/bin timeout 60 python3 -c 'import json, socket, sys, secrets
def dial():
    s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.settimeout(20); return s
start = {"verb": "run-start", "name": "flood", "argv": "", "cwd": "", "user": "", "env": {}}
n = 0
for i in range(700):
    s = dial()
    try:
        s.sendall((json.dumps(dict(start, run="%032x" % secrets.randbits(127))) + "\n").encode())
        n += b"true" in s.recv(999)
    except OSError: pass
    s.close()
print("entered", n)
held = []
for i in range(400):
    s = dial(); held.append(s)
s = dial()
try: s.sendall(b"x" * (1 << 20)); print("long", s.recv(9))
except OSError: print("long", b"")
' "/run/vouchfs/$dev" >flood.out || fail "the channel hangs"
cat flood.out
n=$(sed -n 's/^entered //p' flood.out)
[ "$n" -ge 100 ] && [ "$n" -le 690 ] || fail "runs of one user in a second: $n"
bert vouch run --name after --in mnt -- true || fail "others are kept out"

# --- users who hold all places: root has some of his own; silence has an end
cat >hold.py <<'PY'
import socket, sys, time
# a full queue is waited for, as a client of ours does: a socket of Python's
# with a time limit would be told EAGAIN
def dial():
    s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.settimeout(60); return s
held = [dial() for i in range(250)]
open(sys.argv[2], "w").close()
began = time.time()
for s in held:
    try: s.recv(9)
    except ConnectionResetError: pass
print("closed after %d s" % (time.time() - began))
PY
chmod 644 hold.py
mkdir -m 1777 held
for uid in 5001 5002 5003 5004 5005; do
	setpriv --reuid $uid --regid $uid --clear-groups -- timeout 150 python3 hold.py "/run/vouchfs/$dev" held/$uid >closed.$uid 2>&1 &
done
for uid in 5001 5002 5003 5004 5005; do until_there held/$uid; done
timeout $((10 * SLOWNESS)) vouch run --name root-runs --in mnt -- true || fail "users keep root out: $?"
wait
for uid in 5001 5002 5003 5004 5005; do
	grep -q 'closed after' closed.$uid || fail "silent connections stay: $(cat closed.$uid)"
done
longest=$(sed -n 's/closed after \([0-9]*\) s/\1/p' closed.* | sort -n | tail -n 1)
[ "${longest:-0}" -ge 10 ] || fail "nobody had a place for long: $longest s"
echo "closed after $longest s of silence"
bert vouch run --name later --in mnt -- true || fail "places do not come back"
same "the daemon lives" "$(cat mnt/pub/a.1 && vouch status mnt --format=json | jq -r .state)" mounted
umount_volume
[ ! -e "/run/vouchfs/$dev" ] || fail "the channel is left"


# --- a user's own mount, when users may mount
if command -v fusermount3 >/dev/null && [ -u "$(command -v fusermount3)" ]; then
	mkdir -m 755 own && chown 4242:4242 own
	(cd own || exit 1
		export HOME=$PWD VOUCHFS_GUARD_DIR=$PWD/guard
		anna vouch init v >/dev/null && anna mkdir m && anna vouch mount v m || exit 9
		anna vouch run --in m --name mine --format=json -- sh -c ': >m/x; exit 6' 2>said
		[ $? = 6 ] || { cat said; anna vouch umount m; exit 1; }
		jq -r .run said
		(cd / && anna vouch run --format=json -- sh -c ": >$PWD/m/y" 2>"$PWD/said2") || exit 1
		jq -r .entered said2
		anna vouch umount m) >own.out 2>&1
	case $? in
	0) same "a mount of his own" "$(tr '\n' ' ' <own.out)" "mine.1 true " ;;
	9) echo "an ordinary user cannot mount here: $(cat own.out)" ;;
	*) fail "a mount of his own: $(cat own.out)" ;;
	esac
fi
