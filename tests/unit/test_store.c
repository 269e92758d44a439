/*
 * test_store.c - chunks come back as they went in, or not at all.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/ptable.h"
#include "base/vio.h"
#include "fs/store/pack.h"
#include "fs/store/replica.h"
#include "fs/store/store.h"
#include "fs/store/store_int.h"
#include "tests/sim/prng.h"
#include "tests/sim/vio_sim.h"

static const uint8_t volume[16] = "a volume's id 01";

static struct store *store_on(struct vio_sim *sim)
{
	struct store_options o = { .vio = vio_sim_vio(sim) };
	struct store *s = NULL;
	struct errmsg em = ERRMSG_INIT;

	memcpy(o.volume_id, volume, 16);
	cr_assert_eq(store_open(&s, &o, &em), 0, "%s", em.text);
	return s;
}

/* Chunk number k: some compress, some do not, nodes among them. */
static size_t content(uint8_t *p, uint64_t k)
{
	struct prng r = { 0 };
	size_t n = 0;

	prng_init(&r, k + 1);
	n = 1 + prng_below(&r, k % 3 == 0 ? 300 : 40000);
	prng_bytes(&r, p, n);
	if (k % 2)
		for (size_t i = 0; i < n; i++)
			p[i] = "abcdefgh"[p[i] % 8];
	return n;
}

static enum chunk_type type_of(uint64_t k)
{
	return k % 7 == 3 ? CHUNK_NODE : CHUNK_DATA;
}

static void make(struct chunk *out, struct chunk_maker *m, uint8_t *p,
		 uint64_t k)
{
	size_t n = content(p, k);

	cr_assert_eq(chunk_make(out, m, type_of(k), p, n), 0);
}

/* 0 when the chunk is there and right; asserts that it is never wrong. */
static int check(struct store *s, uint64_t k)
{
	autofree uint8_t *p = malloc(LIMIT_CHUNK);
	size_t n = content(p, k);
	struct store_ref ref = { .p = NULL };
	struct digest id = { 0 };
	int rc = 0;

	chunk_hash(&id, type_of(k), p, n);
	rc = store_get(s, &ref, &id, type_of(k));
	if (rc < 0)
		return rc;
	cr_assert_eq(ref.n, n);
	cr_assert_eq(memcmp(ref.p, p, n), 0, "wrong bytes for %lu", k);
	store_release(&ref);
	return 0;
}

static int put_range(struct store *s, uint64_t from, uint64_t to)
{
	struct chunk_maker *m = chunk_maker_new();
	autofree uint8_t *p = malloc(LIMIT_CHUNK);
	struct store_writer *w = NULL;
	struct chunk c = { 0 };
	int rc = store_writer_open(s, &w);

	for (uint64_t k = from; rc == 0 && k < to; k++) {
		make(&c, m, p, k);
		rc = store_writer_put(w, &c);
	}
	if (rc == 0)
		rc = store_writer_flush(w);
	store_writer_close(w);
	chunk_maker_free(m);
	return rc;
}

Test(store, bulk_chunks_come_back_also_after_reopening)
{
	struct vio_sim *sim = vio_sim_new(NULL);
	struct store *s = store_on(sim);

	cr_assert_eq(put_range(s, 0, 300), 0);
	for (uint64_t k = 0; k < 300; k++)
		cr_assert_eq(check(s, k), 0);
	cr_assert_eq(check(s, 1000), -ERR_MISSING_CHUNK);
	store_close(s);
	s = store_on(sim);
	for (uint64_t k = 0; k < 300; k++)
		cr_assert_eq(check(s, k), 0);
	store_close(s);
	vio_sim_free(sim);
}

