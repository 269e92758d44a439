/*
 * test_content_holes.c - holes as lseek and stat tell them: in blocks, and
 * the same before and after a version.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "fs/content/content.h"
#include "fs/content/content_internal.h"
#include "tests/sim/content_box.h"
#include "tests/sim/prng.h"

enum { BLOCK = 4096, FILE_MAX = 40 * BLOCK, HOLES_MAX = 200 };

static struct content_box box;
static struct content *c;
static struct prng prng;

static void setup(void)
{
	prng_init(&prng, prng_seed("content_holes", 4711));
	content_box_init(&box, 0);
	c = content_box_new(&box);
}

static void teardown(void)
{
	content_close(c);
	content_box_release(&box);
}

TestSuite(content_holes, .init = setup, .fini = teardown, .timeout = 120);

/* Never zero, so that holes come from what was not written alone. */
static void put(uint64_t off, size_t n)
{
	autofree uint8_t *p = malloc(n);
	uint64_t at = 0;

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)prng_range(&prng, 1, 255);
	cr_assert(content_write(c, p, n, off, false, 1, &at) == 0);
}

/* Where data begins and ends, in turn. */
struct map {
	uint64_t at[HOLES_MAX];
	size_t n;
};

static void map_of(struct map *m)
{
	uint64_t size = content_size(c);
	uint64_t at = 0;
	int rc = 0;

	memset(m, 0, sizeof(*m));
	for (bool hole = false; at < size; hole = !hole) {
		rc = content_seek(c, at, hole, &at);
		cr_assert(rc == 0 || (rc == -ENXIO && !hole));
		if (rc)
			return;
		cr_assert(m->n < HOLES_MAX);
		m->at[m->n++] = at;
	}
}

static void versioned(void)
{
	struct content_version v = { .gen = 0 };

	content_box_version(&box, c, &v);
	content_version_release(&v);
}

static void change(void)
{
	uint64_t off = prng_below(&prng, FILE_MAX);
	uint64_t n = prng_range(&prng, 1, 5 * BLOCK);

	switch (prng_below(&prng, 6)) {
	case 0:
		cr_assert(content_truncate(c, off) == 0);
		return;
	case 1:
	case 2:
		cr_assert(content_zero(c, off, n, true) == 0);
		return;
	case 3:
		off -= off % BLOCK;
		n = BLOCK;
		/* fallthrough */
	default:
		put(off, (size_t)n);
	}
}

Test(content_holes, are_the_same_before_and_after_a_version)
{
	for (int round = 0; round < 300; round++) {
		struct content_saved saved = { .n = 0 };
		struct map before, after;
		uint64_t dirty, clean;

		for (uint64_t i = prng_range(&prng, 1, 5); i > 0; i--)
			change();
		map_of(&before);
		if (prng_chance(&prng, 30)) {
			content_box_save(&box, c, &saved);
			content_saved_release(&saved);
			map_of(&after);
			cr_assert(memcmp(&before, &after, sizeof(after)) == 0);
		}
		dirty = content_allocated(c);
		versioned();
		map_of(&after);
		cr_assert(before.n == after.n &&
				  memcmp(&before, &after, sizeof(after)) == 0,
			  "round %d: %zu and %zu edges", round, before.n,
			  after.n);
		clean = content_allocated(c);
		/* an estimate, for blocks that only some layers fill */
		cr_assert(dirty <= content_size(c) &&
				  clean <= dirty + 2 * BLOCK,
			  "%llu, then %llu", (unsigned long long)dirty,
			  (unsigned long long)clean);
	}
}

static void seek_gives(uint64_t off, bool hole, int want_rc, uint64_t want)
{
	uint64_t at = 0;
	int rc = content_seek(c, off, hole, &at);

	cr_assert(rc == want_rc && (rc || at == want), "%s from %llu: %d, %llu",
		  hole ? "hole" : "data", (unsigned long long)off, rc,
		  (unsigned long long)at);
}

Test(content_holes, are_whole_blocks_and_the_rest_of_the_last)
{
	put(BLOCK + 100, 10);
	cr_assert(content_truncate(c, 5 * BLOCK + 7) == 0);
	for (int i = 0; i < 2; i++) {
		seek_gives(0, true, 0, 0);
		seek_gives(0, false, 0, BLOCK);
		seek_gives(BLOCK + 50, false, 0, BLOCK + 50);
		seek_gives(BLOCK + 4000, false, 0, BLOCK + 4000);
		seek_gives(BLOCK + 4000, true, 0, 2ULL * BLOCK);
		seek_gives(2ULL * BLOCK + 5, true, 0, 2ULL * BLOCK + 5);
		seek_gives(2ULL * BLOCK, false, -ENXIO, 0);
		seek_gives(5ULL * BLOCK + 6, true, 0, 5ULL * BLOCK + 6);
		seek_gives(5ULL * BLOCK + 7, true, -ENXIO, 0);
		cr_assert_eq(content_allocated(c), BLOCK);
		versioned();
	}
}

Test(content_holes, end_of_data_in_the_last_block_is_no_hole)
{
	put(0, 2 * BLOCK + 7);
	for (int i = 0; i < 2; i++) {
		seek_gives(0, true, 0, 2 * BLOCK + 7);
		seek_gives(2ULL * BLOCK + 3, true, 0, 2ULL * BLOCK + 7);
		seek_gives(2ULL * BLOCK + 3, false, 0, 2ULL * BLOCK + 3);
		versioned();
	}
}

Test(content_holes, of_a_longer_file_begin_after_its_last_block)
{
	put(0, 2 * BLOCK);
	cr_assert(content_truncate(c, 2 * BLOCK + 7) == 0);
	for (int i = 0; i < 2; i++) {
		seek_gives(0, true, 0, 2ULL * BLOCK);
		seek_gives(2ULL * BLOCK, false, -ENXIO, 0);
		versioned();
	}
}

Test(content_holes, of_zeros_that_were_written_show_at_once)
{
	static const uint8_t zeros[3 * BLOCK];
	uint64_t at = 0;

	put(0, 8 * BLOCK);
	cr_assert(content_write(c, zeros, sizeof(zeros), 2 * BLOCK - 1, false,
				1, &at) == 0);
	for (int i = 0; i < 2; i++) {
		seek_gives(0, true, 0, 2ULL * BLOCK);
		seek_gives(2ULL * BLOCK, false, 0, 4ULL * BLOCK);
		versioned();
	}
	cr_assert_eq(content_allocated(c), 6 * BLOCK);
}
