/*
 * core_guard_path.h - where an inode is, in all its names; for core_guard.c.
 *
 * Rows in memory are newer than the index: a name in the index counts only if
 * it is still so in memory, and names that the index does not have yet are
 * found there.
 *
 * Threads: any; no lock is held by the caller.
 */
#ifndef FS_CORE_GUARD_PATH_H
#define FS_CORE_GUARD_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"

struct buf;
struct core;

enum { CORE_GUARD_PATH_MAX = 65536, CORE_GUARD_NAMES_MAX = 4096 };

/*
 * The path of a directory ("a/b"; the root's is empty), in place of what out
 * held.  -ENOENT: it was removed; -ENAMETOOLONG.
 */
int must_use core_guard_path_dir(struct core *c, struct buf *out, uint64_t ino);
/* The same and a name in it. */
int must_use core_guard_path_name(struct core *c, struct buf *out,
				  uint64_t parent, const char *name);
/*
 * Calls fn with each path of an inode; fn nonzero stops and is returned.
 * -ENOENT: it has no name; -EMLINK: it has too many; -EAGAIN: they change too
 * fast.
 */
typedef int core_guard_path_fn(void *ctx, const char *path, size_t n);
int must_use core_guard_path_each(struct core *c, uint64_t ino,
				  core_guard_path_fn *fn, void *ctx);

#endif
