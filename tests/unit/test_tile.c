/*
 * test_tile.c - names and bytes of C2SP tiles; proofs served from tiles.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "ledger/tile.h"

enum { SIZE = 70000, LEVELS = 17 };

static const struct {
	const char *path;
	struct tile t;
} names[] = {
	{ "tile/0/000", { 0, 0, 256 } },
	{ "tile/0/000.p/1", { 0, 0, 1 } },
	{ "tile/0/273.p/112", { 0, 273, 112 } },
	{ "tile/0/x001/x234/067", { 0, 1234067, 256 } },
	{ "tile/1/x001/000.p/255", { 1, 1000, 255 } },
	{ "tile/entries/x123/456", { TILE_ENTRIES, 123456, 256 } },
	{ "tile/7/009", { 7, 9, 256 } },
};

Test(tile, paths_are_those_of_the_format)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[TILE_PATH_MAX];
		struct tile t;

		tile_path(path, &names[i].t);
		cr_assert_str_eq(path, names[i].path);
		cr_assert_eq(tile_path_parse(&t, path, strlen(path)), 0);
		cr_assert_eq(t.level, names[i].t.level);
		cr_assert_eq(t.n, names[i].t.n);
		cr_assert_eq(t.width, names[i].t.width);
	}
}

Test(tile, other_paths_are_refused)
{
	static const char *const bad[] = {
		"",
		"tile",
		"tile/",
		"tile/0",
		"tile/0/",
		"tile/0/00",
		"tile/0/0000",
		"tile/0/000/",
		"tile/0/x000/000",
		"tile/0/x000",
		"tile/0/x001/00",
		"tile/0/001/000",
		"tile/00/000",
		"tile/8/000",
		"tile/-1/000",
		"tile/0/000.p/0",
		"tile/0/000.p/256",
		"tile/0/000.p/01",
		"tile/0/000.p/",
		"tile/0/000.p",
		"tile/0/000.p/1/",
		"tile/8/0/000",
		"tile/entries",
		"tile/entries/x00a/000",
		"tile/0/x999/x999/x999/x999/x999/x999/x999/x999/x999/999",
		"/tile/0/000",
		"tile/0/x/001",
		"tile/0/xx001/001",
	};
	struct tile t;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(tile_path_parse(&t, bad[i], strlen(bad[i])),
			     -ERR_FORMAT, "%s", bad[i]);
	cr_assert_eq(tile_path_parse(&t, "tile/0/000\0", 11), -ERR_FORMAT);
}

static struct digest *level[LEVELS];

static void keep(void *ctx, unsigned l, uint64_t index, const struct digest *h)
{
	(void)ctx;
	cr_assert_lt(l, LEVELS);
	level[l][index] = *h;
}

static int read_kept(void *ctx, struct digest *out, unsigned l, uint64_t index)
{
	uint64_t size = *(const uint64_t *)ctx;

	cr_assert_lt(index, size >> l);
	*out = level[l][index];
	return 0;
}

static void grow(struct digest *out_root)
{
	struct merkle_frontier f;

	for (unsigned l = 0; l < LEVELS; l++)
		level[l] = calloc((SIZE >> l) + 1, sizeof(**level));
	merkle_frontier_init(&f);
	for (unsigned i = 0; i < SIZE; i++) {
		char text[64];
		struct digest h;
		int n = snprintf(text, sizeof(text), "entry %u of the ledger",
				 i);

		merkle_leaf(&h, text, (size_t)n);
		merkle_frontier_append(&f, &h, keep, NULL);
	}
	merkle_frontier_root(out_root, &f);
}

static void ungrow(void)
{
	for (unsigned l = 0; l < LEVELS; l++)
		free(level[l]);
}

struct count {
	unsigned full[4]; /* bundles, level 0, 1, 2 */
	char partial[4][TILE_PATH_MAX];
};

static int count_tile(void *ctx, const struct tile *t)
{
	struct count *c = ctx;
	unsigned i = (unsigned)(t->level + 1);

	cr_assert_lt(i, 4);
	if (t->width == TILE_WIDTH)
		c->full[i]++;
	else
		tile_path(c->partial[i], t);
	return 0;
}

Test(tile, a_log_of_70000_has_the_tiles_the_specification_says)
{
	struct count c = { .full = { 0 } };

	cr_assert_eq(tile_walk(0, SIZE, count_tile, &c), 0);
	cr_assert_eq(c.full[0], 273);
	cr_assert_eq(c.full[1], 273);
	cr_assert_eq(c.full[2], 1);
	cr_assert_eq(c.full[3], 0);
	cr_assert_str_eq(c.partial[0], "tile/entries/273.p/112");
	cr_assert_str_eq(c.partial[1], "tile/0/273.p/112");
	cr_assert_str_eq(c.partial[2], "tile/1/001.p/17");
	cr_assert_str_eq(c.partial[3], "tile/2/000.p/1");
}

