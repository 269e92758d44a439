/*
 * core_denied.h - what guarded runs were denied: each kind of it is entered
 * into the ledger when it happens first, and how often it came again when the
 * run ends, or the mount.
 *
 * Bounded: so many kinds of each run and user in it, the others are counted
 * together; so many of all runs of a user, but for root and the mount's own,
 * and of all; the last are kept for those two.  A denial is a denial whether it
 * can be entered or not.
 *
 * Threads: any; the lock is a leaf and not held while something is entered.
 */
#ifndef FS_CORE_DENIED_H
#define FS_CORE_DENIED_H

#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "ledger/entry_denied.h"

struct actor;
struct core;
struct core_denied;

enum {
	CORE_DENIED_EACH = 256,
	CORE_DENIED_USER = 1024,
	CORE_DENIED_MAX = 4096,
	CORE_DENIED_KEPT = 512,
};

int must_use core_denied_open(struct core_denied **out);
/* Lets go of its actors; NULL ok. */
void core_denied_close(struct core *c, struct core_denied *d);

/* count is not looked at. */
void core_denied_note(struct core *c, struct actor *a,
		      const struct entry_denied *d);
/* A run (NULL: any) ends: what was counted is entered, and forgotten. */
void core_denied_end(struct core *c, const uint8_t *run);

#endif