Test(store, packs_what_it_has_not_and_never_a_duplicate)
{
	struct vio_sim *sim = vio_sim_new(NULL);
	struct store *s = store_on(sim);
	struct chunk_maker *m = chunk_maker_new();
	struct chunk_maker *none = (struct chunk_maker *)8;
	autofree uint8_t *p = calloc(1, LIMIT_CHUNK);
	struct store_writer *w = NULL;
	struct store_stat st = { .packs = 0 };
	struct chunk c = { 0 };
	bool frame = true;

	memset(p, 'x', LIMIT_CHUNK);
	cr_assert_eq(store_writer_open(s, &w), 0);
	cr_assert_eq(chunk_name(&c, m, CHUNK_DATA, p, LIMIT_CHUNK), 0);
	cr_assert(c.codec == CHUNK_RAW && c.stored == p);
	cr_assert_eq(store_writer_put(w, &c), 0);
	cr_assert_eq(store_writer_flush(w), 0);
	store_stat(s, &st);
	cr_assert_lt(st.stored_bytes, 1000);
	cr_assert_eq(chunk_name(&c, none, CHUNK_DATA, p, LIMIT_CHUNK), 0);
	cr_assert_eq(store_writer_put(w, &c), 0);
	cr_assert_eq(store_stage(s, &c, &frame), 0);
	cr_assert(!frame);
	cr_assert_eq(chunk_name(&c, m, CHUNK_DATA, p, LIMIT_CHUNK - 1), 0);
	cr_assert_eq(store_stage(s, &c, &frame), 0);
	cr_assert(frame);
	cr_assert_eq(store_frame(s, &c.id)->codec, CHUNK_ZSTD);
	store_writer_close(w);
	chunk_maker_free(m);
	store_close(s);
	vio_sim_free(sim);
}

/* Bits that flip in memory, wherever they do, after the chunk was decoded. */
Test(store, bytes_of_the_cache_that_went_bad_are_never_handed_out)
{
	struct vio_sim *sim = vio_sim_new(NULL);
	struct store *s = store_on(sim);
	autofree uint8_t *p = malloc(LIMIT_CHUNK);
	autofree uint8_t *got = malloc(LIMIT_CHUNK);
	struct store_ref ref = { .p = NULL };
	struct digest id = { 0 };
	struct prng r = { 0 };
	uint32_t whole = 0;

	prng_init(&r, 5);
	cr_assert_eq(put_range(s, 0, 30), 0);
	for (int round = 0; round < 300; round++) {
		uint64_t k = prng_below(&r, 30);
		size_t n = content(p, k);
		size_t at = prng_below(&r, n);
		size_t len = 1 + prng_below(&r, n - at);
		size_t bad = at + prng_below(&r, len);

		chunk_hash(&id, type_of(k), p, n);
		cr_assert_eq(store_get(s, &ref, &id, type_of(k)), 0);
		((uint8_t *)(uintptr_t)ref.p)[bad] ^= 1 << round % 8;
		store_release(&ref);
		cr_assert_eq(store_read(s, got, &whole, &id, type_of(k), at,
					len, round % 3 == 0),
			     0);
		cr_assert_eq(whole, n);
		cr_assert_eq(memcmp(got, p + at, len), 0);
		cr_assert_eq(check(s, k), 0);
	}
	store_close(s);
	vio_sim_free(sim);
}

Test(store, staged_chunks_are_read_framed_once_settled_and_stay)
{
	struct vio_sim *sim = vio_sim_new(NULL);
	struct store *s = store_on(sim);
	struct chunk_maker *m = chunk_maker_new();
	autofree uint8_t *p = malloc(LIMIT_CHUNK);
	struct digest ids[50];
	struct chunk c = { 0 };
	bool frame = false;

	for (uint64_t k = 0; k < 50; k++) {
		make(&c, m, p, k);
		ids[k] = c.id;
		cr_assert_eq(store_stage(s, &c, &frame), 0);
		cr_assert(frame);
		cr_assert_eq(check(s, k), 0);
	}
	make(&c, m, p, 7);
	cr_assert_eq(store_stage(s, &c, &frame), 0);
	cr_assert(frame, "not durable yet");
	for (uint64_t k = 0; k < 50; k++) {
		cr_assert_not_null(store_frame(s, &ids[k]));
		cr_assert_null(store_frame(s, &ids[k]));
	}
	cr_assert_eq(store_settle(s, ids, 50), 0);
	cr_assert_eq(store_settle(s, ids, 50), 0, "a second time is nothing");
	for (uint64_t k = 0; k < 50; k++)
		cr_assert_eq(check(s, k), 0);
	make(&c, m, p, 7);
	cr_assert_eq(store_stage(s, &c, &frame), 0);
	cr_assert(!frame, "a settled chunk is durable through its frame");
	cr_assert_eq(store_settle_flush(s), 0);
	store_close(s);
	s = store_on(sim);
	for (uint64_t k = 0; k < 50; k++)
		cr_assert_eq(check(s, k), 0);
	chunk_maker_free(m);
	store_close(s);
	vio_sim_free(sim);
}

