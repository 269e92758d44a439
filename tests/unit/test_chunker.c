/*
 * test_chunker.c - cuts depend on the bytes alone; holes are exact.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "fs/content/chunker.h"
#include "fs/content/chunker_gear.h"
#include "tests/sim/prng.h"

enum { CUTS_MAX = 4096 };

struct cuts {
	size_t n;
	struct chunker_cut v[CUTS_MAX];
};

static void cuts_add(struct cuts *c, const struct chunker_cut *cut)
{
	struct chunker_cut *last = c->n ? &c->v[c->n - 1] : NULL;

	if (last && last->hole && cut->hole) {
		cr_assert_eq(last->off + last->len, cut->off);
		last->len += cut->len;
		return;
	}
	cr_assert_lt(c->n, CUTS_MAX);
	c->v[c->n++] = *cut;
}

/* Gives the chunker windows of at most `window` bytes, grown when asked. */
static void cut_windows(struct cuts *out, const uint8_t *p, size_t n,
			struct prng *r)
{
	struct chunker c = { 0 };
	struct chunker_cut cut = { 0 };
	size_t have = 0;

	out->n = 0;
	chunker_init(&c, 0);
	while (c.off < n) {
		size_t left = n - c.off;

		if (have > left)
			have = left;
		if (chunker_next(&c, &cut, p + c.off, have, have == left)) {
			cuts_add(out, &cut);
			have = have > cut.len ? have - cut.len : 0;
			continue;
		}
		cr_assert(have < CHUNKER_MAX + CHUNKER_BLOCK && have < left,
			  "undecided with %zu bytes", have);
		have += 1 + prng_below(r, prng_chance(r, 30) ? 300000 : 5000);
	}
}

/* The first cut of a data run by the definition: one byte after another. */
static size_t run_naive(const uint8_t *p, size_t n)
{
	if (n <= CHUNKER_MIN)
		return n;
	for (size_t len = CHUNKER_MIN; len <= n; len++) {
		uint64_t h = 0;

		/* what is older has left the hash */
		for (size_t i = len - 64; i < len; i++)
			h = (h << 1) + chunker_gear[p[i]];
		if (len == CHUNKER_MAX ||
		    h >> (len <= CHUNKER_AVG ? 64 - 18 : 64 - 14) == 0)
			return len;
	}
	return n;
}

/* The definition, done the slow and obvious way. */
static void cut_naive(struct cuts *out, const uint8_t *p, size_t n)
{
	size_t at = 0;

	out->n = 0;
	while (at < n) {
		size_t end = at;
		struct chunker_cut cut = { .off = at };

		while (end + CHUNKER_BLOCK <= n && end % CHUNKER_BLOCK == 0 &&
		       chunker_is_zero(p + end, CHUNKER_BLOCK))
			end += CHUNKER_BLOCK;
		if (end > at) {
			cut.len = end - at;
			cut.hole = true;
			cuts_add(out, &cut);
			at = end;
			continue;
		}
		while (end < n &&
		       (end % CHUNKER_BLOCK || end + CHUNKER_BLOCK > n ||
			!chunker_is_zero(p + end, CHUNKER_BLOCK)))
			end++;
		while (at < end) {
			cut.off = at;
			cut.len = run_naive(p + at, end - at);
			cut.hole = false;
			cuts_add(out, &cut);
			at += cut.len;
		}
	}
}

static void fill(uint8_t *p, size_t n, struct prng *r, unsigned zeros)
{
	size_t at = 0;

	while (at < n) {
		size_t run = 1 + prng_below(r, 90000);

		if (run > n - at)
			run = n - at;
		if (prng_chance(r, zeros))
			memset(p + at, 0, run);
		else if (prng_chance(r, 20))
			memset(p + at, (int)prng_below(r, 256), run);
		else
			prng_bytes(r, p + at, run);
		at += run;
	}
}

static void same(const struct cuts *a, const struct cuts *b)
{
	cr_assert_eq(a->n, b->n);
	for (size_t i = 0; i < a->n; i++) {
		cr_assert_eq(a->v[i].off, b->v[i].off);
		cr_assert_eq(a->v[i].len, b->v[i].len);
		cr_assert_eq(a->v[i].hole, b->v[i].hole);
	}
}

Test(chunker, gear_table_is_what_its_comment_says)
{
	uint64_t s = 0;

	memcpy(&s, "vouchfs1", 8);
	for (int i = 0; i < 256; i++) {
		uint64_t z = 0;

		s += 0x9e3779b97f4a7c15ULL;
		z = (s ^ (s >> 30)) * 0xbf58476d1ce4e5b9ULL;
		z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
		cr_assert_eq(chunker_gear[i], z ^ (z >> 31));
	}
}

