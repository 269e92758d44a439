#!/bin/bash
# run_forks.sh: a program that forks FORKS children, faster than anybody looks:
# what each made or opened is the run's, what a neighbour did meanwhile is not,
# and the daemon grows by what README says.  Ten thousand in `make nightly`.
# timeout: 600
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/run_lib.sh"

export LC_ALL=C
forks=${FORKS:-1200}
new_volume
mount_volume
mkdir mnt/t
for i in $(seq 20); do echo "$i" >mnt/t/in-$i; done

cat >forks.py <<'P'
import os, sys, time
name, n = sys.argv[1], int(sys.argv[2])
live = 0
for i in range(n):
    if live == 32:
        os.wait()
        live -= 1
    pid = os.fork()
    if pid == 0:
        if i % 8 == 0: # a daemon: its parent has gone before it does anything
            if os.fork() > 0:
                os._exit(0)
            os.setsid()
        if i % 4 == 1:
            os.close(os.open("mnt/t/in-%d" % (i % 20 + 1), os.O_RDONLY))
        elif i % 50 == 2:
            os.execv("/bin/sh", ["sh", "-c", ": >mnt/t/%s-%d" % (name, i)])
        else:
            fd = os.open("mnt/t/%s-%d" % (name, i), os.O_WRONLY | os.O_CREAT)
            os.write(fd, name.encode())
            os.close(fd)
        os._exit(0)
    live += 1
while live:
    os.wait()
    live -= 1
made = [i for i in range(n) if i % 4 != 1]
end = time.time() + 300
while not all(os.path.exists("mnt/t/%s-%d" % (name, i)) for i in made) and time.time() < end:
    time.sleep(0.05)
open("told." + name, "w").write("".join("%s-%d\n" % (name, i) for i in made))
sys.exit(9)
P
memory() { awk '/VmRSS/ { print $2 }' /proc/"$daemon"/status; }
handles() { ls /proc/"$daemon"/fd | wc -l; }
daemon=$(daemon_pid)
had=$(memory)
# beside it: one without a cgroup, and one that nobody declared
vouch run -q --name tenth --no-cgroup --in mnt -- python3 forks.py tenth $((forks / 10)) & a=$!
setsid -w python3 forks.py cron $((forks / 10)) & b=$!
vouch run -q --name many --in mnt -- python3 forks.py many "$forks"
same "the run ends as it did" $? 9
wait $a
same "its neighbour, too" $? 9
wait $b
echo "memory of the daemon: $had kB, then $(memory); descriptors: $(handles)"
# README: 64 MiB here, 48 there; nothing grows with processes but 1,024 of them
[ "$VARIANT" = asan ] || [ "$(memory)" -lt $((had + 160 * 1024)) ] || fail "the daemon has $(memory) kB"
[ "$(handles)" -lt 1200 ] || fail "the daemon has $(handles) descriptors"

log_read
jq -rs '(map(select(.kind == "actor")) | map({ key: .leaf, value: . }) | from_entries) as $a |
	(map(select(.kind == "run-start")) | map({ key: .run, value: .name }) | from_entries) as $n |
	map(select(.kind == "create" or .kind == "version")) | .[] |
	"\(.name // (.path // "" | ltrimstr("t/"))) \($n[$a[.actor // ""].run // "-"] // "none") \($a[.actor // ""].run_by)"' \
	log.jsonl | grep -v '^ ' | sort >made
wrong=0 all=0
for name in many tenth cron; do
	[ $name = cron ] && want=none || want=$name
	sort told.$name | join - made >got
	cut -d' ' -f1 got | sort -u | cmp -s - <(sort -u told.$name) || fail "$name: what it made is not all told"
	n=$(awk -v w=$want '$2 != w' got | tee -a wrong.got | wc -l)
	wrong=$((wrong + n)) all=$((all + $(wc -l <got)))
done
head -n 5 wrong.got
echo "$all changes, $wrong wrong; by strength:"
awk '{ print $2, $3, $4 }' made | sort | uniq -c
same "changes of another's run" $wrong 0
[ $all -ge $((forks * 3 / 2)) ] || fail "only $all changes are told"

s=mnt/audit/runs/many.1/summary.json
jq . $s >summary || fail "summary.json"
same "it ended" "$(jq -c '[.state, .end.how, .end.status]' summary)" '["ended","exit",9]'
same "files made" "$(jq .changed.files_made summary)" "$(wc -l <told.many)"
same "versions" "$(jq '.changed.versions == ([.attribution[]] | add)' summary)" true
same "opened, each by a process of its own" "$(jq .opened summary)" $((forks / 4))
[ "$(jq .end.processes summary)" -ge "$forks" ] || fail "processes: $(jq -c .end summary)"
umount_volume
expect "verify" vouch verify vol
