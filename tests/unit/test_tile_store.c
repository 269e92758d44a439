/*
 * test_tile_store.c - tiles on disk and the edge in memory are one tree,
 * whatever was written when.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/vio.h"
#include "ledger/merkle.h"
#include "ledger/tile.h"
#include "ledger/tile_store.h"
#include "tests/sim/vio_sim.h"

enum { MANY = 66000 }; /* more than 256 * 256: three levels */

static struct vio_sim *sim;
static struct tile_store *t;
static struct merkle_frontier frontier;
static struct digest roots[MANY / 1000 + 1];

static uint32_t seal(uint8_t out[32], uint64_t i)
{
	return (uint32_t)snprintf((char *)out, 32, "seal %lu", i);
}

static void append(uint64_t n, bool write)
{
	uint8_t bytes[32];
	struct digest leaf;

	for (uint64_t i = tile_store_size(t); i < n; i++) {
		uint32_t len = seal(bytes, i);

		merkle_leaf(&leaf, bytes, len);
		cr_assert_eq(tile_store_append(t, bytes, len, &leaf), 0);
		merkle_frontier_append(&frontier, &leaf, NULL, NULL);
		if ((i + 1) % 1000 == 0)
			merkle_frontier_root(&roots[(i + 1) / 1000], &frontier);
		if (write && i % 777 == 0)
			cr_assert_eq(tile_store_write(t, NULL), 0);
	}
}

static int lend(void *ctx, struct buf *scratch, const uint8_t **out,
		uint32_t *out_n, uint64_t index)
{
	uint8_t bytes[32];
	uint32_t n = seal(bytes, index);

	(void)ctx;
	buf_clear(scratch);
	buf_add(scratch, bytes, n);
	*out = scratch->p;
	*out_n = n;
	return 0;
}

static void setup(void)
{
	sim = vio_sim_new(NULL);
	cr_assert_eq(tile_store_new(&t, vio_sim_vio(sim)), 0);
	merkle_frontier_init(&frontier);
}

static void teardown(void)
{
	tile_store_free(t);
	vio_sim_free(sim);
}

TestSuite(tile_store, .init = setup, .fini = teardown);

static void check_roots(uint64_t size)
{
	struct digest root;

	for (uint64_t s = 1000; s <= size; s += 1000) {
		cr_assert_eq(tile_store_root(t, &root, s), 0, "%lu", s);
		cr_assert(digest_eq(&root, &roots[s / 1000]), "%lu", s);
	}
}

Test(tile_store, gives_the_root_at_every_size_before_and_after_writing)
{
	append(3000, false);
	check_roots(3000);
	cr_assert_eq(tile_store_write(t, NULL), 0);
	check_roots(3000);
	append(MANY, true);
	check_roots(MANY);
}

Test(tile_store, is_taken_up_from_its_files_at_any_size)
{
	append(MANY, true);
	cr_assert_eq(tile_store_write(t, NULL), 0);
	for (uint64_t s = 1000; s <= MANY; s += 13000) {
		tile_store_free(t);
		cr_assert_eq(tile_store_new(&t, vio_sim_vio(sim)), 0);
		cr_assert_eq(tile_store_load(t, s, lend, NULL), 0);
		cr_assert_eq(tile_store_size(t), s);
		check_roots(s);
	}
}

Test(tile_store, notices_a_missing_and_a_short_tile)
{
	struct vio *v = vio_sim_vio(sim);
	struct vio_file *f = NULL;

	append(1000, true);
	cr_assert_eq(tile_store_write(t, NULL), 0);
	cr_assert_eq(vio_open(v, &f, "ledger/tile/0/001", VIO_WRITE), 0);
	cr_assert_eq(vio_truncate(f, 8000), 0);
	vio_close(f);
	cr_assert_eq(tile_store_load(t, 1000, lend, NULL), -ERR_CORRUPT);
	cr_assert_eq(vio_unlink(v, "ledger/tile/0/001"), 0);
	cr_assert_eq(tile_store_load(t, 1000, lend, NULL), -ENOENT);
}

Test(tile_store, a_full_disk_keeps_tiles_in_memory)
{
	append(1000, false);
	vio_sim_set_space(sim, 30000);
	cr_assert_eq(tile_store_write(t, NULL), -ENOSPC);
	check_roots(1000);
	vio_sim_set_space(sim, UINT64_MAX);
	cr_assert_eq(tile_store_write(t, NULL), 0);
	cr_assert(!tile_store_pending(t));
	check_roots(1000);
}

static unsigned differing;

static void differs(void *ctx, const char *path, const char *how)
{
	(void)ctx;
	cr_assert(strncmp(path, "ledger/tile/", 12) == 0 && how[0] != '\0');
	differing++;
}

Test(tile_store, comparing_tells_each_tile_that_is_not_right)
{
	struct tile_store_compare c = { .size = 1000, .differs = differs };

	append(1000, true);
	cr_assert_eq(tile_store_write(t, NULL), 0);
	cr_assert_eq(vio_sim_flip(sim, "ledger/tile/0/002", 77, 1), 0);
	cr_assert_eq(vio_sim_flip(sim, "ledger/tile/entries/000", 7, 1), 0);
	tile_store_clear(t);
	append(1000, false);
	cr_assert_eq(tile_store_compare(t, &c), 0);
	cr_assert_eq(c.tiles, 6);
	cr_assert_eq(differing, 2);
}

Test(tile_store, writing_again_counts_what_was_wrong)
{
	unsigned changed = 0;

	append(1000, true);
	cr_assert_eq(tile_store_write(t, NULL), 0);
	cr_assert_eq(vio_sim_flip(sim, "ledger/tile/0/002", 77, 1), 0);
	tile_store_clear(t);
	merkle_frontier_init(&frontier);
	append(1000, false);
	cr_assert_eq(tile_store_write(t, &changed), 0);
	cr_assert_eq(changed, 1);
	check_roots(1000);
}

Test(tile_store, bundles_hold_the_seals_in_order)
{
	struct tile b = { TILE_ENTRIES, 1, 256 };
	struct buf out = BUF_INIT;

	append(600, true);
	for (int pass = 0; pass < 2; pass++) {
		const uint8_t *p, *leaf = NULL;
		size_t left, n = 0;
		uint8_t want[32];

		buf_clear(&out);
		b.width = pass == 0 ? 256 : 7;
		cr_assert_eq(tile_store_bundle(t, &out, &b), 0);
		p = out.p;
		left = out.n;
		for (uint64_t i = 256; i < 256 + b.width; i++) {
			cr_assert_eq(tile_bundle_next(&p, &left, &leaf, &n), 1);
			cr_assert_eq(n, seal(want, i));
			cr_assert_eq(memcmp(leaf, want, n), 0);
		}
		cr_assert_eq(left, 0);
	}
	buf_release(&out);
}
