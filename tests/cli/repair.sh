# timeout: 180
# verify, fsck, reindex, scrub, replica: damage is named, and put right from a
# replica; a lost store is made again.
. "$TOP/tests/mount/lib.sh"

new_volume --origin=example/repair
mount_volume
head -c 2000000 /dev/urandom >big
cp big mnt/big
for i in 1 2 3; do echo "$i" >mnt/small$i; done
vouch sync mnt
mkdir away
expect 'replica add' vouch replica add mnt away/copy
refuse 'added twice' 1 'already' vouch replica add mnt away/copy
refuse 'inside the store' 1 'inside the store' vouch replica add mnt vol/copy
expect 'replica sync' vouch replica sync mnt
expect 'replica list' vouch replica list mnt
grep -q 'has everything' out || fail "the replica lags: $(cat out)"
vouch replica list mnt --format=json | jq -e '.[0].following and .[0].number == 1' >/dev/null ||
	fail "replica list as JSON"
expect 'verify, mounted' vouch verify mnt --deep
vouch export mnt early >/dev/null || fail export
echo more >mnt/more
umount_volume

# Not mounted, the answer comes when the replica was looked at.
for i in 1 2 3; do
	vouch replica list vol | grep -q 'has everything' || fail "unmounted list $i: $(vouch replica list vol)"
done

# All is well.
expect verify vouch verify vol
expect 'verify --deep' vouch verify vol --deep
expect fsck vouch fsck vol --deep
expect 'an old checkpoint' vouch verify vol --consistent early/checkpoint
vouch verify vol --deep --format=json | jq -e '.ok and .damaged == 0 and .chunks > 20' >/dev/null ||
	fail "verify as JSON"

# An old checkpoint of another log.
VOUCHFS_GUARD_DIR=$PWD/guard2 vouch init other --origin=example/repair >/dev/null
vouch export other foreign >/dev/null || fail "export of the other"
vouch verify vol --consistent foreign/checkpoint >out && fail "a foreign checkpoint was taken"
grep -q DAMAGED out || fail "a foreign checkpoint: $(cat out)"

# The journal.
segment=$(ls vol/ledger/journal/*.vj | head -n 1)
cp "$segment" segment.bak
flip "$segment" 600
vouch verify vol >out 2>err && fail "a damaged journal passed"
cat segment.bak >"$segment"
expect 'the journal again' vouch verify vol

# The index: fsck tells, reindex mends.
sqlite3 vol/index.db "UPDATE inode SET mode = mode + 1 WHERE ino <> 1" 2>err ||
	echo "no sqlite3 here: $(cat err)"
if command -v sqlite3 >/dev/null; then
	vouch fsck vol >out && fail "a changed index passed"
	grep -q 'index: ' out || fail "fsck says nothing of the index: $(cat out)"
	expect reindex vouch reindex vol
	expect 'fsck after reindex' vouch fsck vol
fi
rm -f vol/index.db*
expect 'fsck without an index' vouch fsck vol
grep -q 'index: there is none' out || fail "fsck does not say that there is no index: $(cat out)"
expect 'reindex without an index' vouch reindex vol

# A chunk: verify tells, scrub mends from the replica, the log remembers.
pack=$(ls -S vol/packs/*.pack | head -n 1)
cp "$pack" pack.bak
flip "$pack" 500000
vouch verify vol --deep >out && fail "a damaged chunk passed"
grep -q DAMAGED out || fail "verify: $(cat out)"
grep -q "packs/" out || fail "no place named: $(cat out)"
expect scrub vouch scrub vol
# (what follows the replica may have been quicker; the log tells either way)
grep -q 'repaired\|nothing is damaged' out || fail "scrub: $(cat out)"
cmp "$pack" pack.bak || fail "the pack is not as it was"
expect 'verify after scrub' vouch verify vol --deep
vouch log vol | grep -q ' repair ' || fail "the repair is not in the log"
vouch log vol | grep -q ' scrub ' || fail "the scrub is not in the log"
# On a mount, what a read mended is told by the next scrub, and not again.
mount_volume
flip "$pack" 500000
cmp mnt/big big || fail 'a damaged chunk, read'
expect 'scrub the mount' vouch scrub mnt
mended() { vouch log mnt --format=json | jq -s 'map(select(.kind == "scrub" and .repaired > 0)) | length'; }
n=$(mended)
[ "$n" -ge 1 ] || fail "no scrub has repaired anything: $(vouch log mnt --format=json | grep '"scrub"')"
expect 'scrub again' vouch scrub mnt
same 'counted once' "$(mended)" "$n"
umount_volume
cmp "$pack" pack.bak || fail "the pack is not as it was after a scrub of the mount"

# Without the replica there is nothing to mend from.
expect 'replica remove' vouch replica remove vol away/copy
refuse 'removed twice' 1 'no replica' vouch replica remove vol away/copy
flip "$pack" 500000
vouch scrub vol >out && fail "scrub mended from nothing"
cat pack.bak >"$pack"

# A lost store.
expect 'replica restore' vouch replica restore away/copy back
expect 'verify what came back' vouch verify back --deep
vouch export back tree --tree >/dev/null || fail "export --tree"
cmp big tree/tree/big || fail "the file did not come back"
refuse 'restore over a store' 1 . vouch replica restore away/copy vol
refuse 'no replica there' 1 'no replica' vouch replica restore early back2
