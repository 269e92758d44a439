/*
 * core_guard_tree.h - does a directory that is to be moved hold, or would it
 * come to hold, something that is hidden or protected?  For core_guard.c.
 *
 * Threads: any; no lock of the core is held by the caller.
 */
#ifndef FS_CORE_GUARD_TREE_H
#define FS_CORE_GUARD_TREE_H

#include <stdint.h>

#include "base/auto.h"

struct buf;
struct core;
struct run_guard;

enum { CORE_GUARD_TREE_MAX = 65536 };

/* Where it is, and where it would be. */
struct core_guard_tree {
	uint64_t from_parent, to_parent;
	const char *from, *to;
};

/*
 * Adds to *bits what is said of what lies below directory `ino`, here or
 * there, and puts the path of the first into *path.  -E2BIG: there are more
 * than CORE_GUARD_TREE_MAX names.
 */
int must_use core_guard_tree_look(struct core *c, const struct run_guard *g,
				  uint64_t ino, const struct core_guard_tree *t,
				  struct buf *path, unsigned *bits);

#endif
