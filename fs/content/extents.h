/*
 * extents.h - the overlay of a file that is being written: an ordered map of
 * ranges that do not overlap, each a hole, a piece of a chunk, or a piece of
 * a dirty buffer.
 *
 * A sorted two-level array: leaves of at most EXTENTS_LEAF extents and an
 * array of leaves, with another one of where they begin, so that a search looks
 * into one leaf.  An extent costs about 72 bytes.  Setting a range replaces
 * what was there; what is left of a cut extent keeps its bytes but is no
 * canonical cut any more.
 *
 * Invariants (extents_check): extents ascend, never touch zero length, never
 * overlap; no leaf is empty; `n`, `mem` and `data` are the sums.
 *
 * Threads: guarded by its owner.
 */
#ifndef FS_EXTENTS_H
#define FS_EXTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"

struct dirty_buf;

enum extent_kind { EXTENT_HOLE, EXTENT_CHUNK, EXTENT_MEM };

enum extent_flags {
	EXTENT_UNSAVED = 1, /* not yet reported by a save */
	/*
	 * A whole chunk or hole that a chunker which starts at `off` cuts
	 * right here, whatever follows the block of 4096 that it ends in.
	 */
	EXTENT_CUT = 2,
	EXTENT_STAGED = 4, /* the chunk may be staged only, not flushed */
	/* A whole chunk that such a chunker cuts if the file ends behind it. */
	EXTENT_LAST = 8,
	EXTENT_WHOLE = EXTENT_CUT | EXTENT_LAST,
	EXTENT_BUFFERED =
		16, /* the kind is EXTENT_MEM: to find those quickly */
};

struct extent {
	uint64_t off;
	uint64_t len;
	struct digest id;      /* EXTENT_CHUNK */
	struct dirty_buf *buf; /* EXTENT_MEM; the map holds a reference */
	uint32_t at;	       /* first byte in the chunk or buffer */
	uint8_t kind;
	uint8_t flags;
};

struct extents_leaf;

struct extents {
	struct extents_leaf **leaf;
	uint64_t *begin; /* of each leaf: the offset of its first extent */
	size_t n_leaf, cap_leaf;
	struct extents_leaf *spare; /* for extents_set, which cannot fail */
	uint64_t n;		    /* extents */
	uint64_t mem;		    /* bytes of EXTENT_MEM */
	uint64_t data;		    /* bytes of EXTENT_MEM and _CHUNK */
};

/* All zero is an empty map. */
void extents_release(struct extents *m);

/* Makes sure that the next two extents_set or _cut have the memory they need. */
int must_use extents_prepare(struct extents *m);
/*
 * Replaces [e->off, e->off + e->len) by *e (takes a reference of its own to
 * e->buf), joined with neighbours that continue it.  After extents_prepare.
 */
void extents_set(struct extents *m, const struct extent *e);
/* Removes [lo, hi).  After extents_prepare. */
void extents_cut(struct extents *m, uint64_t lo, uint64_t hi);
/*
 * First extent that ends behind off, NULL when there is none; may be changed
 * in place but for off, len and kind, and is borrowed until the next change.
 */
struct extent *extents_seek(const struct extents *m, uint64_t off);
/* The same, of those that have the flag; skips 32 others at a time. */
struct extent *extents_seek_flag(struct extents *m, uint64_t off, uint8_t flag);
/* End of the last extent, 0 when empty. */
uint64_t extents_end(const struct extents *m);
/* Takes the flag from every extent that overlaps [lo, hi). */
void extents_unflag(struct extents *m, uint64_t lo, uint64_t hi, uint8_t flag);
/* Aborts when an invariant does not hold. */
void extents_check(const struct extents *m);

#endif
