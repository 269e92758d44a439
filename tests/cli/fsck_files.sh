# Every file of a store, its guard and its replica's marks flipped, removed,
# swapped: fsck says so, or, of what is made again from the rest, nothing is
# lost by it.  Packs under wrong names get their own back.
. "$TOP/tests/mount/lib.sh"

new_volume --origin=example/files
mkdir away
mount_volume
expect 'replica add' vouch replica add mnt away/copy
n=0 # a killed mount's pack is never appended to: three packs
while [ $n -lt 5 ]; do
	n=$((n + 1))
	head -c 300000 /dev/urandom >big$n
	cp big$n mnt/big$n
	vouch sync mnt || fail 'sync'
	[ "$(ls vol/packs | grep -c pack)" -ge 3 ] && break
	kill_daemon
	umount -l mnt
	mount_volume
done
expect 'replica sync' vouch replica sync mnt
umount_volume
[ "$(ls vol/packs | grep -c pack)" -ge 3 ] || fail "too few packs: $(ls vol/packs)"
expect 'whole' vouch fsck vol
grep -q ' found' out && fail "found in a whole one: $(cat out)"

noticed() { # WHAT [WORDS]
	local status
	vouch fsck vol >out 2>&1
	status=$?
	if [ $status = 0 ]; then
		vouch verify --deep vol >out 2>&1
		status=$?
	fi
	[ $status = 1 ] || fail "$1: fsck gave $status: $(cat out)"
	grep -q -- "${2:-.}" out || fail "$1: no \"$2\" in: $(cat out)"
}

harmless() { # WHAT
	expect "$1: fsck" vouch fsck vol
	mount_volume
	cmp -s mnt/big1 big1 || fail "$1: not what was written"
	umount_volume
}

damaged() { # HOW FILE [WORDS]
	cp -p "$2" saved
	case $1 in
	flipped) flip "$2" $(($(stat -c %s "$2") / 2)) ;;
	head) flip "$2" 20 ;;
	end) flip "$2" $(($(stat -c %s "$2") - 20)) ;;
	emptied) : >"$2" ;;
	removed) rm "$2" ;;
	swapped) cp "$4" "$2" ;;
	esac
	noticed "$1 $2" "$3"
	cp -p saved "$2"
}

