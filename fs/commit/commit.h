/*
 * commit.h - from an applied operation to a durable, indexed entry.
 *
 * The durability order (LEDGER.md 2) is written in commit.c, once:
 *   bulk chunks are flushed before their entry is queued (content.c)
 *   -> queue (strictly first in, first out)
 *   -> a batch: references, encoding, leaf hashes, seal, signature
 *   -> one frame, one flush: THE COMMIT POINT; waiters are told
 *   -> the index applies the batch; rows in memory may be evicted
 *   -> frames settle into journal and packs; checkpoint.
 *
 * Threads: `commit` (batches, but those that a waiter makes himself), `apply`
 * (index), `settle` (journal, checkpoint).  The queue and all counters are
 * guarded by itable.mu; no lock is held across I/O or when a waiter is called.
 */
#ifndef FS_COMMIT_H
#define FS_COMMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "fs/core/core.h"
#include "fs/core/itable.h"

struct commit;
struct errmsg;
struct idx;
struct ledger;
struct pend;
struct store;
struct vio;

struct commit_options {
	struct itable *t;
	struct ledger *ledger;
	struct store *store;
	struct idx *idx;
	struct vio *vio;
	bool no_threads;
	/* Every 100 ms from the settle thread (or commit_step). */
	void (*tick)(void *ctx);
	void *ctx;
};

int must_use commit_open(struct commit **out, const struct commit_options *o);
/*
 * Commits what is queued, lets the index catch up, settles, checkpoints, ends
 * the threads.  First error in words.  Nothing may be enqueued any more;
 * commit_abandon frees it.
 */
int must_use commit_finish(struct commit *c, struct errmsg *em);
/* Ends the threads, losing the queue. */
void commit_abandon(struct commit *c);

/*
 * Waits while too many entries are ahead of the index.  No lock held.
 * Answers the sticky error if there is one.
 */
int must_use commit_admit(struct commit *c);
/* The seq that the next entry will get; set as itable.seq before apply(). */
uint64_t commit_next_seq(struct commit *c);
/* Queues an applied entry (itable.mu held); takes ownership. */
void commit_enqueue(struct commit *c, struct pend *p);
/* The seq of the last queued entry (itable.mu held). */
uint64_t commit_last_seq(struct commit *c);

/* Calls done when all up to seq is durable; perhaps at once. No lock held. */
void commit_wait(struct commit *c, uint64_t seq, core_done_fn *done, void *ctx);
/* The same, waiting; then also until the index has it. */
int must_use commit_flush(struct commit *c, uint64_t seq);
int must_use commit_index(struct commit *c, uint64_t seq);

/* Signs where the log stands; uses the ballast (space.h) for it. */
int must_use commit_checkpoint(struct commit *c);

/*
 * What was answered for and has no place on the disk yet: bytes that journal,
 * packs and index will take (space.h).  Any thread.
 */
uint64_t commit_owed(void *commit);
/*
 * Has all that is queued now find its place, and waits for that; not where
 * there is no room for it.  Nothing is locked.
 */
void commit_press(void *commit);

/* One round of each thread's work; true if there was any. */
bool commit_step(struct commit *c);

struct commit_status {
	uint64_t queued, committed_seq, applied_seq, unapplied;
	int failed;
	char words[256];
};
void commit_status(struct commit *c, struct commit_status *out);
int commit_failed(struct commit *c);

#endif
