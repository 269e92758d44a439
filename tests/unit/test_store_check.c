/*
 * store_check over packs that are large enough to be read ahead and shared
 * between cores: what it tells is what a scan from the first byte to the last
 * would.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/limits.h"
#include "fs/store/store.h"
#include "fs/store/store_int.h"
#include "tests/sim/prng.h"
#include "tests/sim/vio_sim.h"

enum { CHUNKS = 600, PACKS = 3, SEALED = 2 };

struct told {
	unsigned n;
	char words[512]; /* the last */
};

static void found(void *ctx, const char *words)
{
	struct told *t = ctx;

	t->n++;
	(void)snprintf(t->words, sizeof(t->words), "%s", words);
}

static struct store *store_on(struct vio_sim *sim)
{
	struct store_options o = { .vio = vio_sim_vio(sim) };
	struct store *s = NULL;
	struct errmsg em = ERRMSG_INIT;

	memcpy(o.volume_id, "0123456789abcdef", 16);
	cr_assert_eq(store_open(&s, &o, &em), 0, "%s", em.text);
	return s;
}

/* Two full packs and one that is not; nothing compresses. */
static void fill(struct store *s)
{
	struct chunk_maker *m = chunk_maker_new();
	autofree uint8_t *p = malloc(LIMIT_CHUNK);
	struct store_writer *w = NULL;
	struct chunk c = { 0 };
	struct prng r = { 0 };

	prng_init(&r, 1);
	cr_assert_eq(store_writer_open(s, &w), 0);
	for (int i = 0; i < CHUNKS; i++) {
		prng_bytes(&r, p, LIMIT_CHUNK);
		cr_assert_eq(chunk_make(&c, m, CHUNK_DATA, p, LIMIT_CHUNK), 0);
		cr_assert_eq(store_writer_put(w, &c), 0);
	}
	cr_assert_eq(store_writer_flush(w), 0);
	store_writer_close(w);
	chunk_maker_free(m);
}

static void check(struct store *s, struct store_check_report *rep,
		  struct told *t)
{
	struct store_check_options o = { .found = found, .ctx = t };

	*t = (struct told){ .n = 0 };
	cr_assert_eq(store_check(s, rep, &o, NULL), 0);
}

Test(store_check, each_flipped_bit_is_told_with_its_place, .timeout = 120)
{
	const size_t record = PACK_RECORD_SIZE + (size_t)LIMIT_CHUNK;
	struct vio_sim *sim = vio_sim_new(NULL);
	struct store *s = store_on(sim);
	struct store_check_report rep = { 0 };
	struct told t;
	struct prng r = { 0 };

	prng_init(&r, prng_seed("store_check", 5));
	fill(s);
	check(s, &rep, &t);
	cr_assert_eq(rep.packs, PACKS);
	cr_assert_eq(rep.chunks, CHUNKS);
	cr_assert_eq(rep.bad, 0);
	for (unsigned i = 0; i < 4 * SEALED; i++) {
		char name[PACK_NAME_SIZE], place[32];
		/* in the header of a record, or in its bytes */
		uint64_t nth = prng_below(&r, 40);
		uint64_t in = prng_below(&r, i % 2 ? PACK_RECORD_SIZE : record);
		uint64_t at = PACK_HEADER_SIZE + nth * record;
		unsigned bit = (unsigned)prng_below(&r, 8);

		pack_name(name, 1 + i % SEALED);
		cr_assert_eq(vio_sim_flip(sim, name, at + in, bit), 0);
		check(s, &rep, &t);
		cr_assert_eq(rep.bad, 1, "%s at %lu: %lu, %s", name, at + in,
			     rep.bad, t.words);
		cr_assert_eq(rep.chunks, CHUNKS - 1);
		(void)snprintf(place, sizeof(place), " at %lu", at);
		cr_assert(strstr(t.words, name) && strstr(t.words, place),
			  "%s%s: %s", name, place, t.words);
		cr_assert_eq(vio_sim_flip(sim, name, at + in, bit), 0);
	}
	check(s, &rep, &t);
	cr_assert_eq(rep.bad, 0);
	cr_assert_eq(t.n, 0, "%s", t.words);
	store_close(s);
	vio_sim_free(sim);
}

