/*
 * guard_place.h - where guards live (LEDGER.md 3): outside every store.
 *
 * $VOUCHFS_GUARD_DIR if set; for root /var/lib/vouchfs/guard; for others
 * vouchfs/guard below $XDG_STATE_HOME or ~/.local/state.
 */
#ifndef FS_GUARD_PLACE_H
#define FS_GUARD_PLACE_H

#include "base/auto.h"

struct errmsg;
struct vio;

/* The path; caller frees.  -ENOENT when the user has no home. */
int must_use guard_place_path(char **out, struct errmsg *em);
/* The path, made with its parents (0700) when it is not there. */
int must_use guard_place_make(char **out, struct errmsg *em);
/* A vio rooted there, made when missing. */
int must_use guard_place_open(struct vio **out, struct errmsg *em);

#endif
