#!/bin/bash
# conform.sh: the tables of tests/conform on a mount and, as the control that
# keeps them honest, on the native filesystem.  WORD=text: only sections with it.
# timeout: 400
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || { echo "needs root, to be several users"; exit 77; }
tables=$TOP/tests/conform/tables
conform=("$BUILD/tests/conform/conform" -k "$tables/known" ${WORD:+-t "$WORD"})

new_volume
mkdir native
setfattr -n user.x -v 1 native 2>/dev/null || {
	echo "no user attributes on $PWD: nothing to compare with"
	exit 77
}
setfattr -x user.x native
chmod 755 . native
mount_volume -o dev
chmod 755 mnt
mkdir -m 755 mnt/t native/t
"${conform[@]}" mnt/t native/t "$tables"/*.tab || fail "see above"

# The same two, read-only: set up first, then called.
"${conform[@]}" -p mnt/t native/t "$tables/readonly.tab" || fail "see above"
umount_volume
mount_volume -o ro,dev
if ! mount --bind native native || ! mount -o remount,ro,bind native; then
	echo "no read-only mount of the native filesystem: not compared"
else
	"${conform[@]}" -r mnt/t native/t "$tables/readonly.tab" || fail "see above"
fi
umount native
umount_volume
