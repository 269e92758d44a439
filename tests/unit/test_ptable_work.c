/*
 * test_ptable_work.c - a large table, whose thread spills and merges: who
 * waits for it, and who does not.  Work is counted and held up, not timed.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "base/err.h"
#include "base/ptable_impl.h"
#include "base/thread.h"
#include "tests/sim/vio_sim.h"

enum { LARGE = 4 << 20, LARGE_PAIRS = LARGE / 256 };

static struct ptable *open_large(struct vio_sim *s)
{
	struct errmsg em = ERRMSG_INIT;
	struct ptable *t = NULL;
	int rc = ptable_open(&t, vio_sim_vio(s), "t", LARGE, &em);

	cr_assert_eq(rc, 0, "%s", errmsg_text(&em, rc));
	return t;
}

static int flush_mark(struct ptable *t, uint64_t m)
{
	uint64_t mark[PTABLE_MARKS] = { m };

	return ptable_flush(t, mark, NULL);
}

/* The thread is held up where it first does `class`. */
struct gate {
	struct mutex mu;
	struct cond changed;
	pthread_t main;
	unsigned class;
	bool held, open; /* guarded by mu */
	unsigned events; /* guarded by mu */
	char log[64];	 /* guarded by mu: c create, s sync of a run */
	char name[64];	 /* guarded by mu: of the run for each event */
};

static void hold_up(void *ctx, enum vio_sim_class class, const char *path)
{
	struct gate *g = ctx;

	if (pthread_equal(pthread_self(), g->main) ||
	    strstr(path, ".run-") == NULL)
		return;
	mutex_lock(&g->mu);
	if ((class & (VIO_SIM_CREATE | VIO_SIM_SYNC)) && g->events < 63) {
		g->name[g->events] = path[strlen(path) - 1];
		g->log[g->events++] = class & VIO_SIM_CREATE ? 'c' : 's';
	}
	if (class & g->class) {
		g->held = true;
		cond_broadcast(&g->changed);
		while (!g->open)
			cond_wait(&g->changed, &g->mu);
	}
	mutex_unlock(&g->mu);
}

static void put_many(struct ptable *t, uint64_t *at, uint64_t n)
{
	for (; n > 0; n--, ++*at)
		cr_assert_eq(ptable_put(t, *at * 0x9e3779b97f4a7c15u, *at), 0);
}

static void all_there(struct ptable *t, uint64_t n)
{
	uint64_t v = 0;

	for (uint64_t i = 0; i < n; i++) {
		cr_assert_eq(ptable_get(t, i * 0x9e3779b97f4a7c15u, &v, 1), 1);
		cr_assert_eq(v, i);
	}
}

static void gate_init(struct gate *g, unsigned class)
{
	mutex_init(&g->mu);
	cond_init(&g->changed);
	g->main = pthread_self();
	g->class = class;
}

static void gate_wait(struct gate *g)
{
	mutex_lock(&g->mu);
	while (!g->held)
		cond_wait(&g->changed, &g->mu);
	mutex_unlock(&g->mu);
}

static void gate_open(struct gate *g)
{
	mutex_lock(&g->mu);
	g->open = true;
	cond_broadcast(&g->changed);
	mutex_unlock(&g->mu);
}

Test(ptable_work, puts_flushes_and_gets_do_not_wait_for_a_run)
{
	struct vio_sim *s = vio_sim_new(NULL);
	struct ptable *t = open_large(s);
	struct gate g = { 0 };
	uint64_t mark[PTABLE_MARKS];
	struct ptable_stats st;
	uint64_t n = 0;

	gate_init(&g, VIO_SIM_WRITE);
	vio_sim_set_hook(s, hold_up, &g);
	put_many(t, &n, LARGE_PAIRS + 1);
	gate_wait(&g);
	/* The run is not written now, and nothing goes on without us. */
	put_many(t, &n, LARGE_PAIRS - 1);
	cr_assert_eq(flush_mark(t, 1), 0);
	all_there(t, n);
	ptable_stats(t, &st);
	cr_assert_eq(st.runs, 0);
	cr_assert_eq(st.waits, 0);
	cr_assert_leq(st.memory, LARGE);
	gate_open(&g);
	put_many(t, &n, LARGE_PAIRS);
	all_there(t, n);
	cr_assert_eq(flush_mark(t, 2), 0);
	vio_sim_set_hook(s, NULL, NULL);
	ptable_close(t);
	t = open_large(s);
	ptable_mark(t, mark);
	cr_assert_eq(mark[0], 2);
	all_there(t, n);
	ptable_close(t);
	vio_sim_free(s);
}

