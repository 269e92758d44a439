/*
 * stress_ptable.c - readers, writers and flushers of one table at once, for
 * the thread sanitizer; of a small table, and of one that is large enough to
 * have a thread for its spills and merges.  Every thread checks its own keys; all read those of
 * the others, which are there or not, but never wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/ptable.h"
#include "base/ptable_mem.h"
#include "base/thread.h"
#include "base/vio.h"
#include "tests/sim/prng.h"
#include "tests/sim/tmp.h"

enum { THREADS = 4, KEYS = 20000 };

struct worker {
	struct ptable *t;
	unsigned id;
	unsigned rounds;
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
	for (unsigned i = 0; i < w->rounds; i++) {
		uint64_t mark[PTABLE_MARKS] = { i };

		change(w, &p);
		look(w, &p);
		if (i % (w->rounds / 12) == 499)
			w->errors += ptable_flush(w->t, mark, NULL) < 0;
		if (i % (w->rounds / 6) == 999)
			w->errors += ptable_check(w->t, NULL) < 0;
		ptable_mark(w->t, mark);
	}
}

static unsigned all(struct vio *v, const char *name, size_t cache,
		    unsigned rounds)
{
	uint64_t seed = prng_seed("stress_ptable", 0);
	static struct worker w[THREADS];
	struct thread th[THREADS] = { 0 };
	struct ptable *t = NULL;
	unsigned errors = 0;
	int rc = ptable_open(&t, v, name, cache, NULL);

	memset(w, 0, sizeof(w));
	for (unsigned i = 0; i < THREADS && rc == 0; i++) {
		w[i].t = t;
		w[i].id = i;
		w[i].rounds = rounds;
		w[i].seed = seed + i;
		rc = thread_start(&th[i], "stress", work, &w[i]);
	}
	if (rc < 0) {
		fprintf(stderr, "cannot start: %s\n", err_text(rc));
		exit(1);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		thread_join(&th[i]);
		errors += w[i].errors;
	}
	if (ptable_reset(t, NULL) < 0)
		errors++;
	ptable_close(t);
	return errors;
}

int main(void)
{
	struct vio *v = NULL;
	unsigned errors;
	struct tmp tmp;

	tmp_init(&tmp);
	if (vio_posix_open(&v, tmp.path) < 0)
		return 1;
	errors = all(v, "small", 0, 6000) + all(v, "large", 4 << 20, 60000);
	vio_free(v);
	tmp_release(&tmp);
	if (errors > 0)
		fprintf(stderr, "%u wrong answers\n", errors);
	return errors > 0;
}
