#!/bin/bash
# gc_live.sh: gc again and again on a mounted volume, beside writers, copies
# that share their bytes, deletions and old versions brought back; killed in
# the middle, and unmounted in the middle.  No byte is lost, old states that
# are kept can be read, and verification has nothing to say.
# timeout: 240
. "$(dirname "$0")/lib.sh"

# lump FILE WORD KIB: bytes that depend on the word alone
lump() {
	yes "$2" | head -c $(($3 * 1024)) |
		openssl enc -aes-128-ctr -K "$(echo "$2" | md5sum | cut -c1-32)" \
			-iv 0 >"$1" 2>/dev/null
}

sums() { (cd mnt/keep && find . -type f | sort | xargs sha256sum); }

# bring_back ROUND: a version that gc may be about to take: it comes back whole,
# or not at all, and then in words
back=0 gone=0
bring_back() {
	local old
	lump mnt/busy/r "old $1" 900
	vouch sync mnt
	old=$(($(vouch status mnt --format=json | jq .seals) - 1))
	lump mnt/busy/r "new $1" 900
	sync mnt/busy/r
	if vouch restore mnt/busy/r --at "$old" >restore.out 2>&1; then
		back=$((back + 1))
		cmp mnt/busy/r <(lump /dev/stdout "old $1" 900) ||
			{ echo "round $1: other bytes came back"; return 1; }
	else
		gone=$((gone + 1))
		grep -q "cannot be restored: .*released" restore.out ||
			{ echo "round $1: $(cat restore.out)"; return 1; }
		cmp mnt/busy/r <(lump /dev/stdout "new $1" 900) ||
			{ echo "round $1: not brought back, and other bytes"; return 1; }
	fi
}

churn() { # works until the file `stop` is there
	local i=0
	while [ ! -e stop ]; do
		i=$((i + 1))
		lump mnt/busy/a "w$((i % 5))" 1500
		cp --reflink=never mnt/busy/a mnt/busy/b
		cp mnt/busy/b "mnt/busy/c$((i % 3))"
		lump mnt/busy/d "one of a kind $i" 700
		rm -f mnt/busy/b
		sync mnt/busy/a
		cmp -s mnt/busy/a <(lump /dev/stdout "w$((i % 5))" 1500) ||
			{ echo "round $i: a holds other bytes"; return 1; }
		bring_back $i || return 1
	done
	echo "$i rounds, $back versions brought back, $gone were gone"
	[ $back -gt 0 ]
}

new_volume
mount_volume
mkdir mnt/keep mnt/busy
for i in 1 2 3 4; do
	lump mnt/keep/f$i "kept $i" 900
done
vouch sync mnt
for i in 1 2; do
	lump mnt/keep/f$i "kept again $i" 900
done
vouch snapshot mnt first >/dev/null || fail "snapshot"
before=$(sums)
old=$(sha256sum <mnt/audit/at/first/keep/f1)
expect "retain" vouch retain set mnt 'busy/**' --versions=1

# beside the load
churn >churn.out 2>&1 &
pid=$!
for i in 1 2 3 4; do
	sleep 0.5
	expect "gc $i" vouch gc mnt
done
# an old version that is open stays readable through a gc that drops it all
exec 9<mnt/audit/at/first/keep/f1
expect "gc with an old file open" vouch gc mnt --threshold=100 --drop-saves
same "old bytes" "$(sha256sum <&9)" "$old"
exec 9<&-
touch stop
wait $pid || fail "the load: $(cat churn.out)"
cat churn.out
same "what is kept" "$(sums)" "$before"

# killed in the middle
for i in 1 2 3; do
	for k in 1 2 3 4 5 6; do
		lump mnt/busy/g$k "gone $i $k" 3000
	done
	vouch sync mnt
	rm mnt/busy/g[1-5]
	vouch sync mnt
	kept=$(sha256sum <mnt/busy/g6)
	vouch gc mnt --threshold=100 >/dev/null 2>&1 &
	pid=$!
	sleep 0.$((RANDOM % 40 + 5))
	kill_daemon
	wait $pid
	umount -l mnt 2>/dev/null || fusermount3 -uz mnt
	mount_volume
	same "g6 after kill $i" "$(sha256sum <mnt/busy/g6)" "$kept"
	same "kept after kill $i" "$(sums)" "$before"
done

lump mnt/busy/h "written over" 3000
vouch sync mnt
lump mnt/busy/h "written again" 3000
vouch sync mnt

# unmounted in the middle: it does not wait for the end
vouch gc mnt --threshold=100 --rate=1 >/dev/null 2>gc.err &
pid=$!
sleep 0.5
start=$SECONDS
umount_volume
[ $((SECONDS - start)) -lt $((20 * SLOWNESS)) ] || fail "the unmount waited"
wait $pid

# beside the mount: an unmounted store
expect "gc of a store" vouch gc vol --threshold=100 --format=json
[ "$(jq .bytes_freed out)" -gt 3000000 ] || fail "little was freed: $(cat out)"
expect "verify" vouch verify --deep vol
mount_volume -o ro
same "in the end" "$(sums)" "$before"
same "old bytes in the end" "$(sha256sum <mnt/audit/at/first/keep/f1)" "$old"
umount_volume
[ $failures = 0 ]
