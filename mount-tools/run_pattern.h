/*
 * run_pattern.h - does what a guard's patterns say match anything?  One
 * that was meant for a file and matches none protects nothing: it is told, or
 * refused where the path was given as it is outside of the volume.  One thread.
 */
#ifndef MOUNT_TOOLS_RUN_PATTERN_H
#define MOUNT_TOOLS_RUN_PATTERN_H

#include <stdbool.h>

#include "base/auto.h"

struct errmsg;
struct run_client;
struct run_guarded;

/*
 * Before it is made into a policy: -ERR_USAGE for what is an option that a
 * --hide before it took, or a path of this machine.
 */
int must_use run_pattern_words(const struct run_guarded *g, struct errmsg *em);
/*
 * Looks into the volumes: -ERR_USAGE, in words with the pattern that is right;
 * warns of the others unless `quiet`.  Of patterns of any depth nothing is
 * known, nor of what this user may not see.
 */
int must_use run_pattern_look(const struct run_guarded *g,
			      const struct run_client *v, unsigned n,
			      bool quiet, struct errmsg *em);

#endif
