/*
 * run_witness.h - tells a signal that somebody sent to this process alone from
 * one that he sent to its whole process group.
 *
 * A process of ours that does nothing else is in the group as well: what it
 * has got, too, was for all.  One thread.
 */
#ifndef MOUNT_TOOLS_RUN_WITNESS_H
#define MOUNT_TOOLS_RUN_WITNESS_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/auto.h"

struct run_witness {
	pid_t pid; /* 0: none, it saw nothing */
	int fd;
};

/* The signals that it is asked for are blocked already. */
void run_witness_make(struct run_witness *out);
/*
 * Was this signal, which just came, sent to the group?  To be asked of each
 * that comes, else it takes one for the next of its kind.
 */
bool run_witness_saw(struct run_witness *w, const siginfo_t *si);
/* A no-op when there is none. */
void run_witness_end(struct run_witness *w);

#endif
