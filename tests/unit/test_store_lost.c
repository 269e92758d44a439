/*
 * test_store_lost.c - what is told to be lost is: no good copy anywhere; and
 * what a replica gives back is lost no more.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/err.h"
#include "fs/store/store_int.h"
#include "tests/sim/replica_site.h"

enum { SIZE = 20000 };

static const char first[] = "packs/00000001.pack";

static uint64_t unrepaired(struct store *s)
{
	struct store_stat st = { 0 };

	store_stat(s, &st);
	return st.unrepaired;
}

/* The same chunk, compressed in the first pack and as it is in the second. */
static void put_in_two_forms(struct store *s, uint8_t *p)
{
	struct chunk_maker *m = chunk_maker_new();
	struct packfile *a = NULL, *b = NULL;
	struct chunk c = { 0 };

	for (size_t i = 0; i < SIZE; i++)
		p[i] = (uint8_t)(i % 100);
	cr_assert_eq(chunk_make(&c, m, CHUNK_DATA, p, SIZE), 0);
	cr_assert_neq(c.codec, CHUNK_RAW);
	cr_assert_eq(packs_take(&s->packs, &a), 0);
	cr_assert_eq(packs_take(&s->packs, &b), 0);
	cr_assert_eq(store_append(s, &a, &c), 0);
	c = (struct chunk){
		.id = c.id,
		.type = CHUNK_DATA,
		.codec = CHUNK_RAW,
		.raw_len = SIZE,
		.stored_len = SIZE,
		.stored = p,
	};
	cr_assert_eq(store_append(s, &b, &c), 0);
	cr_assert_eq(packfile_seal(a), 0);
	cr_assert_eq(packfile_seal(b), 0);
	chunk_maker_free(m);
}

static void flip(struct site *x, const char *pack)
{
	cr_assert_eq(vio_sim_flip(x->home, pack,
				  PACK_HEADER_SIZE + PACK_RECORD_SIZE + 1, 3),
		     0);
}

Test(store_lost, a_copy_in_another_form_is_a_copy)
{
	const struct store_check_options o = { .repair = true };
	struct store_check_report rep;
	autofree uint8_t *p = malloc(SIZE);
	struct site x;

	site_new(&x, 0);
	put_in_two_forms(x.store, p);
	site_close(&x);
	flip(&x, first);
	site_open(&x, 0);
	cr_assert_eq(store_check(x.store, &rep, &o, NULL), 0);
	cr_assert_gt(rep.bad, 0);
	cr_assert_eq(x.failures, 0);
	cr_assert_eq(unrepaired(x.store), 0);
	site_close(&x);
	flip(&x, "packs/00000002.pack"); /* the last */
	site_open(&x, 0);
	cr_assert_eq(store_check(x.store, &rep, &o, NULL), 0);
	cr_assert_eq(x.failures, 1);
	cr_assert_eq(unrepaired(x.store), 1);
	site_free(&x);
}

static char words[8][256];
static unsigned n_words;

static void on_found(void *ctx, const char *w)
{
	(void)ctx;
	if (n_words < 8)
		snprintf(words[n_words++], sizeof(words[0]), "%s", w);
}

/* The disk takes no byte of a pack. */
static void refuse_packs(void *ctx, enum vio_sim_class class, const char *path)
{
	if (class == VIO_SIM_WRITE && strncmp(path, "packs/", 6) == 0)
		vio_sim_fail(ctx, VIO_SIM_WRITE, 1, EIO, false);
}

Test(store_lost, what_cannot_be_put_back_is_not_told_as_repaired)
{
	const struct store_check_options o = { .repair = true,
					       .found = on_found };
	struct store_check_report rep;
	struct store_stat st = { 0 };
	struct site x;

	site_new(&x, 1);
	site_put(x.store, 0, 5);
	cr_assert_eq(packfile_seal(packs_find(&x.store->packs, 1)), 0);
	cr_assert_eq(replicate_step(x.follow), 0);
	site_close(&x);
	flip(&x, first);
	site_open(&x, 1);
	vio_sim_set_hook(x.home, refuse_packs, x.home);
	cr_assert_eq(store_check(x.store, &rep, &o, NULL), 0);
	vio_sim_set_hook(x.home, NULL, NULL);
	cr_assert(vio_sim_failed(x.home));
	cr_assert_eq(rep.bad, 1);
	cr_assert_eq(rep.repaired, 0);
	store_stat(x.store, &st);
	cr_assert_eq(st.repaired, 0);
	cr_assert_eq(x.repairs, 0);
	cr_assert_eq(n_words, 1);
	cr_assert(strstr(words[0], "could not be written here"), "%s",
		  words[0]);
	site_close(&x);
	site_open(&x, 1);
	cr_assert_eq(store_check(x.store, &rep, &o, NULL), 0);
	cr_assert_eq(rep.bad, rep.repaired);
	cr_assert_eq(site_check(x.store, 0), 0);
	site_free(&x);
}

Test(store_lost, what_a_replica_gives_back_is_lost_no_more)
{
	struct site x;

	site_new(&x, 1);
	site_put(x.store, 0, 5);
	cr_assert_eq(replicate_step(x.follow), 0);
	site_close(&x);
	flip(&x, first);
	site_open(&x, 0);
	for (int i = 0; i < 3; i++)
		cr_assert_lt(site_check(x.store, 0), 0);
	cr_assert_eq(unrepaired(x.store), 1);
	cr_assert_eq(x.failures, 1);
	site_add(&x, 0);
	cr_assert_eq(site_check(x.store, 0), 0);
	cr_assert_eq(unrepaired(x.store), 0);
	site_free(&x);
}
