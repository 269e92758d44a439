/*
 * locations.h - where chunks lie: first 8 bytes of the id -> places in packs.
 *
 * A cache on disk (cache/chunks) that can be rebuilt from the packs; what it
 * answers are candidates, and whoever asks compares the record's whole id.
 * It may list what is gone and never fails to list what was put and flushed.
 *
 * Threads: any.
 */
#ifndef FS_LOCATIONS_H
#define FS_LOCATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"

struct digest;
struct errmsg;
struct locations;
struct vio;

struct location {
	uint64_t pack;
	uint32_t off;	   /* of the record */
	uint32_t len_hint; /* stored length or a little more */
};

enum { LOCATIONS_MAX = 8 }; /* candidates looked at */

/* What is durable together with the pairs. */
struct locations_mark {
	uint64_t first;	 /* chunks of this pack and later may be missing */
	uint64_t next;	 /* a number that no pack had */
	uint64_t listed; /* packs_print(first) of packs all listed; 0: none */
};

/*
 * Opens the table, or an empty one (with a mark of zeros) where it is missing
 * or damaged.  read_only: the table lives in memory alone and starts empty.
 */
int must_use locations_open(struct locations **out,
			    struct locations_mark *out_mark, struct vio *v,
			    size_t cache_bytes, bool read_only,
			    struct errmsg *em);
void locations_close(struct locations *l); /* no flush; NULL is a no-op */
/* Deletes a table that is not open: it is rebuilt at the next opening. */
int locations_remove(struct vio *v);

int must_use locations_put(struct locations *l, const struct digest *id,
			   uint64_t pack, uint32_t off, uint32_t stored_len);
int must_use locations_del(struct locations *l, const struct digest *id,
			   const struct location *at);
/* Candidates, newest first: their number, at most LOCATIONS_MAX, or error. */
int must_use locations_get(struct locations *l, struct location *out,
			   const struct digest *id);
/* Is that the hint of a record of so many stored bytes? */
bool locations_hint_is(const struct location *at, uint32_t stored_len);
/* Durable now, as the mark says. */
int must_use locations_flush(struct locations *l,
			     const struct locations_mark *mark,
			     struct errmsg *em);

#endif
