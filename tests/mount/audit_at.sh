#!/bin/bash
# /audit/at: the tree as it was, by position, time and snapshot.
. "$TOP/tests/mount/lib.sh"

new_volume
mount_volume
at=mnt/audit/at
mkdir -p mnt/d/sub "mnt/d/a b"
head -c 300000 /dev/urandom >mnt/d/big
echo one >mnt/d/f
ln mnt/d/f mnt/d/hard
ln -s f mnt/d/link
mkfifo mnt/d/fifo
chmod 640 mnt/d/f
touch -d '2001-02-03 04:05:06.789' mnt/d/f
[ "$(id -u)" != 0 ] || mknod mnt/d/dev c 1 3
[ "$(id -u)" != 0 ] || chown 12:34 mnt/d/big
for i in $(seq 1 600); do : >"mnt/d/sub/n$i"; done
cp -a mnt/d before
sync
sleep 1.1
when=$(date -u +%Y-%m-%dT%H:%M:%S.%NZ)
expect "position" jq -re '.log.seals' mnt/audit/status.json
position=$(($(cat out) - 1))
sleep 0.1

# everything is changed
echo two >mnt/d/f
rm mnt/d/hard mnt/d/link mnt/d/fifo
mv mnt/d/big mnt/moved
printf X | dd of=mnt/moved bs=1 seek=100000 conv=notrunc status=none
rm -r mnt/d/sub
chmod 600 mnt/d/f
rmdir "mnt/d/a b"
echo new >mnt/d/new

list() { (cd "$1" && find . -mindepth 1 ! -type d -printf '%p %y %m %U %G %s %l %T@\n' | sort); }
dirs() { (cd "$1" && find . -type d -printf '%p %m\n' | sort); }
for w in "$position" "$when"; do
	same "files at $w" "$(list $at/$w/d | md5sum)" "$(list before | md5sum)"
	same "directories at $w" "$(dirs $at/$w/d)" "$(dirs before)"
	diff <(list $at/$w/d) <(list before) | head -5
	expect "bytes at $w" cmp $at/$w/d/big before/big
	expect "content at $w" cmp $at/$w/d/f before/f
	expect "hard links at $w" [ $at/$w/d/f -ef $at/$w/d/hard ]
done
expect "cp -a of the past" cp -a $at/$position/d copied
same "the copy" "$(list copied | md5sum)" "$(list before | md5sum)"
expect "tar of the past" tar -C $at/$position -cf past.tar d
mkdir un && tar -C un -xf past.tar
same "the archive" "$(list un/d | cut -d. -f1-2 | md5sum)" "$(list before | cut -d. -f1-2 | md5sum)"
expect "mmap of the past" python3 -c "
import mmap
f = open('$at/$position/d/big', 'rb')
m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
assert m[:] == open('before/big', 'rb').read()"
refuse "the past cannot be changed" 1 "" bash -c "echo x >$at/$position/d/f"

# the very first state; the present; what cannot be
same "at the beginning" "$(ls -A $at/0)" ""
same "now" "$(cat $at/now/d/f)" two
for w in 99999999 1.9999 2999-01-01 1970-01-02 nothing-of-that-name 01 1. .1; do
	[ ! -e $at/$w ] || fail "at/$w is there"
done

# a file that is written to, between versions
exec 7>mnt/open
printf 'first ' >&7
python3 -c "import os; os.fsync(os.open('mnt/open', os.O_RDONLY))"
seals=$(jq -r .log.seals mnt/audit/status.json)
sleep 0.2
printf 'second' >&7
exec 7>&-
same "what was durable then" "$(cat $at/$((seals - 1))/open)" "first "
same "what is now" "$(cat mnt/open)" "first second"

if vouch snapshot --help >/dev/null 2>&1; then
	expect "snapshot" vouch snapshot mnt monday
	echo three >mnt/d/f
	same "snapshots are listed" "$(ls $at)" monday
	same "at a snapshot" "$(cat $at/monday/d/f)" two
fi
umount_volume
