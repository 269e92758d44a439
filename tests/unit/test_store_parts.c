/*
 * test_store_parts.c - the small parts a store is made of.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/vio.h"
#include "fs/store/chunk_cache.h"
#include "fs/store/locations.h"
#include "fs/store/packs.h"
#include "fs/store/space.h"
#include "fs/store/staging.h"
#include "fs/store/verified.h"
#include "tests/sim/prng.h"
#include "tests/sim/vio_sim.h"

static const uint8_t volume[16] = "parts' volume 1";

static struct digest id_of(uint64_t k)
{
	struct digest d = { 0 };

	digest_blake3(&d, &k, sizeof(k));
	return d;
}

/* Pinned, or NULL. */
static struct cached *get(struct chunk_cache *c, const struct digest *id)
{
	struct chunk_claim k;
	struct cached *e = chunk_cache_claim(c, &k, id);

	if (!e)
		chunk_cache_loaded(c, &k);
	return e;
}

Test(chunk_cache, the_least_recently_used_goes_first_and_pins_stay)
{
	struct chunk_cache c;
	struct digest first = id_of(0);
	struct cached *pinned = NULL;
	struct cached *e = NULL;

	cr_assert_eq(chunk_cache_init(&c, 100000), 0);
	pinned = chunk_cache_new(&c, &first, CHUNK_DATA, 10000, 0);
	memset(pinned->p, 7, 10000);
	chunk_cache_put(&c, pinned);
	for (uint64_t k = 1; k < 100; k++) {
		struct digest id = id_of(k);

		e = chunk_cache_new(&c, &id, CHUNK_DATA, 10000, 0);
		chunk_cache_put(&c, e);
		chunk_cache_unpin(&c, e);
		id = id_of(1); /* kept in use */
		e = get(&c, &id);
		cr_assert_not_null(e);
		chunk_cache_unpin(&c, e);
	}
	cr_assert_leq(c.bytes, 100000);
	e = get(&c, &first);
	cr_assert_eq(e, pinned);
	cr_assert_eq(e->p[9999], 7);
	chunk_cache_unpin(&c, e);
	chunk_cache_drop(&c, pinned);
	cr_assert_null(get(&c, &first));
	cr_assert_eq(pinned->p[0], 7, "still pinned");
	chunk_cache_unpin(&c, pinned);
	chunk_cache_release(&c);
}

Test(chunk_cache, a_second_entry_of_one_id_is_freed_when_unpinned)
{
	struct chunk_cache c;
	struct digest id = id_of(1);
	struct cached *a = NULL;
	struct cached *b = NULL;

	cr_assert_eq(chunk_cache_init(&c, 1 << 20), 0);
	a = chunk_cache_new(&c, &id, CHUNK_DATA, 10, 0);
	b = chunk_cache_new(&c, &id, CHUNK_DATA, 10, 0);
	chunk_cache_put(&c, a);
	chunk_cache_put(&c, b);
	cr_assert(a->listed && !b->listed);
	chunk_cache_unpin(&c, b);
	chunk_cache_unpin(&c, a);
	chunk_cache_release(&c);
}

Test(chunk_cache, what_is_done_with_goes_soon_and_spares_the_others)
{
	struct chunk_cache c;
	struct digest kept = id_of(0);
	struct digest id = { 0 };
	struct cached *e = NULL;

	cr_assert_eq(chunk_cache_init(&c, 8 << 20), 0);
	e = chunk_cache_new(&c, &kept, CHUNK_DATA, 100000, 0);
	chunk_cache_put(&c, e);
	chunk_cache_unpin(&c, e);
	for (uint64_t k = 1; k < 500; k++) {
		id = id_of(k);
		e = chunk_cache_new(&c, &id, CHUNK_DATA, 1 + k * 500 % 262144,
				    k % 3 ? 0 : 72);
		cr_assert_not_null(e);
		memset(e->p, 1, e->n);
		chunk_cache_sum(e);
		chunk_cache_put(&c, e);
		chunk_cache_done(&c, e);
		cr_assert_leq(c.done.bytes, CACHED_DONE);
		cr_assert_leq(c.spare_bytes, CACHED_SPARE);
		e = get(&c, &id);
		cr_assert_not_null(e, "it is there for a while");
		cr_assert(chunk_cache_good(e, 0, e->n));
		chunk_cache_done(&c, e);
	}
	e = get(&c, &kept);
	cr_assert_not_null(e);
	chunk_cache_unpin(&c, e);
	chunk_cache_release(&c);
}

