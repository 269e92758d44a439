#!/bin/bash
# conform_data.sh: bytes, mappings, locks and open directories, by the tables
# of tests/conform/data, on a mount and on the native filesystem as control.
# WORD=text: only sections with it.
# timeout: 180
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || { echo "needs root, to be several users"; exit 77; }
tables=$TOP/tests/conform/data

new_volume
mkdir native
chmod 755 . native
mount_volume -o dev
chmod 755 mnt
mkdir -m 755 mnt/t native/t
"$BUILD/tests/conform/conform" -k "$tables/known" ${WORD:+-t "$WORD"} \
	mnt/t native/t "$tables"/*.tab || fail "see above"
umount_volume
expect "verify" vouch verify --deep vol
expect "fsck" vouch fsck vol
