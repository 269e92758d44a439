#!/bin/bash
# replica_kill.sh: the daemon, or the command, is killed while a replica
# follows, is synced, is added; after each kill what the replica does not call
# synced is taken away, as a loss of power would.  The next sync completes,
# every byte there is the store's, and a store made again is whole.
# SEED=n and ROUNDS=n run it again; the moment of the kill is not repeatable.
# timeout: 300
. "$(dirname "$0")/lib.sh"

seed=${SEED:-$((RANDOM * 32768 + RANDOM))}
RANDOM=$((seed % 32768))
echo "SEED=$seed"
new_volume
cp -a vol/keys keys
mkdir away src
away=$PWD/away/r

pause() { # FROM TO: ms
	local ms=$((($1 + RANDOM % ($2 - $1)) * SLOWNESS))
	sleep "$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))"
}

# lose_doubt MODE: what lies beyond "open SYNCED NAME" was not synced
lost=0
lose_doubt() {
	local word synced name size
	[ -f "$away/progress" ] || return 0
	while read -r word synced name; do
		[ "$word" = open ] && [ -f "$away/$name" ] || continue
		size=$(stat -c %s "$away/$name")
		[ "$size" -gt "$synced" ] || continue
		lost=$((lost + 1))
		truncate -s "$synced" "$away/$name"
		[ "$1" = short ] || truncate -s "$size" "$away/$name"
	done <"$away/progress"
}

# The replica holds a beginning of each object, and all that is settled.
compare() { # WHAT
	local f name
	for f in "$away"/packs/*.pack "$away"/ledger/journal/*.vj; do
		name=${f#"$away"/}
		cmp -n "$(stat -c %s "$f")" "$f" "vol/$name" >out 2>&1 ||
			fail "$1: $name: $(cat out)"
	done
	for f in vol/ledger/journal/*.vj; do
		cmp "$f" "$away/${f#vol/}" >out 2>&1 || fail "$1: $f: $(cat out)"
	done
}

load() { # writes until it is killed
	local i
	for i in $(seq 100000); do
		head -c $((1 + RANDOM * 60)) /dev/urandom >"$1.new" &&
			cp "$1.new" "mnt/${1#src/}.$((i % 40))" || break
		echo "$i" >"mnt/${1#src/}.small.$i" || break
	done 2>/dev/null
}

mount_volume
head -c 20000000 /dev/urandom >src/big
cp src/big mnt/big
vouch sync mnt || fail sync
for round in $(seq "${ROUNDS:-8}"); do
	victim=$(daemon_pid)
	case $round in
	1) vouch replica add mnt "$away" >/dev/null 2>&1 & ;;
	*) load src/a &
		pause 100 600 ;;
	esac
	case $((round % 4)) in
	0 | 2) vouch replica sync mnt >/dev/null 2>&1 & ;;
	esac
	pause 1 150
	kill -9 "$victim" || fail "round $round: the daemon was gone"
	wait_ended "$victim"
	wait # the load finds nobody there; below the mount it would go on
	umount -l mnt 2>/dev/null || fusermount3 -uz mnt 2>/dev/null
	if [ $((round % 2)) = 0 ]; then lose_doubt short; else lose_doubt zeros; fi
	if [ $((round % 4)) = 3 ]; then
		# the command itself is the follower, and is killed
		vouch replica sync vol >/dev/null 2>&1 &
		victim=$!
		pause 5 200
		kill -9 $victim 2>/dev/null
		wait $victim 2>/dev/null
		lose_doubt zeros
	fi
	mount_volume
	[ "$(vouch replica list mnt --format=json)" != '[]' ] ||
		expect "round $round: add" vouch replica add mnt "$away"
	expect "round $round: sync" vouch replica sync mnt
	if [ $((round % 3)) = 0 ]; then
		umount_volume
		compare "round $round"
		expect "round $round: verify" vouch verify vol --deep
		mount_volume
	fi
done
cp mnt/a.1 a.1 || fail 'nothing was written'
umount_volume
compare 'at last'
[ $lost -gt 0 ] || [ $round -lt 8 ] || fail 'no kill left anything in doubt'
rm -rf vol
expect restore vouch replica restore "$away" vol
cp -p keys/*.key vol/keys/
expect adopt vouch adopt vol
expect verify vouch verify vol --deep
mount_volume
cmp src/big mnt/big || fail 'big is lost'
cmp a.1 mnt/a.1 || fail 'a.1 is lost'
