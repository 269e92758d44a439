#!/bin/bash
# replica_again.sh: the daemon is killed, the journal's last segment is lost
# while the wal has its records, and they settle again, under another epoch.
# The replica, which was not there, takes the new bytes and goes on following;
# one that says something else is left as it is and told.
. "$(dirname "$0")/lib.sh"

new_volume
mkdir away
away=$PWD/away/r
segment=ledger/journal/00000001.vj

follows() { # WHAT
	expect "$1: sync" vouch replica sync mnt
	vouch replica list mnt >out
	grep -q 'has everything' out || fail "$1: $(cat out)"
	cmp "vol/$segment" "$away/$segment" || fail "$1: another segment"
}

# lose_segment: after a kill -9, with no replica at hand
lose_segment() {
	kill_daemon
	umount -l mnt 2>/dev/null || fusermount3 -uz mnt
	mv away/r away/unplugged
	cp "vol/$segment" first
	rm "vol/$segment"
	mount_volume
	vouch sync mnt || fail sync
	for _ in $(seq 400); do # it settles beside us
		[ "$(stat -c %s "vol/$segment" 2>/dev/null || echo 0)" -ge \
			"$(stat -c %s first)" ] && break
		sleep 0.05
	done
	cmp -s -n 64 first "vol/$segment" && fail 'it was not settled again'
	umount_volume
	mv away/unplugged away/r
}

mount_volume
expect add vouch replica add mnt "$away"
echo one >mnt/a
head -c 9000 /dev/urandom >mnt/b
vouch sync mnt || fail sync
follows 'at first'
lose_segment
cmp -s "vol/$segment" "$away/$segment" && fail 'nothing is to be taken'
mount_volume
echo two >>mnt/a
follows 'settled again'
umount_volume
expect verify vouch verify vol --deep

# Other records under the same index: the replica may be the last witness.
mount_volume
lose_segment
size=$(stat -c %s "$away/$segment")
flip "$away/$segment" $((size - 40))
sum=$(sha256sum <"$away/$segment")
mount_volume
echo three >>mnt/a
vouch replica sync mnt >out 2>&1 && fail "a rollback passed: $(cat out)"
vouch replica list mnt >out 2>&1
grep -q 'other bytes before' out || fail "not told: $(cat out)"
same 'the witness' "$(sha256sum <"$away/$segment")" "$sum"
umount_volume
