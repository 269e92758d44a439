/*
 * idx_query.h - what analytics and commands ask of the index: history, names
 * and paths now and in the past, versions, who, lineage, lists.
 *
 * Every function reads through a struct idx_reader of the calling thread, and
 * answers 1 found, 0 not, or a negative error (-ERR_CORRUPT for a row that
 * cannot be; -ERR_SQL, -EIO from SQLite), unless said otherwise.  Callbacks
 * may use the same reader; nonzero from one stops and is returned.  They
 * should be short: SQLite's journal grows while a query is open.
 *
 * "at" is an entry number: the state when it and all before were applied.
 * IDX_NOW is the newest state.  Everything here is a hint that the journal
 * can be asked about (entry numbers name the entries).
 */
#ifndef INDEX_IDX_QUERY_H
#define INDEX_IDX_QUERY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"
#include "base/limits.h"
#include "index/state.h"

struct buf;
struct idx_reader;

#define IDX_NOW UINT64_MAX

/* One consistent state for several queries; end soon. */
int must_use idx_reader_begin(struct idx_reader *r);
void idx_reader_end(struct idx_reader *r);

/* Seals applied, and the log's root there. */
int must_use idx_reader_position(struct idx_reader *r, uint64_t *out_seals,
				 struct digest *out_root);

/* --- entries --- */

struct idx_entry {
	uint64_t no;
	uint16_t kind; /* enum entry_kind */
	bool rejected;
	uint64_t inode, parent; /* 0: none */
	uint64_t version;
	int64_t wall_ns;
	uint64_t actor_no; /* 0: the system, or not known */
	struct digest leaf;
};
typedef int idx_entry_fn(void *ctx, const struct idx_entry *e);

int must_use idx_entry(struct idx_reader *r, struct idx_entry *out,
		       uint64_t no);
/* Entries from..until (both included), ascending, at most max. */
int must_use idx_entries(struct idx_reader *r, uint64_t from, uint64_t until,
			 uint32_t max, idx_entry_fn *fn, void *ctx);
/*
 * Entries about one inode, ascending: its own, and RENAMEs that took or
 * exchanged its name.  attributes: only what stat(2) of a past time is made
 * from (kinds 01xx: CREATE, SETATTR, names, xattrs).
 */
int must_use idx_history(struct idx_reader *r, uint64_t ino, uint64_t from,
			 uint64_t until, uint32_t max, bool attributes,
			 idx_entry_fn *fn, void *ctx);
/*
 * The last entry at wall time t: none before it in the log has a later time
 * than t (running maximum).  0 when even the first is later.
 */
int must_use idx_at_wall(struct idx_reader *r, int64_t t, uint64_t *out_no);

struct idx_seal_row {
	uint64_t seal;
	uint32_t mount_no, count;
	int64_t wall_ns, wall_max_ns; /* running maximum of entries' times */
};
int must_use idx_seal_get(struct idx_reader *r, struct idx_seal_row *out,
			  uint64_t seal);

/* --- versions --- */

struct idx_version {
	uint64_t ino, version;
	uint64_t no; /* its VERSION entry */
	uint64_t size;
	int64_t mtime_ns, wall_ns;
	struct digest tree_root; /* zero: redacted */
	bool has_sha256;
	struct digest sha256;
	uint64_t sha256_no; /* the entry that says so: VERSION or DIGEST */
	uint64_t actor_no;  /* 0: none */
	uint64_t reads_no;  /* head of the chain of READS, 0: none */
	uint8_t reason, attribution;
	uint64_t released_no; /* GC entry that gave the bytes up; 0: kept */
};
typedef int idx_version_fn(void *ctx, const struct idx_version *v);

int must_use idx_version(struct idx_reader *r, struct idx_version *out,
			 uint64_t ino, uint64_t version);
/* The newest with entry number <= at. */
int must_use idx_version_at(struct idx_reader *r, struct idx_version *out,
			    uint64_t ino, uint64_t at);
/* Versions >= from, ascending. */
int must_use idx_versions(struct idx_reader *r, uint64_t ino, uint64_t from,
			  uint32_t max, idx_version_fn *fn, void *ctx);
/* What one process wrote, entry numbers >= from, ascending. */
int must_use idx_versions_by_actor(struct idx_reader *r, uint64_t actor_no,
				   uint64_t from, uint32_t max,
				   idx_version_fn *fn, void *ctx);

