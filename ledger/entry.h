/*
 * entry.h - one ledger entry: core, salted body, their canonical bytes.
 *
 * Pure: memory in, memory out; callable from any thread.  One value has one
 * encoding: the decoder re-encodes what it understood and refuses bytes that
 * differ.  Decoded strings, item lists and TLVs are borrowed from the encoded
 * bytes and live as long as those.  The bytes are in entry_format.h and
 * vouchfs-ledger(5).
 */
#ifndef LEDGER_ENTRY_H
#define LEDGER_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"
#include "base/limits.h"
#include "ledger/entry_format.h"

struct buf;
struct errmsg;

/* number, identifier, name in views; numbered as in vouchfs-ledger(5) */
#define ENTRY_KINDS(X)                              \
	X(0x0001, GENESIS, "genesis")               \
	X(0x0002, KEY_ADD, "key-add")               \
	X(0x0003, ROTATE, "rotate")                 \
	X(0x0004, REVOKE, "revoke")                 \
	X(0x0005, MOUNT_START, "mount-start")       \
	X(0x0006, MOUNT_STOP, "mount-stop")         \
	X(0x0007, NEW_ORIGIN, "new-origin")         \
	X(0x0008, STATE, "state")                   \
	X(0x0009, ANCHOR, "anchor")                 \
	X(0x000a, POLICY, "policy")                 \
	X(0x000b, REDACT, "redact")                 \
	X(0x000c, GC, "gc")                         \
	X(0x000d, HOLD, "hold")                     \
	X(0x000e, CONVICTION, "conviction")         \
	X(0x000f, PARAMS, "params")                 \
	X(0x0101, CREATE, "create")                 \
	X(0x0102, LINK, "link")                     \
	X(0x0103, UNLINK, "unlink")                 \
	X(0x0104, RENAME, "rename")                 \
	X(0x0105, SETATTR, "setattr")               \
	X(0x0106, SETXATTR, "setxattr")             \
	X(0x0107, RMXATTR, "rmxattr")               \
	X(0x0108, FREE_ORPHAN, "free-orphan")       \
	X(0x0201, VERSION, "version")               \
	X(0x0202, DIGEST, "digest")                 \
	X(0x0203, SNAPSHOT, "snapshot")             \
	X(0x0204, RESTORE, "restore")               \
	X(0x0205, STREAM_COMMIT, "stream-commit")   \
	X(0x0206, CLONE, "clone")                   \
	X(0x0207, EXTENTS, "extents")               \
	X(0x0301, ACTOR, "actor")                   \
	X(0x0302, READS, "reads")                   \
	X(0x0303, RUN_START, "run-start")           \
	X(0x0304, RUN_END, "run-end")               \
	X(0x0305, ATTEST, "attest")                 \
	X(0x0306, IMPORT, "import")                 \
	X(0x0401, SCRUB, "scrub")                   \
	X(0x0402, REPAIR, "repair")                 \
	X(0x0403, REPLICA_ADD, "replica-add")       \
	X(0x0404, REPLICA_REMOVE, "replica-remove") \
	X(0x0405, KEY_DESTROY, "key-destroy")       \
	X(0x0501, DERIVATION, "derivation")         \
	X(0x0502, MODEL, "model")                   \
	X(0x0503, ALIAS, "alias")                   \
	X(0x0504, PREDICTION, "prediction")         \
	X(0x0505, JOB, "job")                       \
	X(0x0506, ALERT, "alert")                   \
	X(0x0507, FEEDBACK, "feedback")             \
	X(0x0601, GRANT, "grant")                   \
	X(0x0602, GRANT_REVOKE, "grant-revoke")     \
	X(0x0603, CONTRACT, "contract")             \
	X(0x0604, ASSET, "asset")                   \
	X(0x0605, PUBLISH, "publish")               \
	X(0x0606, ACCESS, "access")                 \
	X(0x0607, FED_ROUND, "fed-round")           \
	X(0x0608, MPC_ROUND, "mpc-round")

