/*
 * run_limit.h - what a guarded run's processes cannot get rid of without
 * privileges: the hard limit of file locks (RLIMIT_LOCKS), which no kernel
 * since 2.4.25 looks at.  It is inherited, can be seen by everybody, and be
 * lowered but never raised again.  `vouch run` lowers that of the program that
 * it starts; so whoever has a higher one, or none, comes from elsewhere, and
 * who drops the marker, loses his parents and leaves the cgroup is known yet.
 *
 * The value is made from the run's id, so that the run is found by it, unless
 * there was a limit before (a run inside another): then it is a little less
 * than that was.
 *
 * Pure; any thread.
 */
#ifndef FS_RUN_LIMIT_H
#define FS_RUN_LIMIT_H

#include <stdint.h>

#include "fs/run/run_table.h"

enum { RUN_LIMIT_ID_BYTES = 5, RUN_LIMIT_LOW_BITS = 21 };

static inline uint64_t run_limit_of(const uint8_t id[RUN_ID_SIZE])
{
	const uint64_t low = ((uint64_t)1 << RUN_LIMIT_LOW_BITS) - 1;
	uint64_t v = 0;

	for (int i = 0; i < RUN_LIMIT_ID_BYTES; i++)
		v = v << 8 | id[i];
	return (uint64_t)1 << 62 | v << RUN_LIMIT_LOW_BITS | low;
}

/* The first RUN_LIMIT_ID_BYTES of the outermost run's id; false: none. */
static inline bool run_limit_id(uint8_t out[RUN_LIMIT_ID_BYTES], uint64_t limit)
{
	uint64_t v = (limit & ~((uint64_t)1 << 62)) >> RUN_LIMIT_LOW_BITS;

	for (int i = RUN_LIMIT_ID_BYTES; i-- > 0; v >>= 8)
		out[i] = (uint8_t)v;
	return limit >> 62 == 1;
}

#endif
