/*
 * staging.h - small chunks in memory, from store_stage to store_settle.
 *
 * A chunk is framed once: from then on the commit thread borrows it, and it is
 * settled only after that frame is durable, so the borrow never outlives it.
 *
 * Threads: any.
 */
#ifndef FS_STAGING_H
#define FS_STAGING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/thread.h"
#include "fs/store/chunk.h"

struct staged {
	struct staged *chain; /* of its bucket */
	uint32_t refs;	      /* stagings not taken back */
	bool framed;
	struct chunk chunk;
	uint8_t bytes[];
};

struct staging {
	struct mutex mu;
	struct staged **buckets; /* guarded by mu, as all below */
	size_t n_buckets, n;
	uint64_t bytes;
};

int must_use staging_init(struct staging *s);
void staging_release(struct staging *s);
/* Copies the chunk, or counts one more staging of it. */
int must_use staging_add(struct staging *s, const struct chunk *c);
/* True when the id is staged; copies its stored bytes to p (LIMIT_CHUNK). */
bool staging_copy(struct staging *s, struct chunk *out, uint8_t *p,
		  const struct digest *id);
/* The chunk's type; 0 when the id is not staged. */
int staging_type(struct staging *s, const struct digest *id);
/* Borrows until it is settled; NULL when not staged or framed before. */
const struct chunk *staging_frame(struct staging *s, const struct digest *id);
/* Takes one staging back; forgets the chunk with the last, unless framed. */
void staging_drop(struct staging *s, const struct digest *id);
/* Forgets the chunk: it lies in a pack now. */
void staging_settled(struct staging *s, const struct digest *id);
uint64_t staging_bytes(struct staging *s);
/* What they will take in packs, at most. */
uint64_t staging_cost(struct staging *s);

#endif