enum entry_kind {
#define X(number, id, name) ENTRY_##id = number,
	ENTRY_KINDS(X)
#undef X
		ENTRY_OPTIONAL =
			0x8000, /* from here on a reader may ignore it */
};

/* "version", "create" ...; "kind-XXXX" is not made up: NULL if unnamed. */
const char *entry_kind_name(uint16_t kind);
/* The number for a name, 0 if there is none. */
uint16_t entry_kind_from_name(const char *name);

struct entry_core {
	uint16_t kind;
	uint16_t flags; /* 0 */
	int64_t wall_ns;
	uint64_t inode;
	uint64_t parent;
	uint64_t version;
	struct digest prev;
	struct digest actor;
};

/* A borrowed string: bytes without NUL, not terminated. */
struct entry_str {
	const char *p;
	size_t n;
};

#define ENTRY_STR(s) ((struct entry_str){ .p = (s), .n = strlen(s) })

/* Borrowed TLVs (whole: tag, len, value ...), all with tag >= 0x8000. */
struct entry_tlvs {
	const uint8_t *p;
	size_t n;
};

enum entry_strength {
	ENTRY_GUESSED = 0,
	ENTRY_ANCESTRY = 1,
	ENTRY_HANDLE = 2,
	ENTRY_EXACT = 3,
};
/* "guessed", "by ancestry", "by handle", "exact"; NULL beyond. */
const char *entry_strength_word(unsigned strength);

enum entry_reason {
	ENTRY_REASON_CLOSE = 1,
	ENTRY_REASON_IDLE = 2,
	ENTRY_REASON_DEMAND = 3,
	ENTRY_REASON_SNAPSHOT = 4,
	ENTRY_REASON_UNMOUNT = 5,
	ENTRY_REASON_EVERY_WRITE = 6,
	ENTRY_REASON_EXTENTS = 7,
};
const char *entry_reason_word(unsigned reason);

enum entry_content_alg { ENTRY_CONTENT_BLAKE3 = 1 };

/* --- bodies: 00xx control --- */

struct entry_genesis {
	struct entry_str origin;
	unsigned n_admin; /* 1..ENTRY_ADMIN_MAX */
	uint8_t admin[ENTRY_ADMIN_MAX][32];
	uint8_t nonce[16];
};

struct entry_key_add {		/* KEY_ADD, ROTATE */
	uint8_t cert[128];	/* ledger/cert.h */
	uint8_t old_key_id[16]; /* ROTATE only: the key this one replaces */
	struct entry_str name;	/* of the mount or host; may be empty */
};

struct entry_revoke { /* needs author_sig of an admin key */
	uint8_t key_id[16];
	uint8_t reason;		  /* 1 retired, 2 lost, 3 stolen */
	int64_t suspect_since_ns; /* 0: nothing is disputed */
	struct digest last_good;  /* leaf hash of a seal, or 0 */
	struct entry_str comment;
};

enum entry_start_flags {
	ENTRY_START_CLEAN = 1,	 /* the previous mount stopped in order */
	ENTRY_START_TORN = 2,	 /* a torn tail was cut */
	ENTRY_START_ADOPTED = 4, /* `vouch adopt` */
	ENTRY_START_TOOL = 8,	 /* a command wrote, nothing was mounted */
};

struct entry_mount_start {
	uint8_t flags;
	uint8_t incarnation[16];
	uint32_t uid;		  /* of the daemon */
	struct entry_str program; /* "vouchfs 0.1" */
	struct entry_str host;
	struct entry_str mountpoint; /* empty for tools */
	struct entry_str options;
};

struct entry_mount_stop {
	uint8_t reason; /* 1 unmount, 2 signal, 3 error */
};

struct entry_new_origin { /* needs author_sig of an admin key */
	uint64_t lost_size;
	struct digest lost_root;
	uint8_t log_pub[32]; /* the new log key */
	struct entry_str old_origin;
	struct entry_str new_origin;
};

