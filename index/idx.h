/*
 * idx.h - the SQLite view of the ledger: a cache, safe to delete.
 *
 * index.db is written by one thread (the applier) through a struct idx, in
 * batches; the applied position (seals applied, log root there) is in the same
 * transaction.  Readers open their own struct idx_reader (a read-only
 * connection with prepared statements, one per thread).  Beside it lies
 * leaves.tab, a compact table leaf hash -> entry_no.
 *
 * entry_no = seal index << 12 | position in the batch.
 */
#ifndef INDEX_IDX_H
#define INDEX_IDX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"
#include "index/state.h"

struct buf;
struct entry;
struct errmsg;
struct idx;
struct idx_reader;
struct vio;

#define IDX_NAME "index.db"
#define IDX_REBUILD_NAME "index.rebuild.db"

#define IDX_ENTRY_NO(seal, pos) ((uint64_t)(seal) << 12 | (uint64_t)(pos))
#define IDX_SEAL(no) ((uint64_t)(no) >> 12)
#define IDX_POS(no) ((uint32_t)((no)&4095))

/* pubkey.reason of a key that a ROTATE replaced; else REVOKE's reason. */
enum { IDX_KEY_ROTATED = 255 };

struct idx_options {
	struct vio *vio;  /* rooted at STORE, for leaves.tab */
	const char *dir;  /* absolute path of STORE, for SQLite */
	const char *name; /* NULL: "index.db" (a rebuild uses another) */
	bool read_only;	  /* position and compare only; no leaves.tab */
};

/*
 * Opens or creates.  -ERR_CORRUPT / -ERR_NEWER / -ERR_FORMAT in words: the
 * caller then deletes and rebuilds.
 */
int must_use idx_open(struct idx **out, const struct idx_options *o,
		      struct errmsg *em);
void idx_close(struct idx *x); /* checkpoints SQLite's WAL; NULL ok */

/* How far the index is: number of seals applied, and the log root there. */
int must_use idx_position(struct idx *x, uint64_t *out_seals,
			  struct digest *out_root);

/*
 * Applies whole batches: begin, for each seal idx_seal and its entries in
 * order (decoded), end with the new position (what idx_position then says;
 * the next seal's index).  Between begin and end nothing is visible to
 * readers.  A rejected entry is recorded as such.  After any error: idx_abort
 * (the index is then as before idx_begin).  -ERR_USAGE: out of order;
 * -ERR_NEWER: an entry of a kind not known here.
 */
int must_use idx_begin(struct idx *x);
int must_use idx_apply(struct idx *x, const struct entry *e,
		       const struct digest *leaf, uint64_t entry_no);
/* signer: mount_no of the seal; told once per seal before its entries. */
int must_use idx_seal(struct idx *x, uint64_t seal, uint32_t mount_no,
		      int64_t wall_ns, uint32_t count);
int must_use idx_end(struct idx *x, uint64_t seals, const struct digest *root);
void idx_abort(struct idx *x);
/* Between batches, on a full disk: SQLite's log begins anew in its file. */
void idx_tidy(struct idx *x);
/* About so large is that log to be, on a small disk; 1 to 16 MiB. */
void idx_keep_small(struct idx *x, uint64_t bytes);

/*
 * A rebuild is an idx with name IDX_REBUILD_NAME, filled from the log and
 * closed; idx_replace puts it in the place of index.db (both closed).  A
 * crash meanwhile leaves the old one, the new one or none.
 */
int must_use idx_replace(struct vio *v, struct errmsg *em);
/*
 * Deletes an index (name NULL: index.db) with all its files; none there is no
 * error.
 */
int must_use idx_remove(struct vio *v, const char *name);

/* Compares two index files row for row; differences in words to found(). */
int must_use idx_compare(const char *dir, const char *name_a,
			 const char *name_b,
			 void (*found)(void *ctx, const char *words), void *ctx,
			 uint64_t *out_differences, struct errmsg *em);

/* --- readers --- */

int must_use idx_reader_open(struct idx_reader **out, const char *dir,
			     struct errmsg *em);
void idx_reader_close(struct idx_reader *r); /* NULL ok */

/*
 * Namespace look-ups for the mount: 1 found, 0 not, negative error.  target
 * is malloc'd into out->target (caller frees).
 */
int must_use idx_inode(struct idx_reader *r, struct inode_row *out,
		       uint64_t ino);
int must_use idx_name(struct idx_reader *r, struct name_row *out,
		      uint64_t parent, const char *name, uint16_t len);
/*
 * A name with its inode: half the cost of asking twice.  inode->ino 0: the
 * inode is not there, or cannot be read; target is the caller's.
 */
int must_use idx_name_inode(struct idx_reader *r, struct name_row *out,
			    struct inode_row *out_inode, uint64_t parent,
			    const char *name, uint16_t len);
/* Names of `parent` with cookie > after, ascending, at most max. */
typedef int idx_name_fn(void *ctx, const struct name_row *row, const char *name,
			uint16_t len);
int must_use idx_names(struct idx_reader *r, uint64_t parent, uint64_t after,
		       uint32_t max, idx_name_fn *fn, void *ctx);
/*
 * The same names, each with its inode: all of it (whole), or what stat(2) is
 * made of (mode to size, times but btime, allocated; the rest zero).  .ino 0:
 * the inode cannot be read.  Names whose inode is not there are left out.
 * inode->target is the callback's (whole; others have none).
 */
typedef int idx_listed_fn(void *ctx, const struct name_row *row,
			  const char *name, uint16_t len,
			  struct inode_row *inode);
int must_use idx_list(struct idx_reader *r, uint64_t parent, uint64_t after,
		      uint32_t max, bool whole, idx_listed_fn *fn, void *ctx);
/*
 * Inodes from that number on, ascending, at most max; what cannot be read is
 * left out.  row->target is the callback's.
 */
typedef int idx_inode_fn(void *ctx, struct inode_row *row);
int must_use idx_inodes_from(struct idx_reader *r, uint64_t ino, uint32_t max,
			     idx_inode_fn *fn, void *ctx);
typedef int idx_xattr_fn(void *ctx, const char *name, uint16_t len,
			 const void *value, uint32_t value_len,
			 const struct digest *chunk); /* NULL if inline */
int must_use idx_xattrs(struct idx_reader *r, uint64_t ino, idx_xattr_fn *fn,
			void *ctx);
typedef int idx_extent_fn(void *ctx, const struct extent_row *row,
			  uint64_t entry_no);
/* Unabsorbed extents in log order. */
int must_use idx_extents(struct idx_reader *r, uint64_t ino, idx_extent_fn *fn,
			 void *ctx);
/* Inodes that need work after a crash: orphans and such with extents (flags:
 * these two alone). */
typedef int idx_ino_fn(void *ctx, uint64_t ino, uint32_t flags);
int must_use idx_unfinished(struct idx_reader *r, idx_ino_fn *fn, void *ctx);
/* How many inodes there are. */
int must_use idx_inodes(struct idx_reader *r, uint64_t *out);
/* Largest inode counter used by a mount (0: none), so none is used again. */
int must_use idx_last_ino(struct idx_reader *r, uint32_t mount_no,
			  uint64_t *out_counter);
/*
 * Leaf hash -> entry_no: 1 found, 0 not (the caller verifies against the
 * journal).  Quick while this process has the index open as a struct idx,
 * else it looks at every entry.
 */
int must_use idx_leaf(struct idx_reader *r, const struct digest *leaf,
		      uint64_t *out_entry_no);

#endif
