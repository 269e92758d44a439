#!/bin/bash
# The log of a real volume, written through a mount: tessera's fsck accepts
# the export, formats and merkle accept the proofs made on the mount.
# timeout: 600
. "$TOP/tests/mount/lib.sh"
. "$TOP/tests/foreign/lib.sh"
need_tessera

new_volume --origin vouchfs.example/foreign
mount_volume
cp -r /usr/include/linux/netfilter mnt/headers
for i in $(seq 300); do
	echo "$i" | dd of=mnt/number conv=fsync status=none
done
vouch sync mnt || fail sync
cp mnt/audit/proof/number.tlog-proof .
cp mnt/audit/proof/headers/xt_LED.h.tlog-proof .
umount_volume
vouch key show vol >trust || fail 'key show'
mkdir log
expect export vouch export vol log
expect tessera tessera log trust number.tlog-proof xt_LED.h.tlog-proof
[ $failures = 0 ] || cat out
