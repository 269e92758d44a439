/*
 * content_press.c - makes room when the pool's buffers are nearly all taken:
 * turns what the contents hold into chunks, the oldest first, until enough is
 * free.  A stream that has enough for its own batches only gets its work
 * queued, so that it does not end in a short chunk.
 *
 * A content on the list is pinned (pool->mu) while it is worked on; closing
 * it waits for that.
 *
 * Threads: workers.
 */
#include "base/err.h"
#include "fs/content/content.h"
#include "fs/content/content_internal.h"
#include "fs/store/lease.h"

enum { PRESS_BYTES = 8 << 20 }; /* freed at a time */

/*
 * Has the stream enough for batches of its own?  Be they made now, or as soon
 * as who has entered leaves.
 */
static bool has_batch_locked(const struct content *c)
	requires_capability(&c->mu)
{
	return c->streaming && !c->closing &&
	       c->stream_end - c->stream_cut >= CONTENT_BACKLOG;
}

/*
 * Enters to take all that is buffered; not where meanwhile the stream has
 * enough for its own batches, which the leaving begins.  *out_end: where the
 * stream ends now.
 */
static bool entered(struct content *c, uint64_t *out_end)
{
	bool alone = false;

	content_enter(c);
	mutex_lock(&c->mu);
	alone = has_batch_locked(c);
	*out_end = c->stream_end;
	mutex_unlock(&c->mu);
	if (alone)
		content_leave(c);
	return !alone;
}

/* Turns all buffered bytes of one content into chunks, some at a time. */
static int press_content(struct content *c, struct scratch *sc)
{
	struct put put = { .put = content_spill_put, .content = c };
	uint64_t from = 0;
	uint64_t end = 0;
	int rc = 0;

	if (!entered(c, &end))
		return 0;
	rc = content_spill_stream(c, sc, end, &put);
	while (rc == 0) {
		struct spill s = { .piece = NULL };

		mutex_lock(&c->mu);
		rc = content_spill_take_locked(c, &s, from, ~0ULL,
					       SPILL_BUFFERS, PRESS_BYTES);
		mutex_unlock(&c->mu);
		if (rc == 0 && s.n_piece > 0) {
			from = s.piece[s.n_piece - 1].off +
			       s.piece[s.n_piece - 1].len;
			rc = content_spill_store(c, sc, &s, 0, s.n_piece, &put);
		} else {
			from = ~0ULL;
		}
		mutex_lock(&c->mu);
		if (rc == 0)
			rc = content_spill_apply_locked(c, &s, 0);
		content_spill_unpin_locked(&s, 0, s.n_piece);
		if (from == ~0ULL) {
			dirty_put(c->tail);
			c->tail = NULL;
		}
		mutex_unlock(&c->mu);
		content_spill_release(&s);
		if (from == ~0ULL)
			break;
	}
	content_leave(c);
	return rc;
}

/*
 * The stream's own work frees room: no need to end it in a short chunk.  That
 * is so while a save has entered, too.  To wait for it and then take all, as
 * this once did, was to cut the rest of a stream alone, following the writer,
 * while the other worker slept and saves waited: two thirds of the CPU of a
 * stream of 1 GiB in one thread.
 */
static bool spills_itself(struct content *c)
{
	bool yes = false;
	bool due = false;

	mutex_lock(&c->mu);
	due = content_spill_due_locked(c);
	yes = due || has_batch_locked(c) || c->cutting || c->inflight > 0;
	mutex_unlock(&c->mu);
	if (due)
		workers_push(c->pool->workers, &c->work);
	return yes;
}

/* Pins the oldest content of the list and makes it the newest. */
static struct content *next_content(struct content_pool *p, size_t *left)
{
	struct content *c = NULL;

	mutex_lock(&p->mu);
	if (*left == ~(size_t)0)
		for (*left = 0, c = p->head; c; c = c->next)
			(*left)++;
	c = *left > 0 ? p->head : NULL;
	if (c) {
		(*left)--;
		c->pins++;
		if (c->next) {
			p->head = c->next;
			p->head->prev = NULL;
			c->prev = p->tail;
			c->next = NULL;
			p->tail->next = c;
			p->tail = c;
		}
	}
	mutex_unlock(&p->mu);
	return c;
}

void content_press_work(struct work *k)
{
	struct content_pool *p =
		(struct content_pool *)((char *)k -
					offsetof(struct content_pool, press));
	struct scratch *sc = NULL;
	struct content *c = NULL;
	size_t left = ~(size_t)0;
	uint64_t before = dirty_bytes(&p->dirty);
	int failed = 0;
	int rc = content_pool_scratch(p, &sc);

	if (rc < 0)
		return;
	while (dirty_pressed(&p->dirty) && (c = next_content(p, &left))) {
		unsigned section = lease_enter(store_lease(p->store));

		rc = spills_itself(c) ? 0 : press_content(c, sc);
		lease_leave(store_lease(p->store), section);
		failed = failed ? failed : rc;
		mutex_lock(&p->mu);
		c->pins--;
		cond_broadcast(&p->unpinned);
		mutex_unlock(&p->mu);
	}
	content_pool_unscratch(p, sc);
	/* contents that spill themselves tell themselves */
	if (dirty_bytes(&p->dirty) < before)
		dirty_fail(&p->dirty, 0);
	else if (failed < 0)
		dirty_fail(&p->dirty, failed);
}
