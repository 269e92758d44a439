/*
 * run.h - a declared run from its start to its end: RUN_START, RUN_END, and
 * what its processes opened, written down at the latest when it ends.
 *
 * Threads: thread-safe; a struct run_going has one owner.
 */
#ifndef FS_RUN_H
#define FS_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "fs/run/run_table.h"
#include "ledger/entry.h"
#include "ledger/entry_run.h"

struct core;
struct errmsg;
struct run_peer;

/* What is said of a run when it starts; all of it is borrowed. */
struct run_said {
	/* made by the wrapper, at random; not zero, not RUN_ID_IMPLICIT */
	uint8_t id[RUN_ID_SIZE];
	const char *name;      /* idx_run_name_ok */
	struct entry_str argv; /* ledger/argv.h form */
	struct entry_str cwd, user;
	struct entry_str policy;     /* run_policy.h; empty: none */
	uint64_t limit;		     /* run_limit.h, with a policy; 0: none */
	const struct entry_env *env; /* names strictly ascending */
	uint16_t n_env;
	uint32_t env_left;
	uint8_t git[20]; /* commit of the work tree; zeros: none, not known */
	bool dirty;
	struct entry_run_git git_of;
	bool own_cgroup; /* below the wrapper's, named after the id */
};

/* A run that has not ended; opaque. */
struct run_going;

/*
 * Enters RUN_START; from here on the wrapper's (who's) children belong to it,
 * if it is there yet.  -EEXIST: the id is known; -EPERM: we see no process of
 * that pid namespace, or who declares it cannot be told and it has a policy;
 * -ENFILE; -ENOSPC; -ERR_USAGE, -ERR_LIMIT: what is said.  Its guard is that
 * policy and, if it starts within a guarded run, that one's.
 */
int must_use run_start(struct core *c, const struct run_peer *who,
		       struct run_going **out, const struct run_said *said,
		       struct errmsg *em);

enum run_end_how { RUN_END_EXIT = 1, RUN_END_SIGNAL = 2, RUN_END_LOST = 3 };
struct run_ended {
	enum run_end_how how;
	uint32_t status; /* exit status or signal number */
	bool left;	 /* processes of it may go on */
};

/* Have its processes written what is not saved yet?  run_end() does it. */
bool run_unsaved(struct core *c, const struct run_going *r);

/*
 * Saves what its processes wrote, writes down what they opened and enters
 * RUN_END, so that all that they did lies before it but for what those do that
 * are left; frees r in every case.  What cannot be saved now is saved when it
 * can be, after the end.  How many processes of it used the volume in *out_processes (may be
 * NULL).
 */
int must_use run_end(struct core *c, struct run_going *r,
		     const struct run_ended *e, uint64_t *out_processes);

/*
 * For core_open: runs of earlier mounts that did not end have ended as lost;
 * processes that are left of them still belong to them, and are guarded.
 */
int must_use run_recover(struct core *c);

#endif
