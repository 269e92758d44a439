/*
 * mounts.h - the vouchfs mounts of this machine, from /proc/self/mountinfo,
 * and who keeps one of them busy.  No path is touched: a mount whose daemon
 * is dead would not answer.
 */
#ifndef MOUNT_TOOLS_MOUNTS_H
#define MOUNT_TOOLS_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"

struct mounts_one {
	char *store; /* the mount's source */
	char *dir;
	char *root;   /* "/", else a bind mount of a part */
	char *device; /* "0:45" */
	uint32_t uid; /* whose daemon it is */
	bool read_only;
};

struct mounts {
	struct mounts_one *v;
	size_t n;
};

/* In the order they were mounted; "fuse.vouchfs" only. */
int must_use mounts_read(struct mounts *out);
/* Pure; the text of a mountinfo file. */
int must_use mounts_parse(struct mounts *out, const char *text);
void mounts_release(struct mounts *m);
/* The last mounted one that dir is, or lies below; NULL. */
const struct mounts_one *mounts_over(const struct mounts *m, const char *path);

/* Is something mounted below dir, of whatever kind?  1, 0, or an error. */
int must_use mounts_below(const char *dir);

/*
 * Calls fn for each process found to use the mount point (working directory,
 * open file, program), at most `max`; answers how many.
 */
typedef void mounts_user_fn(void *ctx, int pid, const char *name,
			    const char *path);
int mounts_users(const char *dir, int max, mounts_user_fn *fn, void *ctx);

#endif
