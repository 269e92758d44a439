/*
 * stress_ptable.c - readers, writers and flushers of one table at once, for
 * the thread sanitizer.  Every thread checks its own keys; all read those of
 * the others, which are there or not, but never wrong.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/ptable.h"
#include "base/ptable_mem.h"
#include "base/thread.h"
#include "base/vio.h"
#include "tests/sim/prng.h"
#include "tests/sim/tmp.h"

enum { THREADS = 4, KEYS = 2000, ROUNDS = 6000 };

struct worker {
	struct ptable *t;
	unsigned id;
	uint64_t seed;
	unsigned errors;
	uint64_t expect[KEYS]; /* 0: absent */
};

static uint64_t key_of(unsigned id, unsigned k)
{
	return ptable_mix((uint64_t)id * KEYS + k);
}

static void change(struct worker *w, struct prng *p)
{
	unsigned k = (unsigned)prng_below(p, KEYS);
	uint64_t key = key_of(w->id, k);

	if (w->expect[k] != 0) {
		w->errors += ptable_del(w->t, key, w->expect[k]) < 0;
		w->expect[k] = 0;
	} else {
		/* The id of the thread is in the value. */
		w->expect[k] = prng_below(p, 1000) * THREADS + w->id + THREADS;
		w->errors += ptable_put(w->t, key, w->expect[k]) < 0;
	}
}

static void look(struct worker *w, struct prng *p)
{
	unsigned k = (unsigned)prng_below(p, KEYS);
	unsigned id = (unsigned)prng_below(p, THREADS);
	uint64_t v[2] = { 0 };
	int n = ptable_get(w->t, key_of(w->id, k), v, 2);

	w->errors += n != (w->expect[k] != 0);
	w->errors += n == 1 && v[0] != w->expect[k];
	n = ptable_get(w->t, key_of(id, k), v, 2);
	w->errors += n < 0 || n > 2;
	for (int i = 0; i < n; i++)
		w->errors += v[i] % THREADS != id;
}

static void work(void *arg)
{
	struct worker *w = arg;
	struct prng p;

	prng_init(&p, w->seed);
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t mark[PTABLE_MARKS] = { (uint64_t)i };

		change(w, &p);
		look(w, &p);
		if (i % 500 == 499)
			w->errors += ptable_flush(w->t, mark, NULL) < 0;
		if (i % 1000 == 999)
			w->errors += ptable_check(w->t, NULL) < 0;
		ptable_mark(w->t, mark);
	}
}

int main(void)
{
	uint64_t seed = prng_seed("stress_ptable", 0);
	static struct worker w[THREADS];
	struct thread th[THREADS];
	struct ptable *t = NULL;
	struct vio *v = NULL;
	unsigned errors = 0;
	struct tmp tmp;
	int rc;

	tmp_init(&tmp);
	rc = vio_posix_open(&v, tmp.path);
	if (rc == 0)
		rc = ptable_open(&t, v, "t", 0, NULL);
	for (unsigned i = 0; i < THREADS && rc == 0; i++) {
		w[i].t = t;
		w[i].id = i;
		w[i].seed = seed + i;
		rc = thread_start(&th[i], "stress", work, &w[i]);
	}
	if (rc < 0) {
		fprintf(stderr, "cannot start: %s\n", err_text(rc));
		return 1;
	}
	for (unsigned i = 0; i < THREADS; i++) {
		thread_join(&th[i]);
		errors += w[i].errors;
	}
	ptable_close(t);
	vio_free(v);
	tmp_release(&tmp);
	if (errors > 0)
		fprintf(stderr, "%u wrong answers\n", errors);
	return errors > 0;
}
