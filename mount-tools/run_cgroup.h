/*
 * run_cgroup.h - a cgroup v2 of a run's own, below the caller's, where he may
 * make one.  One thread.
 */
#ifndef MOUNT_TOOLS_RUN_CGROUP_H
#define MOUNT_TOOLS_RUN_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"

struct run_cgroup {
	int parent, dir; /* descriptors; -1: none */
	char name[64];
};

/* 0, or why there is none: -errno.  out is usable in each case. */
int must_use run_cgroup_make(struct run_cgroup *out, const char *id_hex);
/* Moves the calling process in: where clone3(2) could not. */
int must_use run_cgroup_enter(const struct run_cgroup *g);
/*
 * How many processes are in it once those that are about to go had wait_ms;
 * 0 when there is no cgroup.
 */
unsigned run_cgroup_left(const struct run_cgroup *g, int wait_ms);
/* Removes it unless somebody is in it; NULL-safe, idempotent. */
void run_cgroup_remove(struct run_cgroup *g);

#endif
