/*
 * workers.c - see workers.h.  One queue, first in first out, one lock.
 */
#include "base/workers.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/thread.h"

enum { WORKERS_MAX = 32 };

struct workers {
	struct mutex mu;
	struct cond some; /* work, or the end */
	struct cond idle; /* some work stopped running */
	struct work *head, **tail;
	size_t queued;
	bool stop;
	unsigned n;
	struct thread thread[WORKERS_MAX];
};

static void run_one(struct workers *w) requires_capability(&w->mu)
{
	struct work *k = w->head;

	w->head = k->next;
	if (!w->head)
		w->tail = &w->head;
	w->queued--;
	k->queued = false;
	k->running++;
	mutex_unlock(&w->mu);
	k->fn(k);
	mutex_lock(&w->mu);
	k->running--;
	cond_broadcast(&w->idle);
}

static void loop(void *arg)
{
	struct workers *w = arg;

	mutex_lock(&w->mu);
	while (!w->stop) {
		if (w->head)
			run_one(w);
		else
			cond_wait(&w->some, &w->mu);
	}
	mutex_unlock(&w->mu);
}

int workers_open(struct workers **out, unsigned threads)
{
	struct workers *w = calloc(1, sizeof(*w));
	int rc = 0;

	*out = NULL;
	if (!w)
		return -ENOMEM;
	mutex_init(&w->mu);
	cond_init(&w->some);
	cond_init(&w->idle);
	w->tail = &w->head;
	if (threads > WORKERS_MAX)
		threads = WORKERS_MAX;
	for (unsigned i = 0; i < threads; i++) {
		char name[16] = "";

		snprintf(name, sizeof(name), "chunk-%u", i);
		rc = thread_start(&w->thread[i], name, loop, w);
		if (rc < 0)
			goto fail;
		w->n++;
	}
	*out = w;
	return 0;
fail:
	workers_close(w);
	return rc;
}

void workers_close(struct workers *w)
{
	if (!w)
		return;
	mutex_lock(&w->mu);
	w->stop = true;
	cond_broadcast(&w->some);
	mutex_unlock(&w->mu);
	for (unsigned i = 0; i < w->n; i++)
		thread_join(&w->thread[i]);
	cond_destroy(&w->idle);
	cond_destroy(&w->some);
	mutex_destroy(&w->mu);
	free(w);
}

void workers_push(struct workers *w, struct work *k)
{
	mutex_lock(&w->mu);
	if (!k->queued && !k->dead && !w->stop) {
		k->queued = true;
		k->next = NULL;
		*w->tail = k;
		w->tail = &k->next;
		w->queued++;
		cond_signal(&w->some);
	}
	mutex_unlock(&w->mu);
}

void workers_cancel(struct workers *w, struct work *k)
{
	mutex_lock(&w->mu);
	k->dead = true;
	if (k->queued) {
		struct work **p = &w->head;

		while (*p != k)
			p = &(*p)->next;
		*p = k->next;
		if (w->tail == &k->next)
			w->tail = p;
		w->queued--;
		k->queued = false;
	}
	while (k->running > 0)
		cond_wait(&w->idle, &w->mu);
	mutex_unlock(&w->mu);
}