Test(verified, forgets_the_oldest_and_never_invents)
{
	struct verified v;
	unsigned kept = 0;

	cr_assert_eq(verified_init(&v, 64), 0);
	for (uint64_t k = 0; k < 10000; k++) {
		struct digest id = id_of(k);

		cr_assert(!verified_has(&v, &id));
		verified_add(&v, &id);
		cr_assert(verified_has(&v, &id));
	}
	for (uint64_t k = 0; k < 10000; k++) {
		struct digest id = id_of(k);

		kept += verified_has(&v, &id);
		verified_drop(&v, &id);
		cr_assert(!verified_has(&v, &id));
	}
	cr_assert_eq(kept, 64 * VERIFIED_WAYS);
	verified_release(&v);
}

Test(staging, is_framed_once_and_unstaged_by_the_last)
{
	struct staging s;
	struct chunk c = {
		.type = CHUNK_DATA,
		.raw_len = 3,
		.stored_len = 3,
		.stored = (const uint8_t *)"abc",
	};
	uint8_t p[LIMIT_CHUNK];

	cr_assert_eq(staging_init(&s), 0);
	for (uint64_t k = 0; k < 3000; k++) {
		c.id = id_of(k);
		cr_assert_eq(staging_add(&s, &c), 0);
	}
	cr_assert_eq(staging_bytes(&s), 9000);
	c.id = id_of(5);
	cr_assert_eq(staging_add(&s, &c), 0);
	staging_drop(&s, &c.id);
	cr_assert(staging_type(&s, &c.id), "one staging is left");
	staging_drop(&s, &c.id);
	cr_assert(!staging_type(&s, &c.id));
	c.id = id_of(6);
	cr_assert_not_null(staging_frame(&s, &c.id));
	cr_assert_null(staging_frame(&s, &c.id));
	staging_drop(&s, &c.id);
	cr_assert(staging_copy(&s, &c, p, &c.id), "a frame has it");
	cr_assert_eq(memcmp(p, "abc", 3), 0);
	staging_settled(&s, &c.id);
	cr_assert(!staging_type(&s, &c.id));
	staging_release(&s);
}

Test(space, promises_are_kept_within_what_is_free)
{
	struct vio_sim *sim = vio_sim_new(NULL);
	struct space s;
	uint64_t all = 0, left = 0;

	vio_sim_set_space(sim, 256 << 20);
	space_init(&s, vio_sim_vio(sim));
	cr_assert_eq(space_left(&s, &left), 0);
	while (space_reserve(&s, 1 << 20) == 0)
		all++;
	cr_assert_eq(left >> 20, all);
	cr_assert_eq(space_left(&s, &left), 0);
	cr_assert_lt(left, 1 << 20);
	cr_assert(all > 100 && all < 256, "%lu MiB", all);
	space_unreserve(&s, 2 << 20);
	cr_assert_eq(space_reserve(&s, 1 << 20), 0);
	space_wrote(&s, 1 << 20); /* and unreserved only afterwards */
	vio_sim_set_space(sim, 255 << 20);
	cr_assert_eq(space_reserve(&s, 1 << 20), -ENOSPC);
	cr_assert_eq(space_reserve(&s, UINT64_MAX), -ENOSPC);
	vio_sim_set_space(sim, 512 << 20);
	vio_sim_advance(sim, 200 * 1000 * 1000);
	cr_assert_eq(space_reserve(&s, 100 << 20), 0);
	space_release(&s);
	vio_sim_free(sim);
}

Test(locations, come_back_with_pack_offset_and_length)
{
	struct vio_sim *sim = vio_sim_new(NULL);
	struct locations *l = NULL;
	struct location at[LOCATIONS_MAX];
	struct locations_mark m = { 1, 1, 1 };

	cr_assert_eq(
		locations_open(&l, &m, vio_sim_vio(sim), 1 << 20, false, NULL),
		0);
	cr_assert(m.first == 0 && m.next == 0 && m.listed == 0);
	m = (struct locations_mark){ 17, 1001, 99 };
	for (uint64_t k = 0; k < 1000; k++) {
		struct digest id = id_of(k);

		cr_assert_eq(locations_put(l, &id, k + 1,
					   LIMIT_PACK - 1 - (uint32_t)k,
					   (uint32_t)k * 256),
			     0);
	}
	cr_assert_eq(locations_flush(l, &m, NULL), 0);
	locations_close(l);
	cr_assert_eq(
		locations_open(&l, &m, vio_sim_vio(sim), 1 << 20, false, NULL),
		0);
	cr_assert(m.first == 17 && m.next == 1001 && m.listed == 99);
	for (uint64_t k = 0; k < 1000; k++) {
		struct digest id = id_of(k);

		cr_assert_eq(locations_get(l, at, &id), 1);
		cr_assert_eq(at[0].pack, k + 1);
		cr_assert_eq(at[0].off, LIMIT_PACK - 1 - (uint32_t)k);
		cr_assert_geq(at[0].len_hint, (uint32_t)k * 256);
		cr_assert_lt(at[0].len_hint, (uint32_t)k * 256 + 32);
	}
	locations_close(l);
	vio_sim_free(sim);
}

