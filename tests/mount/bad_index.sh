# timeout: 120
# A poisoned index: what a row names is checked against the journal when a file
# is opened, so a foreign row gives EIO, never other bytes; fsck tells, reindex
# mends.
. "$TOP/tests/mount/lib.sh"
command -v sqlite3 >/dev/null || { echo 'sqlite3 is not installed'; exit 77; }

new_volume --origin=example/poison
mount_volume
echo first >mnt/a
echo other >mnt/b
echo third >mnt/c
echo A >>mnt/a
ino_a=$(stat -c %i mnt/a)
ino_b=$(stat -c %i mnt/b)
size=$(stat -c %s mnt/a)
position=$(jq -r .log.seals mnt/audit/status.json)
umount_volume
keep_volume

# swap TABLE COLUMNS WHERE: the columns of a's row and b's
swap() {
	local c set=
	for c in $2; do
		set="$set${set:+, }$c = (SELECT $c FROM was WHERE was.ino <> $1.ino)"
	done
	sqlite3 vol/index.db "CREATE TEMP TABLE was AS SELECT * FROM $1
		WHERE ino IN ($ino_a, $ino_b) $3;
		UPDATE $1 SET $set WHERE ino IN ($ino_a, $ino_b) $3" || fail "sqlite3: $1"
}

is_eio() { # WHAT COMMAND...
	local what=$1
	shift
	"$@" >got 2>err && fail "$what: it was read: $(cat got)"
	grep -q 'Input/output error' err || fail "$what: no EIO: $(cat err)"
	[ ! -s got ] || fail "$what gave bytes: $(cat got)"
}

mended() {
	umount_volume
	vouch fsck vol >out && fail "fsck passed: $*"
	grep -q "^  index: $1" out || fail "fsck says nothing of $1: $(cat out)"
	expect reindex vouch reindex vol
	expect 'fsck after reindex' vouch fsck vol
	mount_volume
	same 'a, mended' "$(cat mnt/a | tr '\n' ' ')" 'first A '
	same 'b, mended' "$(cat mnt/b)" other
	umount_volume
}

# The whole row of another file's content.
swap inode 'flags size allocated version version_no entry_no version_leaf tree_root sha256 last'
mount_volume
is_eio 'a swapped row' cat mnt/a
is_eio 'the other' cat mnt/b
(echo x >>mnt/a) 2>/dev/null && fail 'a file whose row is wrong took bytes'
grep -q "index_row_wrong.*inode=$ino_a.*do=\"vouch reindex\"" vol/vouch.log ||
	fail "not told: $(cat vol/vouch.log)"
same 'the rest' "$(cat mnt/c)" third
mended inode

# Only the content's address.
fresh_volume
swap inode tree_root
mount_volume
is_eio 'a swapped root' cat mnt/a
mended inode

# Only the size.
fresh_volume
sqlite3 vol/index.db "UPDATE inode SET size = 3 WHERE ino = $ino_a"
mount_volume
is_eio 'a wrong size' cat mnt/a
mended inode

# The rows of old versions, which the views of the past read.
fresh_volume
swap version 'no size tree_root sha256' 'AND version = 1'
mount_volume
same 'the present' "$(cat mnt/b)" other
is_eio 'the past' cat "mnt/audit/at/$((position - 1))/b"
mended version

# A stale row: the version before, which is a's own.
fresh_volume
sqlite3 vol/index.db "UPDATE inode SET (size, version, version_no, tree_root, sha256) =
	(SELECT size, version, no, tree_root, sha256 FROM version v
	WHERE v.ino = inode.ino AND v.version = 1) WHERE ino = $ino_a"
mount_volume
cat mnt/a >got 2>err && [ "$(cat got)" != first ] && fail "a stale row gave $(cat got)"
mended inode

# Names swapped: fsck's.
fresh_volume
sqlite3 vol/index.db "UPDATE name SET ino = CASE ino WHEN $ino_a THEN $ino_b ELSE $ino_a END
	WHERE ino IN ($ino_a, $ino_b)"
mount_volume
mended name

# Rows that make no sense: refused or EIO, no crash.
fresh_volume
sqlite3 vol/index.db "UPDATE inode SET size = -1, mode = 99999999, nlink = -5, tree_root = x'00',
	version_leaf = 'text' WHERE ino = $ino_a; UPDATE name SET name = x'2f' WHERE ino = $ino_b;
	UPDATE inode SET parent = ino WHERE ino = $ino_b"
mount_volume
ls -l mnt >/dev/null 2>&1
cat mnt/a >got 2>/dev/null && fail "nonsense was read: $(cat got)"
grep -q "index_row_wrong.*inode=$ino_a.*do=\"vouch reindex\"" vol/vouch.log ||
	fail "nonsense is not told: $(cat vol/vouch.log)"
cat mnt/b >/dev/null 2>&1
same 'the rest' "$(cat mnt/c)" third
mended inode
expect 'the log is as it was' vouch verify vol --deep
