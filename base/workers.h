/*
 * workers.h - a few threads that run queued work.
 *
 * A struct work is embedded in what it works on.  It is in the queue at most
 * once, may run in several threads at a time (its function sorts that out),
 * and may queue itself again while it runs.
 *
 * Threads: all calls are thread-safe.  The lock inside is a leaf.
 */
#ifndef FS_WORKERS_H
#define FS_WORKERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"

struct work;
struct workers;

/* Runs without locks held. */
typedef void work_fn(struct work *w);

struct work {
	work_fn *fn;
	struct work *next; /* guarded by the queue's lock, as all below */
	unsigned running;
	bool queued;
	bool dead;
};

int must_use workers_open(struct workers **out, unsigned threads);
/* Waits for what runs; what is still queued is dropped.  NULL: no-op. */
void workers_close(struct workers *w);
/* Queues work unless it is queued already or cancelled. */
void workers_push(struct workers *w, struct work *k);
/* Takes the work out of the queue for ever and waits until it does not run. */
void workers_cancel(struct workers *w, struct work *k);

#endif