Test(ptable_work, a_long_merge_lets_a_spill_go_first)
{
	struct vio_sim *s = vio_sim_new(NULL);
	struct ptable *t = open_large(s);
	struct gate g = { 0 };
	uint64_t n = 0;
	char *merged, *c;

	/* A merge is the first to read. */
	gate_init(&g, VIO_SIM_READ);
	vio_sim_set_hook(s, hold_up, &g);
	put_many(t, &n, 4 * LARGE_PAIRS + 1);
	gate_wait(&g);
	put_many(t, &n, LARGE_PAIRS);
	gate_open(&g);
	/* This one finds both halves full, until the spill in between. */
	put_many(t, &n, LARGE_PAIRS);
	all_there(t, n);
	cr_assert_eq(flush_mark(t, 1), 0);
	cr_assert_eq(ptable_check(t, NULL), 0);
	vio_sim_set_hook(s, NULL, NULL);
	ptable_close(t);
	/* The fifth file was made by the merge; a sixth came and was whole. */
	cr_assert(strncmp(g.log, "cscscscsccs", 11) == 0, "%s", g.log);
	merged = g.name + 8;
	c = memchr(g.name + 9, *merged, 20);
	cr_assert(c == NULL || c > g.name + 10);
	t = open_large(s);
	all_there(t, n);
	ptable_close(t);
	vio_sim_free(s);
}

Test(ptable_work, a_run_that_could_not_be_written_is_told_and_tried_again)
{
	struct vio_sim *s = vio_sim_new(NULL);
	struct ptable *t = open_large(s);
	uint64_t n = 0;
	int rc = 0;

	vio_sim_set_space(s, 0);
	while (rc == 0 && n < 8 * LARGE_PAIRS) {
		rc = ptable_put(t, n * 0x9e3779b97f4a7c15u, n);
		n += rc == 0;
	}
	cr_assert_eq(rc, -ENOSPC);
	cr_assert_geq(n, 2 * LARGE_PAIRS);
	all_there(t, n);
	vio_sim_set_space(s, UINT64_MAX);
	put_many(t, &n, LARGE_PAIRS);
	all_there(t, n);
	cr_assert_eq(ptable_reset(t, NULL), 0);
	cr_assert_eq(ptable_get(t, 0, &n, 1), 0);
	ptable_close(t);
	vio_sim_free(s);
}

/* A reset comes while the merge that must be first reads its first run. */
struct resetter {
	struct ptable *t;
	struct thread thread;
	bool begun;
};

static void reset_it(void *arg)
{
	struct resetter *r = arg;

	cr_assert_eq(ptable_reset(r->t, NULL), 0);
}

static void reset_beside(void *ctx, enum vio_sim_class class, const char *path)
{
	struct resetter *r = ctx;

	if (class != VIO_SIM_READ || strstr(path, ".run-") == NULL || r->begun)
		return;
	r->begun = true;
	cr_assert_eq(thread_start(&r->thread, "reset", reset_it, r), 0);
	while (!atomic_load(&r->t->cancel))
		sched_yield();
}

Test(ptable_work, a_reset_beside_the_merge_of_all_runs_fails_no_put)
{
	enum { SMALL = 64 << 10, PAIRS = SMALL / 256 };
	struct vio_sim *s = vio_sim_new(NULL);
	struct resetter r = { .t = NULL };
	struct ptable_stats st = { .runs = 0 };
	uint64_t n = 0;

	cr_assert_eq(ptable_open(&r.t, vio_sim_vio(s), "t", SMALL, NULL), 0);
	/* Always room for one run, never for four that become one. */
	while (st.runs < PTABLE_RUNS_MAX && n < 100 * PAIRS) {
		vio_sim_set_space(s, 16 << 10);
		put_many(r.t, &n, PAIRS);
		ptable_stats(r.t, &st);
	}
	cr_assert_eq(st.runs, PTABLE_RUNS_MAX);
	vio_sim_set_space(s, UINT64_MAX);
	vio_sim_set_hook(s, reset_beside, &r);
	put_many(r.t, &n, 2 * PAIRS);
	cr_assert(r.begun);
	thread_join(&r.thread);
	vio_sim_set_hook(s, NULL, NULL);
	cr_assert_eq(ptable_check(r.t, NULL), 0);
	ptable_stats(r.t, &st);
	cr_assert_lt(st.runs, PTABLE_RUNS_MAX);
	ptable_close(r.t);
	vio_sim_free(s);
}
