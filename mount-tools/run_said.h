/*
 * run_said.h - what `vouch run` tells the daemons of a run, as the request of
 * fs/daemon/serve_run.h.  Values of the environment are never told, only
 * their digests.  One thread.
 */
#ifndef MOUNT_TOOLS_RUN_SAID_H
#define MOUNT_TOOLS_RUN_SAID_H

#include <stdint.h>
#include <stdbool.h>

#include "base/auto.h"
#include "index/idx_runs.h"

struct buf;

/* The members of run-start; name and id are as the caller checked them. */
int must_use run_said_members(struct buf *out, const char *id_hex,
			      const char *name, char **argv, char **envp,
			      bool own_cgroup);
/* The member of what it may not do, if there is anything. */
void run_said_policy(struct buf *out, const struct buf *policy, uint64_t limit);
/* A run's name made of a command: its last component, made fit. */
void run_said_name(char out[RUN_NAME_MAX + 1], const char *command);

#endif
