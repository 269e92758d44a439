/*
 * run_client.h - one mount's side of a run: declares it to the daemon through
 * the run channel (fs/daemon/run_channel.h) and ends it.  A daemon that does
 * not answer is not waited for without end.  One thread.
 */
#ifndef MOUNT_TOOLS_RUN_CLIENT_H
#define MOUNT_TOOLS_RUN_CLIENT_H

#include <stdbool.h>

#include "base/auto.h"
#include "index/idx_runs.h"

struct errmsg;
struct json_doc;
struct mounts_one;

struct run_client {
	char *dir; /* mount point */
	int fd;
	bool whole; /* all of the volume is seen there */
	bool found; /* nobody said that this one is meant */
};

/* How long an answer is waited for. */
struct run_patience {
	int ms;
	int ending;    /* descriptor, readable: we are to end; -1: none */
	int ending_ms; /* for how long then */
};

/*
 * Connects.  -ENOTCONN: the daemon died; -EPERM: it does not let us.  The
 * words name the mount.
 */
int must_use run_client_open(struct run_client *out, const struct mounts_one *m,
			     struct errmsg *em);
void run_client_close(struct run_client *c);
/*
 * As ctl_call(); asks again where the daemon has enough for now.  -ETIMEDOUT,
 * and -EINTR when we are to end: after these an answer may still come, the
 * connection is of no use any more.
 */
int must_use run_client_ask(struct run_client *c, struct json_doc **out,
			    const char *members, const struct run_patience *w,
			    struct errmsg *em);

/*
 * What people call the run in which this program is, as its marker says, in
 * the mount at dir: NAME.NUMBER, or "" where it is in none.
 */
void run_client_own_word(char out[RUN_WORD_MAX], const char *dir);

#endif
