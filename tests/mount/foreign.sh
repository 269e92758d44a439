#!/bin/bash
# The log of a real volume, written through a mount, is accepted by the Go
# command's own verifier and by vouch-check; proofs made on the mount hold.
# timeout: 300
. "$TOP/tests/mount/lib.sh"
. "$TOP/tests/foreign/lib.sh"
need_xmod

new_volume --origin vouchfs.example/foreign
mount_volume
cp -r /usr/include/linux/netfilter mnt/headers
mv mnt/headers/nf_log.h mnt/headers/renamed.h
for i in $(seq 300); do # each fsync is a batch, each batch a leaf
	echo "$i" | dd of=mnt/number conv=fsync status=none
done
printf 'a,b\n1,2\n' >mnt/data.csv
python3 -c 'open("mnt/model.bin", "w").write(open("mnt/data.csv").read() * 3)'
vouch sync mnt || fail sync
for name in model.bin number headers/renamed.h; do
	expect "proof of $name" vouch prove "mnt/$name" -o "${name##*/}.tlog-proof"
	cp "mnt/$name" "${name##*/}"
done
jq -r .trust_file mnt/audit/keys.json >trust
expect 'x/mod on the mount' xmod mnt/audit trust
umount_volume

vouch key show vol >trust || fail 'key show'
grep -q '^log ' trust && grep -q '^admin ' trust || fail "trust: $(cat trust)"
mkdir log
expect export vouch export vol log
size=$(sed -n 2p log/checkpoint)
[ "$size" -ge 300 ] || fail "only $size leaves"
expect x/mod xmod log trust
grep -q "$size records" out || fail "x/mod: $(cat out)"
expect vouch-check vouch-check --log log --trust trust
for name in model.bin number renamed.h; do
	expect "check of $name" \
		vouch-check "$name" "$name.tlog-proof" --trust trust
	cmp -s out <(vouch check "$name" "$name.tlog-proof" --trust trust) ||
		fail "vouch check and vouch-check differ"
done
vouch-check model.bin model.bin.tlog-proof --trust trust >out
grep -q 'data.csv' out || fail "no lineage in the proof: $(cat out)"
grep -q 'python3' out || fail "no writer in the proof: $(cat out)"
echo x >>model.bin
refuse 'another file' 1 'not that file' \
	vouch-check model.bin model.bin.tlog-proof --trust trust
