/*
 * replicate.h - followers: every replica gets what the store has, within
 * seconds, and gives back what the store lost.
 *
 * Copied are the packs (known from the store) and whatever else `objects`
 * lists: journal segments, the checkpoint, volume.conf, public keys; never a
 * secret key, never the WAL (what is in it settles into packs and journal).
 * Only bytes that are durable in the store are copied.
 *
 * A position is a number of the caller's (the size of the settled log):
 * replicate_mark(p) says that the objects hold everything up to p; once a
 * replica has copied and synced all objects it has position p.
 *
 * A failing replica never fails the store: it lags, with words that say why,
 * and is tried again.
 *
 * Invariants: (1) on a replica, bytes below the recorded size of an object
 * were synced; bytes above it are written again before they are relied upon.
 * (2) The small objects (checkpoint) are read before the lists of the large
 * ones and written after those are synced, so a replica's checkpoint is never
 * ahead of its journal.
 *
 * Threads: one per replica; all calls from any thread.
 */
#ifndef FS_REPLICATE_H
#define FS_REPLICATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"

struct errmsg;
struct replica;
struct replicate;
struct store;
struct vio;

enum replicate_kind {
	REPLICATE_GROWS, /* appended to; `durable` bytes may be copied */
	REPLICATE_WHOLE, /* small, replaced atomically */
};

/* Takes one object; the name is its path in STORE and on the replica. */
typedef int replicate_fn(void *ctx, const char *name, uint64_t durable,
			 enum replicate_kind kind);

struct replicate_options {
	struct store *store;
	struct vio *vio; /* rooted at STORE */
	/* Calls fn for each object beside the packs; NULL: none. */
	int (*objects)(void *ctx, replicate_fn *fn, void *fn_ctx);
	void *ctx;
	uint32_t interval_ms; /* 0: 1000 */
	bool no_threads;      /* tests: work only in replicate_step */
};

int must_use replicate_open(struct replicate **out,
			    const struct replicate_options *o);
/*
 * Ends the threads, without a last round (replicate_catch_up before, if wanted),
 * and takes the replicas from the store.  NULL is a no-op.
 */
void replicate_close(struct replicate *r);

/* Takes ownership of the replica, on success only.  -EEXIST in words. */
int must_use replicate_add(struct replicate *r, struct replica *replica,
			   struct errmsg *em);
/*
 * Stops following and closes it; its files stay.  Waits for a replicate_step()
 * that runs.  -ENOENT.
 */
int replicate_remove(struct replicate *r, const char *name);

/* All up to this position is durable in the objects now; wakes followers when
 * it is news. */
void replicate_mark(struct replicate *r, uint64_t position);
/*
 * Lets every replica make one more round from now on, one that failed before,
 * too, and waits until those that do not fail have the position, and all small
 * objects as they are now.  timeout_ns <= 0: asks for the round and waits for
 * nothing.  0, or -ERR_AGAIN when the time was over or a replica fails.
 */
int must_use replicate_catch_up(struct replicate *r, uint64_t position,
				int64_t timeout_ns);
/*
 * Who waits in replicate_catch_up goes, as if his time was over, and so does
 * whoever comes, until that is taken back.
 */
void replicate_give_up(struct replicate *r, bool yes);
/* How many replicas have it, of how many (the store itself not counted). */
void replicate_have(struct replicate *r, uint64_t position, uint32_t *out_have,
		    uint32_t *out_all);

struct replicate_status {
	const char *name;
	const char *kind;
	uint64_t position;	 /* has everything up to here */
	uint64_t behind_bytes;	 /* not copied yet, as of the last round */
	uint64_t objects, bytes; /* on the replica */
	int64_t round_ns;	 /* wall time of the last good round; 0: none */
	int error;		 /* of the last round, 0 when it was good */
	const char *words;	 /* about the error; "" */
};
/* Calls fn for each replica; everything is borrowed for the call. */
typedef int replicate_status_fn(void *ctx, const struct replicate_status *s);
int must_use replicate_each(struct replicate *r, replicate_status_fn *fn,
			    void *ctx);

/*
 * Runs one round of every replica now, in this thread, each after the one that
 * its own thread is in; first error.
 */
int must_use replicate_step(struct replicate *r);

/*
 * Makes a lost store directory again: copies every object of the replica to
 * vio, volume.conf last.  -EEXIST in words when a volume is there already.
 * Secret keys are on no replica and have to be put back by their owner.
 */
int must_use replicate_restore(struct vio *vio, struct replica *replica,
			       void (*progress)(void *ctx, uint64_t done,
						uint64_t all),
			       void *ctx, struct errmsg *em);

#endif
