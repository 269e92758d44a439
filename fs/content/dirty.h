/*
 * dirty.h - buffers for bytes that are written and not yet chunks, and the
 * bound on all of them together.
 *
 * A buffer counts with its whole capacity, against the limit and as space
 * reserved in the store, until the last reference is gone.  A content's
 * buffers are filled and referenced under that content's lock; `pins` say
 * that somebody reads the bytes without the lock, so that they must not be
 * changed in place.
 *
 * Threads: dirty_get and the accounting of dirty_put are thread-safe; refs,
 * pins and used of one buffer are guarded by its content's lock.  The lock
 * inside is a leaf.
 */
#ifndef FS_DIRTY_H
#define FS_DIRTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/thread.h"

struct store;

enum {
	DIRTY_STREAM = 1 << 20, /* buffers of a stream; recycled */
	DIRTY_KEPT = 64,	/* recycled buffers kept while streams come */
	/* what may lie before and behind the bytes of a stream's buffer */
	DIRTY_BEFORE = 80,
	DIRTY_BEHIND = 2 * 4096 - DIRTY_BEFORE,
};

struct dirty {
	struct mutex mu;
	struct cond room;
	uint64_t bytes; /* capacity of all buffers; guarded by mu */
	uint64_t max;
	unsigned waiting; /* writers; guarded by mu */
	int failed;	  /* why nothing can be freed now; guarded by mu */
	uint64_t tries;	  /* to make room; guarded by mu */
	unsigned n_kept;  /* guarded by mu */
	uint64_t streams; /* buffers of streams so far; guarded by mu */
	struct dirty_buf *kept;
	struct store *store;
	/* Somebody waits for room: start to free some.  No locks held. */
	void (*press)(void *ctx);
	void *ctx;
};

struct dirty_buf {
	struct dirty *owner;
	struct dirty_buf *next; /* in the kept list */
	uint32_t refs;
	uint32_t pins;
	uint32_t used;
	uint32_t cap;
	uint8_t *p;
};

void dirty_init(struct dirty *d, struct store *store, uint64_t max,
		void (*press)(void *ctx), void *ctx);
void dirty_release(struct dirty *d);

/*
 * A buffer with one reference.  Waits for room, holding nothing; who holds
 * much already (`held` bytes) leaves a quarter of the room to others.
 * -ENOSPC (the store has no space), or why waiting is vain.
 */
int must_use dirty_get(struct dirty *d, struct dirty_buf **out, size_t cap,
		       uint64_t held);
/*
 * A buffer of DIRTY_STREAM bytes, at the start of a page, that does not count
 * yet: a request is received into it, and it becomes dirty with its bytes in
 * it (dirty_adopt), or is given back (dirty_spare_free).  NULL without memory.
 */
struct dirty_buf *dirty_spare(struct dirty *d);
void dirty_spare_free(struct dirty *d, struct dirty_buf *b); /* NULL ok */
/* Counts it from now on, as dirty_get does; on an error it is gone. */
int must_use dirty_adopt(struct dirty *d, struct dirty_buf *b, uint64_t held);
/* No stream is written: frees the buffers kept. */
void dirty_rest(struct dirty *d);
void dirty_ref(struct dirty_buf *b);
void dirty_put(struct dirty_buf *b); /* NULL is a no-op */
uint64_t dirty_bytes(struct dirty *d);
uint64_t dirty_streams(struct dirty *d);
/* True when somebody waits for room, or more than half of it is taken. */
bool dirty_pressed(struct dirty *d);
/* How a try to make room ended: nothing gets free (rc < 0), or it does (0). */
void dirty_fail(struct dirty *d, int rc);

#endif