struct entry_param {
	struct entry_str name;
	struct entry_str value;
};

/* Items: `v` when encoding; after decoding `v` is NULL, use the _at(). */
struct entry_params { /* names strictly ascending (bytes) */
	uint16_t n;
	const struct entry_param *v;
	const uint8_t *raw;
	size_t raw_n;
};

enum entry_keep { /* none of them: everything is kept */
		  ENTRY_KEEP_AGE = 1,
		  ENTRY_KEEP_COUNT = 2,
};
/* As nanoseconds it fits a time. */
#define ENTRY_KEEP_SECONDS_MAX 9223372036ULL

/* Both set: whichever keeps more. */
struct entry_rule {
	uint8_t keep;	   /* enum entry_keep */
	uint64_t seconds;  /* after a version was replaced or its file freed */
	uint32_t versions; /* the last so many */
	struct entry_str pattern; /* base/glob.h, from the root */
};

/* The whole policy from here on: the first rule that matches counts. */
struct entry_policy {
	uint16_t n; /* 0: everything is kept */
	const struct entry_rule *v;
	const uint8_t *raw;
	size_t raw_n;
};

enum entry_hold_flags { ENTRY_HOLD_LIFTED = 1 };

struct entry_hold {
	uint8_t flags;
	struct digest lifted;	  /* leaf hash of the HOLD that ends, or 0 */
	uint64_t inode;		  /* held, or 0: what the pattern matches */
	struct entry_str pattern; /* or empty */
	struct entry_str reason;
};

struct entry_release {
	uint64_t inode;
	uint64_t first, last; /* versions, both included */
};

struct entry_gc {
	struct digest policy; /* leaf hash of the POLICY that allows it */
	uint64_t bytes;	      /* sum of the versions' sizes */
	uint16_t n;
	const struct entry_release *v; /* by inode, then version */
	const uint8_t *raw;
};

/* --- bodies: 01xx names --- */

struct entry_create {
	uint8_t dtype; /* DT_REG ... as in dirent */
	uint16_t mode; /* permission bits and suid, sgid, sticky */
	uint32_t uid;
	uint32_t gid;
	uint64_t rdev;
	struct entry_str name;	 /* empty only with parent 0: root, O_TMPFILE */
	struct entry_str target; /* DT_LNK only, then present */
	const uint8_t *acl;	 /* NULL: none; bytes of the xattr */
	size_t acl_n;
	const uint8_t *default_acl; /* DT_DIR only */
	size_t default_acl_n;
	bool has_dir_salt; /* DT_DIR only, then always */
	uint8_t dir_salt[16];
};

enum entry_unlink_flags {
	ENTRY_UNLINK_RMDIR = 1,
	ENTRY_UNLINK_FREED = 2, /* with its last name the inode is gone */
};

struct entry_link { /* LINK (flags 0), UNLINK */
	uint8_t flags;
	struct entry_str name;
};

enum entry_rename_flags {
	ENTRY_RENAME_EXCHANGE = 1,
	ENTRY_RENAME_FREED = 2, /* the replaced inode is gone with its name */
};

struct entry_rename {
	uint8_t flags;
	uint64_t new_parent;
	uint64_t replaced; /* inode that lost its name (or the other one) */
	struct entry_str old_name;
	struct entry_str new_name;
};

enum entry_setattr_mask {
	ENTRY_ATTR_MODE = 1,
	ENTRY_ATTR_UID = 2,
	ENTRY_ATTR_GID = 4,
	ENTRY_ATTR_ATIME = 8,
	ENTRY_ATTR_MTIME = 16,
	ENTRY_ATTR_CTIME = 32,
	ENTRY_ATTR_ALL = 63,
};

struct entry_setattr {
	uint32_t mask; /* not 0 */
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	int64_t atime_ns;
	int64_t mtime_ns;
	int64_t ctime_ns;
};

struct entry_setxattr { /* RMXATTR uses name alone */
	struct entry_str name;
	uint32_t value_n;
	const uint8_t *value;  /* value_n <= LIMIT_XATTR_INLINE */
	struct digest content; /* of a longer value, a chunk */
};

