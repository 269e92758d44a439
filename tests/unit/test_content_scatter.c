/*
 * test_content_scatter.c - writes here and there become chunks while more of
 * them come.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "fs/content/content.h"
#include "fs/store/store.h"
#include "tests/sim/content_box.h"
#include "tests/sim/model_content.h"
#include "tests/sim/prng.h"

enum { BLOCK = 4096, MIB = 1 << 20 };

static uint8_t *noise(size_t n, uint64_t seed)
{
	uint8_t *p = malloc(n);
	struct prng prng = { .seed = 0 };

	cr_assert(p);
	prng_init(&prng, seed);
	prng_bytes(&prng, p, n);
	return p;
}

static void put(struct content *c, const void *p, size_t n, uint64_t off)
{
	uint64_t at = 0;

	cr_assert(content_write(c, p, n, off, false, 1, &at) == 0);
}

static void reads_as(struct content *c, const uint8_t *p, size_t n)
{
	autofree uint8_t *q = malloc(n + 1);

	cr_assert(content_read(c, q, n + 1, 0) == (ssize_t)n);
	cr_assert(memcmp(p, q, n) == 0);
}

static uint64_t chunks(struct content_box *b)
{
	struct store_stat st = { .packs = 0 };

	store_stat(b->store, &st);
	return st.chunks;
}

/* Until the workers have left so many bytes in buffers, or less. */
static void wait_for_less(struct content *c, uint64_t max)
{
	struct content_state st = { .dirty = false };

	do {
		usleep(200);
		content_state(c, &st);
	} while (st.buffered > max);
}

/* A fsync after many of them has little left to do. */
Test(content_scatter, writes_become_chunks_while_more_come, .timeout = 120)
{
	enum { N = 2048, PLACES = 8192 };
	struct content_box b = { .sim = NULL };
	struct content_version v = { .gen = 0 };
	struct content_saved s = { .extents = NULL };
	struct digest want = { .b = { 0 } };
	struct content *c = NULL;
	struct prng prng = { .seed = 0 };
	autofree uint8_t *p = noise(PLACES * BLOCK, 21);
	autofree uint8_t *more = noise(N * BLOCK, 22);
	uint64_t made = 0;

	content_box_init(&b, 0);
	c = content_box_new(&b);
	put(c, p, PLACES * BLOCK, 0);
	content_box_version(&b, c, &v);
	content_version_release(&v);
	made = chunks(&b);
	prng_init(&prng, 23);
	for (size_t i = 0; i < N; i++) {
		size_t at = prng_below(&prng, PLACES) * BLOCK;

		memcpy(p + at, more + i * BLOCK, BLOCK);
		put(c, p + at, BLOCK, at);
	}
	/* all but the last 2 MiB, and what came while those were chunked */
	wait_for_less(c, 5 * MIB);
	cr_assert(chunks(&b) - made >= N / 4);
	reads_as(c, p, PLACES * BLOCK);
	content_box_save(&b, c, &s);
	cr_assert(s.n > N / 2 && s.n_staged == 0);
	content_saved_release(&s);
	made = chunks(&b) - made;
	cr_assert(made <= N);
	reads_as(c, p, PLACES * BLOCK);
	content_box_version(&b, c, &v);
	model_content_root(&want, p, PLACES * BLOCK);
	cr_assert(digest_eq(&want, &v.root));
	content_version_release(&v);
	content_close(c);
	content_box_release(&b);
}

/* The same places again and again are written where they are. */
Test(content_scatter, few_places_wait_for_the_save)
{
	enum { N = 400 };
	struct content_box b = { .sim = NULL };
	struct content_state st = { .dirty = false };
	struct content *c = NULL;
	autofree uint8_t *p = noise(N * BLOCK, 24);
	uint64_t made = 0;

	content_box_init(&b, 0);
	c = content_box_new(&b);
	made = chunks(&b);
	for (int again = 0; again < 4; again++)
		for (size_t i = 0; i < N; i++)
			put(c, p + i * BLOCK, BLOCK, 2 * i * BLOCK);
	usleep(20000);
	content_state(c, &st);
	cr_assert(st.buffered == N * BLOCK && chunks(&b) == made);
	content_close(c);
	content_box_release(&b);
}
