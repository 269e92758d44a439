/*
 * test_content_scatter.c - writes here and there become chunks while more of
 * them come.
 */
#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/thread.h"
#include "fs/content/content.h"
#include "fs/store/store.h"
#include "tests/sim/content_box.h"
#include "tests/sim/model_content.h"
#include "tests/sim/prng.h"
#include "tests/sim/vio_sim.h"
#include "tests/unit/content_checks.h"

enum { BLOCK = 4096, MIB = 1 << 20 };

/* Until the workers have left so many bytes in buffers, or less. */
static void wait_for_less(struct content *c, uint64_t max)
{
	struct content_state st = { .dirty = false };

	do {
		usleep(200);
		content_state(c, &st);
	} while (st.buffered > max);
}

/* A fsync after many of them has little left to do. */
Test(content_scatter, writes_become_chunks_while_more_come, .timeout = 120)
{
	enum { N = 2048, PLACES = 8192 };
	struct content_box b = { .sim = NULL };
	struct content_version v = { .gen = 0 };
	struct content_saved s = { .extents = NULL };
	struct digest want = { .b = { 0 } };
	struct content *c = NULL;
	struct prng prng = { .seed = 0 };
	autofree uint8_t *p = noise(PLACES * BLOCK, 21);
	autofree uint8_t *more = noise(N * BLOCK, 22);
	uint64_t made = 0;

	content_box_init(&b, 0);
	c = content_box_new(&b);
	put(c, p, PLACES * BLOCK, 0);
	content_box_version(&b, c, &v);
	content_version_release(&v);
	made = chunks(&b);
	prng_init(&prng, 23);
	for (size_t i = 0; i < N; i++) {
		size_t at = prng_below(&prng, PLACES) * BLOCK;

		memcpy(p + at, more + i * BLOCK, BLOCK);
		put(c, p + at, BLOCK, at);
	}
	/* all but the last 2 MiB, and what came while those were chunked */
	wait_for_less(c, 5 * MIB);
	cr_assert(chunks(&b) - made >= N / 4);
	reads_as(c, p, PLACES * BLOCK);
	content_box_save(&b, c, &s);
	cr_assert(s.n > N / 2 && s.n_staged == 0);
	content_saved_release(&s);
	made = chunks(&b) - made;
	cr_assert(made <= N);
	reads_as(c, p, PLACES * BLOCK);
	content_box_version(&b, c, &v);
	model_content_root(&want, p, PLACES * BLOCK);
	cr_assert(digest_eq(&want, &v.root));
	content_version_release(&v);
	content_close(c);
	content_box_release(&b);
}

/* The same places again and again are written where they are. */
Test(content_scatter, few_places_wait_for_the_save)
{
	enum { N = 400 };
	struct content_box b = { .sim = NULL };
	struct content_state st = { .dirty = false };
	struct content *c = NULL;
	autofree uint8_t *p = noise(N * BLOCK, 24);
	uint64_t made = 0;

	content_box_init(&b, 0);
	c = content_box_new(&b);
	made = chunks(&b);
	for (int again = 0; again < 4; again++)
		for (size_t i = 0; i < N; i++)
			put(c, p + i * BLOCK, BLOCK, 2 * i * BLOCK);
	usleep(20000);
	content_state(c, &st);
	cr_assert(st.buffered == N * BLOCK && chunks(&b) == made);
	content_close(c);
	content_box_release(&b);
}

/*
 * A file held open for long is written here and there all the time, and the
 * next version reads that back; a long stream is read by nobody soon.
 */
Test(content_scatter, stay_in_the_page_cache_where_streams_do_not,
     .timeout = 120)
{
	enum { N = 80 * MIB / BLOCK };
	struct content_box b = { .sim = NULL };
	struct content_saved s = { .extents = NULL };
	struct content *c = NULL;
	autofree uint8_t *p = noise(80 * MIB, 25);

	content_box_init(&b, 0);
	c = content_box_new(&b);
	for (size_t i = 0; i < N; i++) {
		size_t at = i * 7919 % N;

		put(c, p + at * BLOCK, BLOCK, 2 * at * BLOCK);
		if (i % 4096 == 4095) {
			content_box_save(&b, c, &s);
			content_saved_release(&s);
		}
	}
	cr_assert_eq(vio_sim_forgotten(b.sim), 0);
	content_close(c);
	free(p);
	p = noise(80 * MIB, 26);
	c = content_box_new(&b);
	for (size_t at = 0; at < 80 * MIB; at += MIB)
		put(c, p + at, MIB, at);
	content_box_save(&b, c, &s);
	content_saved_release(&s);
	cr_assert(vio_sim_forgotten(b.sim) > 8 * MIB &&
		  vio_sim_forgotten(b.sim) < 20 * MIB);
	content_close(c);
	content_box_release(&b);
}

enum { THREADS = 4, WRITES = 400 };

struct many {
	struct content *c;
	atomic_uint_least64_t place; /* the next */
};

static void many_main(void *arg)
{
	struct many *m = arg;
	uint8_t block[BLOCK] = { 1 };
	uint64_t i = 0;

	while ((i = atomic_fetch_add(&m->place, 1)) < WRITES)
		put(m->c, block, BLOCK, (2 * i + 2) * BLOCK);
}

/* Four threads answer all requests of a mount: it takes two of them at most. */
Test(content_scatter, too_many_extents_put_two_threads_to_sleep_not_all)
{
	struct content_box b = { .extents_max = 10 };
	struct thread t[THREADS] = { { .running = false } };
	struct content *c = NULL;
	struct many m;
	struct timespec from, to;
	uint8_t block[BLOCK] = { 2 };

	content_box_init(&b, 0);
	c = content_box_new(&b);
	clock_gettime(CLOCK_MONOTONIC, &from);
	m.c = c;
	atomic_init(&m.place, 0);
	for (unsigned i = 0; i < THREADS; i++)
		cr_assert_eq(thread_start(&t[i], "writer", many_main, &m), 0);
	for (unsigned i = 0; i < THREADS; i++)
		thread_join(&t[i]);
	/* over what is there nobody waits at all */
	for (unsigned i = 0; i < 200; i++)
		put(c, block, BLOCK, 2 * BLOCK);
	clock_gettime(CLOCK_MONOTONIC, &to);
	cr_assert(content_pool_extents(b.pool) > 10);
	/* all asleep for 0.1 s each: 10 s, and 20 for what is over others */
	cr_assert(to.tv_sec - from.tv_sec < 6, "%ld",
		  (long)(to.tv_sec - from.tv_sec));
	content_close(c);
	content_box_release(&b);
}