Test(chunker, any_slicing_of_the_input_gives_the_same_cuts)
{
	struct prng r = { 0 };
	autofree struct cuts *a = calloc(1, sizeof(*a));
	autofree struct cuts *b = calloc(1, sizeof(*b));

	prng_init(&r, prng_seed("chunker_slicing", 7));
	for (int round = 0; round < 40; round++) {
		size_t n = prng_below(&r, 3 << 20);
		autofree uint8_t *p = malloc(n + 1);

		fill(p, n, &r, round % 3 * 25);
		cut_naive(a, p, n);
		for (int k = 0; k < 3; k++) {
			cut_windows(b, p, n, &r);
			same(a, b);
		}
	}
}

/* Cuts are part of the format: other cuts share nothing with old chunks. */
Test(chunker, cuts_are_those_of_format_1)
{
	static const size_t first[] = { 91393,	120500, 93371, 83275,
					117047, 101115, 74264, 66754 };
	struct prng r = { 0 };
	size_t n = 16 << 20, at = 0, count = 0;
	autofree uint8_t *p = malloc(n);
	uint64_t sum = 0;

	prng_init(&r, 1);
	prng_bytes(&r, p, n);
	for (; at < n; count++) {
		size_t len = chunker_cut_run(p + at, n - at, true);

		if (count < sizeof(first) / sizeof(*first))
			cr_assert_eq(len, first[count]);
		sum = sum * 31 + len;
		at += len;
	}
	cr_assert_eq(count, 227);
	cr_assert_eq(sum, 0x5f04af283b54a9aaULL);
}

/* Few values, so that the hash is small often and in all places of a step. */
Test(chunker, cuts_are_those_of_the_plain_loop)
{
	enum { N = CHUNKER_MAX + 100 };
	struct prng r = { 0 };
	autofree uint8_t *p = malloc(N);

	prng_init(&r, prng_seed("chunker_plain", 11));
	for (int round = 0; round < 300; round++) {
		size_t n =
			CHUNKER_MIN - 2 +
			prng_below(&r, round % 8 ? 100 << 10 : N - CHUNKER_MIN);
		unsigned values = 2 + (unsigned)prng_below(&r, 255);

		prng_bytes(&r, p, N);
		for (size_t i = 0; i < N && round % 3; i++)
			p[i] = (uint8_t)(p[i] % values);
		cr_assert_eq(chunker_cut_run(p, n, true), run_naive(p, n),
			     "round %d, %zu bytes", round, n);
	}
}

Test(chunker, cuts_cover_the_input_within_their_bounds)
{
	struct prng r = { 0 };
	autofree struct cuts *c = calloc(1, sizeof(*c));
	size_t n = 16 << 20;
	autofree uint8_t *p = malloc(n);
	size_t at = 0;

	prng_init(&r, 1);
	prng_bytes(&r, p, n);
	cut_windows(c, p, n, &r);
	for (size_t i = 0; i < c->n; i++) {
		cr_assert_eq(c->v[i].off, at);
		cr_assert(!c->v[i].hole);
		cr_assert_leq(c->v[i].len, CHUNKER_MAX);
		if (i + 1 < c->n)
			cr_assert_geq(c->v[i].len, CHUNKER_MIN);
		at += c->v[i].len;
	}
	cr_assert_eq(at, n);
	cr_assert(n / c->n > 48 << 10 && n / c->n < 100 << 10, "average %zu",
		  n / c->n);
}

Test(chunker, a_partial_last_block_of_zeros_is_data)
{
	struct chunker c = { 0 };
	struct chunker_cut cut = { 0 };
	static const uint8_t zeros[3 * CHUNKER_BLOCK];

	chunker_init(&c, 0);
	cr_assert(chunker_next(&c, &cut, zeros, 2 * CHUNKER_BLOCK + 1, true));
	cr_assert(cut.hole && cut.len == 2 * CHUNKER_BLOCK);
	cr_assert(chunker_next(&c, &cut, zeros, 1, true));
	cr_assert(!cut.hole && cut.len == 1 && cut.off == 2 * CHUNKER_BLOCK);
	chunker_init(&c, 0);
	cr_assert(!chunker_next(&c, &cut, zeros, 100, false));
	cr_assert(chunker_next(&c, &cut, zeros, 100, true));
	cr_assert(!cut.hole && cut.len == 100);
}

Test(chunker, cuts_fall_back_into_step_after_an_insertion)
{
	struct prng r = { 0 };
	autofree struct cuts *a = calloc(1, sizeof(*a));
	autofree struct cuts *b = calloc(1, sizeof(*b));
	size_t n = 8 << 20;
	autofree uint8_t *p = malloc(n + 3);
	size_t same_tail = 0;

	prng_init(&r, 3);
	prng_bytes(&r, p, n);
	cut_naive(a, p, n);
	memmove(p + 1000003, p + 1000000, n - 1000000);
	cut_naive(b, p, n + 3);
	while (same_tail < a->n && same_tail < b->n &&
	       a->v[a->n - 1 - same_tail].len == b->v[b->n - 1 - same_tail].len)
		same_tail++;
	cr_assert_gt(same_tail, a->n * 3 / 4);
}
