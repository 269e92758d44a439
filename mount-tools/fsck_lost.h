/*
 * fsck_lost.h - did anything that was acknowledged vanish?  Asked of the mark
 * in the store, the guard outside it and the index, nothing mounted.
 */
#ifndef MOUNT_TOOLS_FSCK_LOST_H
#define MOUNT_TOOLS_FSCK_LOST_H

#include <stdbool.h>

#include "base/auto.h"

struct errmsg;
struct fsck_repair;
struct ledger;
struct vio;

/*
 * 0, or -ERR_LOST in words.  `l` is open read-only; what it cannot see of
 * itself is asked here: guard and index.  `vio` is rooted at the store.
 */
int must_use fsck_lost_look(const char *store, struct vio *vio,
			    struct ledger *l, struct errmsg *em);

/*
 * A step of --repair: -ERR_LOST in words when something is; with `accept`
 * that is told, and mark and guard forget it.
 */
int must_use fsck_lost_step(struct fsck_repair *x, bool accept,
			    struct errmsg *em);

#endif
