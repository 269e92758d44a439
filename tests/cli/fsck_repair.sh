# timeout: 400
# fsck --repair: what can be put right is, what cannot is told; it may be
# killed anywhere and run again; a copy is not repaired.
. "$TOP/tests/mount/lib.sh"

lose_wal() { rm -rf vol/wal; mkdir vol/wal; } # its frames have settled

flip() {	# FILE OFFSET: inverts one byte
	local was
	was=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
	printf "\\x$(printf %02x $((was ^ 255)))" |
		dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

killed_after() {	# SECONDS COMMAND...
	local pid delay=$1
	shift
	"$@" >/dev/null 2>&1 &
	pid=$!
	sleep "$delay"
	kill -KILL $pid 2>/dev/null
	wait $pid 2>/dev/null
}

good() {	# WHAT: repair mends it, a second run has nothing to do
	expect "$1: repair" vouch fsck vol --repair
	cp out mended
	expect "$1: fsck" vouch fsck vol --deep
	vouch fsck vol --repair --format=json >again || fail "$1: again: $(cat again)"
	jq -e '.ok and ((.repairs // []) | length == 0)' again >/dev/null || fail "$1: not done at once: $(cat again)"
}

new_volume --origin=example/fsck
mount_volume
head -c 1500000 /dev/urandom >big
cp big mnt/big
for i in $(seq 260); do # each a seal, so that there is a full tile
	echo "$i" >"mnt/small$i"
	vouch sync mnt
done
mkdir away
expect 'replica add' vouch replica add mnt away/copy
expect 'replica sync' vouch replica sync mnt
refuse 'mounted' 1 'unmount it first' vouch fsck mnt --repair
umount_volume
segment=$(ls vol/ledger/journal/*.vj | head -n 1)
pack=$(ls -S vol/packs/*.pack | head -n 1)

expect 'nothing to do' vouch fsck vol --repair
grep -q 'repaired' out && fail "it repaired a good store: $(cat out)"
refuse '--from alone' 2 'goes with --repair' vouch fsck vol --from=away/copy
refuse 'no such directory' 1 'No such file' vouch fsck vol --repair --from=nowhere
refuse 'no store' 1 . vouch fsck away --repair

# Only --repair changes anything.
flip "$pack" 400000
sum=$(cat vol/packs/* vol/ledger/journal/* | sha256sum)
vouch fsck vol --deep >out && fail 'damage passed'
same 'fsck only reports' "$(cat vol/packs/* vol/ledger/journal/* | sha256sum)" "$sum"
good 'a chunk'
vouch log vol | grep -q ' repair ' || fail 'no REPAIR entry'

# A segment that the wal could settle again: the replica's is taken, so that
# the replica goes on following.
rm "$segment"
good 'a segment that the wal has'
mount_volume
vouch replica list mnt >out
grep -q 'has everything' out || fail "after the segment came back: $(cat out)"
umount_volume
cmp "$segment" "away/copy/${segment#vol/}" || fail 'the replica has another segment'
# It is better, not needed: a replica that cannot be had ends nothing.
keep_volume
for how in unplugged broken; do
	fresh_volume
	rm "$segment"
	cp -a away/copy away/aside
	rm -r away/copy/ledger
	[ $how = broken ] && mkdir away/copy/ledger && touch away/copy/ledger/journal
	[ $how = unplugged ] && rm -r away/copy
	expect "a segment, the replica $how" vouch fsck vol --repair
	grep 'NOT repaired' out err && fail "$how: told as not repaired"
	rm -rf away/copy
	mv away/aside away/copy
done
fresh_volume
flip "$pack" 400000
flip "$pack" 70
good 'two places'
truncate -s 200000 "$pack"
good 'a pack cut short'
rm "$pack"
good 'a lost pack'
# What no replica has whole is not told as repaired beside what was.
cp "$pack" whole
flip "$pack" 300000
flip "$pack" 900000
flip "away/copy/packs/$(basename "$pack")" 900000
vouch fsck vol --repair >out 2>err && fail 'a chunk that is bad everywhere passed'
grep -q '^repaired ' out || fail "nothing mended: $(cat out err)"
grep '^repaired .*\(in no pack\|no records\)$' out && fail 'told as repaired what was not'
cat whole >"$pack"
expect 'scrub the copy' vouch fsck vol --repair

rm vol/index.db*
good 'a lost index'
echo garbage >vol/index.db
expect 'a damaged index' vouch fsck vol --repair
grep -q 'repaired  index.db: made anew' out || fail "index: $(cat out)"
if command -v sqlite3 >/dev/null; then
	sqlite3 vol/index.db 'UPDATE inode SET mode = mode + 1 WHERE ino <> 1'
	good 'a wrong index'
fi
rm -r vol/cache
good 'no location table'
echo garbage >vol/cache/chunks
good 'a damaged location table'
rm vol/ledger/checkpoint
good 'a lost checkpoint'
echo x >vol/ledger/checkpoint
good 'a damaged checkpoint'
grep -q '^repaired  ledger/checkpoint: .*; put right$' mended || fail "the checkpoint: $(cat mended)"
rm -r vol/ledger/tile
good 'lost tiles'
grep -q '^repaired  ledger/tile/0/000: No such file.*; put right$' mended || fail "lost tiles: $(cat mended)"
for tile in vol/ledger/tile/*/*; do flip "$tile" 20; done
good 'damaged tiles'
# One that opening never reads: what other people's readers get.
flip vol/ledger/tile/entries/000 20
good 'a damaged bundle'
grep -q '^repaired  ledger/tile/entries/000: .*; put right$' mended || fail "a bundle: $(cat mended)"
rm vol/ledger/tile/entries/000
good 'a lost bundle'

# What a crash leaves: nothing that anybody else's name could be.
touch vol/volume.conf.tmp-0123456789abcdef vol/packs/restore.tmp vol/index.rebuild.db-wal \
	vol/ledger/checkpoint.tmp-0123456789abcdeg vol/mine.tmp
mkdir -p vol/repair.tmp/ledger && touch vol/repair.tmp/ledger/x
expect 'temporary files' vouch fsck vol --repair
same 'removed' "$(grep -c 'a crash left it' out)" 3
[ -e vol/mine.tmp ] && [ -e vol/ledger/checkpoint.tmp-0123456789abcdeg ] || fail 'a file that is no temporary one'
[ -e vol/repair.tmp ] && fail 'the stage is there still'
rm vol/mine.tmp vol/ledger/checkpoint.tmp-*

rm -r vol/wal
good 'a lost wal'

# The journal, where the WAL has its frames no more: from the replica.
lose_wal
flip "$segment" 600
vouch fsck vol >out 2>&1 && fail 'a damaged journal passed'
expect 'journal' vouch fsck vol --repair
grep -q 'fetched again from .*verified against the signed root' out || fail "journal: $(cat out)"
vouch log vol --format=json | jq -se 'map(select(.kind == "repair" and .what == "journal")) | length == 2' >/dev/null ||
	fail 'no REPAIR entry for the journal'
expect 'fsck' vouch fsck vol --deep

# A replica that lies is not believed.
lose_wal
cp -r away/copy away/liar
flip "away/liar/ledger/journal/$(basename "$segment")" 950
mv away/copy away/true
flip "$segment" 900
cp "$segment" damaged
vouch fsck vol --repair --from=away/liar >out 2>err && fail 'a lie was taken'
cmp "$segment" damaged || fail 'a journal that does not verify was put in place'
grep -q 'is not taken' out || fail "words: $(cat out err)"
# The true one, told by name; the other directory is not there.
expect 'another place' vouch fsck vol --repair --from=away/true
mv away/true away/copy

# Nowhere to fetch it from.
lose_wal
expect 'replica remove' vouch replica remove vol away/copy
lose_wal
cp "$segment" whole
flip "$segment" 700
vouch fsck vol --repair >out 2>err && fail 'mended from nothing'
grep -q 'no replica is known to fetch it from' out || fail "words: $(cat out err)"
cat whole >"$segment"
expect 'by hand' vouch fsck vol --repair
expect 'replica again' vouch replica add vol away/copy
expect 'synced' vouch replica sync vol

# Killed anywhere, run again: the same in the end.
step=0
for delay in 0.02 0.08 0.2 0.4 0.7 1.2; do
	rm -f vol/index.db*
	flip "$pack" 300000
	flip "$pack" 900000
	lose_wal
	rm -rf vol/ledger/tile
	flip "$segment" 800
	killed_after $delay vouch fsck vol --repair --from=away/copy
	killed_after $delay vouch fsck vol --repair --from=away/copy
	step=$((step + 1))
	vouch fsck vol --repair --from=away/copy >out 2>err || fail "killed after $delay s: $(tail -n 5 out; tail -n 5 err)"
	expect "killed after $delay s: fsck" vouch fsck vol --deep
done
vouch export vol tree --tree >/dev/null || fail 'export'
cmp big tree/tree/big || fail 'the file is not what it was'

# A copy is refused, not repaired into another store.
cp -r vol copied
flip "copied/packs/$(basename "$pack")" 400000
sum=$(cat copied/packs/* | sha256sum)
refuse 'a copy' 1 'this is a copy' vouch fsck copied --repair
same 'it was not touched' "$(cat copied/packs/* | sha256sum)" "$sum"
exit 0
