/*
 * space.h - promises of room on the store's disk.
 *
 * What is promised, what was written since the disk was last asked, and a
 * reserve for unlink and gc never exceed what it had free then.
 *
 * Threads: any.
 */
#ifndef FS_SPACE_H
#define FS_SPACE_H

#include <stdint.h>

#include "base/auto.h"
#include "base/thread.h"

struct vio;

struct space {
	struct vio *vio;
	struct mutex mu;
	/* guarded by mu */
	uint64_t promised;
	uint64_t written; /* since asked_ns */
	uint64_t free;	  /* at asked_ns, the reserve taken off */
	uint64_t reserve; /* what there was of it */
	int64_t asked_ns; /* 0: never */
};

void space_init(struct space *s, struct vio *vio);
void space_release(struct space *s);
/* Asks the disk at most every 100 ms.  -ENOSPC. */
int must_use space_reserve(struct space *s, uint64_t bytes);
/*
 * The same for gc, which gives more back than it takes: half of the reserve is
 * there for it, what was promised to writers is not.
 */
int must_use space_reserve_gc(struct space *s, uint64_t bytes);
/* What could be promised now. */
int must_use space_left(struct space *s, uint64_t *out);
void space_unreserve(struct space *s, uint64_t bytes);
/* Bytes went to the disk. */
void space_wrote(struct space *s, uint64_t bytes);

#endif
