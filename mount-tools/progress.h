/*
 * progress.h - a progress bar on stderr for long work, when it is a terminal.
 * Any thread may call progress_set(); it draws at most ten times a second.
 */
#ifndef MOUNT_TOOLS_PROGRESS_H
#define MOUNT_TOOLS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/thread.h"

struct progress {
	struct mutex mu;
	const char *what;	    /* "verifying" */
	bool bytes;		    /* numbers are bytes */
	bool shown;		    /* stderr is a terminal */
	bool drawn;		    /* guarded by mu */
	int64_t start_ns, drawn_ns; /* guarded by mu */
};

void progress_start(struct progress *p, const char *what, bool bytes);
/* all 0: not known. */
void progress_set(struct progress *p, uint64_t done, uint64_t all);
/* Wipes the line, before words of another kind. */
void progress_wipe(struct progress *p);
/* The same, for good. */
void progress_end(struct progress *p);
/* progress_set() with the shape of a callback; ctx is a struct progress. */
void progress_tell(void *ctx, uint64_t done, uint64_t all);

#endif