/* --- bodies: 02xx content --- */

enum entry_version_flags {
	ENTRY_VERSION_SHA256 = 1,
	ENTRY_VERSION_READS = 2,
	ENTRY_VERSION_HULL = 4, /* the ranges are a hull */
};

struct entry_range {
	uint64_t lo;
	uint64_t hi; /* first byte after */
};

struct entry_version {
	uint8_t flags;
	uint8_t content_alg;
	uint8_t reason;
	uint8_t attribution; /* enum entry_strength */
	uint64_t size;
	int64_t mtime_ns;
	uint16_t n_ranges;
	struct entry_range ranges[LIMIT_RANGES]; /* ascending, disjoint */
	struct digest tree_root;
	struct digest sha256;  /* with ENTRY_VERSION_SHA256 */
	struct digest reads;   /* with ENTRY_VERSION_READS: head of the chain */
	struct digest extents; /* last EXTENTS absorbed, or 0 */
	struct entry_str
		path; /* as opened, relative to the root, no '/' first */
};

struct entry_digest {
	struct digest version; /* leaf hash */
	struct digest sha256;
};

struct entry_extent {
	uint64_t offset;
	uint32_t length;     /* not 0 */
	struct digest chunk; /* 0: hole */
	uint32_t chunk_offset;
};

struct entry_extents {
	uint8_t attribution;
	uint64_t size; /* of the file */
	uint16_t n;    /* may be 0: a truncation */
	const struct entry_extent *v;
	const uint8_t *raw;
};

enum entry_snapshot_flags { ENTRY_SNAPSHOT_REMOVED = 1 };

struct entry_snapshot {
	uint8_t flags;
	struct digest position; /* leaf hash of the seal named, 0: just here */
	struct digest state;	/* leaf hash of its STATE entry, or 0 */
	struct entry_str name;	/* starts with a letter, no '/' */
	struct entry_str comment;
};

/*
 * RESTORE and CLONE say where content came from and change nothing
 * themselves: the VERSION or EXTENTS of the same inode that follows does.
 */
struct entry_restore {
	uint8_t why;	       /* 1 restore, 2 undo */
	uint8_t run[16];       /* the run undone, or 0 */
	struct digest version; /* leaf hash of the version brought back */
	struct entry_str when; /* as the user said it */
};

struct entry_clone {
	uint64_t inode;	       /* source */
	struct digest version; /* source: last VERSION or EXTENTS, or 0 */
	uint64_t offset;       /* in the source */
	uint64_t length;
	uint64_t target_offset;
};

/* --- bodies: 03xx who and from what --- */

struct entry_actor {
	uint32_t uid;
	uint32_t gid;
	uint32_t tgid;
	uint64_t start; /* /proc/PID/stat field 22 */
	uint32_t ppid;
	struct digest exe_digest; /* SHA-256; 0: not known yet */
	uint8_t run[16];
	uint8_t git[20];
	uint8_t dirty; /* 0, 1 */
	struct entry_str exe;
	struct entry_str argv; /* ledger/argv.h form */
	struct entry_str cwd;
	struct entry_str host;
};

struct entry_read {
	uint8_t strength;
	struct digest version; /* leaf hash of a VERSION or EXTENTS */
	struct digest content; /* its tree_root; 0: not known yet */
};

struct entry_reads {
	struct digest previous; /* leaf hash of the READS before, or 0 */
	uint16_t n;
	const struct entry_read *v;
	const uint8_t *raw;
};

struct entry_env {
	struct entry_str name;
	struct digest value; /* SHA-256 of salt-free value */
};

struct entry_run_start {
	uint8_t run[16];
	uint8_t flags; /* 0 */
	uint32_t uid;
	uint32_t gid;
	uint8_t git[20];
	uint8_t dirty;
	struct entry_str name;
	struct entry_str argv;
	struct entry_str cwd;
	struct entry_str user;
	struct entry_str host;
	struct entry_str policy;
	uint16_t n; /* environment, names strictly ascending */
	const struct entry_env *v;
	const uint8_t *raw;
	size_t raw_n;
};