Test(store, what_is_there_and_verified_is_not_written_again)
{
	struct vio_sim *sim = vio_sim_new(NULL);
	struct store *s = store_on(sim);
	struct store_stat a = { 0 };
	struct store_stat b = { 0 };

	cr_assert_eq(put_range(s, 0, 100), 0);
	store_stat(s, &a);
	cr_assert_eq(a.chunks, 100);
	cr_assert_eq(put_range(s, 0, 100), 0);
	store_close(s);
	s = store_on(sim);
	cr_assert_eq(put_range(s, 0, 100), 0);
	store_stat(s, &b);
	cr_assert_eq(b.chunks, 100);
	cr_assert_eq(b.stored_bytes, a.stored_bytes);
	cr_assert_eq(b.raw_bytes, b.dedup_bytes);
	store_close(s);
	vio_sim_free(sim);
}

static int first_pack_with(struct vio_sim *sim, char out[PACK_NAME_SIZE])
{
	for (uint64_t n = 1; n < 20; n++) {
		struct vio_stat st = { 0 };

		pack_name(out, n);
		if (vio_stat(vio_sim_vio(sim), out, &st) == 0)
			return (int)st.size;
	}
	return 0;
}

Test(store, dedup_never_trusts_bytes_that_went_bad)
{
	struct vio_sim *sim = vio_sim_new(NULL);
	struct store *s = store_on(sim);
	char name[PACK_NAME_SIZE];

	cr_assert_eq(put_range(s, 0, 20), 0);
	store_close(s);
	cr_assert_gt(first_pack_with(sim, name), 0);
	/* into the stored bytes of the first record */
	cr_assert_eq(vio_sim_flip(sim, name,
				  PACK_HEADER_SIZE + PACK_RECORD_SIZE + 1, 3),
		     0);
	s = store_on(sim);
	cr_assert_eq(check(s, 0), -ERR_CORRUPT);
	cr_assert_eq(put_range(s, 0, 20), 0);
	cr_assert_eq(check(s, 0), 0);
	store_close(s);
	s = store_on(sim);
	cr_assert_eq(check(s, 0), 0);
	store_close(s);
	vio_sim_free(sim);
}

/* Chunk 1, packed and damaged; its bytes as they are, to be put again. */
static struct vio_sim *damaged_one(struct chunk *out, uint8_t *p)
{
	struct vio_sim *sim = vio_sim_new(NULL);
	struct store *s = store_on(sim);
	size_t n = content(p, 1);
	char name[PACK_NAME_SIZE];

	cr_assert_eq(put_range(s, 1, 2), 0);
	store_close(s);
	cr_assert_gt(first_pack_with(sim, name), 0);
	cr_assert_eq(vio_sim_flip(sim, name,
				  PACK_HEADER_SIZE + PACK_RECORD_SIZE + 1, 3),
		     0);
	/* not as the record has them: it cannot be written again in place */
	*out = (struct chunk){
		.type = type_of(1),
		.raw_len = (uint32_t)n,
		.stored_len = (uint32_t)n,
		.stored = p,
	};
	chunk_hash(&out->id, type_of(1), p, n);
	return sim;
}

/* What was read from memory says nothing of what lies in a pack. */
Test(store, a_staged_chunk_that_was_read_is_settled_all_the_same)
{
	autofree uint8_t *p = malloc(LIMIT_CHUNK);
	struct chunk c = { 0 };
	struct vio_sim *sim = damaged_one(&c, p);
	struct store *s = store_on(sim);
	bool frame = false;

	cr_assert_eq(store_stage(s, &c, &frame), 0);
	cr_assert(frame);
	cr_assert_eq(check(s, 1), 0);
	cr_assert_not_null(store_frame(s, &c.id));
	cr_assert_eq(store_settle(s, &c.id, 1), 0);
	cr_assert_eq(store_settle_flush(s), 0);
	store_close(s);
	s = store_on(sim);
	cr_assert_eq(check(s, 1), 0);
	store_close(s);
	vio_sim_free(sim);
}

