/*
 * run_guard.h - the policies that a process is under: its run's own, and
 * those of the runs around it and of the processes it comes from.  A guard
 * only ever gets stricter on the way down.
 *
 * Immutable but for its counts; reference-counted; any thread.
 */
#ifndef FS_RUN_GUARD_H
#define FS_RUN_GUARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/run/run_policy.h"

struct run_guard;

/*
 * Takes the policy over on success; NULL: it could not be read, everything is
 * refused.  outer (may be NULL) applies as well; a reference of its own is
 * taken.  NULL without memory.
 */
struct run_guard *run_guard_new(struct run_policy *policy,
				struct run_guard *outer);
struct run_guard *run_guard_hold(struct run_guard *g); /* NULL gives NULL */
void run_guard_drop(struct run_guard *g);	       /* NULL ok */
/*
 * What is as strict as both (either may be NULL); *out is NULL if both are.
 * References of its own are taken.  -ENOMEM.
 */
int must_use run_guard_join(struct run_guard **out, struct run_guard *a,
			    struct run_guard *b);

bool run_guard_read_only(const struct run_guard *g);
bool run_guard_hides(const struct run_guard *g);
/* As run_policy_look(), by all of them. */
unsigned run_guard_look(const struct run_guard *g, const char *path, size_t n,
			bool dir);

#endif
