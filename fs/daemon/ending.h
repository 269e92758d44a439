/*
 * ending.h - what an unmount does now, in words: for who waits for it and for
 * the daemon's log.
 *
 * Threads: thread-safe.  The core that was given is asked until ending_at()
 * takes it away.
 */
#ifndef FS_ENDING_H
#define FS_ENDING_H

#include <stdint.h>

#include "base/thread.h"

struct buf;
struct control;
struct core;

enum ending_stage {
	ENDING_NOT, /* it is mounted */
	ENDING_COMMANDS,
	ENDING_REQUESTS,
	ENDING_RUNS,
	ENDING_SAVE,
	ENDING_REPLICAS,
	ENDING_CLOSE,
};

struct ending {
	struct mutex mu;
	enum ending_stage stage; /* guarded by mu, as is all below */
	struct core *core;	 /* NULL: not to be asked */
	struct control *control;
	int64_t since_ns;  /* when it began */
	int64_t logged_ns; /* or began */
};

void ending_init(struct ending *e);
void ending_release(struct ending *e);
/* Where it is now; from ENDING_CLOSE on the core is not asked any more. */
void ending_at(struct ending *e, enum ending_stage stage);
void ending_set(struct ending *e, struct core *core, struct control *control);
/* A control_doing_fn: nothing when there is nothing to say. */
void ending_words(void *ctx, struct buf *out);
/*
 * Writes to the log what takes so long, each ten seconds of an unmount.
 * Returns when to come again, in ms; -1: it has not begun.
 */
int ending_log(struct ending *e);

#endif