Test(tile, at_size_256_there_is_a_full_tile_and_a_partial_above)
{
	struct count c = { .full = { 0 } };

	cr_assert_eq(tile_walk(0, 256, count_tile, &c), 0);
	cr_assert_eq(c.full[1], 1);
	cr_assert_str_eq(c.partial[1], "");
	cr_assert_str_eq(c.partial[2], "tile/1/000.p/1");
}

struct grown {
	uint64_t from;
	unsigned n;
};

static int count_new(void *ctx, const struct tile *t)
{
	struct grown *g = ctx;

	/* No tile that was full before comes again. */
	cr_assert_gt((t->n + 1) * TILE_WIDTH,
		     tile_level_count(t->level, g->from));
	g->n++;
	return 0;
}

Test(tile, growing_names_only_what_changed)
{
	struct grown g = { .from = 65536 - 1 };

	cr_assert_eq(tile_walk(g.from, 65536, count_new, &g), 0);
	cr_assert_eq(g.n, 4); /* bundle, level 0, level 1, level 2 */
	g = (struct grown){ .from = 1000 };
	cr_assert_eq(tile_walk(1000, 1000, count_new, &g), 0);
	cr_assert_eq(g.n, 3); /* the partial ones again */
}

static int load_made(void *ctx, struct buf *out, const struct tile *t)
{
	uint64_t size = SIZE;

	(*(unsigned *)ctx)++;
	return tile_hashes(out, t, read_kept, &size);
}

Test(tile, proofs_come_out_of_tiles)
{
	static const uint64_t at[] = { 0, 1, 255, 256, 65535, 65536, 69999 };
	struct digest root;
	struct digest got;
	struct tile_reader *r = NULL;
	unsigned loads = 0;

	grow(&root);
	cr_assert_eq(tile_reader_new(&r, SIZE, load_made, &loads), 0);
	cr_assert_eq(merkle_root(&got, SIZE, tile_reader_read, r), 0);
	cr_assert(digest_eq(&got, &root));
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		struct merkle_proof p;

		cr_assert_eq(
			merkle_inclusion(&p, at[i], SIZE, tile_reader_read, r),
			0);
		cr_assert_eq(merkle_inclusion_verify(&level[0][at[i]], at[i],
						     SIZE, &p, &root),
			     0);
	}
	for (uint64_t from = 1; from < SIZE; from = from * 3 + 1) {
		struct merkle_proof p;
		struct digest old;

		cr_assert_eq(merkle_root(&old, from, tile_reader_read, r), 0);
		cr_assert_eq(
			merkle_consistency(&p, from, SIZE, tile_reader_read, r),
			0);
		cr_assert_eq(
			merkle_consistency_verify(from, SIZE, &old, &root, &p),
			0);
	}
	cr_assert_lt(loads, 100);
	cr_assert_eq(tile_reader_read(r, &got, 0, SIZE), -ERR_LIMIT);
	cr_assert_eq(tile_reader_read(r, &got, 63, 0), -ERR_LIMIT);
	tile_reader_free(r);
	ungrow();
}

Test(tile, bundles_hold_leaves_and_short_ones_are_refused)
{
	struct buf b = BUF_INIT;
	uint8_t big[65535] = { 7 };
	const uint8_t *p;
	const uint8_t *leaf = NULL;
	size_t left;
	size_t n = 0;

	cr_assert_eq(tile_bundle_add(&b, "abc", 3), 0);
	cr_assert_eq(tile_bundle_add(&b, "", 0), 0);
	cr_assert_eq(tile_bundle_add(&b, big, sizeof(big)), 0);
	cr_assert_eq(tile_bundle_add(&b, big, 65536), -ERR_LIMIT);
	cr_assert_arr_eq(b.p, "\0\3abc\0\0\xff\xff", 9);
	p = b.p;
	left = b.n;
	cr_assert_eq(tile_bundle_next(&p, &left, &leaf, &n), 1);
	cr_assert_eq(n, 3);
	cr_assert_arr_eq(leaf, "abc", 3);
	cr_assert_eq(tile_bundle_next(&p, &left, &leaf, &n), 1);
	cr_assert_eq(n, 0);
	cr_assert_eq(tile_bundle_next(&p, &left, &leaf, &n), 1);
	cr_assert_eq(n, 65535);
	cr_assert_eq(tile_bundle_next(&p, &left, &leaf, &n), 0);
	p = b.p;
	left = 1;
	cr_assert_eq(tile_bundle_next(&p, &left, &leaf, &n), -ERR_FORMAT);
	left = 4;
	cr_assert_eq(tile_bundle_next(&p, &left, &leaf, &n), -ERR_FORMAT);
	buf_release(&b);
}
