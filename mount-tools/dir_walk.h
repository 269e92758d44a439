/*
 * dir_walk.h - a directory tree on disk, entry by entry.
 *
 * Every name is opened relative to its directory and never followed, so no
 * link leads outside.  One thread.
 */
#ifndef MOUNT_TOOLS_DIR_WALK_H
#define MOUNT_TOOLS_DIR_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/digest.h"

struct errmsg;

/*
 * One entry: path relative to the top, dir its directory, name its name.
 * Directories come before what is in them, and once more, leaving, after it.
 * Nonzero stops and is returned.
 */
struct dir_walk_entry {
	const char *path;
	int dir;
	const char *name;
	const struct stat *st;
	bool leaving;
};
typedef int dir_walk_fn(void *ctx, const struct dir_walk_entry *e,
			struct errmsg *em);
int must_use dir_walk(const char *top, dir_walk_fn *fn, void *ctx,
		      struct errmsg *em);

/* The same in a mount of ours, but for what is virtual (audit, query). */
int must_use dir_walk_real(const char *top, dir_walk_fn *fn, void *ctx,
			   struct errmsg *em);

/* Is that, in a mount of ours, shown and not stored? */
bool dir_walk_is_virtual(const char *path);

/* A regular file opened for reading: the descriptor. */
int must_use dir_walk_open(const struct dir_walk_entry *e);
/*
 * SHA-256 of what is read up to the end; to (-1: nowhere) gets it, whole
 * blocks of zeros as holes.  -EAGAIN when it is not `size` bytes long.
 */
int must_use dir_walk_pour(int from, int to, struct digest *out, uint64_t size);
int must_use dir_walk_sha256(struct digest *out,
			     const struct dir_walk_entry *e);
/* pwrite() of all but whole blocks of zeros. */
int must_use dir_walk_put(int fd, const uint8_t *p, size_t n, uint64_t off);

#endif
