/*
 * entry_run.h - what ACTOR and RUN_START say of runs in their optional TLVs
 * (vouchfs-ledger(5)).  Entries without them are as good: nothing is known
 * then.  Pure; any thread.
 */
#ifndef LEDGER_ENTRY_RUN_H
#define LEDGER_ENTRY_RUN_H

#include "ledger/entry.h"

/* How an actor came to the run that its ACTOR names. */
enum entry_run_how {
	ENTRY_RUN_UNKNOWN = 0,	/* not said, or no run */
	ENTRY_RUN_CGROUP = 1,	/* it was in the run's own cgroup: a fact */
	ENTRY_RUN_ANCESTRY = 2, /* its parent belonged to the run */
	ENTRY_RUN_MARKER = 3,	/* it, or an ancestor, said so itself */
	ENTRY_RUN_GROUP = 4,	/* its process group: an implicit run */
};

/* "cgroup", "ancestry", "marker", "process group"; NULL for the others. */
const char *entry_run_how_word(unsigned how);

/* Of an ACTOR. */
enum entry_run_how entry_run_how(const struct entry_body *b);
/* That TLV for b->extra; returns its length, 0 when there is nothing to say. */
enum { ENTRY_RUN_HOW_MAX = 5 };
size_t entry_run_how_put(uint8_t out[ENTRY_RUN_HOW_MAX],
			 enum entry_run_how how);

/* Of a RUN_START: the cgroup v2 of its own, as the daemon saw its path. */
struct entry_str entry_run_cgroup(const struct entry_body *b);
/* Of a RUN_START: names of the environment that there was no room for. */
uint32_t entry_run_env_left(const struct entry_body *b);
/* Appends both for b->extra, what is empty or 0 left out. */
void entry_run_start_put(struct buf *out, struct entry_str cgroup,
			 uint32_t env_left);

/* Of a RUN_START: whose work tree `git` and `dirty` speak of. */
enum entry_run_git_of {
	ENTRY_RUN_GIT_NONE = 0, /* not said: it lies in none */
	ENTRY_RUN_GIT_SCRIPT = 1,
	ENTRY_RUN_GIT_EXE = 2,
	ENTRY_RUN_GIT_CWD = 3, /* neither lies in one, the directory does */
};
enum entry_run_git_state {
	ENTRY_RUN_GIT_KNOWN = 0,
	ENTRY_RUN_GIT_NO_TIME = 1,  /* nothing was known in time */
	ENTRY_RUN_GIT_NO_DIRTY = 2, /* the commit was, the flag is not */
	ENTRY_RUN_GIT_UNREAD = 3,   /* it cannot be read */
	ENTRY_RUN_GIT_UNBORN = 4,   /* it has no commit yet */
};
struct entry_run_git {
	uint8_t of, state;
};
struct entry_run_git entry_run_git(const struct entry_body *b);
/* Appends it for b->extra, after the others. */
void entry_run_git_put(struct buf *out, struct entry_run_git git);
/*
 * Of a RUN_START that has a policy: the hard limit of file locks that all its
 * processes inherit; 0: none.
 */
uint64_t entry_run_limit(const struct entry_body *b);
/* Appends it for b->extra, after the others; 0 is left out. */
void entry_run_limit_put(struct buf *out, uint64_t limit);

/* "script", "executable", "working directory"; NULL for the others. */
const char *entry_run_git_of_word(unsigned of);
/* "not known in time" and so on; NULL: all is known. */
const char *entry_run_git_state_word(unsigned state);

#endif
