# timeout: 180
# Bad input: each file of a store damaged, cut short, missing, or of a newer
# format.  The words, EIO for what cannot be read, and nothing else is lost.
. "$TOP/tests/mount/lib.sh"

new_volume --origin=example/bad
mount_volume
head -c 1500000 /dev/urandom >big
cp big mnt/big
for i in 1 2 3; do echo "small $i" >mnt/s$i; done
umount_volume
keep_volume

# refused_with WHAT WORDS: mount says it, and put back nothing is lost
refused_with() {
	refuse "$1" 1 "$2" vouch mount vol mnt
	grep -q " $PWD/mnt .*fuse.vouchfs" /proc/self/mountinfo && fail "$1: mounted all the same"
	grep -qi -- "$2" vol/vouch.log || fail "$1: the log of the daemon does not say it"
}

# goes_on WHAT [WORDS]: it is mounted, nothing is lost, the log says WORDS
goes_on() {
	mount_volume
	cmp big mnt/big || fail "$1: big"
	same "$1" "$(cat mnt/s1 mnt/s3 | tr '\n' ' ')" 'small 1 small 3 '
	echo more >mnt/more || fail "$1: it takes no writes"
	[ -z "${2-}" ] || grep -q -- "$2" vol/vouch.log || fail "$1: no \"$2\" in $(cat vol/vouch.log)"
	umount_volume
	expect "$1: verified afterwards" vouch verify vol --deep
	expect "$1: fsck afterwards" vouch fsck vol
}

# --- volume.conf
fresh_volume
sed -i 's/vouchfs-volume-v1/vouchfs-volume-v99/' vol/volume.conf
refused_with 'volume.conf of a newer format' 'volume.conf: written by a newer version'
refuse 'the same, verify' 1 'newer version' vouch verify vol
refuse 'the same, fsck' 1 'newer version' vouch fsck vol
fresh_volume
echo 'color = blue' >>vol/volume.conf
refused_with 'volume.conf with garbage' 'volume.conf: line 6 is not understood'
fresh_volume
head -c 30 kept/volume.conf >vol/volume.conf
refused_with 'volume.conf cut short' 'volume.conf: line'
fresh_volume
sed -i 's/^volume ./volume 0/' vol/volume.conf
grep -q '^volume 0' kept/volume.conf && sed -i 's/^volume ./volume 1/' vol/volume.conf
refused_with 'volume.conf of another volume' 'another volume'
fresh_volume
rm vol/volume.conf
refuse 'no volume.conf' 1 'no volume here' vouch mount vol mnt
refuse 'the same, verify' 1 'nor a store' vouch verify vol

# --- the journal, which the wal still has: it is put back
for damage in 'flip vol/ledger/journal/00000001.vj 600' \
	'truncate -s 3000 vol/ledger/journal/00000001.vj' \
	'rm vol/ledger/journal/00000001.vj'; do
	fresh_volume
	$damage
	vouch verify vol >out && fail "$damage: verify says nothing"
	grep -q 'the wal still has them' out || fail "$damage: verify: $(cat out)"
	goes_on "$damage"
done

# --- the journal, and the wal is gone: refused, told where, put back by hand
fresh_volume
rm vol/wal/*
flip vol/ledger/journal/00000001.vj 600
refused_with 'the journal damaged' 'journal damaged.*repair from a replica'
cp kept/ledger/journal/00000001.vj vol/ledger/journal/
goes_on 'the journal put back'
fresh_volume
rm vol/wal/*
truncate -s 3000 vol/ledger/journal/00000001.vj
refused_with 'the journal cut short' 'journal damaged below signed size'
fresh_volume
rm vol/wal/* vol/ledger/journal/*
refused_with 'no journal and no wal' 'only 0 seals are whole'
fresh_volume
flip vol/ledger/journal/00000001.vj 4
refused_with 'the header of the journal' '00000001.vj: header.*repair from a replica'

# --- the wal: all of it has settled
for damage in 'rm vol/wal/00000001.wal' 'truncate -s 100 vol/wal/00000001.wal' \
	'cp big vol/wal/00000001.wal' 'flip vol/wal/00000001.wal 16' 'flip vol/wal/00000001.wal 9000'; do
	fresh_volume
	$damage
	goes_on "$damage"
done

# --- the checkpoint: made again from the journal, and told
fresh_volume
flip vol/ledger/checkpoint 30
vouch verify vol >out && fail 'a damaged checkpoint passed'
grep -q 'the checkpoint is damaged' out || fail "checkpoint: $(cat out)"
goes_on 'the checkpoint damaged' 'found_at_start.*checkpoint is damaged'
fresh_volume
rm vol/ledger/checkpoint
goes_on 'no checkpoint' 'found_at_start.*checkpoint is missing'
fresh_volume
: >vol/ledger/checkpoint
goes_on 'an empty checkpoint' 'checkpoint is damaged'
fresh_volume
flip vol/ledger/rules.state 100
goes_on 'the state of the rules'

# --- what can be made again is made again
for file in index.db leaves.tab cache/chunks; do
	fresh_volume
	head -c 20000 big >vol/$file
	goes_on "$file is garbage"
	fresh_volume
	rm vol/$file*
	goes_on "no $file"
	fresh_volume
	truncate -s 33 vol/$file
	goes_on "$file cut short"
done
if command -v sqlite3 >/dev/null; then
	fresh_volume
	sqlite3 vol/index.db 'PRAGMA user_version = 99'
	goes_on 'an index of a newer format'
	fresh_volume
	sqlite3 vol/index.db 'DROP TABLE version'
	goes_on 'an index that lacks a table'
fi

# --- packs: EIO for what is damaged, the rest is there
pack=vol/packs/00000001.pack
eio() { # WHAT
	mount_volume
	cat mnt/big >got 2>err && fail "$1: it was read"
	grep -q 'Input/output error' err || fail "$1: no EIO: $(cat err)"
	head -c "$(stat -c %s got)" big | cmp - got || fail "$1: wrong bytes came through"
	same "$1: the rest" "$(cat mnt/s2)" 'small 2'
	echo new >mnt/new || fail "$1: no new file"
	same "$1: told" "$(vouch status mnt --format=json | jq '.unrepaired > 0')" true
	umount_volume
	grep -q 'bad_chunk' vol/vouch.log || fail "$1: not in the daemon's log"
	vouch verify vol --deep >out && fail "$1: verify --deep passed"
	grep -q DAMAGED out || fail "$1: verify --deep: $(cat out)"
}
fresh_volume
flip $pack 700000
eio 'a byte of a pack'
fresh_volume
truncate -s 700000 $pack
eio 'a pack cut short'
fresh_volume
head -c 500 big >$pack
eio 'a pack of garbage'
fresh_volume
rm $pack
eio 'no pack'
fresh_volume
printf '\x63' | dd of=$pack bs=1 seek=8 conv=notrunc status=none
refused_with 'a pack of a newer format' '00000001.pack: written by a newer version'
cp kept/packs/00000001.pack $pack
goes_on 'and put back'

# --- the same words where a mount has to put chunks back into packs first
fresh_volume
mount_volume
for i in $(seq 20); do
	echo "late $i" >mnt/late$i
	vouch sync mnt || fail 'sync'
done
kill_daemon
umount -l mnt
mv $pack vol/packs/00000077.pack
refused_with 'a pack under a wrong name after a crash' '00000077.pack: is pack 1 under a wrong name'
mv vol/packs/00000077.pack $pack
goes_on 'and named as it was'
mount_volume
same 'what was synced before the crash' "$(cat mnt/late20)" 'late 20'
umount_volume
