/*
 * itable.h - rows of the namespace in memory: a cache over the index, and the
 * overlay of what the index has not applied yet.
 *
 * Invariants:
 *  (1) A row changed by a queued entry stays here until the index has applied
 *      that entry (dirty_seq <= applied), so a miss means: SQLite is right.
 *  (2) A row read from SQLite is inserted only if no row of its bucket was
 *      evicted since the read began; else it might be older than what was
 *      evicted.
 *  (3) Deleted rows and names stay as tombstones while (1) needs them.
 *  (4) Clean rows that nobody holds are an LRU of bounded length.
 *
 * Threads: one mutex, itable.mu, guards every row, name and list; no I/O
 * under it.  An operation that misses records what it needs in its
 * itable_tx, gives up the lock, calls itable_fault and starts again.
 */
#ifndef FS_ITABLE_H
#define FS_ITABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/limits.h"
#include "base/thread.h"
#include "index/state.h"

struct file;
struct idx_reader;
struct leafcell;
struct pend;

enum { ITABLE_GENS = 1024 };

struct link {
	struct link *prev, *next;
};

struct xattr {
	struct xattr *next;
	struct digest chunk; /* longer values */
	uint32_t value_len;
	uint16_t name_len;
	bool in_chunk;
	char *name;	/* name_len bytes, terminated */
	uint8_t *value; /* unless in_chunk */
};

struct inode {
	struct link lru; /* clean or dirty list; first member */
	struct inode_row row;
	struct inode *hash_next;
	uint64_t dirty_seq; /* last queued entry that changed the row */
	uint32_t refs;	    /* handles, files, queued entries, callers */
	uint32_t opens;	    /* handles: an unlinked inode waits for them */
	bool gone;	    /* tombstone */
	bool listed;	    /* on a list */
	bool listed_clean;  /* that list is the LRU */
	bool checked;	    /* its version was found in the journal */
	bool stale;	    /* the kernel may have old pages (core_bypass.c) */
	bool xattrs_loaded;
	bool orphan_queued;    /* FREE_ORPHAN is queued */
	bool all_names;	       /* a directory: each name it has is in memory */
	uint16_t ahead;	       /* a directory: names that were read ahead */
	uint64_t ahead_cookie; /* and the last of them */
	char *hint;	       /* the name it was last looked up by */
	struct xattr *xattrs;
	struct leafcell *version_cell; /* NULL: row.version_leaf */
	struct file *file;	       /* open or dirty; see file.h */
	struct pend *setattr;	       /* queued, may still be merged into */
	struct link names;	       /* dirs: dirty names, by cookie */
	struct digest last;	       /* who commits: leaf of the last entry */
	bool last_set; /* who commits: `last` is newer than row.last */
};

struct name {
	struct link lru;
	struct link in_dir; /* parent's dirty names */
	struct name *hash_next;
	struct name_row row; /* ino 0: no such name */
	uint64_t dirty_seq;
	bool dirty;
	uint8_t len;
	char name[];
};

struct itable {
	struct mutex mu;
	struct inode **inodes; /* hash tables */
	struct name **names;
	size_t n_inode_buckets, n_name_buckets; /* powers of two */
	size_t n_inodes, n_names;
	size_t max_inodes, max_names;
	size_t min_clean; /* rows of each kind that are kept in any case */
	struct link inode_lru, inode_dirty; /* oldest first */
	struct link name_lru, name_dirty;
	struct name *placed; /* the dirty name last put in order, or NULL */
	size_t n_inode_lru, n_name_lru;
	struct inode *spare;	    /* see itable_reserve() */
	uint32_t gens[ITABLE_GENS]; /* evictions per bucket, (2) */
	uint64_t seq;		    /* of the entry being applied */
	uint64_t creating;	    /* its new inode: no use to look for it */
	uint64_t applied;	    /* by the index */
	uint64_t evicted_seq; /* newest change of a name that was evicted */
	uint64_t ahead_ino;   /* the last inode that was read alone or ahead */
	uint32_t ahead;	      /* inodes that were read ahead */
};

enum itable_need_kind { NEED_NONE, NEED_INODE, NEED_NAME, NEED_XATTRS };

/* One operation's view: what it missed. */
struct itable_tx {
	struct itable *t;
	enum itable_need_kind need;
	uint64_t ino; /* or the parent */
	uint8_t len;
	char name[LIMIT_NAME + 1];
};

int must_use itable_init(struct itable *t, size_t max_inodes);
/* Everything is dropped; files must be gone. */
void itable_release(struct itable *t);

/* state_ops over a struct itable_tx (lock held). */
extern const struct state_ops itable_state_ops;

/*
 * itable.mu is held by the callers of all that follow but itable_fault,
 * itable_applied and itable_check.  (Clang cannot follow: the same lock is
 * reached as c->t.mu, tx->t->mu and through state_ops' void pointer.)
 */

/*
 * Finds an inode: 0 and *out, -ENOENT, or -ERR_RELOCKED with tx->need set.
 * Not a reference.
 */
int must_use itable_get(struct itable_tx *tx, struct inode **out, uint64_t ino);
/*
 * The same, and what is removed as long as it is remembered: somebody may
 * still ask for its attributes.
 */
int must_use itable_get_removed(struct itable_tx *tx, struct inode **out,
				uint64_t ino);
/* A name: 0 and *out (row.ino 0: there is none), or -ERR_RELOCKED. */
int must_use itable_name(struct itable_tx *tx, struct name **out,
			 uint64_t parent, const char *name, size_t len);
/* The inode's extended attributes are loaded: 0 or -ERR_RELOCKED. */
int must_use itable_xattrs(struct itable_tx *tx, struct inode *i);

/*
 * Calls fn for each chunk that holds an extended attribute of an inode that is
 * removed and remembered: the index names it no more, somebody may read it.
 */
void itable_each_removed_chunk(struct itable *t,
			       void (*fn)(void *ctx, const struct digest *id),
			       void *ctx);

void itable_hold(struct itable *t, struct inode *i);
void itable_drop(struct itable *t, struct inode *i);

/*
 * Reads what tx needs from the index and puts it here.  No lock held.
 * -ENOENT: an inode that does not exist.
 */
int must_use itable_fault(struct itable_tx *tx, struct idx_reader *r);

/* --- itable_load.c: many rows at once; no lock held --- */

/* What was in memory when somebody began to read the index. */
struct itable_look {
	uint32_t gens[ITABLE_GENS];
};
void itable_look(struct itable *t, struct itable_look *out);

/*
 * Has no inode of its bucket been evicted since?  Then one that is not here
 * is as the index said after `look`.  itable.mu held.
 */
bool itable_unseen(const struct itable *t, const struct itable_look *look,
		   uint64_t ino);
/*
 * The name was just read.  If it comes after the one before, those that follow
 * it in the directory are read, too, and their inodes.  What cannot be kept is
 * no error: whoever needs it faults.
 */
void itable_read_ahead(struct itable *t, struct idx_reader *r, uint64_t parent,
		       const char *name, size_t len);
/* The same for an inode, by number. */
void itable_read_ahead_inodes(struct itable *t, struct idx_reader *r,
			      uint64_t ino);

/* The index has applied everything up to seq. */
void itable_applied(struct itable *t, uint64_t seq);

/* Walks the structure and aborts on a broken invariant; for tests. */
void itable_check(struct itable *t);

#endif
