/*
 * space.h - promises of room on the store's disk.
 *
 * Four things may be asked for, each of which leaves more to the next:
 *
 *   SPACE_ADD      what makes the volume larger
 *   SPACE_CHANGE   names that are moved, attributes
 *   SPACE_REMOVE   names that go
 *   SPACE_COLLECT  rules of retention, releases, gc
 *
 * and journal, packs and index take what is left, to settle what was answered
 * for.  What is free, with what the ballast holds (ballast.h), less what is
 * promised, was written since the disk was last asked, and is owed, must not
 * fall below
 *
 *   ADD     reserve + margin    CHANGE   reserve * 3 / 4
 *   REMOVE  reserve / 2         COLLECT  reserve / 4
 *
 * The reserve is a 32nd of the disk, 4 MiB at least and 32 MiB at most; the
 * margin a 128th, 32 MiB at most; the ballast is so large
 * when there is room.  Owed is what was answered and has no place yet: it
 * takes none of the disk while it waits in memory and in the WAL, which is
 * full of zeros beforehand.  Where it alone stands in the way, who asks waits
 * until it has its place, and so he does when it is more than a quarter of the
 * reserve and the disk is nearly full: whoever else fills the disk, the
 * ballast then holds what is owed.
 *
 * Threads: any.  `owed` and `press` are called without a lock.
 */
#ifndef FS_SPACE_H
#define FS_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/thread.h"
#include "fs/store/ballast.h"

struct vio;

enum space_for { SPACE_CHANGE, SPACE_ADD, SPACE_REMOVE, SPACE_COLLECT };

/* Who knows what is owed. */
struct space_debt {
	uint64_t (*owed)(void *ctx);
	/* Has it settled, waiting for that a while; nothing is locked. */
	void (*press)(void *ctx);
	void *ctx;
};

struct space {
	struct vio *vio;
	struct ballast ballast;
	struct mutex mu;
	/* guarded by mu */
	struct space_debt debt;
	uint64_t promised;
	uint64_t written; /* since asked_ns */
	uint64_t free;	  /* at asked_ns, with what the ballast held */
	uint64_t total;
	int64_t asked_ns; /* 0: never */
	int64_t grown_ns; /* the ballast was looked after */
	unsigned refused; /* how often in a row it could not grow */
};

void space_init(struct space *s, struct vio *vio);
void space_release(struct space *s);
/* All zeros: nothing is owed any more, and press is not called. */
void space_set_debt(struct space *s, const struct space_debt *debt);

/* Asks the disk at most every 100 ms, when it is nearly full always. -ENOSPC */
int must_use space_reserve(struct space *s, uint64_t bytes);
/*
 * The same for gc, which gives more back than it takes.  What was promised to
 * writers is not for it.
 */
int must_use space_reserve_gc(struct space *s, uint64_t bytes);
void space_unreserve(struct space *s, uint64_t bytes);
/* May an entry be made now?  -ENOSPC */
int must_use space_may(struct space *s, enum space_for what);
/* What could be promised now. */
int must_use space_left(struct space *s, uint64_t *out);
/* Bytes went to the disk. */
void space_wrote(struct space *s, uint64_t bytes);
/* Unknown many did, or were given back. */
void space_changed(struct space *s);

/*
 * The disk was found full.  True when the ballast gave room, so that it may go
 * well now; `what` is who asks, and who settles says SPACE_COLLECT + 1.
 */
enum { SPACE_SETTLE = SPACE_COLLECT + 1 };
bool space_relieve(struct space *s, int what);
/* Once in a while: the ballast grows where there is room. */
void space_tick(struct space *s);
/* The reserve, as this disk has it. */
uint64_t space_reserve_bytes(struct space *s);
/* Before a mount changes anything: room on a disk that is full. */
void space_make_room(struct vio *vio);

#endif
