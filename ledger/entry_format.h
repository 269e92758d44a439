/*
 * entry_format.h - bytes of an entry.  All integers little-endian; str = u16
 * length and bytes without NUL; digests raw.  A change here is a change of
 * man/vouchfs-ledger.5 and of tests/golden/, and needs a new format number.
 *
 * CORE, 104 bytes:
 *   0   2  magic "VE"
 *   2   1  format 1
 *   3   1  commit_alg 1: SHA-256("vouchfs/body/v1\n" || salt16 || body)
 *   4   2  kind (>= 0x8000 may be ignored)
 *   6   2  flags 0
 *   8   8  wall_ns i64
 *   16  8  inode
 *   24  8  parent
 *   32  8  version
 *   40 32  prev: leaf hash of the last applied entry of this inode
 *   72 32  actor: leaf hash of an ACTOR
 *
 * STORED FORM: core, u8 state, then
 *   0 clear      16 salt, u32 n, n body
 *   1 encrypted  32 commit, 16 key_ref, 24 nonce, u32 n, n ciphertext
 *   2 redacted   32 commit, 32 leaf hash of the REDACT
 *
 * BODIES (fixed part, in order; then TLVs: u16 tag, u16 n, n value; tags
 * strictly ascending, tag < 0x8000 critical, 0x7fff AUTHOR_SIG is last):
 *   GENESIS        str origin, u8 n, n * 32 admin keys, 16 nonce
 *   KEY_ADD        128 certificate, str name
 *   ROTATE         128 certificate, 16 old key id, str name
 *   REVOKE         16 key id, u8 reason, i64 suspect_since_ns, 32 last good
 *                  seal, str comment
 *   MOUNT_START    u8 flags, 16 incarnation, u32 uid, str program, str host,
 *                  str mountpoint, str options
 *   MOUNT_STOP     u8 reason
 *   NEW_ORIGIN     u64 lost size, 32 lost root, 32 log key, str old origin,
 *                  str new origin
 *   PARAMS         u16 n, n * (str name, str value), names ascending
 *   POLICY         u16 n <= 256, n * (u8 keep, [u64 seconds, with bit 0],
 *                  [u32 versions, with bit 1], str pattern), no pattern
 *                  twice
 *   GC             32 POLICY, u64 bytes, u16 n <= 2600, n * (u64 inode,
 *                  u64 first, u64 last version), ascending
 *   HOLD           u8 flags, 32 HOLD lifted, u64 inode, str pattern,
 *                  str reason
 *   ANCHOR         u8 kind (1 git), u64 size, 32 root, 20 commit,
 *                  str repository, str ref
 *   CREATE         u8 dtype, u8 0, u16 mode, u32 uid, u32 gid, u64 rdev,
 *                  str name; TLV 1 symlink target, 2 access ACL, 3 default
 *                  ACL, 4 dir_salt16
 *   LINK, UNLINK   u8 flags, str name
 *   RENAME         u8 flags, u64 new parent, u64 replaced inode, str old,
 *                  str new
 *   SETATTR        u32 mask, then per bit: 0 u32 mode, 1 u32 uid, 2 u32 gid,
 *                  3 i64 atime, 4 i64 mtime, 5 i64 ctime
 *   SETXATTR       str name, u32 n, then n <= 1024: n bytes, else 32 content
 *   RMXATTR        str name
 *   FREE_ORPHAN    nothing
 *   VERSION        u8 flags, u8 content alg, u8 reason, u8 attribution,
 *                  u64 size, i64 mtime, u16 n, n * (u64 lo, u64 hi),
 *                  32 tree_root, [32 sha256], [32 reads head],
 *                  32 last EXTENTS, str path; TLV 0x8001 u64 bytes that are
 *                  no holes
 *   DIGEST         32 VERSION, 32 sha256
 *   SNAPSHOT       u8 flags, 32 seal, 32 STATE, str name, str comment
 *   RESTORE        u8 why, 16 run, 32 VERSION, str when
 *   CLONE          u64 source inode, 32 source VERSION or EXTENTS,
 *                  u64 offset, u64 length, u64 target offset
 *   EXTENTS        u8 attribution, u64 file size, u16 n, n * (u64 offset,
 *                  u32 length, 32 chunk, u32 offset in chunk)
 *   ACTOR          u32 uid, u32 gid, u32 tgid, u64 start, u32 ppid,
 *                  32 executable, 16 run, 20 git, u8 dirty, str exe,
 *                  str argv, str cwd, str host; TLV 0x8002 u8 how it came
 *                  to its run
 *   READS          32 previous head, u16 n, n * (u8 strength, 32 VERSION,
 *                  32 content)
 *   RUN_START      16 run, u8 flags, u32 uid, u32 gid, 20 git, u8 dirty,
 *                  str name, str argv, str cwd, str user, str host,
 *                  str policy, u16 n, n * (str name, 32 value digest);
 *                  TLV 0x8003 path of its cgroup, 0x8004 u32 names left
 *                  out, 0x8008 u8 git of what, u8 what is not known,
 *                  0x800c u64 limit that its processes inherit
 *   RUN_END        16 run, 32 RUN_START, u8 how, u32 status, i64 started_ns,
 *                  u64 processes
 *   ATTEST         32 subject, u8 what, u16 item, 32 digest
 *   IMPORT         u8 trust, u8 attribution, 32 VERSION here, 16 volume,
 *                  16 mount key, u64 seal, 32 VERSION there, u64 version,
 *                  i64 wall_ns, 32 sha256, str origin, str path, str exe,
 *                  str argv, u16 n, n * (u8 strength, 32 VERSION,
 *                  32 sha256, str path), u32 left out
 *   SCRUB          u16 replica, u64 objects, u64 bytes, u64 bad, u64 repaired
 *   REPAIR         u8 what, u16 source, u16 target, 32 id, u64 bytes,
 *                  str object
 *   REPLICA_ADD,   u16 number, u8 kind, 16 id, str location
 *   REPLICA_REMOVE
 *   ALERT          u8 what, 32 id, str words; TLV 0x8005 u8 call, u8 why,
 *                  u64 inode, u64 count, path (entry_denied.h)
 * AUTHOR_SIG value, 81 bytes: u8 alg 1, 16 key id, 64 Ed25519 signature over
 *   "vouchfs/author/v1\n" || 16 volume id || u16 kind || body before the TLV
 * The other kinds have numbers and no body yet: readers answer "newer".
 */
