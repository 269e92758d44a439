#!/bin/bash
# full_disk.sh: a store on a disk that gets full: programs are told, what was
# acknowledged stays, names can be removed, the volume mounts again, and goes
# on when there is space.
# timeout: 180
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/disk_lib.sh"

small_disk "${DISK:-200m}"

bytes() { openssl enc -aes-128-ctr -nosalt -K "$(printf %032d "$1")" -iv 0 \
	-in /dev/zero 2>/dev/null | head -c "$2"; }

vouch init $volume >init.out || { fail init; exit 1; }
up
bytes 1 1000000 >keep
cp keep mnt/before && sync mnt/before
[ "$(vouch status mnt --format=json | jq '.requests.flush // 0')" -gt 0 ] ||
	fail "nobody hears of a close, though the disk is nearly full"

# --- files until it is full; each that cp called copied is there, whole
full=0
for i in $(seq 100); do
	bytes $((i + 1)) 5000000 >source
	if cp source mnt/f$i 2>err && sync mnt/f$i 2>>err; then
		sha256sum <source | cut -d' ' -f1 >sum.$i
	else
		grep -qi 'no space left' err || fail "cp says: $(cat err)"
		full=$i
		break
	fi
done
[ $full -gt 2 ] || fail "full after $full files"
echo "full after $full files of 5 MB"
refuse "one more" 1 "no space left" sh -c 'cp source mnt/more && sync mnt/more'
[ "$(stat -f -c %a mnt)" -lt $((40000000 / $(stat -f -c %S mnt))) ] ||
	fail "statfs tells of space: $(stat -f -c %a mnt)"

# to the last small file; what is left when one is refused may still do for
# less, so somebody else takes it all
for i in $(seq 2000); do
	bytes $((1000 + i)) 60000 >small
	cp small mnt/small$i 2>err && sync mnt/small$i 2>>err || break
done
grep -qi 'no space left' err || fail "cp of small file $i says: $(cat err)"
take_rest() {
	head -c 400m /dev/zero >>disk/others 2>/dev/null
	sleep 0.2 # what the daemon knows of the disk is 0.1 s old at most
	[ "$(df --output=avail -B 1 disk | tail -n 1)" -lt 65536 ]
}
vouch sync mnt || fail "sync of the full volume"
for try in $(seq 100); do
	take_rest && break # not while the volume gives space back itself
done
refuse "a run" 125 "no space left" vouch run --in mnt -- true
[ -e mnt/audit/runs/true.1 ] && fail "a refused run is there"
rm disk/others

check() { # WHEN
	local i
	cmp keep mnt/before || fail "$1: the first file"
	for i in $(seq $((full - 1))); do
		[ -e removed.$i ] && continue
		same "$1: f$i" "$(sha256sum <mnt/f$i | cut -d' ' -f1)" "$(cat sum.$i)"
	done
}

check "on the full disk"
grep -qi 'read-only' $volume/vouch.log && fail "a full disk made it read-only"
expect "unlink on the full disk" rm mnt/f1
touch removed.1
rm -f mnt/f$full mnt/more
expect "rename on the full disk" mv mnt/before mnt/moved
expect "and back" mv mnt/moved mnt/before
vouch umount mnt || fail "umount of the full volume"

up
check "mounted again on the full disk"
[ -e mnt/f1 ] && fail "a removed file came back"
expect "unlink again" rm mnt/f2
touch removed.2

# --- the daemon is killed while the disk is full
vouch sync mnt || fail "sync on the full disk"
kill_daemon
umount -l mnt
up
check "after a kill on the full disk"
[ -e mnt/f2 ] && fail "a removed file came back after the kill"

# --- space again, without a new mount
mount -o remount,size=400m disk || fail "more space"
for try in $(seq 20); do
	cp keep mnt/after 2>err && sync mnt/after 2>>err && break
	sleep 0.5
done
cmp keep mnt/after || fail "not usable with space again: $(cat err)"
cp source mnt/again && sync mnt/again || fail "a large file with space again"
check "with space again"
expect "a run with space again" vouch run --in mnt -- true
[ -e mnt/audit/runs/true.1 ] || fail "it left no record"
vouch umount mnt || fail "umount"
expect "verify" vouch verify --deep $volume
expect "fsck" vouch fsck $volume
up
cmp source mnt/again || fail "the file written last"
check "at the end"
vouch umount mnt || fail "umount"
