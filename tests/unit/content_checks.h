/*
 * content_checks.h - what the tests of contents all do: random bytes, writing
 * them, comparing what is read and what it hashes to.
 */
#ifndef TESTS_UNIT_CONTENT_CHECKS_H
#define TESTS_UNIT_CONTENT_CHECKS_H

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "fs/content/content.h"
#include "fs/store/store.h"
#include "tests/sim/content_box.h"
#include "tests/sim/model_content.h"
#include "tests/sim/prng.h"

/* The caller frees; there is room for a byte more. */
static inline uint8_t *noise(size_t n, uint64_t seed)
{
	uint8_t *p = malloc(n + 1);
	struct prng prng = { .seed = 0 };

	cr_assert(p);
	prng_init(&prng, seed);
	prng_bytes(&prng, p, n);
	return p;
}

static inline void put(struct content *c, const void *p, size_t n, uint64_t off)
{
	uint64_t at = 0;

	cr_assert(content_write(c, p, n, off, false, 1, &at) == 0);
	cr_assert(at == off);
}

static inline void same_root(const struct digest *root, const uint8_t *p,
			     size_t n)
{
	struct digest want = { .b = { 0 } };

	model_content_root(&want, p, n);
	cr_assert(digest_eq(&want, root));
}

static inline void reads_as(struct content *c, const uint8_t *p, size_t n)
{
	autofree uint8_t *q = malloc(n + 2);

	cr_assert(content_read(c, q, n + 2, 0) == (ssize_t)n);
	cr_assert(memcmp(p, q, n) == 0);
}

static inline uint64_t chunks(struct content_box *b)
{
	struct store_stat st = { .packs = 0 };

	store_stat(b->store, &st);
	return st.chunks;
}

#endif
