/*
 * chunk_cache.h - decoded chunks, least recently used out first.
 *
 * An entry is pinned while somebody reads it; pinned entries count but stay.
 * Whole chunks of a stream do not come here (store_direct.c); the others are
 * those that two of its requests share.  What was read in order to its end is
 * done with: the kernel has it in its pages.  Such entries have a list of their
 * own, of CACHED_DONE bytes, and their memory is used again at once: a stream
 * does not wash the others out, and finds its buffers in the processor's cache
 * instead of page faults.
 *
 * Invariant: bytes that a chunk_cache_good() covers are those that were there when
 * chunk_cache_sum() was called.  Whoever decodes sums first and hashes then: what
 * changes before the hash fails the hash, what changes after it the sums.  A
 * sum is of 4 KiB, so that a small read does not pay for the whole chunk
 * (BLAKE3 of 64 KiB costs 15 us, the sums of one page 0.2 us).
 *
 * Threads: any.
 */
#ifndef FS_CHUNK_CACHE_H
#define FS_CHUNK_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"
#include "base/thread.h"

enum {
	CACHED_PIECE = 4096,   /* what one sum covers */
	CACHED_DONE = 1 << 20, /* bytes done with that are kept for a while */
	CACHED_SPARE = 4 << 20,
	CACHED_CLASS = 32 << 10, /* memory comes in multiples of it */
	CACHED_CLASSES = 10,
};

/* Guarded by the cache's mutex, but for what never changes once put. */
struct cached {
	struct cached *chain; /* of its hash bucket */
	struct cached *newer, *older;
	uint32_t pins;
	bool listed; /* in the cache; if not, the last unpin frees it */
	bool done;
	struct digest id;
	uint8_t type;
	uint32_t n; /* bytes at p */
	uint32_t room;
	uint8_t *p;
	uint64_t sums[];
};

/* A chunk that one thread loads and others wait for. */
struct chunk_claim {
	struct chunk_claim *next;
	struct digest id;
};

struct cached_list {
	struct cached *newest, *oldest;
	size_t bytes;
};

struct chunk_cache {
	struct mutex mu;
	struct cond loaded; /* or failed to */
	struct chunk_claim *claims;
	struct cached **buckets;
	size_t n_buckets;
	struct cached_list used, done;
	size_t bytes, bytes_max;	      /* of both */
	struct cached *spare[CACHED_CLASSES]; /* memory, by its class */
	size_t spare_bytes;
};

int must_use chunk_cache_init(struct chunk_cache *c, size_t bytes_max);
void chunk_cache_release(struct chunk_cache *c); /* nothing is pinned */

/*
 * A new entry with room for n bytes (at most LIMIT_CHUNK), pinned, not in the
 * cache yet.  `front`: as many bytes more in front of them.
 */
struct cached *chunk_cache_new(struct chunk_cache *c, const struct digest *id,
			       uint8_t type, uint32_t n, uint32_t front);
/* Frees one that was not put.  NULL ok. */
void chunk_cache_discard(struct chunk_cache *c, struct cached *e);
/* Sums the n bytes at p. */
void chunk_cache_sum(struct cached *e);
/* Are the bytes [off, off + n), where there are any, what was summed? */
bool chunk_cache_good(const struct cached *e, uint64_t off, uint64_t n);
/*
 * The same of a copy of [off, off + n), which all lie inside: the copy is
 * summed itself where it holds whole pieces, and compared at its ends.
 */
bool chunk_cache_good_copy(const struct cached *e, const uint8_t *copy,
			   uint64_t off, size_t n);

/* Is it there, or being loaded? */
bool chunk_cache_has(struct chunk_cache *c, const struct digest *id);
/*
 * Pins and returns the entry; waits while another thread loads it.  NULL: it
 * is the caller who loads it now, and says chunk_cache_loaded() in the end.
 */
struct cached *chunk_cache_claim(struct chunk_cache *c, struct chunk_claim *k,
				 const struct digest *id);
void chunk_cache_loaded(struct chunk_cache *c, struct chunk_claim *k);
/* Lists a new entry (a second one of the same id stays unlisted). */
void chunk_cache_put(struct chunk_cache *c, struct cached *e);
void chunk_cache_unpin(struct chunk_cache *c, struct cached *e);
/* Unpins what was read in order to its end. */
void chunk_cache_done(struct chunk_cache *c, struct cached *e);
/* Takes an entry out, because its bytes went bad; it stays pinned. */
void chunk_cache_drop(struct chunk_cache *c, struct cached *e);

#endif
