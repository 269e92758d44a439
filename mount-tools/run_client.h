/*
 * run_client.h - one mount's side of a run: declares it to the daemon through
 * the run channel (fs/daemon/run_channel.h) and ends it.  One thread.
 */
#ifndef MOUNT_TOOLS_RUN_CLIENT_H
#define MOUNT_TOOLS_RUN_CLIENT_H

#include "base/auto.h"

struct errmsg;
struct json_doc;
struct mounts_one;

struct run_client {
	char *dir; /* mount point */
	int fd;
};

/*
 * Connects.  -ENOTCONN: the daemon died; -EPERM: it does not let us.  The
 * words name the mount.
 */
int must_use run_client_open(struct run_client *out, const struct mounts_one *m,
			     struct errmsg *em);
void run_client_close(struct run_client *c);
/* As ctl_call(); waits a while where the daemon has enough for now. */
int must_use run_client_ask(struct run_client *c, struct json_doc **out,
			    const char *members, struct errmsg *em);

#endif