struct entry_run_end {
	uint8_t run[16];
	struct digest start; /* leaf hash of the RUN_START */
	uint8_t how;	     /* 1 exit, 2 signal, 3 lost */
	uint32_t status;     /* exit status or signal number */
	int64_t started_ns;
	uint64_t processes;
};

enum entry_attest_what {
	ENTRY_ATTEST_EXE = 1,  /* an ACTOR's executable */
	ENTRY_ATTEST_READ = 2, /* item `item` of a READS */
};

struct entry_attest {
	struct digest subject; /* leaf hash */
	uint8_t what;
	uint16_t item;
	struct digest digest;
};

struct entry_anchor {
	uint8_t kind;  /* 1: a commit of git */
	uint64_t size; /* of the checkpoint that was put there */
	struct digest root;
	uint8_t commit[20];
	struct entry_str location, ref; /* the repository, and what in it */
};

enum entry_import_trust {
	ENTRY_IMPORT_VERIFIED = 1, /* by a key that who imported trusts */
	ENTRY_IMPORT_CLAIMED = 2,  /* by the keys that came along */
};
/* Of items, and the bytes of each one's path. */
enum { ENTRY_IMPORT_ITEMS_MAX = 64, ENTRY_IMPORT_TEXT_MAX = 512 };

struct entry_imported { /* what the writer there had opened */
	uint8_t strength;
	struct digest version; /* leaf hash in the log there */
	struct digest sha256;  /* 0: not known */
	struct entry_str path;
};

/*
 * The version of the same inode came from another volume, as a proof of its
 * log says that was checked when the entry was made.
 */
struct entry_import {
	uint8_t trust;
	uint8_t attribution;   /* of the writer there */
	struct digest version; /* leaf hash of the VERSION here */
	uint8_t volume[16];    /* there, as are all that follow: */
	uint8_t key[16];       /* of the mount that signed */
	uint64_t seal;
	struct digest source; /* leaf hash of the VERSION */
	uint64_t source_version;
	int64_t wall_ns;
	struct digest sha256; /* of the bytes, here and there */
	struct entry_str origin;
	struct entry_str path;
	struct entry_str exe; /* of the writer */
	struct entry_str argv;
	uint16_t n; /* ledger/entry_import.h */
	const uint8_t *raw;
	size_t raw_n;
	uint32_t left_out; /* items that there was no room for */
};

/* --- bodies: 04xx storage --- */

struct entry_scrub {
	uint16_t replica;
	uint64_t objects;
	uint64_t bytes;
	uint64_t bad;
	uint64_t repaired;
};

struct entry_repair {
	uint8_t what; /* 1 chunk, 2 node, 3 pack, 4 journal segment, 5 tile */
	uint16_t source; /* replica numbers */
	uint16_t target;
	struct digest id; /* content id; 0 where there is none */
	uint64_t bytes;
	struct entry_str object; /* name in the replica */
};

/* --- bodies: 05xx --- */

enum entry_alert_what {
	ENTRY_ALERT_CONTENT = 1, /* no good copy of a chunk anywhere */
	ENTRY_ALERT_MORE,	 /* as 1, and there are more than are entered */
	ENTRY_ALERT_DENIED,	 /* a guarded run was denied something */
};

struct entry_alert {
	uint8_t what;
	struct digest id; /* content id; DENIED: the run's, then zeros */
	struct entry_str text;
};

struct entry_replica { /* REPLICA_ADD, REPLICA_REMOVE */
	uint16_t number;
	uint8_t kind; /* 1 directory */
	uint8_t id[16];
	struct entry_str location; /* empty in REPLICA_REMOVE */
};

/* An own signature over kind and body, made outside the mount. */
struct entry_author_sig {
	bool present;
	uint8_t key_id[16];
	uint8_t sig[64];
};

