/*
 * commit.c - see commit.h: queue, commit point, waiters, life.
 *
 * States of an entry: queued (head..tail) -> being committed (c->committing,
 * or c->retry) -> to_apply -> applied.  next_seq, committed_seq
 * and applied_seq are the borders; each only grows.
 */
#include "fs/commit/commit.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/vio.h"
#include "fs/commit/commit_internal.h"
#include "fs/commit/leafcell.h"
#include "fs/commit/pend.h"
#include "fs/store/space.h"
#include "fs/store/store.h"
#include "index/idx.h"

enum {
	LINGER_MS = 100,      /* an entry nobody waits for */
	EAGER_ENTRIES = 2048, /* enough for a batch: do not linger */
	RETRY_MS = 500,
	FRAME_BYTES = LIMIT_FRAME / 2,
	CHUNK_HEAD = 64,    /* of a small chunk in a frame */
	NODE_BYTES = 12288, /* a tree node, at most */
};
#define NS_PER_MS 1000000LL

/* --- failure --- */

void commit_fail_locked(struct commit *c, int rc, const char *what)
{
	if (c->failed)
		return;
	c->failed = rc;
	snprintf(c->words, sizeof(c->words), "%s: %s", what, err_text(rc));
	cond_broadcast(&c->changed);
	log_event(LOG_ERROR, "read_only",
		  "why=\"%s\" do=\"unmount, check the disk, mount again\"",
		  c->words);
}

int commit_failed(struct commit *c)
{
	int rc;

	mutex_lock(&c->t->mu);
	rc = c->failed;
	mutex_unlock(&c->t->mu);
	if (!rc)
		rc = store_failed(c->o.store);
	return rc ? -ERR_STICKY : 0;
}

/* --- queue --- */

uint64_t commit_next_seq(struct commit *c)
{
	return c->next_seq;
}

uint64_t commit_last_seq(struct commit *c)
{
	return c->next_seq - 1;
}

/* What p takes in a frame, at most, without its small chunks. */
static uint64_t entry_bytes(const struct pend *p)
{
	const struct entry_body *b = &p->e.body;
	uint64_t n = 512 + p->n_data;

	switch (b->kind) {
	case ENTRY_EXTENTS:
		return n + 48ULL * b->extents.n;
	case ENTRY_READS:
		return n + 65ULL * b->reads.n;
	case ENTRY_RUN_START:
		return n + 34ULL * b->run_start.n; /* names are in n_data */
	case ENTRY_GC:
		return n + 24ULL * b->gc.n;
	case ENTRY_POLICY:
		return n + 15ULL * b->policy.n; /* patterns are in n_data */
	default:
		return n;
	}
}

/* And these, at most. */
static uint64_t chunk_bytes(const struct pend *p)
{
	const struct entry_body *b = &p->e.body;
	uint64_t heads = p->n_staged * CHUNK_HEAD;
	uint64_t raw = p->n_staged * (uint64_t)LIMIT_CHUNK;

	if (b->kind == ENTRY_EXTENTS && p->n_staged <= b->extents.n) {
		raw = 0;
		for (unsigned i = 0; i < b->extents.n; i++)
			raw += p->n_staged ? b->extents.v[i].length : 0;
	} else if (b->kind == ENTRY_VERSION && b->version.size < raw) {
		raw = b->version.size + p->n_staged * NODE_BYTES;
	}
	return heads + raw;
}

void commit_enqueue(struct commit *c, struct pend *p)
{
	p->seq = c->next_seq++;
	p->next = NULL;
	p->entry_bytes = entry_bytes(p);
	p->ledger_bytes = p->entry_bytes + chunk_bytes(p);
	atomic_fetch_add(&c->bytes_queued, p->entry_bytes);
	if (!c->head)
		c->oldest_ns = vio_mono_ns(c->o.vio);
	*c->tail = p;
	c->tail = &p->next;
	/* the first is found when the commit thread looks, within LINGER_MS */
	if (++c->queued == EAGER_ENTRIES)
		cond_signal(&c->work);
}

int commit_admit(struct commit *c)
{
	int rc = 0;

	mutex_lock(&c->t->mu);
	while (!rc && !c->failed && !c->o.no_threads && !c->stop &&
	       c->next_seq - 1 - c->applied_seq >= LIMIT_UNAPPLIED)
		if (c->soft || c->index_soft) /* no end to that wait */
			rc = c->soft ? c->soft : c->index_soft;
		else
			cond_wait(&c->changed, &c->t->mu);
	if (c->failed)
		rc = -ERR_STICKY;
	mutex_unlock(&c->t->mu);
	if (!rc && store_failed(c->o.store))
		rc = -ERR_STICKY;
	return rc;
}

