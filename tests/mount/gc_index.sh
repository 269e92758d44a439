# timeout: 180
# gc with a poisoned index: rows that are damaged, gone, or say that a version
# was released.  A row is a hint: what the log still needs is not taken.
. "$TOP/tests/mount/lib.sh"
command -v sqlite3 >/dev/null || { echo 'sqlite3 is not installed'; exit 77; }

new_volume --origin=example/gcindex
mount_volume
for f in a b c d e; do
	head -c 700000 /dev/urandom >"$f"
	cp "$f" "mnt/$f"
done
head -c 700000 /dev/urandom >old
cp old mnt/old
vouch sync mnt >/dev/null || fail sync
sleep 1.1
then=$(date -u +%Y-%m-%dT%H:%M:%SZ)
sleep 1.1
cp a mnt/old # its first version is history
vouch sync mnt >/dev/null || fail sync
kill_daemon # nobody appends to its packs any more
umount_volume
mount_volume
umount_volume

row() { # FILE: the condition for the rows of its versions
	sqlite3 vol/index.db "SELECT ino FROM name WHERE name = CAST('$1' AS BLOB)"
}

# poison WORDS SQL: gc may refuse or not, but nothing is lost
poison() {
	local f
	sqlite3 vol/index.db "$2" || fail "sqlite3: $1"
	mount_volume # packs that nobody appends to
	vouch gc mnt --threshold=100 >out 2>&1 || echo "$1: $(cat out)"
	umount_volume
	expect "reindex after $1" vouch reindex vol
	expect "verify after $1" vouch verify vol --deep
	mount_volume
	for f in a b c d e; do
		cmp "$f" "mnt/$f" || fail "$1: $f"
	done
	cmp old "mnt/audit/at/$then/old" || fail "$1: the former version"
	umount_volume
}

poison 'released' "UPDATE version SET released = 1 WHERE ino = $(row a)"
poison 'no size' "UPDATE version SET size = 0 WHERE ino = $(row b)"
poison 'no row' "DELETE FROM version WHERE ino = $(row c)"
poison 'another root' "UPDATE version SET tree_root = (SELECT tree_root FROM version
	WHERE ino = $(row e)) WHERE ino = $(row d)"
poison 'released, former' "UPDATE version SET released = 1
	WHERE ino = $(row old) AND version = 1"
poison 'none at all' 'DELETE FROM version'
