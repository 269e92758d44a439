#!/bin/bash
# run_many.sh: thousands of processes, and actors of every kind in the same
# tree at once: each change belongs to whoever made it, by the logs that they
# keep themselves.
# timeout: 400
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/run_lib.sh"

new_volume
mount_volume
mkdir mnt/tree
for i in $(seq 20); do echo "$i" >mnt/tree/in-$i; done

# --- a program that forks thousands of children: what they only open is told
vouch run --name reader --in mnt -- python3 -c '
import os
for n in range(1200):
    if os.fork() == 0:
        os.execv("/bin/cat", ["cat", "mnt/tree/in-%d" % (n % 20 + 1)])
    os.wait()
' >/dev/null || fail "the readers"
log_read
n=$(opened_by reader)
[ "$n" = 1200 ] || fail "1200 processes opened a file each, $n are told"
n=$(jq -rs --arg r "$(run_id reader)" 'map(select(.kind == "run-end" and .run == $r))[0].processes' log.jsonl)
[ "$n" -ge 1200 ] || fail "processes: $n"

# --- eight actors and more, a thousand changes and more, all in one directory
cat >actor.sh <<'A'
# NAME N: makes files, and notes which
name=$1
for ((i = 0; i < $2; i++)); do
	f=$name-$i
	case $((i % 6)) in
	0) echo "$name" >mnt/tree/$f ;;
	1) cp mnt/tree/in-1 mnt/tree/$f ;;
	2) (echo a; echo b) | sort >mnt/tree/$f ;;
	3) touch mnt/tree/tmp-$f && mv mnt/tree/tmp-$f mnt/tree/moved-$f && f=tmp-$f ;;
	4) sh -c "(setsid touch mnt/tree/$f &)" ;;
	5) echo "$name" >>mnt/tree/shared; mkdir mnt/tree/$f ;;
	esac
	echo "$f"
done
A
cat >actor.py <<'A'
import mmap, os, subprocess, sys
name, n = sys.argv[1], int(sys.argv[2])
for i in range(n):
    f = "%s-%d" % (name, i)
    fd = os.open("mnt/tree/" + f, os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, 4096)
    if i % 3 == 0:
        m = mmap.mmap(fd, 4096); m[0:4] = b"mmap"; m.close()
    elif i % 3 == 1:
        if os.fork() == 0:
            os.write(fd, b"child"); os._exit(0)
        os.wait()
    else:
        subprocess.run(["sh", "-c", "echo x >mnt/tree/%s-by-sh" % f])
        print("%s-by-sh" % f)
    os.close(fd)
    print(f)
A
# those without a cgroup, a nested one, and two that nobody declared
pids=
for k in 1 2 3; do
	vouch run --name "sh-$k" --in mnt -- bash actor.sh sh-$k 60 >told.sh-$k & pids+=" $!"
	vouch run --name "py-$k" --in mnt -- python3 actor.py py-$k 60 >told.py-$k & pids+=" $!"
	vouch run --no-cgroup --name "bare-$k" --in mnt -- bash actor.sh bare-$k 60 >told.bare-$k & pids+=" $!"
done
vouch run --name around --in mnt -- sh -c '
	bash actor.sh around 30 >told.around &
	vouch run --name within --in mnt -- bash actor.sh within 30 >told.within
	wait' & pids+=" $!"
setsid bash actor.sh cron-1 60 >told.cron-1 & pids+=" $!"
setsid bash actor.sh cron-2 60 >told.cron-2 & pids+=" $!"
for p in $pids; do wait "$p" || fail "an actor"; done
sleep 1
log_read
jq -rs '(map(select(.kind == "actor")) | map({ key: .leaf, value: . }) | from_entries) as $a |
	(map(select(.kind == "run-start")) | map({ key: .run, value: .name }) | from_entries) as $n |
	map(select(.kind == "create")) | .[] |
	"\(.name) \($n[$a[.actor // ""].run // "-"] // "none") \($a[.actor // ""].run_by)"' log.jsonl | sort >made
wrong=0 all=0
for told in told.*; do
	name=${told#told.} want=${told#told.}
	[[ $name == cron-* ]] && want=none
	while read -r f; do
		all=$((all + 1))
		got=$(grep -F "$f " made | awk -v f="$f" '$1 == f { print $2 }')
		[ "$got" = "$want" ] || { wrong=$((wrong + 1)); echo "$f: $got, not $want"; }
	done <"$told"
done
echo "$all changes, $wrong wrong; by strength:"
awk '{ $1 = $2 = ""; print }' made | sort | uniq -c
same "changes of another's run" $wrong 0
[ $all -ge 700 ] || fail "only $all changes were told"
umount_volume
expect "verify" vouch verify vol
expect "fsck" vouch fsck vol