/* --- names and paths; name bytes are borrowed within the callback --- */

/* mode holds the type; cookie is 0 where the name is no more. */
int must_use idx_name_at(struct idx_reader *r, struct name_row *out,
			 uint64_t parent, const char *name, uint16_t len,
			 uint64_t at);
/*
 * Names in a directory as of `at` that sort (as bytes) after the given one,
 * ascending, at most max (<= 4096 a call).  Answers how many.
 */
typedef int idx_past_name_fn(void *ctx, const struct name_row *row,
			     const char *name, uint16_t len);
int must_use idx_names_at(struct idx_reader *r, uint64_t parent,
			  const char *after, uint16_t after_len, uint32_t max,
			  uint64_t at, idx_past_name_fn *fn, void *ctx);
/* Every name an inode has now (hard links). */
int must_use idx_names_of(struct idx_reader *r, uint64_t ino,
			  idx_past_name_fn *fn, void *ctx);
/*
 * Every name that it lost in entry `from` or later; row: parent, ino, mode, and
 * in since the entry that took it away.
 */
int must_use idx_names_lost(struct idx_reader *r, uint64_t ino, uint64_t from,
			    idx_past_name_fn *fn, void *ctx);
/*
 * Appends a path relative to the root ("a/b", root: nothing).  0: the inode
 * had no name then.
 */
int must_use idx_path(struct idx_reader *r, struct buf *out, uint64_t ino,
		      uint64_t at);
/* A name that ino had then: its directory, and since when. */
int must_use idx_name_of(struct idx_reader *r, struct name_row *out,
			 char name[LIMIT_NAME + 1], uint64_t ino, uint64_t at);
/*
 * Who had that name last before row->since, and the entry that ended it (that
 * of row->since where it was replaced).
 */
int must_use idx_name_before(struct idx_reader *r, uint64_t *out_ino,
			     uint64_t *out_until, const struct name_row *row,
			     const char *name);
/*
 * Every path of an inode then, as idx_path() makes them (its hard links), in
 * no order; NUL-terminated.  Answers how many, or what fn answered.
 */
typedef int idx_path_fn(void *ctx, const char *path, size_t n);
int must_use idx_paths_at(struct idx_reader *r, uint64_t ino, uint64_t at,
			  idx_path_fn *fn, void *ctx);
/* The path now, else the last one it had. */
int must_use idx_path_last(struct idx_reader *r, struct buf *out, uint64_t ino,
			   bool *out_gone);
/* path: components between slashes, empty ones ignored; follows nothing. */
int must_use idx_resolve(struct idx_reader *r, uint64_t *out_ino,
			 const char *path, size_t n, uint64_t at);
/*
 * The inode that has the path, else the one that had it last; directories on
 * the way may be gone too.
 */
int must_use idx_resolve_last(struct idx_reader *r, uint64_t *out_ino,
			      bool *out_gone, const char *path, size_t n);

/* --- who --- */

struct idx_str {
	char *p; /* malloc'd, NUL added; may hold no NUL inside */
	size_t n;
};
struct idx_actor {
	uint64_t no, parent_no; /* parent process's ACTOR, 0: none known */
	uint32_t uid, gid, tgid, ppid;
	uint64_t start;
	bool has_exe_digest;
	struct digest exe_digest;
	uint64_t exe_digest_no;		     /* ACTOR or ATTEST */
	struct idx_str exe, argv, cwd, host; /* argv: ledger/argv.h form */
	uint8_t run[16], git[20];	     /* zeros: none */
	bool dirty;
};
/* The caller releases *out when 1. */
int must_use idx_actor(struct idx_reader *r, struct idx_actor *out,
		       uint64_t no);
void idx_actor_release(struct idx_actor *a);

/* --- lineage --- */

struct idx_read_item {
	uint64_t reads_no;     /* the READS entry, */
	uint32_t seq;	       /* item in it */
	uint64_t target_no;    /* VERSION or EXTENTS entry; 0: not in the log */
	uint64_t ino;	       /* 0: not known */
	uint64_t version;      /* of an EXTENTS: the one that absorbs it */
	uint8_t strength;      /* enum entry_strength */
	struct digest content; /* zero: not known */
};
typedef int idx_read_fn(void *ctx, const struct idx_read_item *item);

/* One READS entry: prev 0: first of its chain; actor 0: not known. */
struct idx_reads {
	uint64_t no, prev_no, actor_no;
	uint32_t count;
};
int must_use idx_reads(struct idx_reader *r, struct idx_reads *out,
		       uint64_t no);
