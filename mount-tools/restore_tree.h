/*
 * restore_tree.h - a tree as it was, by the plan of what takes back all that
 * came since (the daemon's "restore-plan"), carried out by system calls of
 * ours (inverse.h); and the run that a restore is.
 *
 * One thread.
 */
#ifndef MOUNT_TOOLS_RESTORE_TREE_H
#define MOUNT_TOOLS_RESTORE_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"

struct ctl_place;
struct errmsg;
struct progress;

struct restore_tree {
	const struct ctl_place *place;
	const char *path;  /* inside the volume, no slash first; "": all */
	const char *outer; /* as people see it */
	const char *when;
	uint64_t at;
	bool exact;	  /* what came since goes */
	bool dry;	  /* tell it only */
	bool json, quiet; /* no list of what stays */
	struct progress *bar;
	/* what was done */
	uint64_t files, dirs, links, others; /* made again, or their bytes */
	uint64_t reset;			     /* moved back, attributes */
	uint64_t removed, left, failed;
};

/* -ERR_LIMIT: too much came since. */
int must_use restore_tree(struct restore_tree *t, struct errmsg *em);

/* The command line, for restore_declare(). */
void restore_remember(int argc, char **argv);
/* Are we below `vouch run` already? */
bool restore_is_declared(void);
/*
 * Starts this program once more in a run called restore; returns only when
 * that cannot be: 0, the caller goes on without.
 */
int must_use restore_declare(const char *dir);

#endif
