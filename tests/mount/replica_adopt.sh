# A clean unmount leaves nothing behind: the replica has the last seal and the
# last checkpoint, so a store made again from it is all that was signed, and
# goes on under its own name (adopt), after a mount and after a lone command.
. "$TOP/tests/mount/lib.sh"

new_volume --origin=example/adopt
cp -a vol/keys keys
mkdir away
mount_volume
expect 'replica add' vouch replica add mnt "$PWD/away/r"
head -c 3000000 /dev/urandom >big
cp big mnt/big
echo one >mnt/f
vouch prove mnt/f -o p >/dev/null || fail prove
cp mnt/f f
umount_volume
vouch key show vol >trust

# again NAME: the store is lost; one is made from the replica and goes on
again() {
	local size
	size=$(vouch status vol --format=json | grep -o '"seals":[0-9]*' | head -n 1)
	[ -n "$size" ] || fail "$1: status tells no seals"
	cmp vol/ledger/checkpoint away/r/ledger/checkpoint ||
		fail "$1: the replica has another checkpoint"
	rm -rf vol
	expect "$1: restore" vouch replica restore "$PWD/away/r" vol
	cp -p keys/*.key vol/keys/
	expect "$1: verify" vouch verify vol --deep
	expect "$1: adopt" vouch adopt vol
	same "$1: seals" \
		"$(vouch status vol --format=json | grep -o '"seals":[0-9]*' | head -n 1)" "$size"
	expect "$1: fsck" vouch fsck vol
}

again 'after an unmount'
mount_volume
cmp big mnt/big || fail 'big is lost'
same f "$(cat mnt/f)" one
echo two >>mnt/f
umount_volume
again 'after an append'
expect 'a command by itself' vouch scrub vol
again 'after a scrub without a mount'
mount_volume
same 'f at last' "$(cat mnt/f)" "$(printf 'one\ntwo')"
umount_volume
expect 'the older proof' vouch check f p --trust trust
expect 'verify at last' vouch verify vol --deep
