#!/bin/bash
# requests.sh: how many requests the kernel needs for everyday work.  Counts do
# not depend on the machine: one more per file is a slower file system.
. "$(dirname "$0")/lib.sh"

new_volume
mount_volume
files=200

requests() { # of all kinds, but the two that come late and in heaps
	vouch status mnt --format=json |
		jq '.requests | with_entries(select(.key | test("forget") | not))'
}

# counted WHAT MOST COMMAND...: no more than MOST requests in all
counted() {
	local what=$1 most=$2 before after n
	shift 2
	before=$(requests)
	"$@" || fail "$what: $*"
	sleep 0.1 # RELEASE comes after close(2) has returned
	after=$(requests)
	n=$(jq -n --argjson a "$before" --argjson b "$after" \
		'[$b | add, ($a | add)] | .[0] - .[1]')
	diff=$(jq -n -c --argjson a "$before" --argjson b "$after" \
		'$b | with_entries(.value -= ($a[.key] // 0)) |
		with_entries(select(.value != 0))')
	[ "$n" -le "$most" ] || fail "$what: $n requests, not $most: $diff"
}

make_files() {
	python3 - "$1" $files <<'P'
import os, sys
os.mkdir(sys.argv[1])
for i in range(int(sys.argv[2])):
    fd = os.open(f"{sys.argv[1]}/{i}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.write(fd, b"%4096d" % i)
    os.close(fd)
P
}
stat_all() { find mnt/a -printf '%s %m\n' >/dev/null; }
read_all() { cat mnt/a/* >/dev/null; }

# LOOKUP, CREATE, WRITE, RELEASE, GETATTR of the directory.
counted "create, write, close" $((files * 5 + 10)) make_files mnt/a
same "no FLUSH for what cannot be mapped" "$(jq -n "$diff" | jq '.flush // 0')" 0
stat_all # the first listing fills the kernel's caches
counted "find, listed before" 20 stat_all
# OPEN, READ, RELEASE: what was written by its maker is in no page cache
counted "read what was written" $((files * 3 + 20)) read_all
# OPEN, RELEASE; GETATTR, because the kernel takes READ to have moved a time
counted "read again" $((files * 3 + 20)) read_all
same "no FLUSH for what was only read" "$(jq -n "$diff" | jq '.flush // 0')" 0
# UNLINK, GETATTR of the directory
counted "rm -r" $((files * 2 + 20)) rm -r mnt/a

umount_volume
