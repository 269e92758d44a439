/*
 * test_store_settle.c - what is packed when it settles, not when it is staged.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/limits.h"
#include "fs/store/chunk.h"
#include "fs/store/store.h"
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

Test(store_settle, small_staged_chunk_is_packed_when_it_settles)
{
	struct vio_sim *sim = vio_sim_new(NULL);
	struct store *s = store_on(sim);
	struct chunk_maker *m = chunk_maker_new();
	autofree uint8_t *p = malloc(LIMIT_CHUNK);
	struct store_stat st = { 0 };
	struct chunk c = { 0 };
	const struct chunk *framed = NULL;
	struct store_ref ref = { .p = NULL };
	bool frame = false;

	memset(p, 'v', 20000);
	cr_assert_eq(chunk_name(&c, m, CHUNK_DATA, p, 20000), 0);
	cr_assert_eq(store_stage(s, &c, &frame), 0);
	framed = store_frame(s, &c.id);
	cr_assert(frame && framed);
	/* an fsync waits for the frame: nothing is compressed for it */
	cr_assert(framed->codec == CHUNK_RAW && framed->stored_len == 20000);
	cr_assert_eq(store_settle(s, &c.id, 1), 0);
	cr_assert_eq(store_settle_flush(s), 0);
	store_stat(s, &st);
	cr_assert(st.raw_bytes == 20000 && st.stored_bytes < 1000);
	cr_assert(store_get(s, &ref, &c.id, CHUNK_DATA) >= 0);
	cr_assert(ref.n == 20000 && memcmp(ref.p, p, 20000) == 0);
	store_release(&ref);
	/* a frame that is found after a crash finds it there */
	cr_assert_eq(chunk_name(&c, m, CHUNK_DATA, p, 20000), 0);
	c.maker = NULL;
	cr_assert_eq(store_recover(s, &c), 0);
	store_stat(s, &st);
	cr_assert_eq(st.chunks, 1);
	chunk_maker_free(m);
	store_close(s);
	vio_sim_free(sim);
}