/* Nor does one copy say anything of another. */
Test(store, dedup_is_against_the_copy_that_was_verified)
{
	autofree uint8_t *p = malloc(LIMIT_CHUNK);
	struct chunk c = { 0 };
	struct vio_sim *sim = damaged_one(&c, p);
	struct store *s = store_on(sim);
	struct store_writer *a = NULL;
	struct store_writer *b = NULL;
	struct prng r = { 0 };

	prng_init(&r, 1);
	cr_assert_eq(store_writer_open(s, &a), 0);
	cr_assert_eq(store_writer_open(s, &b), 0);
	cr_assert_eq(store_writer_put(a, &c), 0);
	cr_assert_eq(store_writer_put(b, &c), 0);
	cr_assert_eq(store_writer_flush(b), 0); /* a is not flushed */
	vio_sim_crash(sim, &r);
	store_writer_close(a);
	store_writer_close(b);
	store_close(s);
	s = store_on(sim);
	cr_assert_eq(check(s, 1), 0);
	store_close(s);
	vio_sim_free(sim);
}

Test(store, packs_are_sealed_at_their_limit_and_found_by_footer)
{
	struct vio_sim *sim = vio_sim_new(NULL);
	struct store *s = store_on(sim);
	struct store_stat st = { 0 };
	struct chunk_maker *m = chunk_maker_new();
	autofree uint8_t *p = malloc(LIMIT_CHUNK);
	struct store_writer *w = NULL;
	struct chunk c = { 0 };
	struct prng r = { 0 };
	struct digest ids[600];

	prng_init(&r, 1);
	cr_assert_eq(store_writer_open(s, &w), 0);
	for (int i = 0; i < 600; i++) {
		prng_bytes(&r, p, LIMIT_CHUNK);
		cr_assert_eq(chunk_make(&c, m, CHUNK_DATA, p, LIMIT_CHUNK), 0);
		cr_assert_eq(c.codec, CHUNK_RAW);
		ids[i] = c.id;
		cr_assert_eq(store_writer_put(w, &c), 0);
	}
	cr_assert_eq(store_writer_flush(w), 0);
	store_writer_close(w);
	store_close(s);
	/* without the table: from the footers */
	cr_assert_eq(ptable_remove(vio_sim_vio(sim), "cache/chunks"), 0);
	s = store_on(sim);
	store_stat(s, &st);
	cr_assert_eq(st.packs, 3);
	cr_assert_eq(st.chunks, 600);
	for (int i = 0; i < 600; i++) {
		struct store_ref ref = { .p = NULL };

		cr_assert_eq(store_get(s, &ref, &ids[i], CHUNK_ANY),
			     CHUNK_DATA);
		store_release(&ref);
	}
	chunk_maker_free(m);
	store_close(s);
	vio_sim_free(sim);
}

/* Packs that are not full are listed again only when they are not the same. */
Test(store, an_orderly_end_spares_the_next_opening_the_listing)
{
	struct vio_sim *sim = vio_sim_new(NULL);
	struct store *s = store_on(sim);
	struct location at[LOCATIONS_MAX];
	struct prng r = { 0 };

	prng_init(&r, 3);
	cr_assert_eq(put_range(s, 0, 20), 0);
	store_close(s);
	for (uint64_t to = 21; to < 24; to++) {
		s = store_on(sim);
		cr_assert_eq(atomic_load(&s->puts), 0);
		for (uint64_t k = 0; k < to - 1; k++)
			cr_assert_eq(check(s, k), 0);
		cr_assert_eq(put_range(s, to - 1, to), 0);
		store_close(s);
	}
	/* of this end nobody told the table */
	s = store_on(sim);
	cr_assert_eq(put_range(s, 23, 30), 0);
	vio_sim_stop_at(sim, 1);
	store_close(s);
	vio_sim_crash(sim, &r);
	s = store_on(sim);
	cr_assert_geq(atomic_load(&s->chunks), 30);
	for (uint64_t k = 0; k < 30; k++) {
		autofree uint8_t *p = malloc(LIMIT_CHUNK);
		struct digest id = { 0 };

		chunk_hash(&id, type_of(k), p, content(p, k));
		cr_assert_geq(locations_get(s->locations, at, &id), 1,
			      "chunk %lu is not listed", k);
	}
	store_close(s);
	vio_sim_free(sim);
}

