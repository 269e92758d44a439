#!/bin/bash
# tools_sqlite.sh: databases in the mount, with a rollback journal and with a
# WAL, used by several processes at once; what was committed is there after
# mounting again and after the daemon was killed.
# timeout: 180
. "$(dirname "$0")/lib.sh"

cat >work.py <<'P'
import sqlite3, sys, time
path, mode, who, n, log = sys.argv[1:6]
db = sqlite3.connect(path, timeout=60, isolation_level=None)
# extra: with "full", SQLite does not sync the directory after it removed a
# rollback journal, and says that a crash may then undo the last commit
db.execute("pragma synchronous=extra")
done = 0
try:
    for i in range(int(n)):
        db.execute("begin immediate")
        db.execute("insert into t(who, i, bytes) values (?, ?, zeroblob(?))",
                   (who, i, i * 37 % 4000))
        db.execute("update sums set n = n + 1")
        db.execute("commit")
        done = i + 1
        if log != "-":
            open(log, "w").write(str(done))
except sqlite3.Error as e:
    if log == "-":
        raise
P

check() { # WHAT FILE LEAST
	local n
	same "$1: integrity" "$(sqlite3 "$2" 'pragma integrity_check')" ok
	n=$(sqlite3 "$2" 'select count(*) from t')
	same "$1: one sum" "$(sqlite3 "$2" 'select n from sums')" "$n"
	[ "$n" -ge "$3" ] || fail "$1: $n rows, not $3"
}

new_volume
mount_volume
for mode in delete wal; do
	f=mnt/$mode.db
	same "journal mode" "$(sqlite3 $f "pragma journal_mode=$mode")" $mode
	sqlite3 $f 'create table t(who, i, bytes); create table sums(n);
		insert into sums values(0)' || fail "create in $mode"
	pids=
	for who in a b c; do
		python3 work.py $f $mode $who 40 - >py.$who 2>&1 &
		pids="$pids $!"
	done
	for p in $pids; do
		wait "$p" || fail "$mode: $(cat py.*)"
	done
	check "$mode" $f 120
	sqlite3 $f 'delete from t where i % 3 = 0; update sums set n =
		(select count(*) from t); vacuum' || fail "vacuum in $mode"
	same "$mode: integrity" "$(sqlite3 $f 'pragma integrity_check')" ok
done
umount_volume

mount_volume
for mode in delete wal; do
	check "$mode, mounted again" mnt/$mode.db 78
	pids=
	for who in x y; do
		rm -f log.$mode.$who
		python3 work.py mnt/$mode.db $mode $who 100000 log.$mode.$who &
		pids="$pids $!"
	done
	sleep $((2 * SLOWNESS))
	for ((i = 0; i < 300; i++)); do # a busy machine starts them late
		[ ! -s log.$mode.x ] || [ ! -s log.$mode.y ] || break
		sleep 0.1
	done
	kill_daemon
	for p in $pids; do
		wait "$p" || fail "a worker of $mode"
	done
	umount -l mnt || fusermount3 -uz mnt
	mount_volume
	sum=0
	for who in x y; do
		[ -s log.$mode.$who ] || continue
		least=$(cat log.$mode.$who)
		sum=$((sum + least))
		n=$(sqlite3 mnt/$mode.db "select count(*) from t where who = '$who'")
		[ "$n" -ge "$least" ] || fail "$mode: $who has $n of $least rows"
	done
	echo "$mode: $sum transactions were acknowledged before the kill"
	[ $sum -gt 0 ] || fail "$mode: nothing was committed before the kill"
	check "$mode, after the kill" mnt/$mode.db $sum
done
umount_volume
expect "verify" vouch verify --deep vol
