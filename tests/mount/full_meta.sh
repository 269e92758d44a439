#!/bin/bash
# full_meta.sh: bursts of small entries on a small disk that is nearly full:
# they are refused in words in time, so that sync, rm, gc, umount and mount work
# always, also while somebody else has all the rest of the disk.
# timeout: 240
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/disk_lib.sh"

small_disk 160M ext4

# burst WHAT: much of it as fast as it goes; prints how many were made and
# refused, and that nothing else was told than that there is no room
cat >burst.py <<'P'
import errno, os, sys
what, n = sys.argv[1], int(sys.argv[2])
made = refused = 0
for i in range(n):
    try:
        if what == "xattr":
            os.setxattr("mnt/f%d" % (10 + i % 10), "user.x%d" % (i % 20), os.urandom(1500))
        elif what == "create":
            os.close(os.open("mnt/new-%d" % i, os.O_CREAT | os.O_WRONLY))
        elif what == "symlink":
            os.symlink("t" * 3000, "mnt/link-%d" % i)
        elif what == "rename":
            a, b = "mnt/f1", "mnt/f1-moved"
            os.rename(*((a, b) if os.path.exists(a) else (b, a)))
        elif what == "write":
            with open("mnt/f2", "r+b") as f:
                f.seek(4096 * (i % 200))
                f.write(os.urandom(3000))
        made += 1
    except OSError as e:
        if e.errno != errno.ENOSPC:
            sys.exit("%s %d: %s" % (what, i, e))
        refused += 1
print(made, refused)
P
burst() { # WHAT N
	local counts
	counts=$(python3 burst.py "$1" "$2" 2>err) || fail "$1: $(cat err)"
	echo "$1: made and refused $counts"
	expect "sync after $1" vouch sync mnt
}

vouch init $volume >init.out || { fail init; exit 1; }
up
for i in $(seq 20); do head -c 100000 /dev/urandom >mnt/f$i; done
sum=$(sha256sum <mnt/f20)
vouch sync mnt || fail sync
# data until about 11 MB are left, as whoever writes is told
while [ $(($(stat -f -c '%a * %S' mnt))) -gt 5000000 ]; do
	head -c 1000000 /dev/urandom 2>err >>mnt/big && continue
	grep -qi 'no space left' err || fail "big: $(cat err)"
	break # what was written is not settled yet, and counts
done
vouch sync mnt || fail "sync of a large file"

for what in xattr create symlink rename write; do burst $what 3000; done
for i in $(seq 30); do
	vouch run --in mnt -- true 2>err && continue
	grep -qi 'no space left' err || fail "run $i: $(cat err)"
	break
done
same "a file" "$(sha256sum <mnt/f20)" "$sum"
grep -qi 'read-only' $volume/vouch.log && fail "it turned read-only"
expect "rm on the full disk" rm mnt/f3

# --- somebody else takes all the rest
head -c 200m /dev/zero >disk/others 2>/dev/null
refuse "a file" 1 "no space left" cp burst.py mnt/more
expect "rm with nothing left" rm mnt/f4
chmod 600 mnt/f5 2>err || grep -qi "no space left" err || fail "chmod: $(cat err)"
mode=$(stat -c %a mnt/f5)
expect "sync with nothing left" vouch sync mnt
vouch umount mnt || fail "umount with nothing left"
up
[ -e mnt/f4 ] && fail "a removed file came back"
same "the mode" "$(stat -c %a mnt/f5)" "$mode"
expect "rm after a mount with nothing left" rm mnt/f6
kill_daemon
umount -l mnt
up
same "a file after a kill" "$(sha256sum <mnt/f20)" "$sum"

# --- gc frees, even now; and all goes on, without a new mount
expect "retain" vouch retain set mnt '**' --for=1s
rm mnt/big || fail "rm big"
vouch sync mnt || fail "sync"
for try in $(seq $((20 * SLOWNESS))); do
	sleep 0.5
	# until the release is due there may be nothing that needs no copying
	vouch gc mnt >out 2>err || grep -qi 'no space' err || fail "gc: $(cat err)"
	grep -qE '^freed +[0-9]{2,} MiB' out && break
done
grep -qE '^freed +[0-9]{2,} MiB' out || fail "gc freed nothing: $(cat out)"
rm disk/others
head -c 3000000 /dev/urandom >mnt/new || fail "not writable after gc"
sync mnt/new || fail "sync after gc"
burst xattr 500
vouch umount mnt || fail umount
vouch fsck $volume >out 2>&1 || fail "fsck: $(cat out)"
expect verify vouch verify --deep $volume
up
same "at the end" "$(sha256sum <mnt/f20)" "$sum"
vouch umount mnt || fail umount