/* Whatever a crash left behind, none of it is damage. */
static void check_clean(struct store *s)
{
	struct store_check_options o = { .repair = false };
	struct store_check_report rep = { 0 };

	cr_assert_eq(store_check(s, &rep, &o, NULL), 0);
	cr_assert_eq(rep.bad, 0);
	cr_assert_gt(rep.chunks, 0);
}

/*
 * Crash sweep: a workload of bulk writes, staging and settling is stopped at
 * each changing call in turn; what was acknowledged must be there afterwards.
 */
struct sweep {
	uint64_t flushed; /* chunks 0..flushed were flushed in bulk */
	uint64_t settled; /* chunks 1000..settled by store_settle_flush */
	uint64_t recovered;
};

static void workload(struct store *s, struct sweep *w)
{
	struct chunk_maker *m = chunk_maker_new();
	autofree uint8_t *p = malloc(LIMIT_CHUNK);

	for (uint64_t round = 0; round < 4; round++) {
		struct digest ids[8];
		struct chunk c = { 0 };
		bool frame = false;
		int rc = 0;

		/* one repeated chunk, so that duplicates are relied upon */
		rc = put_range(s, w->flushed ? w->flushed - 1 : 0,
			       w->flushed + 6);
		if (rc < 0)
			break;
		w->flushed += 6;
		for (uint64_t i = 0; i < 8; i++) {
			make(&c, m, p, 1000 + w->settled + i);
			ids[i] = c.id;
			rc = store_stage(s, &c, &frame);
			if (rc < 0)
				break;
		}
		if (rc == 0)
			rc = store_settle(s, ids, 8);
		if (rc == 0)
			rc = store_settle_flush(s);
		if (rc < 0)
			break;
		w->settled += 8;
	}
	chunk_maker_free(m);
}

Test(store, what_was_flushed_survives_a_crash_at_any_moment, .timeout = 170)
{
	uint64_t seed = prng_seed("store_crash", 77);
	bool reached_end = false;
	unsigned cut = 0;

	for (uint64_t n = 1; !reached_end; n++) {
		struct vio_sim_options so = { .seed = n, .ordered = n % 2 };
		struct vio_sim *sim = vio_sim_new(&so);
		struct store_options o = { .vio = vio_sim_vio(sim) };
		struct sweep w = { 0 };
		struct store *s = NULL;
		struct prng r = { 0 };

		prng_init(&r, seed + n);
		memcpy(o.volume_id, volume, 16);
		vio_sim_stop_at(sim, n);
		if (store_open(&s, &o, NULL) == 0) {
			workload(s, &w);
			store_close(s);
		}
		reached_end = !vio_sim_stopped(sim);
		cut += w.flushed > 0 && !reached_end;
		vio_sim_crash(sim, &r);
		for (int again = 0; again < 2; again++) {
			s = store_on(sim);
			for (uint64_t k = 0; k < w.flushed; k++)
				cr_assert_eq(check(s, k), 0, "n=%lu k=%lu", n,
					     k);
			for (uint64_t k = 0; k < w.settled; k++)
				cr_assert_eq(check(s, 1000 + k), 0,
					     "n=%lu settled %lu", n, k);
			/* and it goes on working */
			cr_assert_eq(put_range(s, 2000, 2005), 0);
			for (uint64_t k = 2000; k < 2005; k++)
				cr_assert_eq(check(s, k), 0);
			check_clean(s);
			store_close(s);
		}
		vio_sim_free(sim);
	}
	cr_assert_gt(cut, 10, "the sweep cut nothing");
}

Test(store, the_first_failed_write_turns_it_read_only)
{
	struct vio_sim *sim = vio_sim_new(NULL);
	struct store *s = store_on(sim);

	cr_assert_eq(put_range(s, 0, 5), 0);
	vio_sim_fail(sim, VIO_SIM_SYNC, 1, EIO, false);
	cr_assert_eq(put_range(s, 5, 10), -EIO);
	cr_assert_neq(store_failed(s), 0);
	cr_assert_eq(put_range(s, 10, 12), -ERR_STICKY);
	cr_assert_eq(check(s, 2), 0, "reading goes on");
	store_close(s);
	s = store_on(sim);
	cr_assert_eq(store_failed(s), 0);
	cr_assert_eq(put_range(s, 0, 12), 0);
	store_close(s);
	vio_sim_free(sim);
}

