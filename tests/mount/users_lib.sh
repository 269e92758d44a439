# users_lib.sh: sourced by the scripts about ordinary users, after lib.sh: two
# of them, and a volume that root mounts for everybody and keeps to itself.

[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
command -v setpriv >/dev/null || { echo "needs setpriv"; exit 77; }
chmod 755 .
anna() { setpriv --reuid 4242 --regid 4242 --clear-groups -- "$@"; }
bert() { setpriv --reuid 4343 --regid 4343 --clear-groups -- "$@"; }
anna test -x "$VOUCH" -a -x . || { echo "others do not reach the test's folder"; exit 77; }

new_volume
chmod 700 vol
mount_volume -o allow_other
