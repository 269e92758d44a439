/*
 * run_alive.h - which runs may have processes on this machine, whoever
 * declared them and however long ago: those whose cgroups there are, or
 * processes are in, or whose limit processes have.
 *
 * Bounded: RUN_ALIVE_CGROUPS_MAX cgroups, RUN_ALIVE_DEPTH_MAX deep, are looked
 * at; processes are as many as there are.  Threads: any.
 */
#ifndef FS_RUN_ALIVE_H
#define FS_RUN_ALIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "fs/run/run_table.h"

enum { RUN_ALIVE_CGROUPS_MAX = 1 << 18, RUN_ALIVE_DEPTH_MAX = 64 };

/* A negative answer ends it. */
typedef int run_alive_fn(void *ctx, const uint8_t id[RUN_ID_SIZE]);

/*
 * Calls fn with the id of each, maybe more than once.  1: they are all; 0:
 * there may be others, as not all cgroups could be looked at; or fn's error.
 */
int must_use run_alive_each(run_alive_fn *fn, void *ctx);

/*
 * The limits of all processes that have one (run_table.h: run_table_new.limit).
 * They are looked at twice, for one that forks meanwhile.
 */
struct run_alive_limits {
	struct run_alive_limit {
		uint32_t uid;
		uint64_t limit;
	} * v;
	size_t n, cap;
	bool cut; /* not all could be looked at */
};

void run_alive_limits_look(struct run_alive_limits *out);
void run_alive_limits_release(struct run_alive_limits *l);
/*
 * May anybody have come from a run of that user with that limit?  t (may be
 * NULL) knows whose the limits are that others have.
 */
bool run_alive_under(const struct run_alive_limits *l, struct run_table *t,
		     uint32_t uid, uint64_t limit);

#endif