Test(packs, a_mark_is_below_every_pack_that_may_grow)
{
	struct vio_sim *sim = vio_sim_new(NULL);
	struct packs p;
	struct packs_options o = { .volume_id = volume, .next_min = 5 };
	struct packfile *a = NULL;
	struct packfile *b = NULL;
	uint64_t first = 0;
	uint64_t next = 0;

	cr_assert_eq(packs_open(&p, vio_sim_vio(sim), &o, NULL), 0);
	cr_assert_eq(packs_take(&p, &a), 0);
	cr_assert_eq(a->number, 5, "numbers are never used again");
	cr_assert_eq(packs_take(&p, &b), 0);
	packs_mark(&p, &first, &next);
	cr_assert(first == 5 && next == 7);
	cr_assert_eq(packfile_seal(a), 0);
	packs_mark(&p, &first, &next);
	cr_assert(first == 6 && next == 7);
	cr_assert_eq(packs_give_back(&p, b), 0);
	cr_assert_eq(packs_take(&p, &a), 0);
	cr_assert_eq(a, b, "an idle pack is used again");
	cr_assert_eq(packs_give_back(&p, b), 0);
	p.next += PACKS_SPREAD;
	cr_assert(packs_lags(&p, b));
	cr_assert_eq(packs_tidy(&p), 0);
	cr_assert_eq(packfile_state(b), PACK_SEALED);
	cr_assert_null(packs_find(&p, 7));
	cr_assert_eq(packs_after(&p, 5), b);
	cr_assert_null(packs_after(&p, 6));
	cr_assert_eq(packs_close(&p, true), 0);
	vio_sim_free(sim);
}

/* What was begun and failed can then not be taken away. */
static void no_unlink(void *ctx, enum vio_sim_class class, const char *path)
{
	(void)path;
	if (class == VIO_SIM_UNLINK)
		vio_sim_fail(ctx, VIO_SIM_UNLINK, 1, EIO, false);
}

Test(packs, a_number_whose_file_stays_is_not_taken_again)
{
	struct vio_sim *sim = vio_sim_new(NULL);
	struct packs p;
	struct packs_options o = { .volume_id = volume };
	struct packfile *a = NULL;

	cr_assert_eq(packs_open(&p, vio_sim_vio(sim), &o, NULL), 0);
	vio_sim_fail(sim, VIO_SIM_SYNC, 1, EIO, false);
	cr_assert_eq(packs_take(&p, &a), -EIO);
	cr_assert_eq(packs_take(&p, &a), 0);
	cr_assert_eq(a->number, 1, "a number without a file is free");
	vio_sim_set_hook(sim, no_unlink, sim);
	vio_sim_fail(sim, VIO_SIM_SYNC, 1, EIO, false);
	cr_assert_eq(packs_take(&p, &a), -EIO);
	vio_sim_set_hook(sim, NULL, NULL);
	cr_assert_eq(packs_take(&p, &a), 0);
	cr_assert_eq(a->number, 3);
	cr_assert_eq(packs_close(&p, true), 0);
	vio_sim_free(sim);
}

Test(packs, more_packs_than_open_files_can_be_read)
{
	struct vio_sim *sim = vio_sim_new(NULL);
	struct packs p;
	struct packs_options o = { .volume_id = volume };
	struct packfile *v[PACKS_HANDLES + 50];
	struct pack_header h = { 0 };
	uint8_t bytes[PACK_HEADER_SIZE];

	cr_assert_eq(packs_open(&p, vio_sim_vio(sim), &o, NULL), 0);
	for (int i = 0; i < PACKS_HANDLES + 50; i++)
		cr_assert_eq(packs_take(&p, &v[i]), 0);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < PACKS_HANDLES + 50; i++) {
			cr_assert_eq(
				packfile_bytes(v[i], bytes, sizeof(bytes), 0),
				PACK_HEADER_SIZE);
			cr_assert_eq(
				pack_header_decode(&h, bytes, sizeof(bytes)),
				0);
			cr_assert_eq(h.number, (uint64_t)i + 1);
		}
	}
	cr_assert_leq(p.handles.n, PACKS_HANDLES);
	cr_assert_eq(packs_close(&p, true), 0);
	vio_sim_free(sim);
}
