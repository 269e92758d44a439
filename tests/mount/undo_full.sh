#!/bin/bash
# vouch undo on a disk that is full: it ends in words that say so, what it did
# is whole and told, nothing is left on its way; said again when there is room
# it does the rest.
# timeout: 180
. "$TOP/tests/mount/lib.sh"
. "$TOP/tests/mount/disk_lib.sh"

small_disk 96M ext4
vouch init $volume >init.out || { fail init; exit 1; }
up
N=300
# list: names, modes, links, attributes and bytes; and what there is of it now
list() {
	(cd mnt/t && find . -mindepth 1 -printf '%P %y %m %n %l\n' | sort && find . -type f -print0 | sort -z | xargs -0r sha256sum)
}
mkdir -p mnt/t/d
for ((i = 0; i < N; i++)); do head -c 300 /dev/urandom >mnt/t/d/f$i; done
seq 1 40 >mnt/t/text && ln mnt/t/text mnt/t/link && chmod 640 mnt/t/d/f1
python3 -c 'import os
for i in range(100): os.setxattr("mnt/t/d/f%d" % i, "user.a", os.urandom(2000))'
list >before
expect "the run" vouch run -q --name job --in=mnt -- \
	bash -c 'cd mnt/t; rm -r d; echo x >>text; rm link; for ((i = 0; i < 50; i++)); do echo $i >n$i; done'
expect "sync" vouch sync mnt

# --- others take all the rest of the disk, and let go of it bit by bit ---------------

# so_far: what is there again is told and whole, and nothing is on its way
so_far() {
	find mnt/t -name '.vouch-undo*' | grep . && fail "left on its way"
	sed -n 's/^  made again *t\///p' out >>told
	(cd mnt/t && find . -mindepth 1 -name 'f*' -type f -printf '%P\n' | sort) >there
	sort -u told | comm -13 - there | grep . && fail "done and not told"
	list | grep '^[0-9a-f]\{64\} .*/d/f' | grep -vxFf before && fail "not whole"
	(cd mnt/t && [ ! -d d ] || find d -type f -printf '%P %m\n') >modes
	grep -vx 'f1 640\|f[0-9]* 644' modes && fail "not of its mode"
}
head -c 200m /dev/zero >disk/others 2>/dev/null
: >told
refused=0 midway=0
for ((k = 0; k < 100; k++)); do
	vouch undo job --in=mnt >out 2>err && break
	got=$?
	grep -qi 'no space left' err || fail "undo gave $got: $(cat out err)"
	refused=$((refused + 1))
	so_far
	[ ! -s there ] || midway=$((midway + 1))
	[ $failures = 0 ] || exit 1
	[ -s disk/others ] || { sleep 0.1; continue; }
	truncate -s "$(($(stat -c %s disk/others) * 9 / 10 / 4096 * 4096))" disk/others
done
echo "$refused were refused, $midway of them midway"
[ $refused -gt 0 ] || fail "there was room"
grep -qi 'read-only' $volume/vouch.log && fail "it turned read-only"
rm disk/others
same "said again with room" "$(cat err)" ""
list | diff before - >diff || fail "not as before: $(head -n 5 diff)"
expect "nothing is left" vouch undo job --in=mnt
grep -q 'nothing left to undo' out || fail "again it says: $(head -n 3 out)"
down 2>/dev/null || vouch umount mnt
expect "the volume is well" vouch verify $volume --deep
