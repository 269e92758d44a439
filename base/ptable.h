/*
 * ptable.h - a set of (64-bit key, 64-bit value) pairs on disk, for tables
 * that can be rebuilt: leaf hash -> entry number, chunk id -> place.
 *
 * Keys are the first 8 bytes of digests, so a key may have several values and
 * a value found is a candidate that the caller verifies.
 *
 * The crash rule: what is found after any crash (process or power, at any
 * moment) is *exactly* the set as it stood at some ptable_flush, and
 * ptable_mark gives the mark of that flush.  So a mark that says "complete up
 * to X" is never wrong, and reopening costs the puts after X.  A flush that
 * returned 0 is never undone.  A torn tail is no error; damage that could
 * hide a pair is: -ERR_CORRUPT, then rebuild (ptable_remove, ptable_open).
 *
 * Files: PATH, and beside it PATH.run-* and PATH.log-*.
 *
 * Threads: any.  Puts, deletes and flushes wait for each other.  Sorting and
 * merging is done beside them: a large table (of 4 MiB of cache, or more) has
 * a thread for it, and a put waits for that only when all its memory was filled
 * while the half before was written, and then for the rest of that writing,
 * whatever is merged and however long it takes.  So a put waits at most for
 * one flush and one run of cache_bytes / 256 pairs; only in a table that could
 * not merge for long (no space) and has PTABLE_RUNS_MAX runs also for the
 * merge that must come first.  Gets wait for nothing.
 */
#ifndef BASE_PTABLE_H
#define BASE_PTABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"

struct errmsg;
struct ptable;
struct vio;

enum { PTABLE_MARKS = 4 };

/*
 * Opens the table at `path` (its directory exists), making an empty one with
 * a mark of zeros where there is none.  Uses about cache_bytes of memory when
 * large (at least 64 KiB), little when small.  One opener at a time: the
 * caller holds the store's lock.  Expected error: -ERR_CORRUPT.
 */
int must_use ptable_open(struct ptable **out, struct vio *v, const char *path,
			 size_t cache_bytes, struct errmsg *em);
/* Forgets what was not flushed.  NULL is a no-op. */
void ptable_close(struct ptable *t);

/* Adds the pair; nothing happens when it is there.  Expected: -ENOSPC. */
int must_use ptable_put(struct ptable *t, uint64_t key, uint64_t value);
/* Removes the pair; nothing happens when it is absent.  Expected: -ENOSPC. */
int must_use ptable_del(struct ptable *t, uint64_t key, uint64_t value);
/*
 * Gives the number of values of the key, in no particular order; at most
 * `max` of them are in out.  Expected error: -ERR_CORRUPT.
 */
int must_use ptable_get(struct ptable *t, uint64_t key, uint64_t *out,
			size_t max);
/*
 * Makes everything up to now durable, together with the mark; one fdatasync
 * most of the time.  After an error the table is usable and the next flush
 * tries again; until then the last good flush counts.  Expected: -ENOSPC.
 */
int must_use ptable_flush(struct ptable *t, const uint64_t mark[PTABLE_MARKS],
			  struct errmsg *em);
/* The mark of the last flush. */
void ptable_mark(struct ptable *t, uint64_t out[PTABLE_MARKS]);
/*
 * Empties the table, mark zero, durable when it returns 0.  Also after an
 * error the table is empty, but not yet on disk: flush or reset again.
 */
int must_use ptable_reset(struct ptable *t, struct errmsg *em);
/* Deletes the files of a table that is not open. */
int must_use ptable_remove(struct vio *v, const char *path);

/*
 * Calls fn for every pair in the order of (key, value); nonzero stops and is
 * returned.  Writers wait meanwhile: fn must not call this table.
 */
typedef int ptable_each_fn(void *ctx, uint64_t key, uint64_t value);
int must_use ptable_each(struct ptable *t, ptable_each_fn *fn, void *ctx);

struct ptable_stats {
	uint64_t pairs;	    /* upper bound: doubles and removals count */
	uint64_t runs;	    /* sorted files */
	uint64_t memory;    /* bytes held */
	uint64_t mem_pairs; /* of pairs, not yet in a run */
	uint64_t waits;	    /* puts that waited for a run to be written */
};
void ptable_stats(struct ptable *t, struct ptable_stats *out);

/* Reads and checks every page on disk: order, counts, checksums, filters. */
int must_use ptable_check(struct ptable *t, struct errmsg *em);

#endif
