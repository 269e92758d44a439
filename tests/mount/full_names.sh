#!/bin/bash
# full_names.sh: others fill the store's disk while names, extended attributes
# and overwrites are made: programs are told, nothing is damaged, removing
# goes on, so do mount and unmount, and all goes on when there is space.
# timeout: 300
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/disk_lib.sh"

small_disk 160m

# leave KIB: so much room on the disk, the rest is somebody else's
leave() {
	rm -f disk/ballast
	local free
	free=$(df --output=avail -k disk | tail -n 1)
	head -c $(((free - $1) * 1024)) /dev/zero >disk/ballast 2>err
}

# until_full WHAT COMMAND: runs it with i=1, 2 ... until it fails: for no space
until_full() {
	local what=$1 i
	shift
	for i in $(seq 1 30000); do
		"$@" "$i" 2>err && continue
		grep -qi 'no space left' err || fail "$what $i: $(cat err)"
		echo "$what: full after $((i - 1))"
		return
	done
	fail "$what: never full"
}

name() { : >"mnt/names/n$1" && { [ $(($1 % 50)) != 0 ] || sync mnt/names; }; }
attr() { setfattr -n "user.a$(($1 % 40))" -v "$(printf "%02000d" "$1")" \
	"mnt/names/x$(($1 / 40))" && { [ $(($1 % 20)) != 0 ] || sync mnt/names; }; }
over() { printf '%05000d' "$1" | dd of=mnt/file conv=notrunc,fsync status=none; }

vouch init $volume >init.out || { fail init; exit 1; }
up
mkdir mnt/names
touch $(seq -f 'mnt/names/x%g' 0 80)
touch mnt/names/victim mnt/names/second
echo kept >mnt/kept && echo old >mnt/file
vouch sync mnt || fail sync

for work in name attr over; do
	leave 6000
	until_full $work $work
	same "$work: what was there" "$(cat mnt/kept)" kept
	expect "$work: rm on the full disk" rm mnt/names/victim
	grep -qi 'read-only' $volume/vouch.log && fail "$work: read-only"
	# nothing is left at all: what can be removed is, what cannot is told
	leave 0
	rm -f mnt/names/n1 mnt/names/second 2>err ||
		grep -qi 'no space left' err || fail "$work: rm: $(cat err)"
	case $work in
	attr) # killed on the full disk
		kill_daemon
		umount -l mnt
		rm disk/ballast
		up
		;;
	*) rm disk/ballast ;;
	esac
	for try in $(seq 40); do
		echo "$work" >mnt/after 2>err && sync mnt/after 2>>err && break
		sleep 0.25
	done
	same "$work: with space again" "$(cat mnt/after)" "$work"
	touch mnt/names/victim mnt/names/second || fail "$work: touch"
done

vouch umount mnt || fail umount
expect verify vouch verify --deep $volume
expect fsck vouch fsck $volume
up
same "at the end" "$(cat mnt/kept)" kept
vouch umount mnt || fail umount
