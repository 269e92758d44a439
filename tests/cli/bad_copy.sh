# timeout: 120
# Old backups, copies, a store in use, a lost or damaged guard, split views:
# the words, and what puts each right; older proofs hold all the way.
. "$TOP/tests/mount/lib.sh"

new_volume --origin=example/copy
mount_volume
echo one >mnt/f
umount_volume
vouch key show vol >trust
vouch prove vol f -o p >/dev/null || fail prove
echo one >one
proof_holds() { expect "$1: the older proof" vouch check one p --trust trust; }

# --- mounted twice
mount_volume
mkdir mnt2
refuse 'mounted twice' 1 'already mounted\|in use' vouch mount vol mnt2
refuse 'rotated under a mount' 1 'unmount it first' vouch key rotate vol log
refuse 'adopted under a mount' 1 'mounted' vouch adopt vol
refuse 'forked under a mount' 1 'mounted' vouch fork vol --suffix x
ln -s vol alias
refuse 'by another name' 1 'already mounted\|in use' vouch mount alias mnt2
umount_volume

# --- a restored backup, at several ages
keep_volume
cp kept/ledger/checkpoint checkpoint.old
mount_volume
echo two >mnt/f
umount_volume
cp -a guard guard.new
find vol -mindepth 1 ! -path vol/lock -delete
tar -C kept -c --exclude=./lock . | tar -C vol -x
refuse 'an old backup' 1 'this is an older copy: [0-9]* were signed, the store has [0-9]*' \
	vouch mount vol mnt
refuse 'adopting it' 1 'older copy' vouch adopt vol
refuse 'writing to it' 1 'older copy' vouch snapshot vol s
refuse 'rotating in it' 1 'older copy' vouch key rotate vol log
expect 'status' vouch status vol
grep -q 'ROLLBACK.*older copy' out || fail "status of an old backup: $(cat out)"
vouch status vol --format=json | jq -e '.rollback_words | test("older copy")' >/dev/null ||
	fail 'status as JSON'
expect 'its own log is whole' vouch verify vol --deep
expect 'it can be read' vouch export vol old --tree
same 'read' "$(cat old/tree/f)" one
proof_holds 'old backup'
expect 'forked' vouch fork vol --suffix saved
grep -q 'given up' out || fail "the fork does not say what is lost: $(cat out)"
mount_volume
same 'goes on from the backup' "$(cat mnt/f)" one
echo three >mnt/g
umount_volume
expect 'verify the fork' vouch verify vol --deep
vouch key show vol | sort >trust.fork
proof_holds forked
expect 'the older proof with the trust of the fork' vouch check one p --trust trust.fork
vouch prove vol g -o p.g >/dev/null || fail 'prove in the fork'
echo three >three
refuse 'the new origin is not trusted by itself' 1 'trusted' vouch check three p.g --trust trust
expect 'the new proof' vouch check three p.g --trust trust.fork

# --- a copy, here and "elsewhere"
fresh_volume
cp -a vol copy
for verb in 'mount copy mnt' 'snapshot copy s' 'scrub copy' 'key rotate copy log'; do
	refuse "a copy: $verb" 1 "this is a copy: .vouch adopt $PWD/copy. if it moved, .vouch fork $PWD/copy." vouch $verb
done
vouch status copy | grep -q 'ROLLBACK.*this is a copy' || fail 'status of a copy'
expect 'reading a copy' vouch verify copy --deep
expect 'log of a copy' vouch log copy
mount_volume
same 'the original goes on' "$(cat mnt/f)" one
umount_volume
refuse 'adopting what fell behind' 1 'older copy' vouch adopt copy
rm -rf copy
cp -a vol copy
expect adopt vouch adopt copy
vouch mount copy mnt || fail 'mounting what was adopted'
same 'adopted' "$(cat mnt/f)" one
echo four >mnt/h
umount_volume
refuse 'the one left behind' 1 'older copy\|copy' vouch mount vol mnt
proof_holds adopted
rm -rf vol
mv copy vol
mount_volume
same 'moved back within one disk' "$(cat mnt/h)" four
umount_volume

# --- the guard
keep_volume
for g in guard/*; do echo garbage >"$g"; done
refuse 'a damaged guard' 1 'guard file .* is damaged: restore it, or `vouch adopt`' vouch mount vol mnt
vouch status vol | grep -q 'ROLLBACK.*damaged' || fail 'status with a damaged guard'
fresh_volume
rm guard/*
refuse 'no guard' 1 "never used on this machine: .vouch adopt $PWD/vol." vouch mount vol mnt
vouch status vol | grep -q 'ROLLBACK.*never used' || fail 'status without a guard'
fresh_volume
sed -i 's/^vouchfs-guard-v1/vouchfs-guard-v9/' guard/*
refuse 'a guard of a newer format' 1 'newer\|damaged' vouch mount vol mnt
fresh_volume
sed -i 's/^machine ./machine 0/; s/^guard required/guard none/' guard/* vol/volume.conf
vouch mount vol mnt 2>err && fail 'an edited guard passed'
fresh_volume
mount_volume
same 'nothing was lost' "$(cat mnt/h)" four
umount_volume

# --- split view: two continuations of one log, both signed by its keys
cp -a vol twin
cp -a guard guard.twin
mount_volume
echo here >mnt/split
umount_volume
export_dir=$VOUCHFS_GUARD_DIR
export VOUCHFS_GUARD_DIR=$PWD/guard.twin
expect 'the twin, with a guard put back' vouch adopt twin
vouch mount twin mnt || fail 'mounting the twin'
echo there >mnt/split
umount_volume
export VOUCHFS_GUARD_DIR=$export_dir
for who in vol twin; do
	expect "$who alone is whole" vouch verify $who --deep
	expect "$who continues the old one" vouch verify $who --consistent checkpoint.old
done
# The one with more seals names the size; the other is told to be too short.
vouch verify vol --consistent twin/ledger/checkpoint >out 2>err && fail 'a split view passed'
vouch verify twin --consistent vol/ledger/checkpoint >out.twin 2>err &&
	fail 'a split view passed, the other way'
for text in out out.twin; do
	grep -q 'DAMAGED' $text || fail "split view: $(cat $text err)"
done
grep -q 'another root was signed at size' out out.twin ||
	fail "split view, no words: $(cat out out.twin)"
sed 's/^example.copy$/example\/else/' checkpoint.old >forged
vouch verify vol --consistent forged >out 2>err && fail 'a forged checkpoint passed'
refuse 'no checkpoint' 1 'No such file' vouch verify vol --consistent nowhere
head -c 100000 /dev/urandom >noise
refuse 'noise is no checkpoint, and no damage' 1 'noise is no checkpoint of a log' vouch verify vol --consistent noise
true
