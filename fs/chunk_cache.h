/*
 * chunk_cache.h - decoded chunks, least recently used out first.
 *
 * An entry is pinned while somebody reads it; pinned entries count but stay.
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

/* Guarded by the cache's mutex, but for what never changes once put. */
struct cached {
	struct cached *chain; /* of its hash bucket */
	struct cached *newer, *older;
	uint32_t pins;
	bool listed; /* in the cache; if not, the last unpin frees it */
	struct digest id;
	uint8_t type;
	uint32_t n;
	uint8_t bytes[];
};

struct chunk_cache {
	struct mutex mu;
	struct cached **buckets;
	size_t n_buckets;
	struct cached *newest, *oldest;
	size_t bytes, bytes_max;
};

int must_use chunk_cache_init(struct chunk_cache *c, size_t bytes_max);
void chunk_cache_release(struct chunk_cache *c); /* nothing is pinned */

/* A new entry with room for n bytes, pinned, not in the cache yet. */
struct cached *chunk_cache_new(const struct digest *id, uint8_t type,
			       uint32_t n);
/* Pins and returns the entry, NULL when there is none. */
struct cached *chunk_cache_get(struct chunk_cache *c, const struct digest *id);
/* Lists a new entry (a second one of the same id stays unlisted). */
void chunk_cache_put(struct chunk_cache *c, struct cached *e);
void chunk_cache_unpin(struct chunk_cache *c, struct cached *e);
/* Takes an entry out, because its bytes went bad; it stays pinned. */
void chunk_cache_drop(struct chunk_cache *c, struct cached *e);

#endif
