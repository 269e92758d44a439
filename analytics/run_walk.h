/*
 * run_walk.h - a run's entries one after another, and what each inode that
 * they are about went through: what reports, diffs and undo start from.
 *
 * Any thread, with a reader of its own.
 */
#ifndef ANALYTICS_RUN_WALK_H
#define ANALYTICS_RUN_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "index/idx_query.h"

struct core;
struct idx_run;

/*
 * Calls fn for each entry that the run's processes made, in order; no query is
 * open meanwhile.  A negative answer stops and is returned.
 */
int must_use run_walk(struct idx_reader *r, const struct idx_run *run,
		      idx_entry_fn *fn, void *ctx);

/* Does an entry of that kind change what users see? */
bool run_walk_is_change(uint16_t kind);

/* What the run did to one inode lies between these entries. */
struct run_touch {
	uint64_t ino;
	uint64_t first, last;
};

struct run_touches {
	struct run_touch *v; /* by inode, ascending */
	size_t n, cap;
};

/*
 * Every inode that an applied change of the run is about, those whose name a
 * RENAME took, too.  -ERR_LIMIT: more than RUN_TOUCHES_MAX changes.
 */
enum { RUN_TOUCHES_MAX = 1 << 22 };
int must_use run_walk_touches(struct core *c, struct idx_reader *r,
			      const struct idx_run *run,
			      struct run_touches *out);
void run_walk_touches_release(struct run_touches *t);

#endif
