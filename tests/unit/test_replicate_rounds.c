/*
 * test_replicate_rounds.c - a follower has one round at a time, and lives as
 * long as somebody is in it, whoever asks for rounds.
 */
#include <criterion/criterion.h>
#include <stdatomic.h>
#include <time.h>

#include "base/thread.h"
#include "fs/replica/replicate.h"
#include "tests/sim/replica_site.h"

enum { STEPS = 40 };

/* The object list is asked for in a round only. */
struct rounds {
	struct site x;
	atomic_int inside, most, n;
	atomic_bool end;
};

static int objects(void *ctx, replicate_fn *fn, void *fn_ctx)
{
	const struct timespec a_while = { .tv_nsec = 1000 * 1000 };
	struct rounds *r = ctx;
	int now = atomic_fetch_add(&r->inside, 1) + 1;
	int rc = fn(fn_ctx, "ledger/journal/00000001.vj", r->x.journal,
		    REPLICATE_GROWS);

	if (now > atomic_load(&r->most))
		atomic_store(&r->most, now);
	nanosleep(&a_while, NULL);
	atomic_fetch_add(&r->n, 1);
	atomic_fetch_sub(&r->inside, 1);
	return rc;
}

/* One replica, with or without a thread of its own. */
static void rounds_new(struct rounds *r, bool no_threads)
{
	struct replicate_options o = {
		.objects = objects,
		.ctx = r,
		.interval_ms = 1,
		.no_threads = no_threads,
	};

	*r = (struct rounds){ .n = 0 };
	site_new(&r->x, 0);
	replicate_close(r->x.follow);
	o.store = r->x.store;
	o.vio = vio_sim_vio(r->x.home);
	cr_assert_eq(replicate_open(&r->x.follow, &o), 0);
	site_add(&r->x, 0);
}

static void step_on(void *arg)
{
	struct rounds *r = arg;

	while (!atomic_load(&r->end))
		(void)!replicate_step(r->x.follow);
}

Test(replicate_rounds, a_step_and_the_thread_take_turns, .timeout = 60)
{
	struct thread other = { 0 };
	struct rounds r;

	rounds_new(&r, false);
	cr_assert_eq(thread_start(&other, "steps", step_on, &r), 0);
	for (uint64_t k = 1; k <= STEPS; k++) {
		site_put(r.x.store, k, k + 1);
		replicate_mark(r.x.follow, k);
		cr_assert_eq(replicate_step(r.x.follow), 0);
		site_have(&r.x, k, 1);
	}
	atomic_store(&r.end, true);
	thread_join(&other);
	cr_assert_eq(atomic_load(&r.most), 1);
	site_free(&r.x);
}

Test(replicate_rounds, who_is_removed_has_no_round_left, .timeout = 60)
{
	for (int threads = 0; threads < 2; threads++) {
		struct thread other = { 0 };
		struct rounds r;

		rounds_new(&r, threads == 0);
		cr_assert_eq(thread_start(&other, "steps", step_on, &r), 0);
		for (int k = 0; k < STEPS; k++) {
			int before = atomic_load(&r.n);

			while (atomic_load(&r.n) < before + 2)
				;
			cr_assert_eq(replicate_remove(r.x.follow, "first"), 0);
			cr_assert_eq(atomic_load(&r.inside), 0);
			site_add(&r.x, 0);
		}
		atomic_store(&r.end, true);
		thread_join(&other);
		cr_assert_eq(atomic_load(&r.most), 1);
		site_free(&r.x);
	}
}