#ifndef LEDGER_ENTRY_FORMAT_H
#define LEDGER_ENTRY_FORMAT_H

enum {
	ENTRY_CORE_SIZE = 104,
	ENTRY_PREV_AT = 40,
	ENTRY_ACTOR_AT = 72,
	ENTRY_FORMAT = 1,
	ENTRY_COMMIT_ALG = 1,
	ENTRY_SALT_SIZE = 16,
	ENTRY_CLEAR_HEAD = ENTRY_CORE_SIZE + 1 + ENTRY_SALT_SIZE + 4,
	ENTRY_ENCRYPTED_HEAD = ENTRY_CORE_SIZE + 1 + 32 + 16 + 24 + 4,
	ENTRY_REDACTED_SIZE = ENTRY_CORE_SIZE + 1 + 32 + 32,
	ENTRY_EXTENT_SIZE = 48,
	ENTRY_READ_SIZE = 65,
	ENTRY_RELEASE_SIZE = 24,
	ENTRY_ADMIN_MAX = 16,
	ENTRY_TLV_TARGET = 1,
	ENTRY_TLV_ACL = 2,
	ENTRY_TLV_DEFAULT_ACL = 3,
	ENTRY_TLV_DIR_SALT = 4,
	ENTRY_TLV_AUTHOR_SIG = 0x7fff,
	ENTRY_TLV_OPTIONAL = 0x8000,
	ENTRY_TLV_ALLOCATED = 0x8001,
	ENTRY_TLV_RUN_HOW = 0x8002,
	ENTRY_TLV_RUN_CGROUP = 0x8003,
	ENTRY_TLV_RUN_ENV_LEFT = 0x8004,
	ENTRY_TLV_DENIED = 0x8005,
	ENTRY_TLV_RUN_GIT = 0x8008,
	ENTRY_TLV_RUN_LIMIT = 0x800c,
	ENTRY_AUTHOR_SIG_SIZE = 81,
};

#define ENTRY_BODY_CONTEXT "vouchfs/body/v1\n"
#define ENTRY_AUTHOR_CONTEXT "vouchfs/author/v1\n"

_Static_assert(ENTRY_CLEAR_HEAD == 125, "LEDGER entry head");

#endif
