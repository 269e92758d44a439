/*
 * test_sha256_many.c - many messages together against one by one, and the
 * lanes that this processor has but does not use.
 */
#include <criterion/criterion.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/sha256_lanes.h"
#include "base/sha256_many.h"
#include "tests/sim/prng.h"

enum { MESSAGES = 300, BYTES = 1 << 16 };

struct set {
	uint8_t bytes[BYTES];
	struct digest out[MESSAGES];
	struct sha256_message m[MESSAGES];
};

static size_t small_or_large(struct prng *r)
{
	unsigned kind = (unsigned)prng_below(r, 10);

	return kind == 0 ? prng_below(r, 5000) : prng_below(r, 130);
}

static void make(struct set *s, struct prng *r, size_t n)
{
	prng_bytes(r, s->bytes, sizeof(s->bytes));
	memset(s->out, 0, sizeof(s->out));
	memset(s->m, 0, sizeof(s->m));
	for (size_t i = 0; i < n; i++) {
		s->m[i].out = &s->out[i];
		for (int k = 0; k < SHA256_MANY_PIECES; k++) {
			size_t len = small_or_large(r);
			size_t off = prng_below(r, BYTES - len);

			s->m[i].v[k] =
				(struct digest_piece){ s->bytes + off, len };
		}
	}
}

static void all_are_right(const struct set *s, size_t n)
{
	struct digest want;

	for (size_t i = 0; i < n; i++) {
		digest_sha256_pieces(&want, s->m[i].v, SHA256_MANY_PIECES);
		cr_assert(digest_eq(&s->out[i], &want), "message %zu of %zu", i,
			  n);
	}
	for (size_t i = n; i < MESSAGES; i++)
		cr_assert(digest_is_zero(&s->out[i]));
}

Test(sha256_many, the_same_as_one_by_one)
{
	struct set *s = malloc(sizeof(*s));
	struct prng r;

	cr_assert(s);
	prng_init(&r, 4);
	for (size_t n = 0; n <= MESSAGES; n += n < 40 ? 1 : 13) {
		make(s, &r, n);
		sha256_many(s->m, n);
		all_are_right(s, n);
	}
	free(s);
}

/* Every length around the ends of blocks, and of what lanes take. */
Test(sha256_many, every_length)
{
	static uint8_t bytes[500];
	struct digest out[sizeof(bytes)], want;
	struct sha256_message m[sizeof(bytes)];

	memset(m, 0, sizeof(m));
	for (size_t i = 0; i < sizeof(bytes); i++) {
		bytes[i] = (uint8_t)(i * 7 + 1);
		m[i].out = &out[i];
		m[i].v[1] = (struct digest_piece){ bytes, i };
	}
	sha256_many(m, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++) {
		digest_sha256(&want, bytes, i);
		cr_assert(digest_eq(&out[i], &want), "%zu bytes", i);
	}
}

static void first_state(struct sha256_lanes *s)
{
	static const uint32_t h[8] = {
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
		0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
	};

	memset(s, 0, sizeof(*s));
	for (int k = 0; k < 8; k++)
		for (int i = 0; i < SHA256_LANES_MAX; i++)
			s->h[k][i] = h[k];
}

/* One block in each lane: a message of 55 bytes, padded. */
Test(sha256_many, each_width_that_is_here)
{
	static const unsigned widths[] = { 8, 16 };
	struct sha256_lanes s;
	uint8_t block[64];
	struct digest want, got;

	for (size_t w = 0; w < 2; w++) {
		sha256_lanes_fn *fn = sha256_lanes_of(widths[w]);

		first_state(&s);
		for (unsigned i = 0; fn && i < widths[w]; i++) {
			memset(block, 0, sizeof(block));
			memset(block, (int)i + 1, 55);
			block[55] = 0x80;
			block[62] = 55 * 8 >> 8;
			block[63] = 55 * 8 & 0xff;
			for (int t = 0; t < 16; t++) {
				uint32_t be;

				memcpy(&be, block + (size_t)4 * t, 4);
				s.w[t][i] = be32toh(be);
			}
		}
		if (fn)
			fn(&s);
		for (unsigned i = 0; fn && i < widths[w]; i++) {
			memset(block, (int)i + 1, 55);
			digest_sha256(&want, block, 55);
			for (int k = 0; k < 8; k++) {
				uint32_t be = htobe32(s.h[k][i]);

				memcpy(got.b + (size_t)4 * k, &be, 4);
			}
			cr_assert(digest_eq(&got, &want), "lane %u of %u", i,
				  widths[w]);
		}
	}
	cr_assert_null(sha256_lanes_of(0));
	cr_assert_null(sha256_lanes_of(4));
}