/*
 * Everything opened before by the chain that ends in READS `head`, newest
 * READS first; an input may come several times.  Returns 0.
 */
int must_use idx_inputs(struct idx_reader *r, uint64_t head, idx_read_fn *fn,
			void *ctx);
/*
 * Every version made by a chain after it opened (ino, version): fn gets the
 * version and the item that says it was opened.  A version may come several
 * times.  Returns 0.
 */
typedef int idx_output_fn(void *ctx, const struct idx_version *v,
			  const struct idx_read_item *item);
int must_use idx_outputs(struct idx_reader *r, uint64_t ino, uint64_t version,
			 idx_output_fn *fn, void *ctx);

/* The items of one READS entry.  Returns 0. */
int must_use idx_read_items(struct idx_reader *r, uint64_t reads_no,
			    idx_read_fn *fn, void *ctx);
/* Every item that says somebody opened (ino, version).  Returns 0. */
int must_use idx_readers(struct idx_reader *r, uint64_t ino, uint64_t version,
			 idx_read_fn *fn, void *ctx);
/* READS entries of one process, numbers <= until, ascending.  Returns 0. */
typedef int idx_no_fn(void *ctx, uint64_t no);
int must_use idx_reads_by_actor(struct idx_reader *r, uint64_t actor_no,
				uint64_t until, idx_no_fn *fn, void *ctx);
/* ACTOR entries of the processes that it started, ascending.  Returns 0. */
int must_use idx_actor_children(struct idx_reader *r, uint64_t actor_no,
				idx_no_fn *fn, void *ctx);

/* --- lists --- */

struct idx_snapshot {
	const char *name; /* NUL-terminated */
	uint64_t no;
	struct digest position; /* leaf of a seal; zero: the entry's place */
	struct digest state;
	const char *comment;
};
typedef int idx_snapshot_fn(void *ctx, const struct idx_snapshot *s);
/* In the order they were made.  Returns 0. */
int must_use idx_snapshots(struct idx_reader *r, idx_snapshot_fn *fn,
			   void *ctx);
/* out_at: the entry whose state it names (position zero). */
int must_use idx_snapshot_find(struct idx_reader *r, uint64_t *out_at,
			       struct digest *out_position, const char *name);

struct idx_key {
	uint64_t no; /* GENESIS, KEY_ADD or ROTATE */
	uint32_t mount_no;
	uint8_t role; /* enum key_role */
	uint8_t key_id[16];
	uint8_t pub[32];
	const char *name;
	uint64_t until_no;	  /* 0: active; else the entry that ended it */
	uint8_t reason;		  /* of REVOKE, or IDX_KEY_ROTATED */
	int64_t suspect_since_ns; /* 0: not suspect */
};
typedef int idx_key_fn(void *ctx, const struct idx_key *k);
int must_use idx_keys(struct idx_reader *r, idx_key_fn *fn, void *ctx);

struct idx_replica {
	uint64_t no;
	uint16_t number;
	uint8_t kind;
	uint8_t id[16];
	const char *location;
	uint64_t until_no; /* 0: in use */
};
typedef int idx_replica_fn(void *ctx, const struct idx_replica *v);
int must_use idx_replicas(struct idx_reader *r, idx_replica_fn *fn, void *ctx);

struct idx_repair {
	uint64_t no;
	uint8_t what;
	uint16_t source, target;
	struct digest id;
	uint64_t bytes;
	const char *object;
};
typedef int idx_repair_fn(void *ctx, const struct idx_repair *v);
int must_use idx_repairs(struct idx_reader *r, uint64_t from, uint32_t max,
			 idx_repair_fn *fn, void *ctx);

/* --- what is kept --- */

struct idx_policy {
	uint64_t no;
	uint32_t count; /* rules */
};
/* The policy in force; 0: none was ever set, everything is kept. */
int must_use idx_policy(struct idx_reader *r, struct idx_policy *out);

struct idx_rule {
	uint32_t position; /* from 0 */
	uint8_t keep;	   /* enum entry_keep */
	uint64_t seconds;
	uint32_t versions;
	const char *pattern; /* NUL-terminated */
};
typedef int idx_rule_fn(void *ctx, const struct idx_rule *v);
/* The rules of POLICY entry `no`, in order. */
int must_use idx_rules(struct idx_reader *r, uint64_t no, idx_rule_fn *fn,
		       void *ctx);

