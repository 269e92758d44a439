/*
 * sigcheck.c - a bounded queue of signatures to verify, and its threads.
 *
 * Invariant (q_mu held): jobs head..tail - 1 wait; a job is copied out before
 * it is worked on, so its slot is free at once.
 */
#include "ledger/sigcheck.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/seal.h"

enum { QUEUE = 256, THREADS_MAX = 4 };

struct job {
	uint64_t index;
	uint8_t pub[32];
	size_t n;
	uint8_t seal[SEAL_SIZE_MAX];
};

struct sigcheck {
	struct mutex *report_mu;
	sigcheck_bad_fn *bad;
	void *ctx;
	unsigned n_threads;
	struct thread thread[THREADS_MAX];
	struct mutex q_mu; /* all below */
	struct cond work, room;
	uint64_t head, tail;
	bool stop;
	struct job jobs[QUEUE];
};

static void check(struct sigcheck *s, const struct job *j)
{
	if (seal_verify(j->seal, j->n, j->pub) == 0)
		return;
	mutex_lock(s->report_mu);
	s->bad(s->ctx, j->index);
	mutex_unlock(s->report_mu);
}

static void run(void *arg)
{
	struct sigcheck *s = arg;
	struct job *mine = malloc(sizeof(*mine));

	mutex_lock(&s->q_mu);
	while (mine != NULL && !(s->stop && s->head == s->tail)) {
		const struct job *j = &s->jobs[s->head % QUEUE];

		if (s->head == s->tail) {
			cond_wait(&s->work, &s->q_mu);
			continue;
		}
		memcpy(mine, j, offsetof(struct job, seal) + j->n);
		s->head++;
		cond_signal(&s->room);
		mutex_unlock(&s->q_mu);
		check(s, mine);
		mutex_lock(&s->q_mu);
	}
	if (mine == NULL && s->n_threads > 0)
		s->n_threads--; /* the caller does it itself when none is left */
	cond_broadcast(&s->room);
	mutex_unlock(&s->q_mu);
	free(mine);
}

int sigcheck_new(struct sigcheck **out, unsigned threads, struct mutex *mu,
		 sigcheck_bad_fn *bad, void *ctx)
{
	struct sigcheck *s = calloc(1, sizeof(*s));
	unsigned started = 0;

	*out = NULL;
	if (s == NULL)
		return -ENOMEM;
	assert(threads <= THREADS_MAX);
	s->report_mu = mu;
	s->bad = bad;
	s->ctx = ctx;
	mutex_init(&s->q_mu);
	cond_init(&s->work);
	cond_init(&s->room);
	mutex_lock(&s->q_mu);
	while (started < threads &&
	       thread_start(&s->thread[started], "verify", run, s) == 0)
		started++;
	s->n_threads = started;
	mutex_unlock(&s->q_mu);
	*out = s;
	return 0;
}

void sigcheck_add(struct sigcheck *s, uint64_t index, const void *seal,
		  size_t n, const uint8_t pub[32])
{
	struct job *j;

	assert(n <= SEAL_SIZE_MAX);
	mutex_lock(&s->q_mu);
	while (s->n_threads > 0 && s->tail - s->head == QUEUE)
		cond_wait(&s->room, &s->q_mu);
	j = &s->jobs[s->tail % QUEUE];
	j->index = index;
	j->n = n;
	memcpy(j->pub, pub, sizeof(j->pub));
	memcpy(j->seal, seal, n);
	if (s->n_threads > 0) {
		s->tail++;
		cond_signal(&s->work);
		mutex_unlock(&s->q_mu);
		return;
	}
	mutex_unlock(&s->q_mu);
	check(s, j);
}

void sigcheck_finish(struct sigcheck *s)
{
	if (s == NULL)
		return;
	mutex_lock(&s->q_mu);
	s->stop = true;
	cond_broadcast(&s->work);
	mutex_unlock(&s->q_mu);
	for (unsigned i = 0; i < THREADS_MAX; i++)
		thread_join(&s->thread[i]);
	/* Left over only when threads could not go on. */
	for (; s->head != s->tail; s->head++)
		check(s, &s->jobs[s->head % QUEUE]);
	cond_destroy(&s->work);
	cond_destroy(&s->room);
	mutex_destroy(&s->q_mu);
	free(s);
}