/* Nor what is written ahead of one. */
Test(store, no_failed_flush_is_soft)
{
	static const int errors[] = { ENOSPC, EDQUOT, ENOMEM, EIO };

	for (size_t i = 0; i < 8; i++) {
		struct vio_sim *sim = vio_sim_new(NULL);
		struct store *s = store_on(sim);

		cr_assert_eq(put_range(s, 0, 5), 0);
		vio_sim_fail(sim, i < 4 ? VIO_SIM_SYNC : VIO_SIM_WRITEBACK,
			     i < 4 ? 1 : 3, errors[i % 4], false);
		cr_assert_eq(put_range(s, 5, i < 4 ? 10 : 400), -EIO, "%zu", i);
		cr_assert_eq(store_failed(s), -EIO);
		store_close(s);
		vio_sim_free(sim);
	}
}

Test(store, a_full_disk_is_soft)
{
	struct vio_sim *sim = vio_sim_new(NULL);
	struct store *s = store_on(sim);

	cr_assert_eq(put_range(s, 0, 5), 0);
	vio_sim_set_space(sim, 100 << 10);
	cr_assert_eq(put_range(s, 5, 200), -ENOSPC);
	cr_assert_eq(store_failed(s), 0);
	cr_assert_eq(store_reserve(s, 1 << 20), -ENOSPC);
	for (uint64_t k = 0; k < 5; k++)
		cr_assert_eq(check(s, k), 0);
	vio_sim_set_space(sim, UINT64_MAX);
	cr_assert_eq(put_range(s, 5, 200), 0);
	for (uint64_t k = 0; k < 200; k++)
		cr_assert_eq(check(s, k), 0);
	store_close(s);
	vio_sim_free(sim);
}

Test(store, every_single_fault_is_an_error_and_never_a_lie, .timeout = 170)
{
	bool clean = false;

	for (uint64_t n = 1; !clean; n++) {
		struct vio_sim *sim = vio_sim_new(NULL);
		struct store_options o = { .vio = vio_sim_vio(sim) };
		struct sweep w = { 0 };
		struct store *s = NULL;

		memcpy(o.volume_id, volume, 16);
		vio_sim_fail(sim, VIO_SIM_ANY, n, EIO, false);
		if (store_open(&s, &o, NULL) == 0) {
			workload(s, &w);
			store_close(s);
		}
		clean = !vio_sim_failed(sim);
		vio_sim_fail(sim, VIO_SIM_ANY, 0, EIO, false);
		s = store_on(sim);
		for (uint64_t k = 0; k < w.flushed; k++)
			cr_assert_eq(check(s, k), 0, "n=%lu k=%lu", n, k);
		for (uint64_t k = 0; k < w.settled; k++)
			cr_assert_eq(check(s, 1000 + k), 0);
		store_close(s);
		vio_sim_free(sim);
	}
}

Test(store, a_bad_sector_at_opening_hides_nothing_for_good)
{
	struct vio_sim *sim = vio_sim_new(NULL);
	struct store *s = store_on(sim);
	bool clean = false;
	struct prng r = { 0 };

	prng_init(&r, 5);
	cr_assert_eq(put_range(s, 0, 20), 0);
	vio_sim_crash(sim, &r); /* no table, no close mark */
	store_close(s);
	for (uint64_t n = 1; !clean; n++) {
		struct store_options o = { .vio = vio_sim_vio(sim) };

		memcpy(o.volume_id, volume, 16);
		vio_sim_fail(sim, VIO_SIM_READ, n, EIO, false);
		if (store_open(&s, &o, NULL) == 0)
			store_close(s);
		clean = !vio_sim_failed(sim);
		vio_sim_fail(sim, VIO_SIM_ANY, 0, EIO, false);
		s = store_on(sim);
		for (uint64_t k = 0; k < 20; k++)
			cr_assert_eq(check(s, k), 0, "n=%lu", n);
		store_close(s);
	}
	vio_sim_free(sim);
}

