/*
 * journal_same.c - are two files the same segment, settled twice?
 *
 * A segment that was lost while the WAL still had its records is settled
 * again under a new epoch: its header and every checksum differ from those of
 * the first one, which a replica may have, and nothing else does.  Pure; any
 * thread.
 */
#include <string.h>
#include <xxhash.h>

#include "base/bytes.h"
#include "ledger/frame.h"
#include "ledger/journal.h"
#include "ledger/journal_format.h"

enum { HEADER_EPOCH = 32, HEADER_FIRST = 40, RECORD_SUM = 4, SUM = 8 };

struct pair {
	const uint8_t *ours, *theirs;
	size_t n, m;
	uint64_t epoch; /* of ours */
};

static uint64_t u64_at(const uint8_t *p)
{
	struct breader r;

	breader_init(&r, p, 8);
	return breader_u64(&r);
}

/* [from, to) of both, as far as theirs goes. */
static bool same(const struct pair *x, size_t from, size_t to)
{
	if (to > x->m)
		to = x->m;
	return from >= to ||
	       memcmp(x->ours + from, x->theirs + from, to - from) == 0;
}

/* The same but for the checksum at `sum`. */
static bool same_but(const struct pair *x, size_t from, size_t sum, size_t to)
{
	return same(x, from, sum) && same(x, sum + SUM, to);
}

static bool header_same(struct pair *x)
{
	const size_t sum = JOURNAL_HEADER_SIZE - SUM;

	if (x->n < JOURNAL_HEADER_SIZE || x->m > x->n ||
	    memcmp(x->ours, JOURNAL_MAGIC, 4) != 0 ||
	    u64_at(x->ours + sum) != XXH64(x->ours, sum, 0))
		return false;
	x->epoch = u64_at(x->ours + HEADER_EPOCH);
	return same(x, 0, HEADER_EPOCH) && same(x, HEADER_FIRST, sum);
}

/* The footer, which is all from `at` on. */
static bool footer_same(const struct pair *x, size_t at)
{
	const size_t sum = x->n - JOURNAL_FOOTER_TAIL;

	if (x->n - at < JOURNAL_FOOTER_MIN ||
	    memcmp(x->ours + at, JOURNAL_FOOTER_MAGIC, 4) != 0 ||
	    u64_at(x->ours + sum) != XXH64(x->ours + at, sum - at, x->epoch))
		return false;
	return same_but(x, at, sum, x->n);
}

bool journal_same(const void *ours, size_t n, const void *theirs, size_t m)
{
	struct pair x = { .ours = ours, .theirs = theirs, .n = n, .m = m };
	size_t at = JOURNAL_HEADER_SIZE;
	uint64_t index;
	struct frame f;

	if (!header_same(&x))
		return false;
	index = u64_at(x.ours + HEADER_FIRST);
	while (at < n) {
		if (frame_decode(&f, x.ours + at, n - at, x.epoch,
				 FRAME_RECORD) < 0)
			return footer_same(&x, at);
		if (f.index != index++ ||
		    !same_but(&x, at, at + RECORD_SUM, at + f.len))
			return false;
		at += f.len;
	}
	return true;
}