struct idx_hold {
	uint64_t no;
	uint64_t ino;	     /* 0: a pattern */
	const char *pattern; /* NULL: an inode */
	const char *reason;
	uint64_t until_no;	  /* the HOLD that lifted it; 0: it holds */
	const char *until_reason; /* NULL unless lifted */
};
typedef int idx_hold_fn(void *ctx, const struct idx_hold *v);
/* Lifted ones too, oldest first. */
int must_use idx_holds(struct idx_reader *r, idx_hold_fn *fn, void *ctx);

struct idx_release {
	uint64_t no;
	uint64_t policy_no; /* 0: the policy it names is not in the log */
	uint64_t versions, bytes;
};
typedef int idx_release_fn(void *ctx, const struct idx_release *v);
int must_use idx_releases(struct idx_reader *r, uint64_t from, uint32_t max,
			  idx_release_fn *fn, void *ctx);

/* A version that is not released and not the newest of a file that exists. */
struct idx_candidate {
	uint64_t ino, version;
	uint64_t no;	  /* its VERSION entry */
	uint64_t next_no; /* that of the version after it; 0: the newest */
	uint64_t size;
	bool gone; /* the inode is no more */
	bool has_sha256;
	uint64_t current; /* not gone: the file's version */
};
typedef int idx_candidate_fn(void *ctx, const struct idx_candidate *v);
/* Those after (ino, version), ascending, at most max; how many. */
int must_use idx_candidates(struct idx_reader *r, uint64_t ino,
			    uint64_t version, uint32_t max,
			    idx_candidate_fn *fn, void *ctx);
/*
 * Every path that an inode ever had, through renames of the directories
 * above; one may come several times.  Returns 0, -ERR_LIMIT when there are
 * too many, or what fn answered.
 */
int must_use idx_paths_ever(struct idx_reader *r, uint64_t ino, idx_path_fn *fn,
			    void *ctx);
/*
 * Of an inode that has no name any more: the number of versions of those that
 * had its last name after it, counted up to max.  Returns 0.
 */
int must_use idx_successor_versions(struct idx_reader *r, uint64_t ino,
				    uint64_t max, uint64_t *out);
/* The newest version of ino, also of one that is gone; 0: none.  Returns 0. */
int must_use idx_newest_version(struct idx_reader *r, uint64_t ino,
				uint64_t *out);
/* The last entry about an inode that is no VERSION of it. */
int must_use idx_last_about(struct idx_reader *r, uint64_t ino, uint64_t *out);
/* Is there an EXTENTS of ino with after < no <= until? */
int must_use idx_extents_among(struct idx_reader *r, uint64_t ino,
			       uint64_t after, uint64_t until);

/* Appends the value of a parameter of the volume. */
int must_use idx_param(struct idx_reader *r, struct buf *out, const char *name);

struct idx_counts {
	uint64_t seals, entries, rejected;
	uint64_t files, dirs, others; /* inodes, orphans included */
	uint64_t bytes;		      /* sum of the sizes of files */
	uint64_t versions, version_bytes;
	uint64_t released, released_bytes; /* of the versions */
	int64_t wall_max_ns; /* newest entry's time, running maximum */
};
/* Returns 0. */
int must_use idx_counts(struct idx_reader *r, struct idx_counts *out);

/* --- what content is reachable from: index/idx_roots.c --- */

enum idx_root_kind {
	IDX_ROOT_VERSION, /* a tree: id, size, ino, version, no */
	IDX_ROOT_CHUNK,	  /* one chunk: of an extent or an attribute */
	IDX_ROOT_SAVE,	  /* an EXTENTS entry: no; its body names chunks */
};
struct idx_root {
	uint8_t kind; /* enum idx_root_kind */
	struct digest id;
	uint64_t size, ino, version, no;
};
typedef int idx_root_fn(void *ctx, const struct idx_root *root);
/*
 * Every version that is not released, every chunk of an extent that no
 * version has absorbed and of an attribute; with `saves` every EXTENTS entry
 * whose versions are not released, without it those alone that a snapshot
 * shows.  In no order; nonzero from fn stops and is
 * returned.  The reader may be used in fn.  -ERR_CORRUPT: versions are
 * missing from the index.
 */
int must_use idx_roots(struct idx_reader *r, bool saves, idx_root_fn *fn,
		       void *ctx);

#endif
