/*
 * ballast.h - room on the disk that nobody else can take: the file `ballast`
 * of a store, which holds no bytes worth reading.
 *
 * It is made shorter when journal, packs or index find the disk full, so that
 * what was answered for can be settled, and names can be removed and gc can
 * run; and longer again when there is room.  Nothing is lost with it: a file
 * that is missing or cannot be made sets nothing aside, and space.h asks for
 * so much more to be free.
 *
 * A disk without fallocate has none.
 *
 * Threads: any; mu is held while the disk works, held is read without it.
 */
#ifndef FS_BALLAST_H
#define FS_BALLAST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/thread.h"

struct vio;
struct vio_file;

#define BALLAST_NAME "ballast"

struct ballast {
	struct vio *vio;
	struct mutex mu;
	struct vio_file *file; /* guarded by mu; NULL: not opened */
	bool none;	       /* guarded by mu: this disk sets none aside */
	atomic_uint_least64_t held;
};

void ballast_init(struct ballast *b, struct vio *vio);
/* Closes the file: what it holds, it holds on. */
void ballast_release(struct ballast *b);
uint64_t ballast_held(const struct ballast *b);
/* Holds `bytes` at most from now on; false when it held no more before. */
bool ballast_shed(struct ballast *b, uint64_t bytes);
/* Holds `bytes`, if there is room for them; what an earlier mount left, too. */
void ballast_grow(struct ballast *b, uint64_t bytes);
/* Before a store is opened whose disk is full: there is none any more. */
void ballast_drop(struct vio *vio);

#endif
