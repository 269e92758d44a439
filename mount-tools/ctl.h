/*
 * ctl.h - which volume a path belongs to, and how to talk to its daemon.
 */
#ifndef MOUNT_TOOLS_CTL_H
#define MOUNT_TOOLS_CTL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/auto.h"

struct errmsg;
struct json_doc;

struct ctl_place {
	char *store; /* absolute path of STORE */
	char *dir;   /* mount point; NULL when not mounted */
	char *path;  /* inside the volume, from "/"; NULL when PATH is STORE */
	bool below;  /* it is not the mount point itself */
};

/*
 * PATH is inside a mount (it need not exist, the daemon may be dead), or it
 * is a STORE (then dir tells whether it is mounted).  Symlinks on the way are
 * followed, the last name is not, unless only that leads to a volume.
 * -ENOENT in words.  ctl_place_release() takes a half-filled one too.
 */
int must_use ctl_find(struct ctl_place *out, const char *path,
		      struct errmsg *em);
/*
 * The same for who means the whole volume, a STORE or any DIR in a mount: what
 * does not exist is no place (a slip would mean the mount one stands in).
 */
int must_use ctl_find_volume(struct ctl_place *out, const char *path,
			     struct errmsg *em);
void ctl_place_release(struct ctl_place *p);

/* Calls fn for each vouchfs mount of this machine; nonzero stops. */
typedef int ctl_mount_fn(void *ctx, const char *store, const char *dir);
int must_use ctl_each_mount(ctl_mount_fn *fn, void *ctx);

/*
 * A daemon that does not answer is told in words, with -ETIMEDOUT: alive asks
 * it something that needs nothing (-ENOTCONN when none listens); await returns
 * 0 once fd can be read, however long that takes, as long as the daemon lives,
 * but after most_s, unless 0.  await_step waits for a second: 1 when fd can be
 * read, 0 when it cannot yet.
 */
int must_use ctl_alive(const char *store, struct errmsg *em);
int must_use ctl_await(int fd, const char *store, int most_s,
		       struct errmsg *em);
int must_use ctl_await_step(int fd, const char *store, struct errmsg *em);
int ctl_patience_s(void); /* VOUCH_PATIENCE, else 15 */

/*
 * Asks the daemon of STORE one thing: members is the inside of a JSON object
 * ("\"verb\":\"sync\"").  The answer is the caller's to json_free(), out may
 * be NULL.  -ENOTCONN when no daemon listens, -ETIMEDOUT when it hangs; else the
 * daemon's own code and words.
 */
int must_use ctl_call(struct json_doc **out, const char *store,
		      const char *members, struct errmsg *em);
/* What it has at hand: it hangs when it does not answer within a minute. */
int must_use ctl_call_brief(struct json_doc **out, const char *store,
			    const char *members, struct errmsg *em);
/* The parts of it, for those who ask "wait" or several things. */
int must_use ctl_connect(int *out_fd, const char *store, struct errmsg *em);
int must_use ctl_send(int fd, const char *members, struct errmsg *em);
/*
 * Blocks for one line; -EPIPE when the daemon is gone, -ETIMEDOUT where the
 * socket has a time limit.
 */
int must_use ctl_receive(struct json_doc **out, int fd, struct errmsg *em);
/* The daemon's process id, 0 if unknown. */
int ctl_peer_pid(int fd);

#endif
