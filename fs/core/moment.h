/*
 * moment.h - moments at which no file's bytes change.
 *
 * A snapshot makes versions of all dirty files one after the other, and is to
 * show one moment of them all: what was written before it and nothing that
 * was written after.  So nobody writes while it does; names may change
 * meanwhile, as those are in the log in the order in which they are done, and
 * who waits for a write makes no name.
 *
 * THE RULE.  Whoever changes the bytes of a content does so, and puts its file
 * on the list of dirty ones, inside moment_enter ... moment_leave.  In between
 * he waits for nothing but room (which job threads and the pool's workers
 * make, who never enter) and itable.mu, makes no version, tells the kernel
 * nothing (it may wait for a write that waits here), and does not enter again.
 *
 * Threads: any; one moment at a time (core.retain_mu).  Entering is an atomic
 * addition, and so is leaving.
 */
#ifndef FS_MOMENT_H
#define FS_MOMENT_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/thread.h"

struct moment {
	atomic_uint inside; /* changes that go on */
	atomic_bool wanted; /* changed with mu */
	struct mutex mu;
	struct cond changed;
};

void moment_init(struct moment *s);
void moment_release(struct moment *s);

/* A change begins; waits while a moment lasts. */
void moment_enter(struct moment *s);
void moment_leave(struct moment *s);

/* No change begins from now on, and those that had begun have ended. */
void moment_begin(struct moment *s);
void moment_end(struct moment *s);

#endif