/* Takes the next batch's pends off the queue. */
static uint32_t take_locked(struct commit *c, struct pend **out)
	requires_capability(&c->t->mu)
{
	struct pend *p = c->head, **at = &c->head;
	uint64_t bytes = 0;
	uint32_t n = 0;
	bool tied = false; /* to the one before */

	for (; p && n < LIMIT_BATCH; p = p->next) {
		bytes += p->ledger_bytes;
		if (n > 0 && !tied &&
		    (bytes > FRAME_BYTES ||
		     (p->with_next && n + 1 == LIMIT_BATCH)))
			break;
		tied = p->with_next;
		if (p->inode && p->inode->setattr == p)
			p->inode->setattr = NULL; /* too late to merge */
		at = &p->next;
		n++;
	}
	*out = n ? c->head : NULL;
	if (!n)
		return 0;
	*at = NULL;
	c->head = p;
	if (!p)
		c->tail = &c->head;
	c->queued -= n;
	c->oldest_ns = vio_mono_ns(c->o.vio);
	return n;
}

/* They could not even be made a batch. */
static void put_pends_back_locked(struct commit *c, struct pend *first,
				  uint32_t n) requires_capability(&c->t->mu)
{
	struct pend *last = first;

	while (last->next)
		last = last->next;
	last->next = c->head;
	if (!c->head)
		c->tail = &last->next;
	c->head = first;
	c->queued += n;
}

/* --- waiters --- */

static struct waiter *ripe_locked(struct commit *c, int *rc)
	requires_capability(&c->t->mu)
{
	struct waiter **at = &c->waiters, *ripe = NULL;

	*rc = c->failed ? -ERR_STICKY : c->soft;
	while (*at) {
		struct waiter *w = *at;

		if (w->seq > c->committed_seq && !*rc) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		w->next = ripe;
		ripe = w;
	}
	return ripe;
}

/* Calls the waiters that need not wait longer; gives up the lock. */
static void tell_locked(struct commit *c) requires_capability(&c->t->mu)
{
	int rc = 0;
	uint64_t committed = c->committed_seq;
	struct waiter *w = ripe_locked(c, &rc), *next;

	mutex_unlock(&c->t->mu);
	for (; w; w = next) {
		next = w->next;
		w->done(w->ctx, w->seq <= committed ? 0 : rc);
		free(w);
	}
	mutex_lock(&c->t->mu);
}

static bool commit_round_locked(struct commit *c)
	requires_capability(&c->t->mu);

/*
 * Whoever waits while nobody commits does it himself, one batch; the commit
 * thread takes what has come meanwhile.  A lone create + fsync is spared
 * switches of threads (17 in all, now 12) and 22 of its 261 us of CPU.
 */
static void lead_locked(struct commit *c) requires_capability(&c->t->mu)
{
	commit_round_locked(c);
	if (c->waiters || c->stop || c->queued >= EAGER_ENTRIES)
		cond_signal(&c->work);
}

void commit_wait(struct commit *c, uint64_t seq, core_done_fn *done, void *ctx)
{
	struct waiter *w = calloc(1, sizeof(*w));
	int rc = 0;

	mutex_lock(&c->t->mu);
	if (seq <= c->committed_seq || c->failed || !w || c->stop)
		rc = seq <= c->committed_seq ? 1 :
		     c->failed || c->stop    ? -ERR_STICKY :
					       -ENOMEM;
	if (!rc) {
		w->seq = seq;
		w->done = done;
		w->ctx = ctx;
		w->next = c->waiters;
		c->waiters = take(w);
		if (c->soft)
			cond_signal(&c->work);
		else if (!c->committing && !c->o.no_threads)
			lead_locked(c);
	}
	mutex_unlock(&c->t->mu);
	free(w);
	if (rc)
		done(ctx, rc < 0 ? rc : 0);
	else if (c->o.no_threads)
		while (commit_step(c))
			;
}

struct sync_wait {
	struct mutex mu;
	struct cond cond;
	bool done;
	int rc;
};

static void sync_done(void *ctx, int rc)
{
	struct sync_wait *s = ctx;

	mutex_lock(&s->mu);
	s->rc = rc;
	s->done = true;
	cond_signal(&s->cond);
	mutex_unlock(&s->mu);
}

int commit_flush(struct commit *c, uint64_t seq)
{
	struct sync_wait s = { .done = false };

	mutex_init(&s.mu);
	cond_init(&s.cond);
	commit_wait(c, seq, sync_done, &s);
	mutex_lock(&s.mu);
	while (!s.done)
		cond_wait(&s.cond, &s.mu);
	mutex_unlock(&s.mu);
	cond_destroy(&s.cond);
	mutex_destroy(&s.mu);
	return s.rc;
}

