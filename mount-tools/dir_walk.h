/*
 * dir_walk.h - a directory tree on disk, entry by entry, and copied: what
 * leaves a volume and what comes into one.
 *
 * Every name is opened relative to its directory and never followed, so no
 * link leads outside; nothing that exists is replaced.  One thread.
 */
#ifndef MOUNT_TOOLS_DIR_WALK_H
#define MOUNT_TOOLS_DIR_WALK_H

#include <stdint.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/digest.h"

struct errmsg;

/*
 * One entry: path relative to the top, dir its directory, name its name.
 * Directories come before what is in them.  Nonzero stops and is returned.
 */
struct dir_walk_entry {
	const char *path;
	int dir;
	const char *name;
	const struct stat *st;
};
typedef int dir_walk_fn(void *ctx, const struct dir_walk_entry *e,
			struct errmsg *em);
int must_use dir_walk(const char *top, dir_walk_fn *fn, void *ctx,
		      struct errmsg *em);

/* SHA-256 of a regular file; -EAGAIN when it is not `size` bytes long. */
int must_use dir_walk_sha256(struct digest *out,
			     const struct dir_walk_entry *e);

struct dir_walk_copied {
	uint64_t files, dirs, links;
	uint64_t others; /* left out: devices, sockets, pipes */
};
/*
 * Copies what is below `from` into the directory `to` (which is there, or is
 * made, and not in it): files, directories, symbolic links, with modes and times; of a mount
 * of ours not what is virtual.
 */
int must_use dir_walk_copy(struct dir_walk_copied *out, const char *from,
			   const char *to, struct errmsg *em);

#endif
