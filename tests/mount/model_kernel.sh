#!/bin/bash
# model_kernel.sh: random system calls of several processes and users on the
# mount and on a directory of the system's own filesystem: same results, same
# errors, same bytes, times and trees; and the same tree, to the last time and
# inode number, after the volume was mounted again, and after a kill -9 of the
# daemon.  tests/twin/README.md says what is done and what may differ.
# SEED=n runs it again, OPS=n calls; TRACE=1 and EVERY=1 help to look.
# timeout: 240
. "$(dirname "$0")/lib.sh"

seed=${SEED:-$((RANDOM * 32768 + RANDOM))}
ops=${OPS:-1200}
twin=$BUILD/tests/twin/twin
echo "SEED=$seed"
new_volume
chmod 755 .
mkdir native
touch native/x && setfattr -n user.x -v 1 native/x 2>/dev/null || {
	echo "no user xattrs on $PWD: nothing to compare with"
	exit 77
}
rm native/x

run_pair() { # NAME SEED
	mkdir -p -m 777 "mnt/t/$1" "native/$1"
	chmod 777 "mnt/t/$1" "native/$1"
	"$twin" run "mnt/t/$1" "native/$1" "$2" "$ops" >"log.$1" 2>&1 || {
		echo "FAIL: $1, seed $2: $(head -c 4000 "log.$1")" >&2
		return 1
	}
}

looks() { # WHEN: the whole tree, as it was
	"$twin" dump mnt/t all >after.all || fail "dump $1"
	cmp before.all after.all || fail "$1: $(diff before.all after.all | head -n 8)"
}

for round in 1 2 3; do
	mount_volume -o dev
	mkdir -p mnt/t
	# what is there from the round before goes on
	run_pair one $((seed + round)) &
	first=$!
	run_pair "two$round" $((seed + 100 + round)) || failures=$((failures + 1))
	wait $first || failures=$((failures + 1))
	"$twin" dump mnt/t all >before.all || fail "dump"
	if [ $round = 2 ]; then
		vouch sync mnt || fail "vouch sync"
		kill_daemon
		vouch umount mnt || fail "umount of the dead"
	else
		umount_volume
	fi
	mount_volume -o ro,dev
	looks "after mounting again, round $round"
	umount_volume
	[ $failures = 0 ] || break
done
cat log.*
expect "verify" vouch verify --deep vol
expect "fsck" vouch fsck vol
