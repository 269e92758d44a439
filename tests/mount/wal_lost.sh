# What was acknowledged does not vanish unseen: a killed mount's wal deleted,
# zeroed or cut is refused by mount, fsck and verify, until the loss is
# accepted; a torn tail, and a wal that nobody needs any more, are no loss.
. "$TOP/tests/mount/lib.sh"

n=0
# A file is synced, then kill -9, before a checkpoint signs for it: the next one
# comes a second after the last.  Where that was too slow it takes another try.
work() {
	local signed victim
	while [ $n -lt 20 ]; do
		n=$((n + 1))
		mount_volume
		victim=$(daemon_pid)
		echo "kept $n" >kept-file
		signed=$(cksum <vol/ledger/checkpoint)
		echo "before $n" >mnt/before
		while [ "$(cksum <vol/ledger/checkpoint)" = "$signed" ]; do
			sleep 0.02
		done
		dd if=kept-file of=mnt/kept conv=fsync status=none || fail 'fsync'
		kill -9 "$victim"
		wait_ended "$victim"
		umount -l mnt 2>/dev/null || vouch umount -l mnt
		segment=$(ls vol/wal/*.wal | tail -n 1)
		mv "$segment" aside.wal
		vouch verify vol 2>err
		mv aside.wal "$segment"
		grep -q 'what was synced is gone' err && return
	done
	fail "nothing was synced and unsigned: $(cat err)"
	exit 1
}

refused() { # WHAT WORDS: by each
	refuse "$1: mount" 1 "$2" vouch mount vol mnt
	refuse "$1: fsck" 1 "$2" vouch fsck vol
	refuse "$1: verify" 1 "$2" vouch verify vol
}

all_refused() { # WHAT WORDS: and nothing is changed by asking
	refused "$@"
	refuse "$1: verify --deep" 1 "$2" vouch verify --deep vol
	refuse "$1: reindex" 1 "$2" vouch reindex vol
	refuse "$1: repair" 1 "$2" vouch fsck --repair vol
	refuse "$1: mount again" 1 'fsck --repair --accept-loss' vouch mount vol mnt
}

goes_on() { # WHAT
	mount_volume
	echo new >mnt/new || fail "$1: it takes nothing"
	vouch sync mnt || fail "$1: sync"
	umount_volume
	expect "$1: fsck" vouch fsck vol
}

accepted() { # WHAT
	expect "$1: accept" vouch fsck --repair --accept-loss vol
	grep -q 'accepted: .* is whole up to its [0-9]* seals' out || fail "$1: does not say what may be gone: $(cat out)"
	goes_on "$1"
}

new_volume --origin=example/lost
refuse 'alone' 2 'goes with --repair' vouch fsck vol --accept-loss

# At rest nothing of the wal is needed.
mount_volume
echo one >mnt/one
umount_volume
rm vol/wal/*
cp -a vol backup
expect 'at rest: fsck' vouch fsck vol
expect 'at rest: verify' vouch verify vol
mount_volume
same 'at rest' "$(cat mnt/one)" one
umount_volume

work
# The guard's word is of this store: one put aside before lacks nothing.
expect 'an older copy: verify' vouch verify backup
vouch fsck backup >out 2>&1 && fail 'an older copy: fsck finds nothing'
grep -q 'this is an older copy' out || fail "an older copy: $(cat out)"
rm -r backup
keep_volume
rm "$segment"
all_refused 'deleted' 'wal is gone'
accepted 'deleted'
fresh_volume
rm -r vol/wal
refuse 'all deleted: repair' 1 'wal is gone' vouch fsck --repair vol
refused 'all deleted' 'wal is gone'
rm -r vol/wal
accepted 'all deleted'
fresh_volume
dd if=/dev/zero of="$segment" bs=4096 count=2 conv=notrunc status=none
refused 'head zeroed' 'has lost its header'
fresh_volume
truncate -s 0 "$segment"
refused 'emptied' 'has lost its header'
fresh_volume
truncate -s 1M "$segment"
refused 'cut' 'was cut to 1048576 of'
fresh_volume

# The guard remembers when the mark is gone, too.
rm vol/ledger/wal.mark vol/wal/*
refused 'mark and wal deleted' 'the guard knows of segment'
fresh_volume
printf x >vol/ledger/wal.mark
goes_on 'a mark that is damaged'
fresh_volume

# One header is enough, and what is there is all there.
dd if=/dev/zero of="$segment" bs=4096 count=1 conv=notrunc status=none
mount_volume
same 'one header' "$(cat mnt/kept)" "kept $n"
umount_volume

# Zeroed behind the header: there is no frame to be missed, but the mark says
# how far the log went.
work
keep_volume
dd if=/dev/zero of="$segment" bs=4096 seek=2 count=2000 conv=notrunc status=none
refused 'frames zeroed' 'seals were flushed to wal/'
accepted 'frames zeroed'
