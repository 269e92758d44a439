/*
 * chunker.c - where a byte string is cut.  See chunker.h.
 *
 * Invariants:
 *  1. A cut depends on the bytes from the start of its data run's chunk on,
 *     and on their alignment in the file; nothing else.
 *  2. An aligned block of 4096 zeros is never part of a chunk.
 *  3. Chunks are 1..CHUNKER_MAX bytes; only the last of a run is shorter than
 *     CHUNKER_MIN.
 *
 * The gear hash is the sum of gear[byte] << age, so bit k sees the last k + 1
 * bytes alone.  The masks take the top bits, which see 64 bytes, and the hash
 * is warmed up with the bytes before CHUNKER_MIN: whether a place is a
 * candidate depends on the 64 bytes before it, not on where the chunk began,
 * and cuts fall back into step soon after an edit.
 *
 * Pure functions; any thread.
 */
#include "fs/content/chunker.h"

#include <assert.h>
#include <string.h>

#include "base/limits.h"
#include "fs/content/chunker_scan.h"

enum { CHUNKER_WINDOW = 64 };

/* Normalised: so many zero bits before the average is reached, and after. */
enum { CHUNKER_BITS_EARLY = 18, CHUNKER_BITS_LATE = 14 };

_Static_assert((int)CHUNKER_MAX <= (int)LIMIT_CHUNK, "a chunk fits the store");
_Static_assert((int)CHUNKER_MIN > (int)CHUNKER_WINDOW,
	       "the window can be warmed up");
_Static_assert(CHUNKER_MIN < CHUNKER_AVG && CHUNKER_AVG < CHUNKER_MAX,
	       "sizes ascend");

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

size_t chunker_cut_run(const uint8_t *p, size_t n, bool last)
{
	uint64_t h = 0;
	size_t end = least(n, CHUNKER_MAX);
	size_t cut = 0;

	if (n < CHUNKER_MIN)
		return last ? n : 0;
	h = chunker_scan_warm(p + CHUNKER_MIN - CHUNKER_WINDOW,
			      CHUNKER_WINDOW - 1);
	cut = chunker_scan(p, CHUNKER_MIN - 1, least(end, CHUNKER_AVG),
			   CHUNKER_BITS_EARLY, &h);
	if (!cut && end > CHUNKER_AVG)
		cut = chunker_scan(p, CHUNKER_AVG, end, CHUNKER_BITS_LATE, &h);
	if (cut)
		return cut;
	if (end == CHUNKER_MAX || last)
		return end;
	return 0;
}

bool chunker_is_zero(const uint8_t *p, size_t n)
{
	uint64_t acc = 0;
	uint64_t v = 0;

	/* most blocks that hold data show it in their first bytes */
	while (n >= 64) {
		acc = 0;
		for (size_t i = 0; i < 64; i += 8) {
			memcpy(&v, p + i, 8);
			acc |= v;
		}
		if (acc)
			return false;
		p += 64;
		n -= 64;
	}
	for (size_t i = 0; i < n; i++)
		acc |= p[i];
	return acc == 0;
}

void chunker_init(struct chunker *c, uint64_t off)
{
	c->off = off;
}

/* Distance from file offset `off` to the next multiple of the block size. */
static size_t to_block(uint64_t off)
{
	return (CHUNKER_BLOCK - off % CHUNKER_BLOCK) % CHUNKER_BLOCK;
}

/*
 * Looks for the first zero block that starts before `limit` (and within n).
 * Returns its place, or limit when there is none; *out_unsure is set when the
 * bytes at hand end inside a block that is zero so far.
 */
static size_t find_hole(bool *out_unsure, const uint8_t *p, size_t n,
			size_t limit, uint64_t off)
{
	*out_unsure = false;
	for (size_t at = to_block(off); at < limit; at += CHUNKER_BLOCK) {
		size_t have = least(n - at, CHUNKER_BLOCK);

		if (!chunker_is_zero(p + at, have))
			continue;
		*out_unsure = have < CHUNKER_BLOCK;
		return at;
	}
	return limit;
}

/* Takes whole zero blocks at the front; 0 when there is none. */
static size_t take_hole(const struct chunker *c, const uint8_t *p, size_t n)
{
	size_t len = 0;

	if (c->off % CHUNKER_BLOCK)
		return 0;
	while (n - len >= CHUNKER_BLOCK &&
	       chunker_is_zero(p + len, CHUNKER_BLOCK))
		len += CHUNKER_BLOCK;
	return len;
}

static bool give(struct chunker *c, struct chunker_cut *out, size_t len,
		 bool hole)
{
	assert(len > 0 && (hole || len <= CHUNKER_MAX));
	*out = (struct chunker_cut){ .off = c->off, .len = len, .hole = hole };
	c->off += len;
	return true;
}

bool chunker_next(struct chunker *c, struct chunker_cut *out, const uint8_t *p,
		  size_t n, bool eof)
{
	size_t len = 0;
	size_t hole = 0;
	size_t reach = 0;
	bool unsure = false;

	if (n == 0)
		return false;
	len = take_hole(c, p, n);
	if (len > 0)
		return give(c, out, len, true);

	/* the cut as if no hole followed, then the hole that may come first */
	len = chunker_cut_run(p, n, eof);
	reach = len ? len : n;
	hole = find_hole(&unsure, p, n, reach, c->off);
	if (hole < reach && unsure && !eof)
		return false; /* the bytes to come decide */
	if (hole < reach && !unsure)
		return give(c, out, hole, false);
	return len ? give(c, out, len, false) : false;
}
