# timeout: 120
# Replicas that are gone, full, of another volume, rolled back or hostile: the
# store keeps working and says so; nothing is believed because it is there; a
# lost store is made again.
. "$TOP/tests/mount/lib.sh"

new_volume --origin=example/replica
mount_volume
head -c 1500000 /dev/urandom >big
cp big mnt/big
yes 'the same line, again and again' | head -c 400000 >text
cp text mnt/text
echo one >mnt/f
mkdir away
expect 'replica add' vouch replica add mnt "$PWD/away/r"
expect 'replica sync' vouch replica sync mnt
vouch key show mnt >trust
vouch prove mnt/f -o p >/dev/null || fail prove
vouch status mnt | grep -q 'replica .*away/r  ' || fail "status: $(vouch status mnt)"

# not_following WORDS: said by list, status and the audit tree; writes go on
not_following() {
	local i
	for i in $(seq $((100 * SLOWNESS))); do
		vouch replica list mnt | grep -q 'NOT FOLLOWING' && break
		echo "$i" >>mnt/log
		sleep 0.1
	done
	vouch replica list mnt | grep -q "NOT FOLLOWING.*$1" ||
		fail "list, no \"$1\": $(vouch replica list mnt)"
	vouch status mnt | grep -q "replica .*NOT FOLLOWING" || fail "status, no \"$1\""
	echo still >mnt/still || fail "no write while: $1"
	expect "sync while: $1" vouch sync mnt
	cmp big mnt/big || fail "read while: $1"
}

# --- gone, and back
umount_volume
mv away/r away/hidden
mount_volume
not_following 'No such file'
umount_volume
mv away/hidden away/r
mount_volume
expect 'it follows again' vouch replica sync mnt
vouch replica list mnt | grep -q 'has everything' || fail "it does not follow again: $(vouch replica list mnt)"

# --- another volume's
umount_volume
cp -p away/r/vouchfs-replica kept.id
sed -i 's/^volume .*/volume 00000000000000000000000000000000/' away/r/vouchfs-replica
mount_volume
not_following 'of another volume'
umount_volume
echo garbage >away/r/vouchfs-replica
mount_volume
not_following 'away/r'
umount_volume
cp -p kept.id away/r/vouchfs-replica
mount_volume
expect 'it follows again' vouch replica sync mnt

# --- removed under us while mounted
cp -a away/r away/hidden
rm -rf away/r
echo more >mnt/more
not_following 'away/r'
umount_volume
rm -rf away/r
mv away/hidden away/r
mount_volume
expect 'after it came back' vouch replica sync mnt
umount_volume