/* One chunk, always the same. */
static void put_one(struct store *s, struct digest *out)
{
	struct chunk_maker *m = chunk_maker_new();
	struct store_writer *w = NULL;
	struct chunk c = { 0 };

	cr_assert_eq(chunk_make(&c, m, CHUNK_DATA, "a chunk", 7), 0);
	cr_assert_eq(store_writer_open(s, &w), 0);
	cr_assert_eq(store_writer_put(w, &c), 0);
	cr_assert_eq(store_writer_flush(w), 0);
	store_writer_close(w);
	*out = c.id;
	chunk_maker_free(m);
}

static bool any_pack(void *ctx, struct packfile *f)
{
	(void)ctx;
	(void)f;
	return true;
}

/* gc was killed after the table forgot a place, before the pack was gone. */
Test(store_check, a_place_that_gc_gave_up_is_not_missed)
{
	struct vio_sim *sim = vio_sim_new(NULL);
	struct store *s = store_on(sim);
	struct store_check_report rep = { 0 };
	struct location at[LOCATIONS_MAX];
	struct packfile *f;
	struct digest id;
	struct told t;

	put_one(s, &id);
	f = packs_after(&s->packs, 0);
	cr_assert_eq(packs_seal_idle(&s->packs, any_pack, NULL), 0);
	cr_assert_eq(locations_get(s->locations, at, &id), 1);
	atomic_store(&f->condemned, true);
	put_one(s, &id);
	cr_assert_eq(locations_del(s->locations, &id, &at[0]), 0);
	atomic_store(&f->condemned, false);
	cr_assert_eq(locations_get(s->locations, at, &id), 1);
	check(s, &rep, &t);
	cr_assert_eq(t.n, 0, "%s", t.words);
	cr_assert_eq(rep.chunks, 2);
	/* but what is listed nowhere is */
	cr_assert_eq(locations_del(s->locations, &id, &at[0]), 0);
	check(s, &rep, &t);
	cr_assert_eq(t.n, 2);
	cr_assert(strstr(t.words, "lacks 1 chunks"), "%s", t.words);
	store_close(s);
	vio_sim_free(sim);
}

/* A footer that goes bad while nothing is mounted: no crash was there. */
Test(store_check, the_end_of_a_full_pack_is_no_torn_one, .timeout = 120)
{
	struct vio_sim *sim = vio_sim_new(NULL);
	struct store *s = store_on(sim);
	struct store_check_report rep = { 0 };
	struct vio_stat st = { 0 };
	char name[PACK_NAME_SIZE];
	struct told t;

	fill(s);
	store_close(s);
	pack_name(name, 1);
	cr_assert_eq(vio_stat(vio_sim_vio(sim), name, &st), 0);
	cr_assert_eq(vio_sim_flip(sim, name, st.size - 1, 3), 0);
	s = store_on(sim);
	check(s, &rep, &t);
	cr_assert_eq(rep.bad, 1, "%s", t.words);
	cr_assert_eq(rep.torn_bytes, 0);
	cr_assert_eq(rep.chunks, CHUNKS);
	cr_assert(strstr(t.words, name), "%s", t.words);
	store_close(s);
	vio_sim_free(sim);
}

/* The same after a crash while it was filled. */
Test(store_check, the_end_of_a_pack_that_was_filled_is_torn, .timeout = 120)
{
	enum { FULL = 255 }; /* chunks of a full pack */
	const uint64_t record = PACK_RECORD_SIZE + (uint64_t)LIMIT_CHUNK;
	const uint64_t end = PACK_HEADER_SIZE + (CHUNKS - 2 * FULL) * record;
	struct vio_sim *sim = vio_sim_new(NULL);
	struct store *s = store_on(sim);
	struct store_check_report rep = { 0 };
	char name[PACK_NAME_SIZE];
	struct told t;

	fill(s);
	vio_sim_kill(sim);
	store_close(s); /* marks nothing */
	pack_name(name, PACKS);
	cr_assert_eq(vio_sim_flip(sim, name, end - 1, 3), 0);
	s = store_on(sim);
	check(s, &rep, &t);
	cr_assert_eq(rep.bad, 0, "%s", t.words);
	cr_assert(rep.torn_bytes > 0 && rep.torn_bytes <= record);
	store_close(s);
	vio_sim_free(sim);
}
