#!/bin/bash
# tools_rsync.sh: rsync, tar and cp -a carry a tree with everything in it into
# the mount, and out again.
# timeout: 180
. "$(dirname "$0")/lib.sh"

# One line for each: all that must survive; directory sizes are our own affair.
listing() { # DIR
	(cd "$1" && find . -mindepth 1 \( -type d -printf \
		'%P %y %m %U:%G %T@\n' -o -printf \
		'%P %y %m %U:%G %T@ %s %n <%l>\n' \) | sort)
}

attributes() { # DIR
	(cd "$1" && find . -mindepth 1 ! -type l -print0 | sort -z |
		xargs -0 getfattr -d -e hex 2>&1
	find . -mindepth 1 ! -type l -print0 | sort -z |
		xargs -0 getfacl -n 2>&1
	find . -type f -print0 | sort -z | xargs -0 sha256sum
	find . -type f -links +1 -printf '%i %P\n' | sort -k 2 |
		awk '!($1 in seen) { seen[$1] = ++n } { print seen[$1], $2 }')
}

same_tree() { # WHAT DIR
	listing "$2" >got.list
	diff want.list got.list >diff.out || fail "$1: $(head -n 10 diff.out | cut -c1-150)"
	attributes "$2" >got.attr
	diff want.attr got.attr >diff.out || fail "$1: $(head -n 10 diff.out | cut -c1-150)"
}

make_tree() { # DIR
	mkdir -p "$1/a/b/c" "$1/empty"
	for i in $(seq 400); do
		seq $i $((i * 11)) >"$1/a/f$i"
	done
	head -c 3000000 /dev/urandom >"$1/a/b/big"
	truncate -s 5M "$1/sparse"
	echo data | dd of="$1/sparse" bs=1 seek=3000000 conv=notrunc 2>/dev/null
	ln "$1/a/f1" "$1/a/b/hard"
	ln "$1/a/f1" "$1/hard too"
	ln -s ../a/f2 "$1/a/soft"
	ln -s /nowhere "$1/broken"
	mkfifo "$1/fifo"
	python3 -c 'import socket, sys
socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$1/sock"
	if [ "$(id -u)" = 0 ]; then
		mknod "$1/null" c 1 3
		mknod "$1/block" b 7 200
		chown -h 1234:4321 "$1/a/soft" "$1/a/f3"
		chmod 6755 "$1/a/f4"
		ln "$1/null" "$1/null2"
	fi
	chmod 1777 "$1/empty"
	chmod 000 "$1/a/f5"
	setfattr -n user.note -v 'some words' "$1/a/f6" "$1/a/b"
	setfattr -n user.big -v "$(head -c 3000 /dev/zero | tr '\0' x)" "$1/a/f7"
	setfacl -m u:1234:rw,g:99:r "$1/a/f8" 2>acl.err &&
		setfacl -d -m u:1234:rwx "$1/a/b/c"
	touch "$(printf '%s/line\nfeed \xff' "$1")" "$1/ spaces "
	touch -d '1969-12-31 23:59:59.5 UTC' "$1/a/f9"
	touch -d '2040-01-01 00:00:00.123456789 UTC' "$1/a/f10"
	touch -h -d '2001-02-03 04:05:06.789 UTC' "$1/a/soft" "$1/fifo"
	# rsync compares whole seconds: a node that is made within the second of
	# its original keeps the time it was made at, on any file system
	touch -h -d '2003-02-03 04:05:06.789 UTC' "$1/broken" "$1/sock" "$1/empty"
	[ "$(id -u)" != 0 ] ||
		touch -h -d '2004-02-03 04:05:06.789 UTC' "$1/null" "$1/block"
	touch -d '2002-02-03 04:05:06.789012345 UTC' "$1/a/b/c" "$1/a/b" "$1/a"
}

make_tree source
listing source >want.list
attributes source >want.attr

new_volume
mount_volume
for times in first second; do
	rsync -aHAX -i source/ mnt/rsync/ >rsync.out 2>rsync.err ||
		fail "rsync, $times: $(tail -n 5 rsync.err)"
done
same "nothing to do the second time" "$(cat rsync.out)" ""
rsync -aHAXc -i source/ mnt/rsync/ >rsync.out 2>&1
same "and the contents are the same" "$(cat rsync.out)" ""
same_tree "rsync" mnt/rsync

cp -a source mnt/cp || fail "cp -a"
same_tree "cp -a" mnt/cp

# an archive holds no sockets, and a device with two names as two
rm -f {source,mnt/cp,mnt/rsync}/{sock,null2}
tar -C source --format=pax --xattrs --acls --sparse --numeric-owner -cf in.tar .
mkdir mnt/tar
tar -C mnt/tar --xattrs --xattrs-include='*' --acls --numeric-owner -xpf in.tar \
	2>tar.err || fail "tar -x: $(cat tar.err)"
listing source >want.list
attributes source >want.attr
same_tree "tar" mnt/tar
umount_volume

mount_volume
same_tree "rsync, mounted again" mnt/rsync
same_tree "cp, mounted again" mnt/cp
same_tree "tar, mounted again" mnt/tar
rsync -aHAX -i source/ mnt/rsync/ >rsync.out 2>&1
same "nothing to do after mounting again" "$(cat rsync.out)" ""
python3 -c 'import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
sys.exit(not 2 << 20 < os.lseek(fd, 0, os.SEEK_DATA) < 3 << 20)' mnt/cp/sparse ||
	fail "cp -a filled the holes"

# and out again
rsync -aHAX mnt/rsync/ out.rsync/ || fail "rsync out"
same_tree "rsync out" out.rsync
cp -a mnt/cp out.cp || fail "cp out"
same_tree "cp out" out.cp
tar -C mnt/tar --format=pax --xattrs --acls --sparse --numeric-owner \
	-cf out.tar . || fail "tar out"
mkdir out.tar.d && tar -C out.tar.d --xattrs --xattrs-include='*' --acls \
	--numeric-owner -xpf out.tar || fail "tar"
same_tree "tar out" out.tar.d
rm -rf mnt/rsync mnt/cp mnt/tar || fail "rm -rf"
umount_volume
