/*
 * content.h - the bytes of one open or dirty file.
 *
 * A content is a base (the tree of the last version), an overlay of extents
 * (written since, already chunks), and buffered bytes (written, not yet
 * chunks).  Sequential bytes are cut, hashed, compressed and stored by worker
 * threads while they stream; scattered small writes wait in the buffer until
 * there are 2 MiB of them, or content_save.  content_version re-cuts the touched neighbourhood only and
 * gives the canonical tree (DESIGN 4, invariant 10).
 *
 * It knows nothing of inodes, names, entries or the kernel: core.c decides
 * when to save and when to make a version, and what entry says so.
 *
 * Invariants: (1) a read sees every write that returned before it began, and
 * no byte is ever exposed that was truncated away.  (2) What content_save or
 * content_version returned is durable, or staged under the ids it lists.
 * (3) Buffered bytes of all contents of a pool stay below the pool's limit;
 * writers wait (holding no lock) until there is room.  (4) Space for a
 * buffered byte is reserved in the store before the write returns: a full
 * disk is -ENOSPC at write, save or version, and loses nothing acknowledged.
 *
 * Threads: every call is thread-safe; save, version and spilling of one
 * content exclude each other, reads and writes go on meanwhile.  The caller
 * sees to it that what a save or a version returned is entered (and versioned
 * is called) before the next save or version of the same content begins.  No
 * lock that a save, a version or a close needs may be held in a write or a
 * clone: they wait for room, and the room that a version's bytes take is free
 * only once it is versioned.
 */
#ifndef FS_CONTENT_H
#define FS_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/auto.h"
#include "base/digest.h"

struct content;
struct content_pool;
struct extent_row; /* index/state.h */
struct store;
struct vio;

struct content_pool_options {
	struct store *store;
	struct vio *vio;	  /* clock */
	uint32_t workers;	  /* 0: 2 */
	uint64_t dirty_bytes_max; /* 0: LIMIT_DIRTY_BYTES */
	uint64_t extents_max;	  /* 0: LIMIT_HELD_EXTENTS */
	/* no plain digests of streams: true, or where they cost too much */
	bool digests_later;
};

int must_use content_pool_open(struct content_pool **out,
			       const struct content_pool_options *o);
void content_pool_close(struct content_pool *p); /* all contents are closed */
uint64_t content_pool_dirty(struct content_pool *p);
/*
 * Extents of all contents, and how many there may be: above that, whoever
 * writes here and there waits a while after each write.  Versions make them
 * fewer.
 */
uint64_t content_pool_extents(struct content_pool *p);
uint64_t content_pool_extents_max(const struct content_pool *p);
/* Reads and writes so far: who does idle work looks whether it changed. */
uint64_t content_pool_uses(struct content_pool *p);
/* Buffers that streams of writes took so far; reads take none. */
uint64_t content_pool_streams(struct content_pool *p);

/* No stream is written: memory kept for the next one goes. */
void content_pool_trim(struct content_pool *p);
/*
 * Idle bulk writers give their packs back, so that gc may look at them; new
 * ones are made when they are needed.
 */
void content_pool_rest(struct content_pool *p);

/*
 * What every open content relies on at the moment when it is looked at: the
 * versions below it, and the chunks of its extents.  Both are called with the
 * content's lock held: no I/O, no call of these.
 */
struct content_each {
	int (*root)(void *ctx, const struct digest *root, uint64_t size);
	void (*chunk)(void *ctx, const struct digest *id);
	void *ctx;
};
/* First nonzero answer of root(). */
int must_use content_pool_each(struct content_pool *p,
			       const struct content_each *fns);

/* The content of a version: {zero root, 0} is a new empty file. */
int must_use content_open(struct content **out, struct content_pool *p,
			  const struct digest *root, uint64_t size);
/*
 * What the entry of that version says of its bytes that are no holes; else
 * they are counted when somebody asks.
 */
void content_base_allocated(struct content *c, uint64_t allocated);
/* Buffered bytes are dropped: save or version first.  NULL ok. */
void content_close(struct content *c);

/* After a crash: durable extents in log order; then the size. */
int must_use content_recover(struct content *c, const struct extent_row *v,
			     size_t n);
void content_recover_size(struct content *c, uint64_t size);

uint64_t content_size(struct content *c);

/* Bytes read, 0 at or past the end, negative error. */
ssize_t must_use content_read(struct content *c, void *p, size_t n,
			      uint64_t off);

/*
 * Writes n bytes at off, or (append) at the end, as one step; *out_off tells
 * where.  `stream` names the handle, for the plain digest of a file that one
 * handle wrote once in order.  May wait for room.  -ENOSPC, -EFBIG, or a
 * sticky error of the store.
 */
