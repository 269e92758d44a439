/*
 * run_limit.h - lowers the limit of a guarded run's first process, see
 * fs/run/run_limit.h.  Any thread.
 */
#ifndef MOUNT_TOOLS_RUN_LIMIT_H
#define MOUNT_TOOLS_RUN_LIMIT_H

#include <stdint.h>

/* What it is to be, less than ours is; 0: ours cannot be lowered. */
uint64_t run_limit_choose(const uint8_t *id);
/* Of this process, after fork(2).  0: nothing is done. */
void run_limit_lower(uint64_t limit);

#endif