int commit_index(struct commit *c, uint64_t seq)
{
	int rc = commit_flush(c, seq);

	if (c->o.no_threads)
		while (commit_step(c))
			;
	mutex_lock(&c->t->mu);
	c->index_waiters++;
	cond_signal(&c->apply);
	while (!rc && c->applied_seq < seq) {
		if (c->failed || c->stop)
			rc = -ERR_STICKY;
		else if (c->index_soft)
			rc = c->index_soft;
		else
			cond_wait(&c->changed, &c->t->mu);
	}
	c->index_waiters--;
	mutex_unlock(&c->t->mu);
	return rc;
}

/* --- the commit point --- */

static int commit_batch(struct commit *c, struct batch *b)
{
	struct ledger_frame *f = NULL;
	uint64_t size = 0;
	int rc;

	rc = ledger_seal(c->o.ledger, &f, &b->seal, b->entries, b->n, b->chunks,
			 b->n_chunks);
	if (rc < 0)
		return rc;
	b->wall_ns = ledger_frame_wall_ns(f);
	rc = ledger_commit(c->o.ledger, f); /* durable when this returns 0 */
	if (rc < 0)
		return rc;
	rc = ledger_root(c->o.ledger, &size, &b->root);
	if (rc < 0) /* durable: it must not be tried again */
		return commit_is_soft(rc) ? -EIO : rc;
	assert(size == b->seal + 1); /* one writer */
	return 0;
}

static void committed_locked(struct commit *c, struct batch *b)
	requires_capability(&c->t->mu)
{
	uint32_t pos = 0;

	for (struct pend *p = b->pends; p; p = p->next) {
		atomic_store(&p->cell->entry_no, IDX_ENTRY_NO(b->seal, pos++));
		b->entry_bytes += p->entry_bytes;
	}
	atomic_fetch_add(&c->bytes_committed, b->entry_bytes);
	commit_batch_drop_pends(c, b);
	c->committed_seq = b->last_seq;
	if (!c->to_apply)
		c->apply_ns = vio_mono_ns(c->o.vio);
	*c->to_apply_tail = b;
	c->to_apply_tail = &b->next;
	if (commit_apply_eager_locked(c))
		cond_signal(&c->apply);
	cond_broadcast(&c->changed);
}

static void drop_batches(struct commit *c, struct batch *b)
{
	struct batch *next;

	for (; b; b = next) {
		next = b->next;
		commit_batch_drop_pends(c, b);
		commit_batch_free(b);
	}
}

/*
 * One batch; false when there was nothing to do, or somebody is at it.
 * t->mu held, given up.
 */
static bool commit_round_locked(struct commit *c) requires_capability(&c->t->mu)
{
	struct batch *b = c->retry;
	struct pend *pends = NULL;
	uint32_t n = 0;
	int rc = 0;

	if (c->failed || c->committing)
		return false;
	if (!b)
		n = take_locked(c, &pends);
	if (!b && !n)
		return false;
	c->committing = true;
	mutex_unlock(&c->t->mu);
	if (!b)
		rc = commit_batch_begin(&b, c, pends, n);
	if (!rc)
		rc = commit_batch_build(c, b);
	if (!rc)
		rc = commit_batch(c, b);
	/* a WAL that is full has room again once its frames are settled */
	if (rc == -ENOSPC && b && commit_settle_all(c) == 0)
		rc = commit_batch(c, b);
	mutex_lock(&c->t->mu);
	c->committing = false;
	c->retry = NULL;
	c->soft = 0;
	if (!rc) {
		committed_locked(c, b);
	} else {
		c->retry = b;
		if (!b)
			put_pends_back_locked(c, pends, n);
		if (commit_is_soft(rc)) { /* nothing was written */
			c->soft = rc;
			c->retry_ns = vio_mono_ns(c->o.vio);
			cond_broadcast(&c->changed);
		} else {
			commit_fail_locked(c, rc,
					   "the ledger cannot be written");
			drop_batches(c, take(c->retry));
		}
	}
	tell_locked(c);
	return !rc;
}

static int64_t linger_locked(struct commit *c) requires_capability(&c->t->mu)
{
	int64_t now = vio_mono_ns(c->o.vio);

	if (c->soft)
		return c->retry_ns + RETRY_MS * NS_PER_MS - now;
	if (!c->head || c->committing)
		return LINGER_MS * NS_PER_MS;
	if (c->stop || c->waiters || c->queued >= EAGER_ENTRIES)
		return 0;
	return c->oldest_ns + LINGER_MS * NS_PER_MS - now;
}

