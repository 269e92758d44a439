/*
 * actor_run.c - see actor_run.h.
 */
#include "fs/core/actor_run.h"

#include <string.h>

#include "fs/core/actor.h"
#include "fs/core/actor_cmdline.h"
#include "fs/run/run_group.h"

enum { CGROUP_TEXT_MAX = 8192 };

/* The environment is looked at only while there are runs that it may name. */
static enum entry_run_how by_marker(const struct actor_run_source *s,
				    uint8_t out[RUN_ID_SIZE],
				    const struct actor_proc *proc)
{
	char value[RUN_ID_HEX + 1];
	ssize_t n;

	if (!run_table_marks(s->runs))
		return ENTRY_RUN_UNKNOWN;
	n = actor_cmdline_variable(s->cmdline, proc->tgid, RUN_MARKER, value,
				   sizeof(value));
	if (n < 0)
		return ENTRY_RUN_UNKNOWN;
	return run_of_marker(s->runs, out, value, (size_t)n, proc->uid);
}

static enum entry_run_how by_group(const struct actor_run_source *s,
				   uint8_t out[RUN_ID_SIZE],
				   const struct actor_proc *proc)
{
	uint64_t start = proc->start_time;

	if (!s->groups)
		return ENTRY_RUN_UNKNOWN;
	if (proc->group != 0 && proc->group != proc->tgid &&
	    actor_proc_start(&start, proc->group) < 0)
		start = 0;
	return run_group_id(s->groups, out, proc->group, proc->session, start) <
			       0 ?
		       ENTRY_RUN_UNKNOWN :
		       ENTRY_RUN_GROUP;
}

enum entry_run_how actor_run_of(const struct actor_run_source *s,
				uint8_t out[RUN_ID_SIZE],
				const struct actor_proc *proc,
				const struct actor *parent)
{
	char text[CGROUP_TEXT_MAX];
	struct run_of_seen seen = { .cgroup = NULL };
	enum entry_run_how how = ENTRY_RUN_UNKNOWN;

	memset(out, 0, RUN_ID_SIZE);
	if (!s->runs)
		return how;
	/* No run was declared since the mount: nothing can be found. */
	if (run_table_any(s->runs)) {
		seen.cgroup = actor_proc_cgroup(proc->tgid, text, sizeof(text));
		if (parent) {
			seen.parent = parent->tgid;
			seen.parent_start = parent->start_time;
			seen.parent_run = parent->run;
			seen.parent_how = parent->run_how;
		}
		how = run_of_seen(s->runs, out, &seen);
		if (how == ENTRY_RUN_UNKNOWN)
			how = by_marker(s, out, proc);
	}
	if (how == ENTRY_RUN_UNKNOWN)
		how = by_group(s, out, proc);
	if (how == ENTRY_RUN_UNKNOWN)
		memset(out, 0, RUN_ID_SIZE);
	return how;
}
