/*
 * run_walk.h - a run's entries one after another, or everybody's between two
 * states, and what each inode that they are about went through: what reports,
 * diffs and undo start from.
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
struct cred;
struct idx_run;

/*
 * For whom, and until when.  cr NULL: somebody who may see the whole ledger;
 * anybody else sees what processes of his own uid did: a run holds sudo's
 * children, too.
 */
struct run_view {
	const struct cred *cr;
	int64_t until_ns; /* of the monotonic clock; 0: as long as it takes */
	/* the actor asked last, and whether its entries are shown */
	uint64_t actor;
	bool shown;
};

/* It has so long from now on. */
void run_walk_limit(struct run_view *v, unsigned seconds);
/* -ETIMEDOUT when its time is over. */
int must_use run_walk_in_time(const struct run_view *v);
/* Is what that ACTOR's process did to be seen? 1, 0 or an error. */
int must_use run_walk_shows(struct run_view *v, struct idx_reader *r,
			    uint64_t actor_no);

/* Whose entries, and from which to which (both included). */
struct run_span {
	const struct idx_run *run; /* NULL: everybody's */
	uint64_t from, until;
};

/*
 * Calls fn for each entry that the run's processes made and v may see, in
 * order; no query is open meanwhile.  A negative answer stops and is returned.
 */
int must_use run_walk_span(struct run_view *v, struct idx_reader *r,
			   const struct run_span *span, idx_entry_fn *fn,
			   void *ctx);
/* All that the run did. */
int must_use run_walk(struct run_view *v, struct idx_reader *r,
		      const struct idx_run *run, idx_entry_fn *fn, void *ctx);

/* Does an entry of that kind change what users see? */
bool run_walk_is_change(uint16_t kind);

/* What was done to one inode lies between these entries. */
struct run_touch {
	uint64_t ino;
	uint64_t first, last;
	bool moved;	 /* a RENAME of it is among them */
	bool attributes; /* or of its extended attributes */
};

struct run_touches {
	struct run_touch *v; /* by inode, ascending */
	size_t n, cap;
};

/*
 * Every inode that an applied change of the run is about, those whose name a
 * RENAME took, too.  -ERR_LIMIT: more than RUN_TOUCHES_MAX changes.  Where it
 * is everybody's changes, what is durable of files still being written counts.
 */
enum { RUN_TOUCHES_MAX = 1 << 22 };
int must_use run_walk_touches_span(struct core *c, struct run_view *v,
				   struct idx_reader *r,
				   const struct run_span *span,
				   struct run_touches *out);
/* Adds one more, in no order; run_walk_touches_merge() when all are there. */
int must_use run_walk_touches_add(struct run_touches *t,
				  const struct run_touch *one);
void run_walk_touches_merge(struct run_touches *t);
void run_walk_touches_release(struct run_touches *t);

#endif