guard=$(ls guard/*)
for how in flipped emptied; do
	damaged $how vol/volume.conf 'volume.conf: '
	damaged $how vol/keys/admin.key 'keys/admin.key: damaged: put back the copy'
	damaged $how vol/keys/log.key 'keys/log.key: damaged: put it back'
	damaged $how vol/keys/mount.key 'keys/mount.key: damaged: put it back'
	damaged $how vol/keys/trusted.pub 'trusted.pub: is not what the log gives'
	damaged $how "$guard" 'guard file .* is damaged'
	damaged $how vol/ledger/checkpoint 'checkpoint'
	damaged $how vol/ledger/journal/00000001.vj 'journal'
	damaged $how away/copy/vouchfs-replica 'vouchfs-replica'
	damaged $how away/copy/volume.conf 'copy: its volume.conf is damaged'
	damaged $how away/copy/keys/trusted.pub 'copy: its keys/trusted.pub is damaged'
	damaged $how away/copy/ledger/checkpoint 'copy: its checkpoint is not of this log'
done
for what in log mount; do
	damaged removed vol/keys/$what.key "keys/$what.key: .*put it back"
done
damaged removed vol/keys/trusted.pub 'trusted.pub: is missing'
damaged removed "$guard" 'the guard is missing'
damaged removed vol/volume.conf 'nor a store'
damaged removed vol/ledger/checkpoint 'checkpoint is missing'
damaged removed vol/ledger/journal/00000001.vj .
damaged removed away/copy/volume.conf 'its volume.conf is damaged or missing'
damaged swapped vol/keys/mount.key 'keys/mount.key' vol/keys/log.key
damaged swapped vol/keys/admin.key 'keys/admin.key' vol/keys/mount.key

# The keys, and what is outside, of another volume.
vouch init other --origin=example/other >/dev/null
for key in mount log admin; do
	damaged swapped vol/keys/$key.key "keys/$key.key: is n" other/keys/$key.key
done
damaged swapped vol/keys/trusted.pub 'a log key that the log never had' other/keys/trusted.pub
damaged swapped vol/volume.conf . other/volume.conf
damaged swapped away/copy/volume.conf 'its volume.conf is damaged' other/volume.conf
chmod 644 vol/keys/log.key
noticed 'a key that others may read' 'chmod 600'
vouch fsck vol >out && fail 'fsck passes a key that others may read'
grep -q 'chmod 600' out || fail "fsck says otherwise: $(cat out)"
chmod 600 vol/keys/log.key
sed 's/^guard required/guard none/' vol/volume.conf >saved
cat saved >vol/volume.conf
noticed 'volume.conf: no guard' 'says that no guard is needed'
sed 's/^guard none/guard required/' saved >vol/volume.conf
mv vol/keys/admin.key elsewhere
expect 'the admin key may be kept elsewhere' vouch fsck vol
mv elsewhere vol/keys/admin.key

# Packs.  What a killed mount had put into one may lie in the next as well.
told=0
for pack in vol/packs/*.pack; do
	damaged head "$pack" 'header'
	damaged flipped "$pack" .
	damaged end "$pack" .
	damaged emptied "$pack" 'header'
	cp -p "$pack" saved && rm "$pack"
	if vouch fsck vol >out 2>&1 && vouch verify --deep vol >out 2>&1; then
		mount_volume -o ro
		for i in $(seq $n); do
			cmp -s mnt/big$i big$i || fail "removed $pack: nobody tells"
		done
		umount_volume
	else
		told=$((told + 1))
	fi
	cp -p saved "$pack"
done
[ $told -ge 2 ] || fail "of three packs that are gone $told are missed"
cd vol/packs || exit 1
mv 00000001.pack x && mv 00000002.pack 00000001.pack && mv 00000003.pack 00000002.pack && mv x 00000003.pack
cd ../..
noticed 'packs in a circle' '00000001.pack: is pack 2 under a wrong name'
refuse 'packs in a circle: mount' 1 'under a wrong name' vouch mount vol mnt
expect 'packs in a circle: repair' vouch fsck --repair vol
grep -c 'so it is called now' out | grep -qx 3 || fail "not three are named again: $(cat out)"
mv vol/packs/00000003.pack vol/packs/00000009.pack
noticed 'a pack under a free name' 'is pack 3 under a wrong name'
expect 'a pack under a free name: repair' vouch fsck --repair vol
mount_volume
for i in $(seq $n); do
	cmp -s mnt/big$i big$i || fail "big$i is not what was written"
done
umount_volume

flip vol/keys/trusted.pub 30
expect 'trusted.pub: repair' vouch fsck --repair vol
grep -q 'trusted.pub: made again from the log' out || fail "trusted.pub: $(cat out)"

# What is made again from the rest.
for f in vol/ledger/rules.state vol/leaves.tab* vol/cache/chunks*; do
	for how in flip rm; do
		[ -e "$f" ] || continue
		[ $how = rm ] && rm "$f"
		[ $how = flip ] && flip "$f" $(($(stat -c %s "$f") / 2))
		harmless "$how $f"
	done
done
rm vol/wal/*
harmless 'a wal at rest'
# as power that fails leaves a pack that was being made; at rest there is none
mount_volume
kill_daemon
umount -l mnt
: >vol/packs/00000090.pack
head -c 64 /dev/zero >vol/packs/00000091.pack
harmless 'packs that were not born'
expect 'they are packs now' vouch fsck vol
expect 'in the end' vouch fsck --deep vol