# --- hostile bytes in it: what is damaged here is not mended with them
pack=$(ls -S vol/packs/*.pack | head -n 1)
copy=away/r/packs/$(basename "$pack")
cp "$pack" pack.good
cp "$copy" copy.good
offset=700000
flip "$pack" $offset
flip "$copy" $offset
mount_volume
cat mnt/big >got 2>err && fail 'bytes damaged everywhere were read'
grep -q 'Input/output error' err || fail "no EIO: $(cat err)"
head -c "$(stat -c %s got)" big | cmp - got || fail 'wrong bytes came through'
umount_volume
vouch scrub vol >out && fail 'scrub mended from damaged bytes'
cp copy.good "$copy"

# A swapped pack: one whose header says it is this one, with other chunks.
head -c 1500000 /dev/urandom >other.big
VOUCHFS_GUARD_DIR=$PWD/guard2 vouch init other >/dev/null
mkdir mnt2
VOUCHFS_GUARD_DIR=$PWD/guard2 vouch mount other mnt2 || fail 'mounting the other'
cp other.big mnt2/big
vouch umount mnt2
foreign=$(ls -S other/packs/*.pack | head -n 1)
cp "$foreign" "$copy"
vouch scrub vol >out 2>&1 && fail 'scrub took chunks of another volume'
{ head -c 64 copy.good; tail -c +65 "$foreign"; } >"$copy"
vouch scrub vol >out 2>&1 && fail 'scrub took swapped chunks'
# Frames of zstd that would be gigabytes, where chunks are.
head -c 3000000000 /dev/zero | zstd -q -1 -c >bomb 2>/dev/null
if [ -s bomb ]; then
	cp copy.good "$copy"
	for at in 136 $((offset - 90000)); do
		dd if=bomb of="$copy" bs=1 seek="$at" count=200000 conv=notrunc status=none
	done
	# (the sanitizer's shadow needs more addresses than any limit)
	([ "$VARIANT" = asan ] || ulimit -v 4000000
		timeout $((60 * SLOWNESS)) vouch scrub vol >out 2>&1)
	case $? in
	0 | 1) ;;
	*) fail "a bomb: scrub: $? $(cat out)" ;;
	esac
fi
cp pack.good "$pack"
flip "$pack" $offset
truncate -s 100 "$copy"
vouch scrub vol >out 2>&1 && fail 'scrub mended from a short pack'
cp copy.good "$copy"
expect 'scrub from the good copy' vouch scrub vol
cmp "$pack" pack.good || fail 'the pack is not as it was'
expect 'verify' vouch verify vol --deep

# --- the journal is put back from it by hand
segment=$(ls vol/ledger/journal/*.vj | head -n 1)
flip "$segment" 700
mv vol/wal wal.away && mkdir -m 700 vol/wal
refuse 'a damaged journal' 1 'journal damaged.*repair from a replica' vouch mount vol mnt
dd if="away/r/ledger/journal/$(basename "$segment")" of="$segment" conv=notrunc status=none
mount_volume
cmp big mnt/big || fail 'the journal put back'
umount_volume
expect 'verify after that' vouch verify vol --deep

# --- full: the store keeps working and says so
if [ "$(id -u)" = 0 ] && mkdir small && mount -t tmpfs -o size=1m tmpfs small 2>/dev/null; then
	mount_volume
	vouch replica add mnt "$PWD/small/r" >/dev/null 2>err
	not_following 'No space\|small/r'
	expect 'remove the full one' vouch replica remove mnt "$PWD/small/r"
	umount_volume
	umount small || umount -l small
fi

# --- a lost store: made again, under a new origin
mount_volume
expect 'replica sync' vouch replica sync mnt
umount_volume
cp -a vol/keys/admin.key admin.key
mv vol lost
cp -p away/r/ledger/checkpoint checkpoint.good
flip away/r/ledger/checkpoint 40
expect 'restore from a damaged checkpoint' vouch replica restore "$PWD/away/r" broken
vouch verify broken >out && fail 'a damaged checkpoint passed'
grep -q 'the checkpoint is damaged' out || fail "a damaged checkpoint, no words: $(cat out)"
cp -p checkpoint.good away/r/ledger/checkpoint
expect 'restore' vouch replica restore "$PWD/away/r" vol
grep -q 'vouch fork' out || fail "restore does not say what next: $(cat out)"
expect 'what came back is whole' vouch verify vol --deep
refuse 'keys are on no replica' 1 'keys/mount.key is missing' vouch mount vol mnt
cp -p lost/keys/*.key vol/keys/
refuse 'it is not the old store' 1 'copy' vouch mount vol mnt
mv guard guard.away && mkdir guard
refuse 'nor can it be, on another machine' 1 'made again from a replica.*fork' vouch adopt vol
rmdir guard && mv guard.away guard
expect 'fork' vouch fork vol --suffix again
grep -q 'example/replica/again' out || fail "fork: $(cat out)"
mount_volume
cmp big mnt/big || fail 'big is lost'
cmp text mnt/text || fail 'text is lost'
same 'f' "$(cat mnt/f)" one
echo new >mnt/new
vouch log mnt | grep -q 'new-origin' || fail 'no NEW_ORIGIN in the log'
vouch key show mnt >trust.again
cp mnt/f f
umount_volume
expect 'the older proof' vouch check f p --trust trust
expect 'the older proof, new trust' vouch check f p --trust trust.again
expect 'verify at last' vouch verify vol --deep
expect 'fsck at last' vouch fsck vol
