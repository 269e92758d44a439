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

#endif