struct entry_body {
	uint16_t kind;
	union {
		struct entry_genesis genesis;
		struct entry_key_add key_add; /* also ROTATE */
		struct entry_revoke revoke;
		struct entry_mount_start mount_start;
		struct entry_mount_stop mount_stop;
		struct entry_new_origin new_origin;
		struct entry_params params;
		struct entry_policy policy;
		struct entry_hold hold;
		struct entry_gc gc;
		struct entry_create create;
		struct entry_link link; /* also UNLINK */
		struct entry_rename rename;
		struct entry_setattr setattr;
		struct entry_setxattr setxattr; /* also RMXATTR */
		struct entry_version version;
		struct entry_digest digest;
		struct entry_snapshot snapshot;
		struct entry_restore restore;
		struct entry_clone clone;
		struct entry_extents extents;
		struct entry_actor actor;
		struct entry_reads reads;
		struct entry_run_start run_start;
		struct entry_run_end run_end;
		struct entry_attest attest;
		struct entry_anchor anchor;
		struct entry_import import;
		struct entry_scrub scrub;
		struct entry_repair repair;
		struct entry_alert alert;
		struct entry_replica replica; /* also REPLICA_REMOVE */
	};
	struct entry_author_sig author;
	struct entry_tlvs extra; /* kept so that re-encoding is exact */
	bool opaque;		 /* kind >= 0x8000: nothing above is set */
};

/*
 * Appends the canonical bytes of b (b->kind says which member).
 * -ERR_FORMAT: a field breaks a rule; -ERR_LIMIT: too long; -ENOMEM.
 */
int must_use entry_body_encode(struct buf *out, const struct entry_body *b);

/*
 * Decodes a body strictly.  Kinds >= 0x8000 give b->opaque.
 * -ERR_NEWER: kind or critical TLV unknown; -ERR_FORMAT: a rule is broken;
 * -ERR_NONCANON: not the one encoding.
 */
int must_use entry_body_decode(struct entry_body *out, uint16_t kind,
			       const void *p, size_t n);

/* The value of an optional TLV, borrowed; empty when there is none. */
struct entry_str entry_tlv(const struct entry_body *b, uint16_t tag);

/*
 * Bytes of a version that are no holes: what its TLV ALLOCATED says, else (or
 * when that makes no sense) its size.
 */
uint64_t entry_version_allocated(const struct entry_body *b);
/* That TLV for b->extra: ENTRY_ALLOCATED_MAX bytes at most; returns how many,
 * 0 when none is needed. */
enum { ENTRY_ALLOCATED_MAX = 12 };
size_t entry_version_allocated_put(uint8_t out[ENTRY_ALLOCATED_MAX],
				   uint64_t size, uint64_t allocated);

/* Item i < n of a list, whether given as an array or decoded. */
void entry_extents_at(struct entry_extent *out, const struct entry_extents *b,
		      unsigned i);
void entry_reads_at(struct entry_read *out, const struct entry_reads *b,
		    unsigned i);
void entry_gc_at(struct entry_release *out, const struct entry_gc *b,
		 unsigned i);
/* Linear in i: the items have no fixed size. */
void entry_policy_at(struct entry_rule *out, const struct entry_policy *b,
		     unsigned i);
void entry_params_at(struct entry_param *out, const struct entry_params *b,
		     unsigned i);
void entry_run_env_at(struct entry_env *out, const struct entry_run_start *b,
		      unsigned i);

/* The rules between core and body (which fields are 0, empty names ...). */
int must_use entry_check(const struct entry_core *core,
			 const struct entry_body *b, struct errmsg *em);

/*
 * Calls fn for every leaf hash the entry refers to (actor, prev, reads head,
 * version ...), zeros left out; nonzero stops and is returned.
 */
typedef int entry_ref_fn(void *ctx, const struct digest *leaf);
int entry_refs(const struct entry_core *core, const struct entry_body *b,
	       entry_ref_fn *fn, void *ctx);

