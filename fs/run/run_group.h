/*
 * run_group.h - runs that nobody declared: a process group is one, be it a
 * pipeline, a `make` or a script.
 *
 * Its id is made from the boot, the group's number and when its leader
 * started, so that a remount gives the same; it has the bit RUN_ID_IMPLICIT,
 * so that nobody can declare it.  Of a group whose leader is gone
 * what was said before is remembered, bounded; else it gets a random id.
 *
 * Threads: thread-safe; its lock is a leaf.
 */
#ifndef FS_RUN_GROUP_H
#define FS_RUN_GROUP_H

#include <stdint.h>

#include "base/auto.h"
#include "fs/run/run_table.h"

struct run_group;
struct vio;

enum { RUN_GROUP_MAX = 4096 };

/* vio: where random bytes come from; it outlives the table. */
int must_use run_group_open(struct run_group **out, struct vio *vio);
void run_group_close(struct run_group *g); /* NULL ok */

/*
 * leader_start: when the process whose number is the group's started; 0: it
 * is gone.  Negative: no id can be said.
 */
int must_use run_group_id(struct run_group *g, uint8_t out[RUN_ID_SIZE],
			  uint32_t group, uint32_t session,
			  uint64_t leader_start);

#endif