static void commit_main(void *arg)
{
	struct commit *c = arg;

	thread_answers();
	mutex_lock(&c->t->mu);
	while (c->committing ||
	       (!c->abandon && !(c->stop && (!c->head || c->failed)))) {
		int64_t wait_ns = linger_locked(c);

		if (c->failed)
			tell_locked(c);
		if (wait_ns > 0 || c->failed) {
			if (c->soft && c->stop)
				break; /* no room to the end */
			cond_timedwait_ns(&c->work, &c->t->mu,
					  wait_ns > 0 ? wait_ns :
							NS_PER_MS * LINGER_MS);
			continue;
		}
		commit_round_locked(c);
	}
	c->commit_ended = true;
	cond_broadcast(&c->apply);
	mutex_unlock(&c->t->mu);
}

/* --- steps --- */

bool commit_step(struct commit *c)
{
	bool did;
	int rc;

	mutex_lock(&c->t->mu);
	did = commit_round_locked(c);
	while (commit_apply_round_locked(c))
		did = true;
	mutex_unlock(&c->t->mu);
	rc = commit_settle_round(c);
	if (rc >= 0 && !did)
		rc = commit_checkpoint_round(c, true);
	if (rc >= 0)
		space_tick(store_space(c->o.store));
	mutex_lock(&c->t->mu);
	if (rc < 0)
		commit_fail_locked(c, rc, "the journal cannot be written");
	if (c->failed)
		tell_locked(c);
	mutex_unlock(&c->t->mu);
	return did;
}

/* --- life --- */

int commit_open(struct commit **out, const struct commit_options *o)
{
	struct commit *c = calloc(1, sizeof(*c));
	int rc = 0;

	if (!c)
		return -ENOMEM;
	c->o = *o;
	c->t = o->t;
	c->tail = &c->head;
	c->to_apply_tail = &c->to_apply;
	c->next_seq = 1;
	cond_init(&c->work);
	cond_init(&c->apply);
	cond_init(&c->settle);
	cond_init(&c->changed);
	if (!o->no_threads) {
		rc = thread_start(&c->commit_thread, "commit", commit_main, c);
		if (!rc)
			rc = thread_start(&c->apply_thread, "apply",
					  commit_apply_main, c);
		if (!rc)
			rc = thread_start(&c->settle_thread, "settle",
					  commit_settle_main, c);
	}
	if (rc < 0) {
		commit_abandon(c);
		return rc;
	}
	*out = c;
	return 0;
}

static void stop_threads(struct commit *c, bool abandon)
{
	mutex_lock(&c->t->mu);
	c->stop = true;
	c->abandon = abandon;
	cond_broadcast(&c->work);
	cond_broadcast(&c->settle);
	mutex_unlock(&c->t->mu);
	thread_join(&c->settle_thread);
	thread_join(&c->commit_thread);
	thread_join(&c->apply_thread);
}

int commit_finish(struct commit *c, struct errmsg *em)
{
	int rc = 0;

	if (c->o.no_threads)
		while (commit_step(c))
			;
	stop_threads(c, false);
	if (c->failed)
		rc = errmsg_set(em, c->failed, "%s", c->words);
	else if (c->head || c->retry)
		rc = errmsg_set(em, c->soft ? c->soft : -ENOSPC,
				"%s: %llu entries are not saved",
				err_text(c->soft ? c->soft : -ENOSPC),
				(unsigned long long)(c->next_seq - 1 -
						     c->committed_seq));
	if (!rc)
		rc = commit_settle_all(c);
	if (!rc)
		rc = commit_checkpoint_round(c, true);
	if (rc > 0)
		rc = 0;
	if (rc < 0)
		errmsg_set(em, rc, "the journal cannot be settled: %s",
			   err_text(rc));
	return rc;
}

static void commit_free(struct commit *c)
{
	struct batch rest = { .pends = c->head };

	mutex_lock(&c->t->mu);
	commit_batch_drop_pends(c, &rest);
	drop_batches(c, c->retry);
	drop_batches(c, c->to_apply);
	if (!c->failed)
		c->failed = -ERR_STICKY;
	tell_locked(c);
	mutex_unlock(&c->t->mu);
	cond_destroy(&c->work);
	cond_destroy(&c->apply);
	cond_destroy(&c->settle);
	cond_destroy(&c->changed);
	free(c);
}

void commit_abandon(struct commit *c)
{
	if (!c)
		return;
	stop_threads(c, true);
	commit_free(c);
}

void commit_status(struct commit *c, struct commit_status *out)
{
	mutex_lock(&c->t->mu);
	out->queued = c->queued;
	out->committed_seq = c->committed_seq;
	out->applied_seq = c->applied_seq;
	out->unapplied = c->next_seq - 1 - c->applied_seq;
	out->failed = c->failed;
	snprintf(out->words, sizeof(out->words), "%s", c->words);
	mutex_unlock(&c->t->mu);
}
