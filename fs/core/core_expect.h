/*
 * core_expect.h - names that a process wants to take away only while they are
 * of certain inodes: a compare-and-set for unlink(2) and rename(2), which know
 * none.  Between a look at a name and its removal somebody may have put a file
 * of his there.
 *
 * It binds nobody but the process (actor) that set it, until it sets another
 * or none, or ends.  There is room for a few; the one set first gives way, and
 * its process is where all others are: it looks, and then acts.
 *
 * Threads: any; guarded by itable.mu.
 */
#ifndef FS_CORE_CORE_EXPECT_H
#define FS_CORE_CORE_EXPECT_H

#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"

struct actor;
struct core;
struct cred;
struct inode;

enum { CORE_EXPECT_EACH = 256, CORE_EXPECT_MAX = 8 };

struct core_expected {
	uint64_t ino;
	int64_t mtime_ns; /* 0: any; else it was not written since */
};

/* n 0: nothing any more.  -EOPNOTSUPP: we do not see who asks; -E2BIG. */
int must_use core_expect_set(struct core *c, const struct cred *cr,
			     const struct core_expected *v, size_t n);
/* May a loose a name of i?  -ESTALE: it is another one; -EBUSY: written. */
int must_use core_expect_check(struct core *c, const struct actor *a,
			       const struct inode *i);
void core_expect_close(struct core *c);

#endif
