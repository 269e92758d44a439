/*
 * actor_run.h - to which run a process belongs: /proc is asked, the rules of
 * fs/run/run_of.h answer.  Once per process image.  Threads: any.
 */
#ifndef FS_ACTOR_RUN_H
#define FS_ACTOR_RUN_H

#include "fs/core/actor_proc.h"
#include "fs/run/run_of.h"

struct actor;
struct actor_cmdline;
struct run_group;
struct run_guard;

struct actor_run_source {
	struct run_table *runs;	  /* NULL: no run is known, ever */
	struct run_group *groups; /* NULL: no implicit ones */
	struct actor_cmdline *cmdline;
};

/* parent: as the actor will have it; NULL.  out is zero where none is known. */
enum entry_run_how actor_run_of(const struct actor_run_source *s,
				uint8_t out[RUN_ID_SIZE],
				const struct actor_proc *proc,
				const struct actor *parent);
/*
 * What it may not do: of that run, of those around it and of the parent.  A
 * reference, NULL: nothing.  -ENOMEM; -ESRCH: it went, or nobody can tell.
 */
int must_use actor_run_guard(const struct actor_run_source *s,
			     struct run_guard **out, const uint8_t *run,
			     enum entry_run_how how,
			     const struct actor_proc *proc,
			     const struct actor *parent);

#endif
