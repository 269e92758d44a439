# timeout: 120
# Keys: wrong, missing, of another volume, readable by others; rotated and
# revoked.
. "$TOP/tests/mount/lib.sh"

new_volume --origin=example/badkey
mount_volume
echo one >mnt/f
umount_volume
keep_volume
VOUCHFS_GUARD_DIR=$PWD/guard2 vouch init other >/dev/null

for key in mount log; do
	for mode in 0644 0640 0604 0777; do
		fresh_volume
		chmod $mode vol/keys/$key.key
		refuse "$key.key $mode" 1 "key file keys/$key.key: mode $mode lets others read it (chmod 600" \
			vouch mount vol mnt
	done
	fresh_volume
	rm vol/keys/$key.key
	refuse "no $key.key" 1 "keys/$key.key is missing" vouch mount vol mnt
	fresh_volume
	cp -p other/keys/$key.key vol/keys/
	refuse "$key.key of another volume" 1 "keys/$key.key is not the active $key key" vouch mount vol mnt
	fresh_volume
	cp -p vol/keys/admin.key vol/keys/$key.key
	refuse "an admin key as $key.key" 1 "wrong role, a $key key is needed" vouch mount vol mnt
	for damage in "truncate -s 40" "truncate -s 0" "flip_at 60"; do
		flip_at() { flip "$2" "$1"; }
		fresh_volume
		$damage vol/keys/$key.key
		refuse "$key.key: $damage" 1 "key file keys/$key.key: \(damaged\|not of the form\)" vouch mount vol mnt
	done
	fresh_volume
	rm vol/keys/$key.key
	mkdir vol/keys/$key.key
	refuse "$key.key is a directory" 1 "key file keys/$key.key: \(not a regular file\|Is a directory\)" \
		vouch mount vol mnt
	fresh_volume
	mv vol/keys/$key.key vol/keys/real
	ln -s /dev/zero vol/keys/$key.key
	refuse "$key.key is a device" 1 "key file keys/$key.key" timeout 20 vouch mount vol mnt
	# Who only reads needs no key.
	expect "verify without $key.key" vouch verify vol
	expect "log without $key.key" vouch log vol
done

fresh_volume
chmod 644 vol/keys/admin.key
refuse 'admin.key 0644' 1 'keys/admin.key: mode 0644 lets others read it' vouch key rotate vol log
fresh_volume
cp -p other/keys/admin.key vol/keys/
refuse 'admin.key of another volume' 1 'no admin key of this volume' vouch key rotate vol log
fresh_volume
rm vol/keys/admin.key
refuse 'no admin.key' 1 'the admin key .* is missing: say where your copy is' vouch key rotate vol mount
mount_volume
same 'it is not needed to mount' "$(cat mnt/f)" one
umount_volume

# Rotation and revocation: what was proven stays so; what comes after a
# revocation is refused.
fresh_volume
vouch key show vol >trust.old
vouch prove vol f -o p.old >/dev/null || fail prove
echo one >one
cp -p vol/keys/mount.key stolen
expect 'rotate the mount key' vouch key rotate vol mount
old=$(vouch key list vol --format=json | jq -r '.[] | select(.state == "rotated").id')
[ -n "$old" ] || fail "no rotated key: $(vouch key list vol)"
mount_volume
echo two >mnt/f
umount_volume
expect 'verify' vouch verify vol --deep
vouch key show vol >trust.new
expect 'the old proof' vouch check one p.old --trust trust.new
cp -a vol/keys/mount.key good
cp -p stolen vol/keys/mount.key
refuse 'signing with the rotated key' 1 'keys/mount.key is not the active mount key' vouch mount vol mnt
cp -p good vol/keys/mount.key
now=$(vouch key list vol --format=json | jq -r '.[] | select(.role == "mount" and .state == "active").id')
refuse 'revoking the active key' 2 'key rotate .*vol mount. first' vouch key revoke vol "$now" --reason stolen
expect 'an older key was stolen, it turns out' vouch key revoke vol "$old" --reason stolen --suspect-since '1 day ago' ||
	true
mount_volume
same 'goes on' "$(cat mnt/f)" two
umount_volume
expect 'verify after the revocation' vouch verify vol --deep
expect 'the old proof after the revocation' vouch check one p.old --trust trust.new
refuse 'a key that is none' 1 'no such key' vouch key revoke vol "$(printf %032d 7)" --reason lost
refuse 'a key that is no key' 2 'hex digits' vouch key revoke vol $'\e[31m' --reason lost
grep -q $'\e' err && fail 'an escape of the terminal came through'
true
