/*
 * test_store_again.c - the same bytes once more, right after they were written:
 * they cost the disk nothing, unless it has lost them.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/err.h"
#include "fs/store/chunk.h"
#include "fs/store/store.h"
#include "fs/store/store_int.h"
#include "tests/sim/prng.h"
#include "tests/sim/vio_sim.h"

/* n chunks of 64 KiB that nothing makes smaller; ids may be NULL. */
static void put_noise(struct store *s, uint64_t n, struct digest *ids)
{
	enum { NOISE = 64 << 10 };
	struct chunk_maker *m = chunk_maker_new();
	autofree uint8_t *p = malloc(NOISE);
	struct store_writer *w = NULL;
	struct chunk c = { 0 };
	struct prng r = { 0 };

	prng_init(&r, 5);
	cr_assert_eq(store_writer_open(s, &w), 0);
	for (uint64_t k = 0; k < n; k++) {
		prng_bytes(&r, p, NOISE);
		cr_assert_eq(chunk_make(&c, m, CHUNK_DATA, p, NOISE), 0);
		cr_assert_eq(store_writer_put(w, &c), 0);
		if (ids)
			ids[k] = c.id;
	}
	cr_assert_eq(store_writer_flush(w), 0);
	store_writer_close(w);
	chunk_maker_free(m);
}

/* More than a pack: the list of a full one stays for a while. */
Test(store, same_bytes_once_more_ask_nothing_of_the_disk)
{
	struct vio_sim *sim = vio_sim_new(NULL);
	struct store_options o = { .vio = vio_sim_vio(sim) };
	struct errmsg em = ERRMSG_INIT;
	struct store *s = NULL;
	struct store_stat st = { .packs = 0 };
	uint64_t reads = 0;
	uint64_t chunks = 0;

	cr_assert_eq(store_open(&s, &o, &em), 0, "%s", em.text);
	put_noise(s, 1200, NULL);
	store_stat(s, &st);
	cr_assert(st.packs > 1);
	chunks = st.chunks;
	reads = vio_sim_count(sim, VIO_SIM_READ);
	put_noise(s, 1200, NULL);
	cr_assert_eq(vio_sim_count(sim, VIO_SIM_READ), reads, "%lu",
		     vio_sim_count(sim, VIO_SIM_READ) - reads);
	store_stat(s, &st);
	cr_assert_eq(st.chunks, chunks);
	store_close(s);
	vio_sim_free(sim);
}

/* The first pack is on sectors that are gone. */
static void first_is_gone(void *ctx, enum vio_sim_class class, const char *path)
{
	if (class == VIO_SIM_READ && strcmp(path, "packs/00000001.pack") == 0)
		vio_sim_fail(ctx, VIO_SIM_READ, 1, EIO, false);
}

/* What a list in memory says is no proof that a pack can still be read. */
Test(store, same_bytes_once_more_are_stored_when_a_check_told_their_loss,
     .timeout = 120)
{
	enum { N = 1200 };
	const struct store_check_options check = { .found = NULL };
	struct vio_sim *sim = vio_sim_new(NULL);
	struct store_options o = { .vio = vio_sim_vio(sim) };
	struct store_check_report rep = { 0 };
	struct errmsg em = ERRMSG_INIT;
	autofree struct digest *ids = calloc(N, sizeof(*ids));
	struct store *s = NULL;

	cr_assert_eq(store_open(&s, &o, &em), 0, "%s", em.text);
	put_noise(s, N, ids);
	vio_sim_set_hook(sim, first_is_gone, sim);
	cr_assert_eq(store_check(s, &rep, &check, NULL), 0);
	cr_assert_gt(rep.bad, 0);
	put_noise(s, N, NULL);
	for (unsigned i = 0; i < N; i++)
		cr_assert_eq(store_probe(s, &ids[i]), 0, "%u", i);
	vio_sim_set_hook(sim, NULL, NULL);
	store_close(s);
	vio_sim_free(sim);
}
