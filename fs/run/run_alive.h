/*
 * run_alive.h - which runs may have processes on this machine, whoever
 * declared them and however long ago: those whose cgroups there are, or
 * processes are in.
 *
 * Bounded: RUN_ALIVE_CGROUPS_MAX cgroups, RUN_ALIVE_DEPTH_MAX deep, are looked
 * at; processes are as many as there are.  Threads: any.
 */
#ifndef FS_RUN_ALIVE_H
#define FS_RUN_ALIVE_H

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

#endif
