/*
 * run_child.h - the program that `vouch run` starts: as if it had been
 * started directly, with the same terminal, signals and ends.
 *
 * One thread, the only one of the process.
 */
#ifndef MOUNT_TOOLS_RUN_CHILD_H
#define MOUNT_TOOLS_RUN_CHILD_H

#include <stdint.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/auto.h"
#include "mount-tools/run_witness.h"

struct run_cgroup;

struct run_child {
	pid_t pid;	      /* 0: none */
	int go;		      /* pipe: a byte lets it start */
	int failed;	      /* pipe: errno of an execve that failed */
	int ending;	      /* readable: a signal came that ends us */
	sigset_t mask, heard; /* mask as it was; what is waited for */
	struct run_witness witness;
	bool chld_ignored;
	bool in_cgroup;
};

#define RUN_CHILD_INIT                                                         \
	{                                                                      \
		.go = -1, .failed = -1, .ending = -1, .witness = { .fd = -1 }, \
	}

/*
 * Makes the process, in the cgroup if that has one, with that limit
 * (run_limit.h; 0: none); it waits for run_child_go().  From here on signals wait until run_child_wait().
 */
int must_use run_child_make(struct run_child *out, char **argv, char **envp,
			    const struct run_cgroup *g, uint64_t limit);
/* 0: the program runs; -errno: it could not be started, and is reaped. */
int must_use run_child_go(struct run_child *c);
/* Passes signals on until it ends; the status as of waitpid(2). */
int run_child_wait(struct run_child *c);
/* Are there processes of it that are our children by now? */
bool run_child_left(int wait_ms);
/* It never starts; a no-op when it did. */
void run_child_cancel(struct run_child *c);
/*
 * After run_child_cancel(), to end, or to make another one: signals are as
 * they were, and what came meanwhile may end us.
 */
void run_child_hear(const struct run_child *c);
/* Ends as it ended: the exit status, or by the same signal. */
_Noreturn void run_child_end_as(int status);

#endif
