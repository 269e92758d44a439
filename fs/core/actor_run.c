/*
 * actor_run.c - see actor_run.h.
 */
#include "fs/core/actor_run.h"

#include <errno.h>
#include <string.h>

#include "fs/core/actor.h"
#include "fs/core/actor_cmdline.h"
#include "fs/run/run_group.h"
#include "fs/run/run_guard.h"

enum { CGROUP_TEXT_MAX = 8192, ABOVE_MAX = 1024 };

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

/*
 * Who drops the marker and has no parents any more keeps the limit that the
 * wrapper set.
 */
static enum entry_run_how by_limit(const struct actor_run_source *s,
				   uint8_t out[RUN_ID_SIZE],
				   const struct actor_proc *proc)
{
	uint64_t limit;

	if (!run_table_limits(s->runs) ||
	    actor_proc_limit(&limit, proc->tgid) < 0 || limit == UINT64_MAX ||
	    !run_table_of_limit(s->runs, out, limit, proc->uid))
		return ENTRY_RUN_UNKNOWN;
	return ENTRY_RUN_MARKER;
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

/*
 * The parent is not known: it went just now, or lies above more ancestors than
 * are kept.  Is there a wrapper above?  Then it is as its parent.  -ESRCH: they
 * go faster than they are looked at, or are too many.
 */
static int see_above(const struct actor_run_source *s, struct run_of_seen *seen,
		     const struct actor_proc *proc)
{
	struct actor_proc at = *proc, up, again;
	uint8_t id[RUN_ID_SIZE];

	for (unsigned n = 0; n < ABOVE_MAX; n++) {
		int rc = at.ppid == 0 ? 0 : actor_proc_read(&up, at.ppid);

		if (at.ppid == 0)
			return 0;
		if (rc == -ENOMEM || rc == -EMFILE || rc == -ENFILE)
			break;
		if (rc == 0) {
			if (run_table_of_wrapper(s->runs, id, up.tgid,
						 up.start_time)) {
				seen->parent = up.tgid;
				seen->parent_start = up.start_time;
				return 0;
			}
			at = up;
			continue;
		}
		/* one that others may not see is nobody's wrapper here */
		if (actor_proc_read(&again, at.tgid) == 0 &&
		    again.ppid == at.ppid)
			return 0;
		if (actor_proc_read(&at, proc->tgid) < 0)
			return -ESRCH;
	}
	return -ESRCH;
}

static int see(const struct actor_run_source *s, struct run_of_seen *seen,
	       const struct actor_proc *proc, const struct actor *parent,
	       char *text)
{
	seen->cgroup = actor_proc_cgroup(proc->tgid, text, CGROUP_TEXT_MAX);
	if (parent) {
		seen->parent = parent->tgid;
		seen->parent_start = parent->start_time;
		seen->parent_run = parent->run;
		seen->parent_how = parent->run_how;
		return 0;
	}
	return run_table_marks(s->runs) ? see_above(s, seen, proc) : 0;
}

/* Those of the runs that its limit says it may come from. */
static int guards_of_limit(const struct actor_run_source *s,
			   struct run_guard **all, const uint8_t *run,
			   enum entry_run_how how,
			   const struct actor_proc *proc)
{
	bool told = how == ENTRY_RUN_CGROUP || how == ENTRY_RUN_ANCESTRY;
	uint64_t limit;
	int rc;

	if (!run_table_limits(s->runs))
		return 0;
	rc = actor_proc_limit(&limit, proc->tgid);
	if (rc < 0 || limit == UINT64_MAX)
		return rc < 0 ? -ESRCH : 0;
	return run_table_guards_of_limit(s->runs, all, limit, proc->uid,
					 told ? run : NULL);
}

int actor_run_guard(const struct actor_run_source *s, struct run_guard **out,
		    const uint8_t *run, enum entry_run_how how,
		    const struct actor_proc *proc, const struct actor *parent)
{
	struct run_of_seen seen = { .cgroup = NULL };
	char text[CGROUP_TEXT_MAX];
	int rc;

	*out = run_guard_hold(parent ? parent->guard : NULL);
	if (!s->runs || !run_table_guarded(s->runs))
		return 0;
	rc = see(s, &seen, proc, parent, text);
	if (rc == 0)
		rc = run_of_add_guard(s->runs, out, run);
	if (rc == 0)
		rc = run_of_guards(s->runs, out, &seen);
	if (rc == 0)
		rc = guards_of_limit(s, out, run, how, proc);
	if (rc < 0) {
		run_guard_drop(*out);
		*out = NULL;
	}
	return rc;
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
		/* what cannot be told is asked for again by the guard */
		(void)!see(s, &seen, proc, parent, text);
		how = run_of_seen(s->runs, out, &seen);
		if (how == ENTRY_RUN_UNKNOWN)
			how = by_marker(s, out, proc);
		if (how == ENTRY_RUN_UNKNOWN)
			how = by_limit(s, out, proc);
	}
	if (how == ENTRY_RUN_UNKNOWN)
		how = by_group(s, out, proc);
	if (how == ENTRY_RUN_UNKNOWN)
		memset(out, 0, RUN_ID_SIZE);
	return how;
}
