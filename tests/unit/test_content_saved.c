/*
 * test_content_saved.c - what a save cut is taken over by the next version.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "fs/content/chunker.h"
#include "fs/content/content.h"
#include "tests/sim/content_box.h"
#include "tests/sim/model_content.h"
#include "tests/sim/prng.h"

static uint8_t *noise(size_t n, uint64_t seed)
{
	uint8_t *p = malloc(n + 1);
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
	cr_assert(at == off);
}

static void same_root(const struct digest *root, const uint8_t *p, size_t n)
{
	struct digest want = { .b = { 0 } };

	model_content_root(&want, p, n);
	cr_assert(digest_eq(&want, root));
}

static void reads_as(struct content *c, const uint8_t *p, size_t n)
{
	autofree uint8_t *q = malloc(n + 2);

	cr_assert(content_read(c, q, n + 2, 0) == (ssize_t)n);
	cr_assert(memcmp(p, q, n) == 0);
}

/* What a save made of a file, and how the file goes on from there. */
static void saved_then(size_t n, size_t zeros, int how)
{
	struct content_box b = { .sim = NULL };
	struct content_version v = { .gen = 0 };
	struct content *c = NULL;
	autofree uint8_t *p = noise(n + 70000, n + zeros);
	size_t size = n;

	memset(p + n - zeros, 0, zeros);
	content_box_init(&b, 0);
	c = content_box_new(&b);
	put(c, p, n, 0);
	content_box_save(&b, c, NULL);
	if (how == 1) {
		size += 70000;
		put(c, p + n, 70000, n);
	} else if (how == 2) { /* longer, and as long as it was */
		put(c, p + n, 70000, n);
		cr_assert(content_truncate(c, n) == 0);
	} else if (how == 3) {
		size = n / 2 + 1;
		cr_assert(content_truncate(c, size) == 0);
	} else if (how == 4) { /* the same length with other bytes */
		cr_assert(content_truncate(c, n / 2) == 0);
		cr_assert(content_truncate(c, n) == 0);
		memset(p + n / 2, 0, n - n / 2);
	} else if (how == 5) {
		p[n / 2] ^= 1;
		put(c, p + n / 2, 1, n / 2);
	}
	content_box_version(&b, c, &v);
	same_root(&v.root, p, size);
	/* as it was saved, it is neither read nor stored again */
	cr_assert(how > 0 || n > CHUNKER_MIN || zeros >= CHUNKER_BLOCK ||
		  v.n_staged == 0);
	content_version_release(&v);
	reads_as(c, p, size);
	content_close(c);
	content_box_release(&b);
}

Test(content_saved, what_a_save_cut_at_the_end_is_not_cut_again, .timeout = 120)
{
	const size_t size[] = { 1,	4095,  4096,   5000,  16384,
				100000, 65536, 300000, 700001 };

	for (size_t i = 0; i < sizeof(size) / sizeof(size[0]); i++)
		for (int how = 0; how < 6; how++) {
			saved_then(size[i], 0, how);
			saved_then(size[i], size[i] < 6000 ? size[i] : 6000,
				   how);
		}
}
