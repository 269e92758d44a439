/*
 * lease.c - see lease.h.
 *
 * Sections are counted by the phase they began in.  A wait begins a new phase
 * and waits until the old one's count is zero.  Who read the old phase and
 * counts itself in afterwards sees that it is over and counts itself out
 * again; if the count was seen as zero before that, it sees the new phase.
 * All of that relies on the one order of sequentially consistent atomics.
 */
#include "fs/store/lease.h"

#include <assert.h>
#include <errno.h>

#include "base/digest.h"

#define LOOK_NS (2LL * 1000 * 1000)
enum { LOOKS_PER_ASK = 50 };

void lease_init(struct lease *l)
{
	atomic_init(&l->phase, 0);
	atomic_init(&l->inside[0], 0);
	atomic_init(&l->inside[1], 0);
	atomic_init(&l->kept, NULL);
	atomic_init(&l->noted, 0);
	mutex_init(&l->mu);
	cond_init(&l->changed);
}

void lease_release(struct lease *l)
{
	assert(!atomic_load(&l->kept));
	cond_destroy(&l->changed);
	mutex_destroy(&l->mu);
}

unsigned lease_enter(struct lease *l)
{
	for (;;) {
		unsigned phase = atomic_load(&l->phase);

		atomic_fetch_add(&l->inside[phase & 1], 1);
		if (atomic_load(&l->phase) == phase)
			return phase;
		atomic_fetch_sub(&l->inside[phase & 1], 1);
	}
}

void lease_leave(struct lease *l, unsigned token)
{
	uint64_t was = atomic_fetch_sub(&l->inside[token & 1], 1);

	assert(was > 0);
}

void lease_note(struct lease *l, const struct digest *id)
{
	struct bloom *b = atomic_load(&l->kept);

	if (b && bloom_add(b, id))
		atomic_fetch_add(&l->noted, 1);
}

int lease_open(struct lease *l, uint64_t ids, uint64_t seed)
{
	int rc = 0;

	mutex_lock(&l->mu);
	if (atomic_load(&l->kept))
		rc = -EBUSY;
	if (rc == 0)
		rc = bloom_init(&l->bloom, ids, seed);
	if (rc == 0) {
		atomic_store(&l->noted, 0);
		atomic_store(&l->kept, &l->bloom);
	}
	mutex_unlock(&l->mu);
	return rc;
}

/* Until nobody is inside that was counted there. */
static int drain_locked(struct lease *l, unsigned side, int (*go_on)(void *ctx),
			void *ctx) requires_capability(&l->mu)
{
	unsigned looks = 0;
	int rc = 0;

	while (rc == 0 && atomic_load(&l->inside[side]) > 0) {
		/* sections are short but for a few: a look now and then */
		cond_timedwait_ns(&l->changed, &l->mu, LOOK_NS);
		if (!go_on || ++looks % LOOKS_PER_ASK)
			continue;
		mutex_unlock(&l->mu);
		rc = go_on(ctx);
		mutex_lock(&l->mu);
	}
	return rc;
}

int lease_wait(struct lease *l, int (*go_on)(void *ctx), void *ctx)
{
	unsigned old = 0;
	int rc = 0;

	mutex_lock(&l->mu);
	old = atomic_load(&l->phase);
	/* what a wait that was ended early left */
	rc = drain_locked(l, !(old & 1), go_on, ctx);
	if (rc == 0) {
		atomic_fetch_add(&l->phase, 1);
		rc = drain_locked(l, old & 1, go_on, ctx);
	}
	mutex_unlock(&l->mu);
	return rc;
}

void lease_close(struct lease *l)
{
	int rc = 0;

	if (!atomic_load(&l->kept))
		return;
	atomic_store(&l->kept, NULL);
	rc = lease_wait(l, NULL, NULL); /* nobody adds to it any more */
	assert(rc == 0);
	bloom_release(&l->bloom);
}

bool lease_mark(struct lease *l, const struct digest *id)
{
	return bloom_add(&l->bloom, id);
}

bool lease_keeps(struct lease *l, const struct digest *id)
{
	return bloom_has(&l->bloom, id);
}
