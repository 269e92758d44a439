#!/bin/bash
# names.sh: where virtual and real names meet: nobody can make, remove, rename
# or write what is virtual; real names win in /query; listings show each once.
. "$(dirname "$0")/lib.sh"

new_volume
mount_volume

check() { # DIR: where the virtual names are
	local at=$1
	[ -d "$at/audit" ] || { fail "no audit in $at"; return; }
	same "listed once" "$(ls -a "$at" | grep -c '^audit$')" 1
	same "listed and found alike" "$(ls -id "$at/audit" | cut -d' ' -f1)" \
		"$(ls -ai "$at" | awk '$2 == "audit" {print $1}')"
	refuse "make a file" 1 "read-only" touch "$at/audit/x"
	refuse "make a directory" 1 "read-only" mkdir "$at/audit/x"
	refuse "write" 1 "read-only" dd if=/dev/null of="$at/audit/README" conv=notrunc
	refuse "truncate" 1 "read-only" truncate -s 0 "$at/audit/README"
	refuse "change the mode" 1 "read-only" chmod 777 "$at/audit/README"
	refuse "make what is there" 1 "exists" mkdir "$at/audit"
	refuse "remove a virtual file" 1 "read-only" rm -f "$at/audit/README"
	refuse "remove a virtual root" 1 "permitted" rmdir "$at/audit"
	refuse "rename a virtual root" 1 "permitted" mv "$at/audit" "$at/b"
	refuse "rename onto one" 1 "permitted\|exist\|directory" \
		mv -T "$at/../mnt" "$at/audit"
	mkdir "$at/real"
	refuse "rename a directory onto one" 1 "permitted\|not empty\|exist" \
		mv -T "$at/real" "$at/audit"
	rmdir "$at/real"
	refuse "link out of it" 1 "cross-device" ln "$at/audit/README" "$at/l"
	refuse "remove the place of queries" 1 "busy" rmdir "$at/query"
	refuse "rename it" 1 "busy" mv "$at/query" "$at/q2"
	cp "$at/audit/README" "$at/copy" || fail "copy out"
	cmp "$at/audit/README" "$at/copy" || fail "the copy differs"
	same "no extended attributes" "$(getfattr -d -m- "$at/audit/README" 2>&1)" ""
	rm -r "$at/copy"
}

check mnt
# A result beside a query; a real directory in the same place has precedence.
echo 'select 1 as one' >mnt/query/a.sql
same "result" "$(tail -n 1 mnt/query/a/result.csv | tr -d '\r')" 1
same "result listed once" "$(ls mnt/query | grep -c '^a$')" 1
mkdir mnt/query/b
echo 'select 2 as two' >mnt/query/b.sql
echo mine >mnt/query/b/mine
same "real directory wins" "$(ls mnt/query/b)" mine
same "and is listed once" "$(ls mnt/query | grep -c '^b$')" 1
rm mnt/query/a.sql
[ -e mnt/query/a ] && fail "the result outlives its query"
for what in "find mnt" "ls -lR mnt" "grep -rq nothing-like-it mnt"; do
	timeout $((60 * SLOWNESS)) $what >/dev/null 2>err ||
		[ $? = 1 ] || fail "$what: $(cat err)"
done
umount_volume

# The same below one directory, with the old places free.
mount_volume -o virtual=.vouch
[ -e mnt/audit ] && fail "audit is in the root, too"
check mnt/.vouch
mkdir mnt/audit && touch mnt/audit/real || fail "the name is not free"
umount_volume

# A real name from then is hidden behind the virtual one.
mount_volume
[ -e mnt/audit/real ] && fail "the real directory is not hidden"
same "hidden, listed once" "$(ls -a mnt | grep -c '^audit$')" 1
umount_volume
