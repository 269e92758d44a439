/*
 * run_place.h - a listening socket of the run channel: where it lies, and that
 * nobody else can lie there.
 */
#ifndef FS_RUN_PLACE_H
#define FS_RUN_PLACE_H

#include <stdbool.h>

#include "base/auto.h"

struct run_place {
	int dir, fd;
	char name[32];
	bool bound;
};
#define RUN_PLACE_NONE              \
	{                           \
		.dir = -1, .fd = -1 \
	}

/* STORE/runs; so many may wait to be accepted.  Closes nothing on failure. */
int must_use run_place_open_store(struct run_place *p, const char *store,
				  int waiting);
/*
 * /run/vouchfs/MAJOR:MINOR of what is mounted on dir.  -EPERM: not ours to
 * make, or somebody else could put things there.
 */
int must_use run_place_open_public(struct run_place *p, const char *dir,
				   int waiting);
void run_place_close(struct run_place *p);

#endif