int must_use content_write(struct content *c, const void *p, size_t n,
			   uint64_t off, bool append, uint64_t stream,
			   uint64_t *out_off);
/*
 * The same, of the first n bytes of a spare buffer of the pool.  Where it is
 * kept for them, whatever is returned, *spare is NULL afterwards.
 */
struct dirty_buf *content_pool_spare(struct content_pool *p);
void content_pool_unspare(struct content_pool *p, struct dirty_buf *b);
int must_use content_write_spare(struct content *c, struct dirty_buf **spare,
				 size_t n, uint64_t off, bool append,
				 uint64_t stream, uint64_t *out_off);
int must_use content_truncate(struct content *c, uint64_t size);
/* Zeros a range; extends the file when !keep_size. */
int must_use content_zero(struct content *c, uint64_t off, uint64_t len,
			  bool keep_size);
/*
 * Shares bytes of `from` (may be c itself, ranges not overlapping) without
 * copying where they are chunks.  *out_len is what was shared (short at the
 * end of `from`).
 */
int must_use content_clone(struct content *c, uint64_t off,
			   struct content *from, uint64_t from_off,
			   uint64_t len, uint64_t *out_len);
/*
 * c becomes what `from` is, in one step and without copying, if it still is
 * the version {root, size} and nothing was written on it; else -EBUSY, and
 * nothing changed.  `from` has no extents of its own: a version as it was
 * opened, or content_folded; it stays open until c has its next version.
 */
int must_use content_replace(struct content *c, const struct digest *root,
			     uint64_t size, struct content *from);
/*
 * SEEK_DATA / SEEK_HOLE; -ENXIO past the end.  Holes are whole blocks of
 * 4096, or what the file has of its last one, as they are in a version.
 */
int must_use content_seek(struct content *c, uint64_t off, bool hole,
			  uint64_t *out_off);
/* Bytes that are not holes, for st_blocks; an estimate while dirty. */
uint64_t content_allocated(struct content *c);

/* What changed since the last version, and since the last save. */
struct content_state {
	bool dirty;	    /* differs from the base */
	bool unsaved;	    /* writes, truncates that no save has reported */
	uint64_t buffered;  /* bytes not yet chunks */
	uint64_t extents;   /* in the overlay */
	int64_t write_ns;   /* monotonic time of the last change */
	int64_t unsaved_ns; /* of the first unsaved change; 0 if none */
};
void content_state(struct content *c, struct content_state *out);

/*
 * Turns every buffered byte into chunks and reports all that changed since
 * the last report: extents (in an order in which later ones win), and the
 * size.  staged: ids of small chunks that must ride in the frame of the
 * first entry made from this.  Everything else is flushed.  When it returns
 * an error nothing is reported and it can be called again.
 * When n == 0 and the size is unchanged since the last report there is
 * nothing to enter.
 */
struct content_saved {
	struct extent_row *extents;
	size_t n;
	struct digest *staged;
	size_t n_staged;
	uint64_t size;
	bool size_changed;
};
int must_use content_save(struct content *c, struct content_saved *out);
void content_saved_release(struct content_saved *s);

/*
 * Makes the canonical tree of the bytes as they are now.  Chunks and nodes
 * are flushed, or staged under the ids listed.  The caller enters a VERSION
 * and then calls content_versioned(c, gen), which makes the tree the base;
 * writes that came meanwhile stay as overlay.  Calling version again without
 * versioned starts anew.
 */
struct content_version {
	uint64_t gen;
	struct digest root;
	uint64_t size;
	uint64_t allocated; /* bytes that are no holes */
	bool has_sha256;
	struct digest sha256;
	uint16_t n_ranges;
	bool ranges_are_hull;
	struct {
		uint64_t lo, hi;
	} ranges[8];
	struct digest *staged;
	size_t n_staged;
};
int must_use content_version(struct content *c, struct content_version *out);
void content_version_release(struct content_version *v);
void content_versioned(struct content *c, uint64_t gen);
/*
 * The same with no entry, for who holds too many extents and whom the log
 * need not know: nothing is staged by it, and after content_folded the tree
 * is a base that the next save or version reports.  Its chunks last as long
 * as the content does.
 */
int must_use content_fold(struct content *c, struct content_version *out);
void content_folded(struct content *c, uint64_t gen);

/*
 * SHA-256 of a version's bytes, streamed (bounded memory).  go_on (may be
 * NULL) is asked before every 256 KiB: false ends it with -ECANCELED.
 */
int must_use content_sha256(struct content_pool *p, struct digest *out,
			    const struct digest *root, uint64_t size,
			    bool (*go_on)(void *ctx), void *ctx);
/* Reads a range of a version without a content object; bytes or error. */
ssize_t must_use content_read_version(struct content_pool *p, void *buf,
				      size_t n, uint64_t off,
				      const struct digest *root, uint64_t size);

#endif
