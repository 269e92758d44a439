# lib.sh: sourced by the scripts here.  A script starts in an empty private
# folder; `vouch` is on the PATH.  What is mounted below the folder when the
# script ends is unmounted.

export VOUCHFS_GUARD_DIR=$PWD/guard
SLOWNESS=${SLOWNESS:-1}
failures=0

[ -c /dev/fuse ] || { echo "/dev/fuse is not here"; exit 77; }
if [ "$(id -u)" != 0 ] && ! command -v fusermount3 >/dev/null; then
	echo "neither root nor fusermount3: nothing can be mounted"
	exit 77
fi

fail() {
	echo "FAIL: $*" >&2
	failures=$((failures + 1))
}

# expect WHAT COMMAND...: the command succeeds
expect() {
	local what=$1
	shift
	"$@" >out 2>err || fail "$what: $* gave $?: $(cat err)"
}

# refuse WHAT STATUS WORDS COMMAND...: it fails with the status and says WORDS
refuse() {
	local what=$1 status=$2 words=$3 got
	shift 3
	"$@" >out 2>err
	got=$?
	[ $got = "$status" ] || fail "$what: $* gave $got, not $status"
	grep -qi -- "$words" err || fail "$what: no \"$words\" in: $(cat err)"
}

same() { # WHAT GOT WANTED
	[ "$2" = "$3" ] || fail "$1: got \"$2\", not \"$3\""
}

# new_volume [INIT OPTIONS]: vol and mnt, not mounted
new_volume() {
	mkdir -p mnt
	vouch init vol "$@" >init.out || { fail "vouch init"; exit 1; }
}

mount_volume() { # [OPTIONS]
	vouch mount vol mnt "$@" || { fail "vouch mount $*"; cat vol/vouch.log; exit 1; }
}

umount_volume() {
	vouch umount mnt || fail "vouch umount"
}

daemon_pid() {
	vouch status mnt --format=json | jq -r .pid
}

# Its lock goes last: a mount before that is refused.  A zombie has none; who
# is to reap it may take seconds.
wait_ended() { # PID
	while grep -hs '^State:' /proc/"$1"/task/*/status | grep -qv '[ZX] ('; do
		sleep 0.02
	done
}

kill_daemon() {
	local victim
	victim=$(daemon_pid)
	kill -9 "$victim"
	wait_ended "$victim"
}

# flip FILE OFFSET: inverts one byte
flip() {
	local was
	was=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
	printf "\\x$(printf %02x $((was ^ 255)))" |
		dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# keep_volume, then again and again fresh_volume: vol and its guard as they
# were; the lock stays the same file, else it would be a copy.
keep_volume() {
	rm -rf kept kept-guard
	cp -a --sparse=always vol kept && cp -a guard kept-guard
}

fresh_volume() {
	find vol -mindepth 1 ! -path vol/lock -delete
	tar -C kept -c -S --warning=no-file-ignored --exclude=./lock . |
		tar -C vol -x
	rm -rf guard && cp -a kept-guard guard
}

clean_up() {
	local status=$? dir
	cd "$TMPDIR_OF_TEST" || exit 1
	awk -v d="$TMPDIR_OF_TEST/" '$9 == "fuse.vouchfs" || / fuse.vouchfs / {
		if (index($5, d) == 1) print $5 }' /proc/self/mountinfo |
		while read -r dir; do
			vouch umount "$dir" || vouch umount -l "$dir"
		done
	[ $failures = 0 ] || status=1
	exit $status
}
TMPDIR_OF_TEST=$PWD
trap clean_up EXIT
