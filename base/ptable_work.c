/*
 * ptable_work.c - spills and merges of a table, while puts go on.
 *
 *   mem ──full──► old ──spill──► run of level 0 ──FANOUT of a level──► merge
 *
 * Sorting, reading and writing are done with `work` alone held; only what is
 * ready is put in its place under the writer's lock, a few words.  A table
 * that is large has a thread for it, so that a put never does it; in a small
 * one the put that found no room does, and others go on.  A merge takes long
 * (10^7 pairs: seconds), and memory may be full again before it ends: the
 * thread looks for that every few thousand records, and spills in between.
 * So a put waits at most for the rest of one spill, and only when a whole
 * table in memory was filled while the one before it was written.
 *
 * Invariants: what is read here never changes: `old` and the runs.  Runs are
 * changed by who holds `work`, `writer` and `mu`, so who holds `work` may read
 * them.  A file that is being written is named nowhere; after a crash the
 * next open deletes it.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/ptable_impl.h"

enum { FANOUT = 4 };
/* Records between two looks at what else is to be done. */
enum { LOOK_EVERY = 4096 };
/* Smaller tables do it in the put: some milliseconds. */
enum { THREAD_PAIRS = 16384 };

static uint64_t new_id(struct ptable *t) excludes_capability(&t->writer)
{
	uint64_t id;

	mutex_lock(&t->writer);
	id = t->next_id++;
	mutex_unlock(&t->writer);
	return id;
}

/*
 * How much a filter may take: three quarters of what those of the runs before
 * `first` leave, for newer runs need theirs too.
 */
static uint64_t filter_left(const struct ptable *t, size_t first)
	requires_capability(&t->work)
{
	uint64_t used = 0;

	for (size_t i = 0; i < first; i++)
		used += t->runs[i]->nblocks * PTABLE_FILTER_BLOCK;
	return used < t->filter_max ? (t->filter_max - used) / 4 * 3 : 0;
}

/* --- a spill: the full table in memory becomes a run --- */

static int spill_record(void *ctx, const struct ptable_rec *rec)
{
	return ptable_writer_add(ctx, rec);
}

static int spill_write(struct ptable *t, struct ptable_run **out)
	requires_capability(&t->work)
{
	autofree struct ptable_rec *v = NULL;
	struct ptable_cursor c = { 0 };
	struct ptable_writer *w = NULL;
	size_t n = t->old.n;
	int rc;

	v = malloc((n + 1) * sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	ptable_mem_list(&t->old, v, true);
	rc = ptable_writer_open(&w, t->vio, t->path, new_id(t), n,
				filter_left(t, t->nruns));
	if (rc < 0)
		return rc;
	ptable_cursor_array(&c, v, n);
	rc = ptable_merge(&c, 1, t->nruns == 0, spill_record, w);
	if (rc < 0) {
		ptable_writer_abort(w);
		return rc;
	}
	return ptable_writer_finish(w, out, 0);
}

/* The run is there, and `old` is not, at one moment for all readers. */
static void spill_publish(struct ptable *t, struct ptable_run *run)
	requires_capability(&t->work)
{
	struct ptable_mem was;

	mutex_lock(&t->writer);
	mutex_lock(&t->mu);
	if (run != NULL)
		t->runs[t->nruns++] = run;
	was = t->old;
	ptable_mem_init(&t->old, was.salt);
	mutex_unlock(&t->mu);
	t->structural = true;
	mutex_unlock(&t->writer);
	ptable_mem_clear(&was);
	mutex_lock(&t->writer);
	/* Who set a table aside a moment ago found no spare one: one is kept. */
	if (t->spare.nslots == 0) {
		t->spare = was;
		ptable_mem_init(&was, was.salt);
	}
	cond_broadcast(&t->done_cond);
	mutex_unlock(&t->writer);
	ptable_mem_release(&was);
}

static int spill(struct ptable *t) requires_capability(&t->work)
{
	struct ptable_run *run = NULL;
	int rc;

	if (!atomic_exchange(&t->full, false))
		return 0;
	rc = spill_write(t, &run);
	if (rc < 0) {
		atomic_store(&t->full, true);
		return rc;
	}
	spill_publish(t, run);
	return 0;
}

/* --- a merge: runs of one level become one of the next --- */

struct merging {
	struct ptable *t;
	struct ptable_writer *w;
	uint64_t seen;
	bool tried; /* a spill in between that failed */
};

static int merge_record(void *ctx,
			const struct ptable_rec *rec) no_thread_safety_analysis
{
	struct merging *m = ctx;

	if (++m->seen % LOOK_EVERY == 0) {
		if (atomic_load(&m->t->cancel))
			return -ECANCELED;
		/* Why it cannot be done is told when it is asked again. */
		if (m->t->nruns < PTABLE_RUNS_MAX && !m->tried)
			m->tried = spill(m->t) < 0;
	}
	return ptable_writer_add(m->w, rec);
}

/* Puts the run in the place of n others; newer ones may have come behind. */
static void merge_publish(struct ptable *t, size_t first, size_t n,
			  struct ptable_run *run) requires_capability(&t->work)
{
	struct ptable_run *gone[PTABLE_RUNS_MAX];
	size_t add = run != NULL;

	assert(first + n <= t->nruns && n >= add);
	memcpy(gone, t->runs + first, n * sizeof(gone[0]));
	mutex_lock(&t->writer);
	mutex_lock(&t->mu);
	if (run != NULL)
		t->runs[first] = run;
	memmove(t->runs + first + add, t->runs + first + n,
		(t->nruns - first - n) * sizeof(t->runs[0]));
	t->nruns -= n - add;
	mutex_unlock(&t->mu);
	for (size_t i = 0; i < n; i++)
		ptable_files_dead(t, false, gone[i]->id);
	t->structural = true;
	mutex_unlock(&t->writer);
	for (size_t i = 0; i < n; i++)
		ptable_run_put(gone[i]);
}

/* Makes one run of n, the oldest of which is number `first`. */
static int merge(struct ptable *t, size_t first, size_t n)
	requires_capability(&t->work)
{
	struct ptable_cursor c[PTABLE_RUNS_MAX] = { 0 };
	struct merging m = { .t = t };
	struct ptable_run *run = NULL;
	uint64_t recs = 0;
	uint32_t level = t->runs[first]->level + 1;
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = ptable_cursor_run(&c[i], t->runs[first + n - 1 - i]);
		recs += t->runs[first + i]->nrecs;
	}
	if (rc == 0)
		rc = ptable_writer_open(&m.w, t->vio, t->path, new_id(t), recs,
					filter_left(t, first));
	if (rc == 0)
		rc = ptable_merge(c, n, first == 0, merge_record, &m);
	for (size_t i = 0; i < n; i++)
		ptable_cursor_release(&c[i]);
	if (rc < 0) {
		ptable_writer_abort(m.w);
		return rc;
	}
	rc = ptable_writer_finish(m.w, &run, level);
	if (rc == 0)
		merge_publish(t, first, n, run);
	return rc;
}

