#!/bin/bash
# model_kernel.sh: thousands of random system calls on the mount and on a
# directory of the system's own filesystem at once: same results, same errors,
# same bytes; and the same trees after the volume was mounted again.
# SEED=n runs it again; TWIN_TRACE=1, TWIN_EVERY=1 help to look.
# timeout: 240
. "$(dirname "$0")/lib.sh"

seed=${SEED:-$((RANDOM * 32768 + RANDOM))}
ops=${OPS:-2500}
echo "SEED=$seed"
new_volume
chmod 755 .
mkdir native
touch native/x && setfattr -n user.x -v 1 native/x 2>/dev/null || {
	echo "no user xattrs on $PWD: nothing to compare with"
	exit 77
}
rm native/x

twin_as() { # WHO DIR SEED
	local as=()
	[ "$1" = root ] || as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	"${as[@]}" "$(command -v twin)" run "mnt/t/$2" "native/$2" "$3" "$ops" \
		>"log.$2" 2>&1 || { fail "$2: $(tail -n 20 "log.$2")"; return 1; }
}

make_pair() { # DIR
	mkdir -p "mnt/t/$1" "native/$1"
	chmod 777 "mnt/t/$1" "native/$1"
}

for round in 1 2 3; do
	mount_volume
	for w in one two three; do
		make_pair $w$round
	done
	twin_as root one$round $((seed + round)) &
	first=$!
	if [ "$(id -u)" = 0 ]; then
		twin_as nobody two$round $((seed + 100 + round)) &
	else
		true &
	fi
	second=$!
	# what is there from the rounds before goes on
	twin_as root three1 $((seed + 200 + round)) || true
	wait $first || failures=$((failures + 1))
	wait $second || failures=$((failures + 1))
	twin compare mnt/t native >cmp.out || fail "trees, round $round: $(cat cmp.out)"
	umount_volume
	mount_volume -o ro
	twin compare mnt/t native >cmp.out ||
		fail "after mounting again, round $round: $(cat cmp.out)"
	umount_volume
	[ $failures = 0 ] || break
done
grep -h succeeded log.* | sort | uniq -c
expect "verify" vouch verify --deep vol
expect "fsck" vouch fsck vol
