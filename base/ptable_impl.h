/*
 * ptable_impl.h - one table; for ptable.c, ptable_files.c, ptable_work.c.
 */
#ifndef BASE_PTABLE_IMPL_H
#define BASE_PTABLE_IMPL_H

#include <stdatomic.h>

#include "base/ptable.h"
#include "base/ptable_format.h"
#include "base/ptable_log.h"
#include "base/ptable_mem.h"
#include "base/ptable_run.h"
#include "base/thread.h"

struct ptable_dead {
	bool is_log;
	uint64_t id;
};

struct ptable {
	struct vio *vio;
	char *path;
	char *dir;
	size_t pairs_max;
	uint64_t filter_max;

	struct mutex work; /* one spill, merge or reset at a time */
	struct mutex writer;
	struct mutex mu;
	/* changed under writer and mu, so read under either */
	struct ptable_mem mem;
	struct ptable_mem old; /* full, on its way into a run; n 0: none */
	uint64_t mark[PTABLE_MARKS];
	/* changed under work, writer and mu, so read under any */
	struct ptable_run *runs[PTABLE_RUNS_MAX];
	size_t nruns;

	/* guarded by writer */
	struct ptable_mem spare; /* empty; its memory is used again */
	struct ptable_rec *todo; /* not flushed, in order; not if structural */
	size_t ntodo;
	size_t todo_cap;
	struct ptable_log log;
	bool structural; /* the next flush writes a manifest */
	uint64_t next_id;
	struct ptable_dead *dead; /* for deletion after the next manifest */
	size_t ndead;
	size_t dead_cap;

	/* the thread, in a table that is large; guarded by writer */
	struct thread thread;
	struct cond asked_cond, done_cond;
	bool asked;
	bool stop;
	int work_rc;	/* of what was done last, until a put has told it */
	uint64_t done;	/* how often it was done */
	uint64_t waits; /* puts that waited for it */

	atomic_bool full;   /* old is there, and nobody spills it yet */
	atomic_bool cancel; /* a merge gives up, for a reset or the end */
};

/* --- ptable_files.c: the manifest, and files that are named no more --- */

void ptable_files_dead(struct ptable *t, bool is_log, uint64_t id)
	requires_capability(&t->writer);
/* Deletes those that died before the manifest that was just written. */
void ptable_files_bury(struct ptable *t) requires_capability(&t->writer);
int must_use ptable_files_manifest(struct ptable *t, uint64_t log_id)
	requires_capability(&t->writer);
/* Reads the manifest at open, its runs and its log; none: an empty table. */
int must_use ptable_files_load(struct ptable *t);
/* Deletes our files that nothing names; t NULL: all but the manifest. */
int must_use ptable_files_sweep(struct ptable *t, struct vio *v,
				const char *path);
char *ptable_files_dir(const char *path, size_t *out_base);

/* --- ptable_work.c --- */

/* Makes room in memory, which is full; the writer's lock goes meanwhile. */
int must_use ptable_work_room(struct ptable *t) requires_capability(&t->writer);
/* No spill or merge is under way, nor begins, until _resume. */
void ptable_work_pause(struct ptable *t) acquire_capability(&t->work);
void ptable_work_resume(struct ptable *t) release_capability(&t->work);
void ptable_work_end(struct ptable *t);

#endif