/* Merges while FANOUT of the newest runs are of one level. */
static int compact(struct ptable *t) requires_capability(&t->work)
{
	for (;;) {
		size_t first = t->nruns;
		int rc;

		while (first > 0 && t->runs[first - 1]->level ==
					    t->runs[t->nruns - 1]->level)
			first--;
		if (t->nruns - first < FANOUT)
			return 0;
		rc = merge(t, first, t->nruns - first);
		if (rc < 0)
			return rc;
	}
}

static int work(struct ptable *t) requires_capability(&t->work)
{
	int rc = 0;

	if (t->nruns == PTABLE_RUNS_MAX)
		rc = merge(t, 0, t->nruns);
	if (rc == 0)
		rc = spill(t);
	if (rc == 0) {
		/* The spill is done: a merge without space is tried again. */
		rc = compact(t);
		if (rc == -ENOSPC)
			rc = 0;
	}
	/* Given up for a reset, which makes the room, or for the end. */
	return rc == -ECANCELED ? 0 : rc;
}

/* --- who does it --- */

static void run(void *arg)
{
	struct ptable *t = arg;
	int rc;

	mutex_lock(&t->writer);
	while (!t->stop) {
		if (!t->asked) {
			cond_wait(&t->asked_cond, &t->writer);
			continue;
		}
		t->asked = false;
		mutex_unlock(&t->writer);
		mutex_lock(&t->work);
		rc = work(t);
		/* Told before a reset may come, which forgets it. */
		mutex_lock(&t->writer);
		mutex_unlock(&t->work);
		t->work_rc = rc;
		t->done++;
		cond_broadcast(&t->done_cond);
	}
	mutex_unlock(&t->writer);
}

/* The full table goes aside, an empty one takes its place. */
static void set_aside(struct ptable *t) requires_capability(&t->writer)
{
	assert(t->old.n == 0 && t->old.nslots == 0);
	mutex_lock(&t->mu);
	t->old = t->mem;
	t->mem = t->spare;
	t->mem.salt = t->old.salt;
	mutex_unlock(&t->mu);
	ptable_mem_init(&t->spare, t->old.salt);
	atomic_store(&t->full, true);
}

/* Asks the thread; waits only when there is no other room. */
static int room_by_thread(struct ptable *t) requires_capability(&t->writer)
{
	uint64_t before = t->done;
	int rc = t->work_rc;

	t->work_rc = 0;
	if (t->old.n == 0)
		set_aside(t);
	t->asked = true;
	cond_signal(&t->asked_cond);
	if (rc < 0 && rc != -ENOSPC)
		return rc;
	if (t->mem.n < t->pairs_max)
		return 0;
	t->waits++;
	/* The first answer may be to what was asked before: the second counts. */
	while (t->mem.n >= t->pairs_max && t->old.n > 0 &&
	       t->done < before + 2 && t->work_rc == 0) {
		t->asked = true;
		cond_signal(&t->asked_cond);
		cond_wait(&t->done_cond, &t->writer);
	}
	rc = t->work_rc;
	t->work_rc = 0;
	return t->old.n == 0 ? 0 : rc;
}

static int room_by_self(struct ptable *t) requires_capability(&t->writer)
{
	int rc;

	if (t->old.n == 0)
		set_aside(t);
	mutex_unlock(&t->writer);
	mutex_lock(&t->work);
	rc = work(t);
	mutex_unlock(&t->work);
	mutex_lock(&t->writer);
	return rc;
}

int ptable_work_room(struct ptable *t)
{
	if (t->pairs_max >= THREAD_PAIRS && !t->thread.running)
		(void)!thread_start(&t->thread, "ptable", run, t);
	return t->thread.running ? room_by_thread(t) : room_by_self(t);
}

void ptable_work_pause(struct ptable *t)
{
	atomic_store(&t->cancel, true);
	mutex_lock(&t->work);
	atomic_store(&t->cancel, false);
}

void ptable_work_resume(struct ptable *t)
{
	mutex_unlock(&t->work);
}

void ptable_work_end(struct ptable *t)
{
	atomic_store(&t->cancel, true);
	mutex_lock(&t->writer);
	t->stop = true;
	cond_broadcast(&t->asked_cond);
	mutex_unlock(&t->writer);
	thread_join(&t->thread);
}
