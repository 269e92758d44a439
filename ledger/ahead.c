/*
 * ahead.c - a ring of batches; see ahead.h.
 *
 * Invariant (mu held): slots head..tail - 1 are in use; those before `next`
 * are taken by a worker or ready, those from it on wait.  A slot's contents
 * belong to the adder, then to the worker that took it, then, once ready, to
 * the adder again.
 */
#include "ledger/ahead.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/thread.h"
#include "ledger/frame.h"
#include "ledger/rules.h"

enum { AHEAD = 16, THREADS_MAX = 4 };
enum { BYTES_MAX = 64 << 20, KEPT_MAX = 4 << 20 };

struct slot {
	uint64_t index;
	bool lost, ready; /* ready: guarded by mu */
	struct frame f;	  /* borrows bytes */
	struct buf bytes;
	struct rules_entry entries[LIMIT_BATCH];
	struct rules_prepared prepared;
};

struct ahead {
	ahead_take_fn *give;
	void *ctx;
	size_t bytes; /* of head..tail - 1; the adder's */
	unsigned n_threads;
	struct thread thread[THREADS_MAX];
	struct mutex mu; /* all below */
	struct cond work, ready;
	uint64_t head, next, tail;
	bool stop;
	struct slot *slots; /* AHEAD of them; n at n % AHEAD */
};

static void prepare(struct slot *s)
{
	if (!s->lost)
		rules_prepare(&s->prepared, s->entries, s->f.count);
}

static void run(void *arg)
{
	struct ahead *a = arg;

	mutex_lock(&a->mu);
	while (!a->stop) {
		struct slot *s = &a->slots[a->next % AHEAD];

		if (a->next == a->tail) {
			cond_wait(&a->work, &a->mu);
			continue;
		}
		a->next++;
		mutex_unlock(&a->mu);
		prepare(s);
		mutex_lock(&a->mu);
		s->ready = true;
		cond_signal(&a->ready);
	}
	mutex_unlock(&a->mu);
}

int ahead_new(struct ahead **out, unsigned threads, ahead_take_fn *give,
	      void *ctx)
{
	struct ahead *a = calloc(1, sizeof(*a));

	*out = NULL;
	if (a == NULL)
		return -ENOMEM;
	a->slots = calloc(AHEAD, sizeof(*a->slots));
	if (a->slots == NULL) {
		free(a);
		return -ENOMEM;
	}
	a->give = give;
	a->ctx = ctx;
	mutex_init(&a->mu);
	cond_init(&a->work);
	cond_init(&a->ready);
	if (threads == 0)
		threads = thread_cores(THREADS_MAX);
	/* With fewer, or none, the adder does what nobody has taken. */
	while (a->n_threads < threads && a->n_threads < THREADS_MAX &&
	       thread_start(&a->thread[a->n_threads], "ahead", run, a) == 0)
		a->n_threads++;
	*out = a;
	return 0;
}

/* Waits for the oldest batch, and gives it out. */
static int take_oldest(struct ahead *a)
{
	struct slot *s = &a->slots[a->head % AHEAD];
	int rc;

	mutex_lock(&a->mu);
	if (a->next == a->head) {
		a->next++;
		mutex_unlock(&a->mu);
		prepare(s);
		mutex_lock(&a->mu);
		s->ready = true;
	}
	while (!s->ready)
		cond_wait(&a->ready, &a->mu);
	mutex_unlock(&a->mu);
	rc = s->lost ?
		     a->give(a->ctx, s->index, NULL, NULL, NULL) :
		     a->give(a->ctx, s->index, &s->f, s->entries, &s->prepared);
	a->bytes -= s->bytes.n;
	if (s->bytes.n > KEPT_MAX)
		buf_release(&s->bytes);
	mutex_lock(&a->mu);
	a->head++;
	mutex_unlock(&a->mu);
	return rc;
}

static bool oldest_is_ready(struct ahead *a)
{
	bool is;

	mutex_lock(&a->mu);
	is = a->head != a->tail && a->slots[a->head % AHEAD].ready;
	mutex_unlock(&a->mu);
	return is;
}

/* A copy of the batch; its chunks are not needed. */
static int fill(struct slot *s, const struct frame *f)
{
	const uint8_t *p;
	size_t left;

	buf_clear(&s->bytes);
	buf_add(&s->bytes, f->seal, f->seal_n);
	buf_add(&s->bytes, f->entries, f->entries_n);
	if (s->bytes.bad) {
		buf_release(&s->bytes);
		return -ENOMEM;
	}
	s->f = *f;
	s->f.seal = s->bytes.p;
	s->f.entries = s->bytes.p + f->seal_n;
	s->f.chunks = NULL;
	s->f.n_chunks = 0;
	s->f.chunks_n = 0;
	p = s->f.entries;
	left = f->entries_n;
	for (uint32_t i = 0; i < f->count; i++)
		if (i == LIMIT_BATCH ||
		    frame_next_entry(&p, &left, &s->entries[i].p,
				     &s->entries[i].n) <= 0)
			return -ERR_CORRUPT; /* frame_decode saw to that */
	return 0;
}

int ahead_add(struct ahead *a, uint64_t index, const struct frame *f)
{
	size_t n = f == NULL ? 0 : f->seal_n + f->entries_n;
	struct slot *s;
	int rc = 0;

	while (rc == 0 && a->tail != a->head &&
	       (a->tail - a->head == AHEAD || a->bytes + n > BYTES_MAX ||
		oldest_is_ready(a)))
		rc = take_oldest(a);
	if (rc != 0)
		return rc;
	s = &a->slots[a->tail % AHEAD];
	buf_clear(&s->bytes);
	s->index = index;
	s->lost = f == NULL;
	s->ready = false;
	if (f != NULL)
		rc = fill(s, f);
	if (rc != 0)
		return rc;
	a->bytes += s->bytes.n;
	mutex_lock(&a->mu);
	a->tail++;
	cond_signal(&a->work);
	mutex_unlock(&a->mu);
	return 0;
}

int ahead_drain(struct ahead *a)
{
	int rc = 0;

	while (rc == 0 && a->head != a->tail)
		rc = take_oldest(a);
	return rc;
}

void ahead_free(struct ahead *a)
{
	if (a == NULL)
		return;
	mutex_lock(&a->mu);
	a->stop = true;
	cond_broadcast(&a->work);
	mutex_unlock(&a->mu);
	for (unsigned i = 0; i < a->n_threads; i++)
		thread_join(&a->thread[i]);
	for (unsigned i = 0; i < AHEAD; i++)
		buf_release(&a->slots[i].bytes);
	cond_destroy(&a->work);
	cond_destroy(&a->ready);
	mutex_destroy(&a->mu);
	free(a->slots);
	free(a);
}
