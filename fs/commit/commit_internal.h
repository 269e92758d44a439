/*
 * commit_internal.h - what the files of commit share.
 */
#ifndef FS_COMMIT_INTERNAL_H
#define FS_COMMIT_INTERNAL_H

#include <errno.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/thread.h"
#include "fs/commit/commit.h"
#include "ledger/entry.h"
#include "ledger/ledger.h"

/* Entries that were hashed together, until the index has them. */
struct batch {
	struct batch *next;
	struct pend *pends; /* until committed */
	struct buf bytes;   /* stored entries, one after the other */
	struct ledger_entry *entries;
	uint32_t n, n_all; /* hashed so far, and in the end */
	/* while it is built */
	uint8_t *salts;
	size_t *at; /* of each entry in bytes */
	struct ledger_chunk *chunks;
	uint32_t n_chunks, cap_chunks;
	uint64_t last_seq;
	uint64_t seal; /* index in the log */
	int64_t wall_ns;
	struct digest root;   /* of the log after it */
	uint64_t entry_bytes; /* of its pends, once committed */
};

struct waiter {
	struct waiter *next;
	uint64_t seq;
	core_done_fn *done;
	void *ctx;
};

struct commit {
	struct commit_options o;
	struct itable *t;
	/* all below guarded by t->mu */
	struct cond work;    /* for the commit thread */
	struct cond apply;   /* for the apply thread */
	struct cond settle;  /* for the settle thread */
	struct cond changed; /* committed, applied or failed moved */
	struct pend *head, **tail;
	uint64_t queued;
	uint64_t next_seq;
	uint64_t committed_seq;
	uint64_t applied_seq;
	int64_t oldest_ns; /* when the head was queued (monotonic) */
	struct waiter *waiters;
	bool committing; /* one thread at a time makes and writes a batch */
	struct batch *to_apply, **to_apply_tail;
	struct batch *retry; /* hashed in part or whole, and not written */
	/*
	 * -ENOSPC, -ENOMEM: the last round met no room and wrote nothing; 0.
	 * The next one is not before retry_ns and half a second.
	 */
	int soft;
	int64_t retry_ns;
	int64_t apply_ns;	/* when the first of to_apply came */
	unsigned index_waiters; /* who wants the index to have it all */
	int index_soft; /* to_apply waits for room, on disk or in memory */
	int failed;
	char words[256];
	bool stop, abandon;
	bool commit_ended; /* the commit thread makes no more batches */
	/* who asks for a settling at once, and who was answered */
	uint64_t settle_wanted, settle_done;
	/* of entries (pend.entry_bytes), from the start: each only grows */
	atomic_uint_least64_t bytes_queued, bytes_committed, bytes_applied;
	atomic_bool settle_soft; /* frames wait in the WAL for room */
	/* settle thread alone */
	int64_t checkpoint_ns, settled_ns;
	struct thread commit_thread, apply_thread, settle_thread;
};

/* A batch of pends (a list of n, taken over unless it fails). */
int must_use commit_batch_begin(struct batch **out, struct commit *c,
				struct pend *pends, uint32_t n);
/* Hashes and encodes what is not; after -ENOMEM it can go on from there. */
int must_use commit_batch_build(struct commit *c, struct batch *b);
void commit_batch_free(struct batch *b);
/* Frees the pends; t->mu held. */
void commit_batch_drop_pends(struct commit *c, struct batch *b);

/* No room on the disk or in memory: nothing is broken, later it may go well. */
static inline bool commit_is_soft(int rc)
{
	return rc == -ENOSPC || rc == -ENOMEM;
}

/* The first failure is the one that is told; t->mu held. */
void commit_fail_locked(struct commit *c, int rc, const char *what)
	requires_capability(&c->t->mu);

/* --- commit_settle.c --- */

/* Moves durable frames to their places: how many, 0 without room. */
int must_use commit_settle_round(struct commit *c);
/* All of them, or as many as there is room for.  No lock held. */
int must_use commit_settle_all(struct commit *c);
/* 1: signed. */
int must_use commit_checkpoint_round(struct commit *c, bool now);
void commit_settle_main(void *arg);

/* --- commit_apply.c --- */

/* Shall the index be written at once?  t->mu held. */
bool commit_apply_eager_locked(const struct commit *c);
/*
 * One transaction; false when there was nothing to do.  t->mu held, given up
 * meanwhile.
 */
bool commit_apply_round_locked(struct commit *c) requires_capability(&c->t->mu);
void commit_apply_main(void *arg);

#endif
