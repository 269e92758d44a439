/*
 * run_ends.h - ends runs in the place of the run channel's thread where their
 * processes have written what is not saved yet: that takes as long as the disk
 * takes, and who starts a run meanwhile must not wait for it, too.
 *
 * Threads: one of its own does the saving; the functions, any.
 */
#ifndef FS_RUN_ENDS_H
#define FS_RUN_ENDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"

struct core;
struct run_ended;
struct run_ends;
struct run_going;

/* The end of one run: made before it starts, so that it never fails. */
struct run_ending;

/* A byte is written to wake_fd whenever one is done; it must not block. */
int must_use run_ends_open(struct run_ends **out, struct core *core,
			   int wake_fd);
/* Ends what was begun first.  NULL ok. */
void run_ends_close(struct run_ends *q);

struct run_ending *run_ending_new(void); /* NULL: no memory */
/*
 * Takes r over.  Where nothing of it is unsaved, it has ended when this
 * returns.  Once for each e.
 */
void run_ending_begin(struct run_ends *q, struct run_ending *e,
		      struct run_going *r, const struct run_ended *how);
/* Has it ended?  What run_end() gave goes to *out_rc and *out_processes. */
bool must_use run_ending_done(struct run_ends *q, struct run_ending *e,
			      int *out_rc, uint64_t *out_processes);
/* Nobody asks any more: it is freed, once it has ended.  NULL ok. */
void run_ending_leave(struct run_ends *q, struct run_ending *e);

#endif
