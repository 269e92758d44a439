#!/bin/bash
# vouch diff and vouch undo of what a run saved before it closed the file, and
# of what it had saved when the daemon was killed.
. "$TOP/tests/mount/lib.sh"

new_volume
mount_volume
cat >append.py <<'END'
import os, sys, time
f = open("mnt/s/" + sys.argv[1], "ab")
for line in sys.argv[2:]:
    if line == "hold":
        open("held", "w").close()
        time.sleep(600)
    f.write(line.encode() + b"\n")
    f.flush()
    os.fsync(f.fileno())
END
# cut: the daemon is killed when the run $pid holds, and the volume mounted again
cut() {
	for ((i = 0; i < 3000; i++)); do
		[ ! -e held ] || break
		sleep 0.02
	done
	local child
	child=$(cat /proc/$pid/task/$pid/children)
	kill_daemon
	kill $child 2>/dev/null
	wait $pid 2>/dev/null
	vouch umount -l mnt 2>/dev/null
	mount_volume
}
added() { vouch diff "$1" --in=mnt | grep '^[+-][a-z]' | tr '\n' ' '; }

# --- saved, then closed ----------------------------------------------------------

mkdir mnt/s
echo first >mnt/s/f
expect "the run" vouch run -q --name append --in=mnt -- python3 append.py f second third
same "all of it is in the diff" "$(added append)" "+second +third "
expect "its undo" vouch undo append --in=mnt
same "as before" "$(cat mnt/s/f)" first

# --- somebody else saved in between ----------------------------------------------

cat >both.py <<'END'
import os, sys, time
def add(f, line):
    f.write(line + b"\n")
    f.flush()
    os.fsync(f.fileno())
def wait(name):
    while not os.path.exists(name):
        time.sleep(0.01)
f = open("mnt/s/" + sys.argv[1], "ab")
if sys.argv[2] == "run":
    add(f, b"the run's")
    open("1", "w").close()
    wait("2")
    add(f, b"the run's, too")
else:
    wait("1")
    add(f, b"his")
    open("2", "w").close()
    wait("3")
END
seq 1 30 >mnt/s/g
setsid -w python3 both.py g other &
pid=$!
expect "the run" vouch run -q --name both --in=mnt -- python3 both.py g run
touch 3
wait $pid
vouch undo both --in=mnt >out 2>err
[ $? -le 1 ] || fail "undo: $(cat out err)"
grep -qx his mnt/s/g || fail "what he saved is lost: $(tail -n 3 mnt/s/g) $(cat out)"

# --- saved, and then the daemon was killed --------------------------------------

vouch run -q --name cut --in=mnt -- python3 append.py f second third hold >cut.out 2>&1 &
pid=$!
cut
same "what it had saved is there" "$(cat mnt/s/f | tr '\n' ' ')" "first second third "
same "it is in the diff" "$(added cut)" "+second +third "
expect "its undo" vouch undo cut --in=mnt
same "as before, too" "$(cat mnt/s/f)" first

# --- every kind of change, and then the daemon was killed: nobody else's ------------

mkdir -p mnt/k/d && seq 1 40 >mnt/k/text && echo x >mnt/k/gone && echo m >mnt/k/moved && seq 9 >mnt/k/d/in
chmod 644 mnt/k/* && ln mnt/k/d/in mnt/k/link && expect "sync" vouch sync mnt
state() { (cd mnt/k && find . -printf '%P %y %m %n\n' | sort && find . -type f -exec sha256sum {} + | sort -k 2); }
state >before
rm -f held
vouch run -q --name kinds --in=mnt -- bash -c 'cd mnt/k; echo 41 >>text; chmod 600 link; rm gone; mv moved d/moved2
	mkdir new; echo n >new/n; mv d new/d; ln text text2; echo t >scratch; rm scratch; vouch sync ..
	echo 42 >>text; echo x >new/late; : >../../held; exec sleep 600' >kinds.out 2>&1 &
pid=$!
cut
expect "undo of what the daemon's death cut" vouch undo kinds --in=mnt
state | diff before - >diff || fail "not as before: $(head -n 5 diff; cat out)"
umount_volume
expect "the volume is well" vouch verify vol --deep
