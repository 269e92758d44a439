/*
 * verified.h - which copies of chunks (store_place) had their bytes checked
 * since the store was opened: a set of fixed size that forgets, and never
 * remembers falsely but for a collision of 128 bits (and its users compare the
 * whole id besides).
 *
 * Threads: any.
 */
#ifndef FS_VERIFIED_H
#define FS_VERIFIED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/thread.h"

struct digest;

struct verified {
	struct mutex mu;
	struct verified_key {
		uint64_t a, b; /* both 0: free */
	} * keys;	       /* guarded by mu; sets of VERIFIED_WAYS */
	size_t sets;
};

enum { VERIFIED_WAYS = 4, VERIFIED_SETS = 1 << 16, VERIFIED_SETS_FEW = 256 };

int must_use verified_init(struct verified *v, size_t sets);
void verified_release(struct verified *v);
/* True when it is new; true when it was there. */
bool verified_add(struct verified *v, const struct digest *id);
bool verified_drop(struct verified *v, const struct digest *id);
bool verified_has(struct verified *v, const struct digest *id);

#endif
