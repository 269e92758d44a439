# timeout: 120
# key, adopt, fork: keys come and go by entries; a copy and an old backup are
# refused until somebody says what they are.
. "$TOP/tests/mount/lib.sh"

new_volume --origin=example/keys
mount_volume
echo one >mnt/f
refuse 'rotating under a mount' 1 'unmount it first' vouch key rotate vol log
umount_volume
vouch key show vol >trust.old
vouch prove vol f -o p.old >/dev/null || fail prove

# Rotation: old proofs hold, also with the new trust file.
expect 'rotate the log key' vouch key rotate vol log
expect 'rotate the mount key' vouch key rotate vol mount
vouch key show vol >trust.new
same 'log keys' "$(grep -c '^log ' trust.new)" 2
mount_volume
echo two >mnt/f
umount_volume
vouch prove vol f -o p.new >/dev/null || fail 'prove after rotation'
echo one >one; echo two >two
expect 'the old proof, new trust' vouch check one p.old --trust trust.new
expect 'the old proof, old trust' vouch check one p.old --trust trust.old
expect 'the new proof' vouch check two p.new --trust trust.new
refuse 'the new proof, old trust' 1 . vouch check two p.new --trust trust.old
same 'rotated keys' "$(vouch key list vol | grep -c rotated)" 2

# Another mount's key comes and goes; the admin key may lie elsewhere.
mv vol/keys/admin.key elsewhere
public=$(printf '%064d' 0 | tr 0 a)
refuse 'no admin key' 1 'admin key' vouch key add vol "$public"
expect 'key add' vouch key add vol "$(printf %064d 1)" --name other --admin elsewhere
mv elsewhere vol/keys/admin.key
id=$(vouch key list vol | awk '/other/ { print $1 }')
refuse 'no reason' 2 'retired, lost or stolen' vouch key revoke vol "$id"
expect 'key revoke' vouch key revoke vol "$id" --reason stolen --suspect-since '1 hour ago'
vouch key list vol | grep "$id" | grep -q stolen || fail "not stolen: $(vouch key list vol)"
refuse 'no such role' 2 'mount or log' vouch key rotate vol nobody
refuse 'no hex' 2 'hex digits' vouch key revoke vol xyz --reason lost
expect verify vouch verify vol --deep

# A copy is refused; a fork of it is a volume of its own.
cp -a vol copy
refuse 'a copy' 1 'copy' vouch mount copy mnt
expect fork vouch fork copy --suffix two
grep -q 'example/keys/two' out || fail "fork: $(cat out)"
vouch mount copy mnt || fail 'mounting the fork'
same 'the bytes are there' "$(cat mnt/f)" two
echo fork >mnt/g
umount_volume
expect 'verify the fork' vouch verify copy --deep
vouch key show copy | grep -q 'example/keys/two' || fail 'trust of the fork'

# What moved is adopted, and goes on.
mv vol old && cp -a old vol && rm -rf old
refuse 'moved by copying' 1 'adopt' vouch mount vol mnt
expect adopt vouch adopt vol
mount_volume
same 'adopted' "$(cat mnt/f)" two

# An old backup is refused, also by adopt.
vouch sync mnt
umount_volume
cp -a vol backup
mount_volume
echo three >mnt/f
umount_volume
rm -rf vol && cp -a backup vol
refuse 'an old backup' 1 . vouch mount vol mnt
refuse 'adopting an old backup' 1 'older copy' vouch adopt vol
expect 'forking it' vouch fork vol --suffix three
grep -q 'given up' out || fail "the fork does not say what is lost: $(cat out)"
mount_volume
same 'from the backup' "$(cat mnt/f)" two