/* True for names a directory entry may have. */
bool entry_name_ok(const char *p, size_t n);

/* --- stored form --- */

enum entry_state {
	ENTRY_CLEAR = 0,
	ENTRY_ENCRYPTED = 1,
	ENTRY_REDACTED = 2,
};

/* A stored entry, taken apart; pointers borrow the stored bytes. */
struct entry_view {
	struct entry_core core;
	const uint8_t *core_bytes; /* ENTRY_CORE_SIZE */
	uint8_t state;
	const uint8_t *salt; /* clear: 16 bytes */
	const uint8_t *body; /* clear: plain; encrypted: ciphertext */
	size_t body_n;
	struct digest commit;	/* encrypted, redacted: as stored */
	const uint8_t *key_ref; /* encrypted: 16 bytes */
	const uint8_t *nonce;	/* encrypted: 24 bytes */
	struct digest redact;	/* redacted: leaf hash of the REDACT */
};

/* The 104 bytes of a core. */
void entry_core_encode(uint8_t out[ENTRY_CORE_SIZE],
		       const struct entry_core *core);
int must_use entry_core_decode(struct entry_core *out,
			       const uint8_t p[ENTRY_CORE_SIZE]);

/* Appends core || 0 || salt || u32 n || body.  -ERR_LIMIT; -ENOMEM. */
int must_use entry_encode(struct buf *out, const struct entry_core *core,
			  const uint8_t salt[16], const void *body, size_t n);

/* Takes exactly n stored bytes apart; the body is not decoded. */
int must_use entry_decode(struct entry_view *out, const void *p, size_t n);

/* A whole entry as others use it. */
struct entry {
	struct entry_core core;
	uint8_t state; /* not ENTRY_CLEAR: body.opaque, nothing known */
	struct entry_body body;
};

/*
 * Takes stored bytes apart, the body too, and checks all rules; borrows
 * from p.  out_view may be NULL.  Errors as the decoders'.
 */
int must_use entry_open(struct entry *out, struct entry_view *out_view,
			const void *p, size_t n, struct errmsg *em);
/* The same of what entry_decode() gave. */
int must_use entry_open_view(struct entry *out, const struct entry_view *view,
			     struct errmsg *em);

/*
 * Appends the stored form of a clear entry and gives its leaf hash: body
 * encoding, entry_encode and entry_leaf in one.  e->body.kind must equal
 * e->core.kind.
 */
int must_use entry_store(struct buf *out, struct digest *out_leaf,
			 const struct entry *e, const uint8_t salt[16]);

/* SHA-256("vouchfs/body/v1\n" || salt || body). */
void entry_commit(struct digest *out, const uint8_t salt[16], const void *body,
		  size_t n);
/* SHA-256(0x00 || core || commit): what everything else refers to. */
void entry_leaf(struct digest *out, const uint8_t core[ENTRY_CORE_SIZE],
		const struct digest *commit);
/* The leaf hash of a stored entry in any state. */
void entry_view_leaf(struct digest *out, const struct entry_view *v);

/*
 * Bytes that the author signature of a body covers: appended to out.  The
 * signature is over kind and the body without its AUTHOR_SIG TLV, bound to
 * the volume.
 */
int must_use entry_author_message(struct buf *out, const struct entry_body *b,
				  const uint8_t volume_id[16]);

/* Inode numbers: who made them, and in which order. */
#define ENTRY_INODE_ROOT 1ULL
#define ENTRY_INODE(mount_no, counter) \
	((uint64_t)(mount_no) << 40 | (uint64_t)(counter))

/* SEAL.POSITION as one number, and back. */
#define ENTRY_NO(seal, pos) ((int64_t)((uint64_t)(seal) << 12 | (pos)))
#define ENTRY_NO_SEAL(no) ((uint64_t)(no) >> 12)
#define ENTRY_NO_POS(no) ((unsigned)((no)&0xfff))
_Static_assert(LIMIT_BATCH <= 4096, "a position fits 12 bits");

#endif
