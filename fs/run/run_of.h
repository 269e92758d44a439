/*
 * run_of.h - from what is seen of a process to the run it belongs to, and how
 * sure that is.  The first rule that holds:
 *
 *   1. it is in the cgroup of a run, the innermost one: a fact
 *   2. its parent is the wrapper of an open run, or belongs to a run itself:
 *      by ancestry; no surer than the parent's own belonging
 *   3. it carries the marker of a run of the same user, or the limit that its
 *      processes inherit: a claim
 *   4. its process group (run_group.h): an implicit run
 *
 * Asked once per process image, never per request.  Pure but for the table,
 * which locks itself.
 */
#ifndef FS_RUN_OF_H
#define FS_RUN_OF_H

#include "fs/run/run_table.h"
#include "ledger/entry_run.h"

/* What is not known is NULL or 0. */
struct run_of_seen {
	const char *cgroup; /* its path in the cgroup v2 hierarchy */
	uint32_t parent;
	uint64_t parent_start;
	const uint8_t *parent_run;
	enum entry_run_how parent_how;
};

/* Rules 1 and 2: fills out, or answers ENTRY_RUN_UNKNOWN. */
enum entry_run_how run_of_seen(struct run_table *t, uint8_t out[RUN_ID_SIZE],
			       const struct run_of_seen *seen);
/*
 * Whose guards hold for it, whichever of them it belongs to: all runs whose
 * cgroups it is in, and the one whose wrapper its parent is.  *all has a
 * reference or is NULL, and is replaced.  -ENOMEM.
 */
int must_use run_of_guards(struct run_table *t, struct run_guard **all,
			   const struct run_of_seen *seen);
/* The same of one run. */
int must_use run_of_add_guard(struct run_table *t, struct run_guard **all,
			      const uint8_t id[RUN_ID_SIZE]);
/* Rule 3: the marker's value, n bytes as they are in the environment. */
enum entry_run_how run_of_marker(struct run_table *t, uint8_t out[RUN_ID_SIZE],
				 const char *value, size_t n, uint32_t uid);
/* Was the run declared, by `vouch run`? */
static inline bool run_of_explicit(enum entry_run_how how)
{
	return how != ENTRY_RUN_UNKNOWN && how != ENTRY_RUN_GROUP;
}
/* The id in one name of a cgroup's path, if it is a run's. */
bool run_of_component(uint8_t out[RUN_ID_SIZE], const char *p, size_t n);
/* Exactly RUN_ID_HEX lower-case digits. */
bool run_of_hex(uint8_t out[RUN_ID_SIZE], const char *p);

#endif
