#!/bin/bash
# flip_live.sh: bits of each of our own files flip while the volume is mounted:
# every read, of the present, of the past and of the audit, gives the right
# bytes or EIO; a bad chunk is told by status, the daemon's log and scrub; the daemon lives on, and what flipped is found afterwards.
# SEED=n, FLIPS=n bytes of each file.
# timeout: 300
. "$TOP/tests/mount/lib.sh"
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }

seed=${SEED:-1}
RANDOM=$seed
echo "SEED=$seed"
new_volume --origin=example/flip
mount_volume
mkdir mnt/d
for i in $(seq 6); do seq "$i" $((i * 3000)) >mnt/d/t$i; done
for i in $(seq 4); do head -c $((i * 60000)) /dev/urandom >mnt/d/r$i; done
vouch sync mnt
position=$(jq -r .log.seals mnt/audit/status.json)
for i in $(seq 6); do echo "more $i" >>mnt/d/t$i; done
# a tile is a file when it is full
python3 - mnt/d/t1 <<'P'
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
for i in range(280):
    os.fchmod(fd, 0o600 + i % 2 * 0o44)
    os.fsync(fd)
P
umount_volume
mount_volume
mkdir now past
cp mnt/d/* now && cp "mnt/audit/at/$position/d/"* past
umount_volume
keep_volume

# right WHAT FILE WANTED: the file's bytes, or EIO after a right beginning
right() {
	if dd if="$2" iflag=direct bs=64k of=got status=none 2>err || cat "$2" >got 2>err; then
		cmp -s got "$3" || fail "$1: $2 gave other bytes"
		good=$((good + 1))
		return
	fi
	grep -q 'Input/output error' err || fail "$1: $2: $(cat err)"
	head -c "$(stat -c %s got)" "$3" | cmp -s - got || fail "$1: $2: wrong bytes before EIO"
	eio=$((eio + 1))
}

read_all() { # WHAT
	local f
	for f in now/*; do right "$1" "mnt/d/${f#now/}" "$f"; done
	for f in past/*; do right "$1" "mnt/audit/at/$position/d/${f#past/}" "$f"; done
	for f in status.json alerts.jsonl log.jsonl history/d/t1.jsonl; do
		cat "mnt/audit/$f" >view 2>err || {
			grep -q 'Input/output error' err || fail "$1: audit/$f: $(cat err)"
			continue
		}
		jq -e . <view >/dev/null 2>&1 || fail "$1: audit/$f is no JSON"
	done
}

total_eio=0 tiles=0
for file in packs/*.pack index.db leaves.tab ledger/checkpoint ledger/journal/*.vj \
	ledger/tile/0/0* ledger/tile/entries/0* wal/*.wal volume.conf cache/chunks; do
	for path in kept/$file; do
		path=${path#kept/}
		[ -f "kept/$path" ] && [ -s "kept/$path" ] || continue
		fresh_volume
		mount_volume
		good=0 eio=0
		[[ $path != ledger/tile/* ]] || tiles=$((tiles + 1))
		size=$(stat -c %s "vol/$path")
		for n in $(seq "${FLIPS:-8}"); do
			flip "vol/$path" $(((RANDOM * 32768 + RANDOM) % size))
		done
		read_all "$path"
		(echo new >mnt/new) 2>err || grep -qE 'Input/output|Read-only' err || fail "$path: a write: $(cat err)"
		vouch scrub mnt >scrub 2>&1
		scrubbed=$?
		case $path in packs/*)
			[ $eio -gt 0 ] || fail "$path: nothing was refused"
			[ $scrubbed != 0 ] || fail "$path: scrub finds nothing: $(cat scrub)"
			grep -q "${path##*/}" scrub || fail "$path: scrub does not name it: $(cat scrub)"
			same "$path: told" "$(vouch status mnt --format=json | jq '.unrepaired > 0')" true
			grep -q bad_chunk vol/vouch.log || fail "$path: not in the log"
			;;
		esac
		kill -0 "$(daemon_pid)" || fail "$path: the daemon is gone: $(tail -5 vol/vouch.log)"
		umount_volume
		vouch verify vol --deep >verify 2>&1
		verified=$?
		vouch fsck vol >fsck 2>&1
		fsck=$?
		echo "$path: $good reads right, $eio EIO; scrub $scrubbed, verify $verified, fsck $fsck"
		total_eio=$((total_eio + eio))
		case $path in packs/* | ledger/tile/* | ledger/journal/*)
			[ $verified != 0 ] || fail "$path: verify --deep finds nothing"
			;;
		esac
	done
done
[ $tiles -gt 0 ] || fail "no tile was tried"
[ $total_eio -gt 0 ] || fail "nothing was refused"
