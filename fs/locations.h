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

/*
 * Opens the table, or an empty one where it is missing or damaged:
 * *out_first is the number of the first pack whose chunks may be missing from
 * it, *out_next a number that no pack had when it was flushed.  read_only:
 * the table lives in memory alone and starts empty.
 */
int must_use locations_open(struct locations **out, uint64_t *out_first,
			    uint64_t *out_next, struct vio *v,
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
/* Durable now: everything of packs below `first`. */
int must_use locations_flush(struct locations *l, uint64_t first, uint64_t next,
			     struct errmsg *em);

#endif
