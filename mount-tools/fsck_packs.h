/*
 * fsck_packs.h - packs by their headers and footers: damaged, of another
 * volume, under another's name.  Nothing mounted.
 */
#ifndef MOUNT_TOOLS_FSCK_PACKS_H
#define MOUNT_TOOLS_FSCK_PACKS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"

struct errmsg;
struct fsck_repair;
struct verify;
struct vio;

/*
 * Each damage is told to v and counted.  in_use: the store was not closed in
 * order, then bytes behind the last record are no damage.
 */
int must_use fsck_packs_look(struct verify *v, struct vio *vio,
			     const uint8_t volume_id[16], bool in_use);

/*
 * A step of --repair: a pack gets the name that its header says, where that
 * is free or another misnamed pack's.
 */
int must_use fsck_packs_rename(struct fsck_repair *x, struct errmsg *em);

#endif