Test(store, a_store_that_is_only_read_is_not_touched)
{
	struct vio_sim *sim = vio_sim_new(NULL);
	struct store *s = store_on(sim);
	struct store_options o = { .vio = vio_sim_vio(sim), .read_only = true };
	uint64_t before = 0;

	cr_assert_eq(put_range(s, 0, 50), 0);
	store_close(s);
	before = vio_sim_count(sim, VIO_SIM_CHANGE);
	cr_assert_eq(store_open(&s, &o, NULL), 0);
	for (uint64_t k = 0; k < 50; k++)
		cr_assert_eq(check(s, k), 0);
	cr_assert_eq(put_range(s, 0, 1), -EROFS);
	store_close(s);
	cr_assert_eq(vio_sim_count(sim, VIO_SIM_CHANGE), before);
	vio_sim_free(sim);
}

Test(store, another_volumes_pack_is_refused_in_words)
{
	struct vio_sim *sim = vio_sim_new(NULL);
	struct store *s = store_on(sim);
	struct store_options o = { .vio = vio_sim_vio(sim),
				   .volume_id = "another volume!" };
	struct errmsg em = ERRMSG_INIT;

	cr_assert_eq(put_range(s, 0, 5), 0);
	store_close(s);
	cr_assert_eq(store_open(&s, &o, &em), -ERR_CORRUPT);
	cr_assert_not_null(strstr(em.text, "another volume"));
	vio_sim_free(sim);
}

struct damage {
	struct vio_sim *sim;
	struct prng r;
	unsigned files;
};

static int damage_one(void *ctx, const char *name)
{
	struct damage *d = ctx;
	char path[512];
	struct vio_stat st = { 0 };

	snprintf(path, sizeof(path), "cache/%s", name);
	cr_assert_eq(vio_stat(vio_sim_vio(d->sim), path, &st), 0);
	if (st.size == 0)
		return 0;
	d->files++;
	return vio_sim_flip(d->sim, path, prng_below(&d->r, st.size), 2);
}

Test(store, a_damaged_location_table_costs_nothing_but_time)
{
	struct vio_sim *sim = vio_sim_new(NULL);
	struct damage d = { .sim = sim };
	struct store *s = store_on(sim);

	prng_init(&d.r, prng_seed("store_table", 4));
	cr_assert_eq(put_range(s, 0, 100), 0);
	store_close(s);
	for (int round = 0; round < 30; round++) {
		cr_assert_eq(
			vio_list(vio_sim_vio(sim), "cache", damage_one, &d), 0);
		s = store_on(sim);
		for (uint64_t k = 0; k < 100; k++)
			cr_assert_eq(check(s, k), 0, "round %d", round);
		store_close(s);
	}
	cr_assert_gt(d.files, 30);
	vio_sim_free(sim);
}

Test(store, a_full_disk_can_be_opened_and_read)
{
	struct vio_sim *sim = vio_sim_new(NULL);
	struct store *s = store_on(sim);
	struct prng r = { 0 };

	prng_init(&r, 1);
	cr_assert_eq(put_range(s, 0, 50), 0);
	vio_sim_set_space(sim, 0);
	vio_sim_crash(sim, &r);
	store_close(s);
	vio_sim_set_space(sim, 0);
	for (int again = 0; again < 2; again++) {
		s = store_on(sim);
		for (uint64_t k = 0; k < 50; k++)
			cr_assert_eq(check(s, k), 0);
		cr_assert_eq(put_range(s, 50, 60), -ENOSPC);
		store_close(s);
		cr_assert_eq(ptable_remove(vio_sim_vio(sim), "cache/chunks"),
			     0);
	}
	vio_sim_free(sim);
}

Test(store, the_loss_of_a_chunk_is_told_once)
{
	struct vio_sim *sim = vio_sim_new(NULL);
	struct store *s = store_on(sim);
	struct store_stat st = { 0 };

	cr_assert_eq(put_range(s, 0, 3), 0);
	store_close(s);
	cr_assert_eq(vio_sim_flip(sim, "packs/00000001.pack",
				  PACK_HEADER_SIZE + PACK_RECORD_SIZE, 1),
		     0);
	s = store_on(sim);
	for (int i = 0; i < 5; i++)
		cr_assert_eq(check(s, 0), -ERR_CORRUPT);
	store_stat(s, &st);
	cr_assert_eq(st.unrepaired, 1);
	store_close(s);
	vio_sim_free(sim);
}
