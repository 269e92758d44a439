/*
 * commit_apply.c - the index follows the log: batches that are durable, many
 * of them in one transaction.
 *
 * Threads: `apply` (or commit_step); it alone writes the index.
 */
#include "base/err.h"
#include "base/vio.h"
#include "fs/commit/commit_internal.h"
#include "fs/store/space.h"
#include "fs/store/store.h"
#include "index/idx.h"

enum {
	APPLY_ENTRIES = 65536,	/* in one transaction */
	APPLY_EAGER = 32768,	/* enough for one: do not linger */
	APPLY_LINGER_MS = 1000, /* entries that nobody wants to see */
	LOOK_MS = 100,		/* between looks for something to do */
};
#define NS_PER_MS 1000000LL

bool commit_apply_eager_locked(const struct commit *c)
{
	return c->index_waiters || c->stop ||
	       c->committed_seq - c->applied_seq >= APPLY_EAGER;
}

static int apply_batch(struct commit *c, struct batch *b)
{
	int rc = idx_seal(c->o.idx, b->seal, ledger_mount_no(c->o.ledger),
			  b->wall_ns, b->n);

	for (uint32_t i = 0; i < b->n && rc >= 0; i++) {
		struct entry e;

		rc = entry_open(&e, NULL, b->entries[i].bytes,
				b->entries[i].len, NULL);
		if (rc >= 0)
			rc = idx_apply(c->o.idx, &e, &b->entries[i].leaf,
				       IDX_ENTRY_NO(b->seal, i));
	}
	return rc;
}

static int apply_batches(struct commit *c, struct batch *first)
{
	struct batch *last = first;
	int rc = idx_begin(c->o.idx);

	for (struct batch *b = first; b && rc >= 0; b = b->next) {
		rc = apply_batch(c, b);
		last = b;
	}
	if (rc >= 0)
		rc = idx_end(c->o.idx, last->seal + 1, &last->root);
	if (rc < 0)
		idx_abort(c->o.idx);
	return rc;
}

/*
 * On a full disk what SQLite's log holds is moved first, so that its file is
 * used again from the start, and then the ballast gives room.
 */
static int apply_with_room(struct commit *c, struct batch *first)
{
	struct space *space = store_space(c->o.store);
	int rc = apply_batches(c, first);

	if (rc == -ENOSPC) {
		idx_tidy(c->o.idx);
		rc = apply_batches(c, first);
	}
	while (rc == -ENOSPC && space_relieve(space, SPACE_SETTLE))
		rc = apply_batches(c, first);
	space_changed(space);
	return rc;
}

/*
 * A full disk: the log has these batches, the index gets them later.  `end` is
 * the last one's next.
 */
static void put_back_locked(struct commit *c, struct batch *first,
			    struct batch **end) requires_capability(&c->t->mu)
{
	*end = c->to_apply;
	if (!c->to_apply)
		c->to_apply_tail = end;
	c->to_apply = first;
}

/* t->mu held, given up meanwhile; false when there was nothing to do. */
bool commit_apply_round_locked(struct commit *c)
{
	struct batch *first = c->to_apply, **at = &c->to_apply, *next;
	uint32_t n = 0;
	uint64_t seq = 0, bytes = 0;
	int rc;

	if (!first || c->failed)
		return false;
	/* without room one by one: a small transaction finds some sooner */
	for (; *at && n < (c->index_soft ? 1 : APPLY_ENTRIES);
	     at = &(*at)->next) {
		n += (*at)->n;
		bytes += (*at)->entry_bytes;
		seq = (*at)->last_seq;
	}
	c->to_apply = *at;
	*at = NULL;
	if (!c->to_apply)
		c->to_apply_tail = &c->to_apply;
	mutex_unlock(&c->t->mu);
	rc = apply_with_room(c, first);
	for (; first && !commit_is_soft(rc); first = next) {
		next = first->next;
		commit_batch_free(first);
	}
	if (rc >= 0) {
		itable_applied(c->t, seq);
		atomic_fetch_add(&c->bytes_applied, bytes);
	}
	mutex_lock(&c->t->mu);
	c->index_soft = commit_is_soft(rc) ? rc : 0;
	if (c->index_soft)
		put_back_locked(c, first, at);
	else if (rc < 0)
		commit_fail_locked(c, rc, "the index cannot be written");
	else
		c->applied_seq = seq;
	cond_broadcast(&c->changed);
	return rc >= 0;
}

/* Nothing is left to apply, or what is must wait for the next mount. */
static bool applied(const struct commit *c)
{
	return c->applied_seq == c->committed_seq || c->index_soft;
}

/*
 * How long the index may wait for more.  One transaction for a second's
 * entries writes the pages that they share once: a lone fsync costs a fifth
 * less CPU, and has the disk to itself.
 */
static int64_t apply_linger_locked(struct commit *c)
	requires_capability(&c->t->mu)
{
	if (commit_apply_eager_locked(c))
		return 0;
	return c->apply_ns + APPLY_LINGER_MS * NS_PER_MS -
	       vio_mono_ns(c->o.vio);
}

void commit_apply_main(void *arg)
{
	struct commit *c = arg;
	int64_t wait_ns;

	mutex_lock(&c->t->mu);
	while (!c->abandon &&
	       !(c->stop && (c->failed || (c->commit_ended && applied(c))))) {
		wait_ns = c->to_apply ? apply_linger_locked(c) : 0;
		if (wait_ns > 0 || !commit_apply_round_locked(c))
			cond_timedwait_ns(&c->apply, &c->t->mu,
					  wait_ns > 0 ? wait_ns :
							LOOK_MS * NS_PER_MS);
	}
	mutex_unlock(&c->t->mu);
}
