/*
 * commit_settle.c - frames that are durable find their place: chunks in packs,
 * records in the journal, then the checkpoint.  And what is owed until then.
 *
 * Where the disk is full the ballast gives room, piece by piece: what was
 * answered for is settled whatever else is on the disk (space.h).
 *
 * Threads: `settle` (or commit_step); a settling, who found the WAL full, too.
 */
#include "base/vio.h"
#include "fs/commit/commit_internal.h"
#include "fs/store/space.h"
#include "fs/store/store.h"

enum {
	TICK_MS = 100,
	SETTLE_MS = 1000,	 /* frames that are not many yet */
	SETTLE_BYTES = 48 << 20, /* so many: do not wait */
	CHECKPOINT_MS = 1000,
	PRESS_LOOKS = 50, /* of 100 ms: then it is not worth waiting for */
	/*
	 * What an entry takes in the index, for each byte that it has at most
	 * in a frame.  Measured: an extended attribute of 1,500 bytes has 640
	 * at most, 180 in the journal, and 370 in the index and its log.
	 */
	INDEX_SHARE = 2,
};
#define NS_PER_MS 1000000LL

/* --- what is owed --- */

uint64_t commit_owed(void *commit)
{
	struct commit *c = commit;
	/* in this order: each grows up to the one that was read before it */
	uint64_t applied = atomic_load(&c->bytes_applied);
	uint64_t committed = atomic_load(&c->bytes_committed);
	uint64_t queued = atomic_load(&c->bytes_queued);

	return queued - committed + ledger_unsettled(c->o.ledger) +
	       INDEX_SHARE * (queued - applied) + store_owed(c->o.store);
}

void commit_press(void *commit)
{
	struct commit *c = commit;
	uint64_t seq, wanted;
	int rc;

	if (c->o.no_threads) {
		while (commit_step(c))
			;
		return;
	}
	mutex_lock(&c->t->mu);
	seq = c->next_seq - 1;
	mutex_unlock(&c->t->mu);
	rc = commit_index(c, seq);
	mutex_lock(&c->t->mu);
	wanted = ++c->settle_wanted;
	cond_signal(&c->settle);
	for (unsigned i = 0; i < PRESS_LOOKS && c->settle_done < wanted &&
			     (rc == 0 || commit_is_soft(rc)) && !c->failed &&
			     !c->stop && !atomic_load(&c->settle_soft);
	     i++)
		cond_timedwait_ns(&c->changed, &c->t->mu, TICK_MS * NS_PER_MS);
	mutex_unlock(&c->t->mu);
}

/* --- settling --- */

static int settle_chunks(void *ctx, const struct digest *ids, size_t n)
{
	struct commit *c = ctx;

	return store_settle(c->o.store, ids, n);
}

static int settle_flush(void *ctx)
{
	struct commit *c = ctx;

	return store_settle_flush(c->o.store);
}

int commit_settle_round(struct commit *c)
{
	struct ledger_settle_ops ops = {
		.settle = settle_chunks,
		.settle_flush = settle_flush,
		.ctx = c,
	};
	struct space *space = store_space(c->o.store);
	int rc;

	do
		rc = ledger_settle(c->o.ledger, 64, &ops);
	while (rc == -ENOSPC && space_relieve(space, SPACE_SETTLE));
	if (rc != 0)
		space_changed(space);
	atomic_store(&c->settle_soft, commit_is_soft(rc));
	/* no room: the WAL keeps it, try again later */
	return commit_is_soft(rc) ? 0 : rc;
}

int commit_settle_all(struct commit *c)
{
	int rc;

	do
		rc = commit_settle_round(c);
	while (rc > 0);
	return rc;
}

/*
 * Frames lie in the WAL for a while: what is written in one go is settled when
 * it is written, not beside it, and what comes drop by drop is flushed to packs
 * and journal once a second, not ten times.  10,000 files made by four
 * processes: a tenth less time.
 */
static int settle_when_due(struct commit *c, bool wanted)
{
	int64_t mono = vio_mono_ns(c->o.vio);
	int rc;

	if (!wanted && mono - c->settled_ns < SETTLE_MS * NS_PER_MS &&
	    ledger_unsettled(c->o.ledger) < SETTLE_BYTES)
		return ledger_prepare(c->o.ledger);
	rc = commit_settle_all(c);
	c->settled_ns = mono;
	return rc;
}

int commit_checkpoint(struct commit *c)
{
	int rc;

	do
		rc = ledger_checkpoint(c->o.ledger, NULL);
	while (rc == -ENOSPC &&
	       space_relieve(store_space(c->o.store), SPACE_SETTLE));
	return rc;
}

int commit_checkpoint_round(struct commit *c, bool now)
{
	int64_t mono = vio_mono_ns(c->o.vio);
	int rc;

	if (ledger_size(c->o.ledger) == ledger_checkpointed(c->o.ledger))
		return 0;
	if (!now && mono - c->checkpoint_ns < CHECKPOINT_MS * NS_PER_MS)
		return 0;
	rc = commit_checkpoint(c);
	c->checkpoint_ns = mono;
	return commit_is_soft(rc) ? 0 : rc < 0 ? rc : 1;
}

void commit_settle_main(void *arg)
{
	struct commit *c = arg;
	uint64_t wanted;
	bool asked;
	int rc = 0;

	mutex_lock(&c->t->mu);
	while (!c->stop && !c->abandon) {
		if (c->settle_done == c->settle_wanted)
			cond_timedwait_ns(&c->settle, &c->t->mu,
					  TICK_MS * NS_PER_MS);
		if (c->stop || c->abandon)
			continue;
		wanted = c->settle_wanted;
		asked = wanted != c->settle_done;
		if (c->failed) {
			c->settle_done = wanted;
			continue;
		}
		mutex_unlock(&c->t->mu);
		if (c->o.tick)
			c->o.tick(c->o.ctx);
		rc = settle_when_due(c, asked);
		if (rc >= 0)
			rc = commit_checkpoint_round(c, false);
		if (rc >= 0)
			space_tick(store_space(c->o.store));
		mutex_lock(&c->t->mu);
		c->settle_done = wanted;
		cond_broadcast(&c->changed);
		if (rc < 0)
			commit_fail_locked(c, rc,
					   "the journal cannot be written");
	}
	mutex_unlock(&c->t->mu);
}
