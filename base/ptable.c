/*
 * ptable.c - the table: memory in front, sorted runs behind; see ptable.h.
 *
 * A put or delete goes to the table in memory (ptable_mem) and to the list of
 * what was not flushed.  A flush appends that list to a log and syncs it once.
 * When the table in memory is full it is set aside and becomes a sorted run
 * (ptable_run), and runs of one level become one run of the next, FANOUT at a
 * time (ptable_work.c); the files that are on disk then differ from those the
 * manifest names, so the next flush is `structural`: it writes a new log with
 * all that is in memory, then a new manifest, and only then deletes what the
 * old manifest named (ptable_files.c).
 *
 * Invariants:
 *  1. On disk there is at any moment a manifest whose runs and log are whole:
 *     a run or log that a manifest on disk may name is not changed (but for
 *     batches appended to the log) and not deleted.
 *  2. Memory and runs together hold every put; newer words win: memory, what
 *     is set aside, then runs from the last to the first.  The log holds all
 *     of the first two that was flushed.
 *  3. Levels do not rise from older to newer runs.
 *  4. An id is used once.
 *
 * Locks: `work` first, then `writer`, then `mu`.  The writer's lock is held
 * across the disk I/O of a flush, never across that of a spill or merge: it
 * serialises puts, deletes, flushes.  `mu` guards what gets look at and is
 * held for memory operations only.
 */
#include "base/ptable.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/ptable_impl.h"
#include "base/vio.h"

/*
 * Of memory per pair in the table, at its fullest: two tables in memory, the
 * list of what is not flushed and its batch, the sorted list of a spill.
 */
enum { BYTES_PER_PAIR = 128 };
enum { PAIRS_MIN = 64 };
/* The name of a file is the path and at most this. */
enum { SUFFIX_MAX = 32 };

/* --- opening -------------------------------------------------------------*/

void ptable_close(struct ptable *t)
{
	if (t == NULL)
		return;
	ptable_work_end(t);
	ptable_log_close(&t->log);
	for (size_t i = 0; i < t->nruns; i++)
		ptable_run_put(t->runs[i]);
	ptable_mem_release(&t->mem);
	ptable_mem_release(&t->old);
	ptable_mem_release(&t->spare);
	cond_destroy(&t->asked_cond);
	cond_destroy(&t->done_cond);
	mutex_destroy(&t->work);
	mutex_destroy(&t->writer);
	mutex_destroy(&t->mu);
	free(t->todo);
	free(t->dead);
	free(t->path);
	free(t->dir);
	free(t);
}

static struct ptable *table_new(struct vio *v, const char *path,
				size_t cache_bytes)
{
	struct ptable *t = calloc(1, sizeof(*t));
	size_t base;

	if (t == NULL)
		return NULL;
	cond_init(&t->asked_cond);
	cond_init(&t->done_cond);
	mutex_init(&t->work);
	mutex_init(&t->writer);
	mutex_init(&t->mu);
	t->vio = v;
	t->path = strdup(path);
	t->dir = ptable_files_dir(path, &base);
	t->pairs_max = cache_bytes / 2 / BYTES_PER_PAIR;
	if (t->pairs_max < PAIRS_MIN)
		t->pairs_max = PAIRS_MIN;
	if (t->pairs_max > UINT32_MAX / 2)
		t->pairs_max = UINT32_MAX / 2;
	t->filter_max = cache_bytes / 2;
	t->next_id = 1;
	t->structural = true;
	if (t->path == NULL || t->dir == NULL) {
		ptable_close(t);
		return NULL;
	}
	return t;
}

int ptable_open(struct ptable **out, struct vio *v, const char *path,
		size_t cache_bytes, struct errmsg *em)
{
	struct ptable *t;
	uint64_t salt = 0;
	int rc;

	*out = NULL;
	if (strlen(path) + SUFFIX_MAX > LIMIT_PATH)
		return -ENAMETOOLONG;
	t = table_new(v, path, cache_bytes);
	if (t == NULL)
		return -ENOMEM;
	rc = vio_random(v, &salt, sizeof(salt));
	ptable_mem_init(&t->mem, salt);
	ptable_mem_init(&t->old, salt);
	ptable_mem_init(&t->spare, salt);
	if (rc == 0) {
		rc = ptable_files_load(t);
		if (rc < 0)
			errmsg_set(em, rc, "table %s: %s", path, err_text(rc));
	}
	if (rc == 0)
		rc = ptable_files_sweep(t, v, path);
	if (rc < 0) {
		ptable_close(t);
		return rc;
	}
	*out = t;
	return 0;
}

int ptable_remove(struct vio *v, const char *path)
{
	size_t base = 0;
	autofree char *dir = ptable_files_dir(path, &base);
	int rc;

	if (dir == NULL)
		return -ENOMEM;
	rc = vio_unlink(v, path);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	/* The manifest first, for good: it must not name what is gone. */
	rc = vio_syncdir(v, dir);
	if (rc == 0)
		rc = ptable_files_sweep(NULL, v, path);
	return rc == 0 ? vio_syncdir(v, dir) : rc;
}

/* --- operations ----------------------------------------------------------*/

static int todo_reserve(struct ptable *t) requires_capability(&t->writer)
{
	size_t cap = t->todo_cap == 0 ? 256 : t->todo_cap * 2;
	struct ptable_rec *v;

	if (t->ntodo < t->todo_cap)
		return 0;
	v = realloc(t->todo, cap * sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	t->todo = v;
	t->todo_cap = cap;
	return 0;
}

/* Of what the next flush says anyhow no list is kept. */
static int todo_room(struct ptable *t) requires_capability(&t->writer)
{
	if (t->ntodo >= t->pairs_max)
		t->structural = true;
	if (t->structural) {
		t->ntodo = 0;
		return 0;
	}
	return todo_reserve(t);
}

static int set(struct ptable *t, const struct ptable_rec *rec)
{
	int rc = 0;

	mutex_lock(&t->writer);
	while (rc == 0 && t->mem.n >= t->pairs_max)
		rc = ptable_work_room(t);
	if (rc == 0)
		rc = todo_room(t);
	if (rc == 0) {
		mutex_lock(&t->mu);
		rc = ptable_mem_set(&t->mem, rec);
		mutex_unlock(&t->mu);
	}
	if (rc > 0 && !t->structural)
		t->todo[t->ntodo++] = *rec;
	mutex_unlock(&t->writer);
	return rc < 0 ? rc : 0;
}

int ptable_put(struct ptable *t, uint64_t key, uint64_t value)
{
	struct ptable_rec rec = { .key = key, .value = value };

	return set(t, &rec);
}

int ptable_del(struct ptable *t, uint64_t key, uint64_t value)
{
	struct ptable_rec rec = { .key = key, .value = value, .gone = true };

	return set(t, &rec);
}

int ptable_get(struct ptable *t, uint64_t key, uint64_t *out, size_t max)
{
	struct ptable_run *runs[PTABLE_RUNS_MAX];
	struct ptable_hits hits;
	size_t nruns;
	size_t n = 0;
	int rc;

	ptable_hits_init(&hits);
	mutex_lock(&t->mu);
	rc = ptable_mem_find(&t->mem, key, &hits);
	if (rc == 0)
		rc = ptable_mem_find(&t->old, key, &hits);
	nruns = t->nruns;
	for (size_t i = 0; i < nruns; i++)
		runs[i] = ptable_run_get(t->runs[i]);
	mutex_unlock(&t->mu);
	for (size_t i = nruns; i-- > 0;) {
		if (rc == 0)
			rc = ptable_run_find(runs[i], key, &hits);
		ptable_run_put(runs[i]);
	}
	for (size_t i = 0; i < hits.n && rc == 0; i++) {
		if (hits.v[i].gone)
			continue;
		if (n < max)
			out[n] = hits.v[i].value;
		n++;
	}
	ptable_hits_release(&hits);
	return rc < 0 ? rc : (int)n;
}

/* A new log with all that is in memory, then a manifest that names it. */
static int flush_structural(struct ptable *t, const uint64_t *mark)
	requires_capability(&t->writer)
{
	autofree struct ptable_rec *v = NULL;
	struct ptable_log log = { 0 };
	uint64_t id = t->next_id++;
	int rc;

	v = malloc((t->old.n + t->mem.n + 1) * sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	/* Older words first. */
	ptable_mem_list(&t->old, v, false);
	ptable_mem_list(&t->mem, v + t->old.n, false);
	rc = ptable_log_create(&log, t->vio, t->path, id);
	if (rc == 0)
		rc = ptable_log_append(&log, v, t->old.n + t->mem.n, mark);
	if (rc == 0)
		rc = vio_syncdir(t->vio, t->dir);
	if (rc == 0)
		rc = ptable_files_manifest(t, id);
	if (rc < 0) {
		/* It may be on disk and name the log: that one stays a while. */
		ptable_log_close(&log);
		ptable_files_dead(t, true, id);
		return rc;
	}
	if (t->log.file != NULL) {
		ptable_files_dead(t, true, t->log.id);
		ptable_log_close(&t->log);
	}
	t->log = log;
	t->structural = false;
	ptable_files_bury(t);
	return 0;
}

static int flush(struct ptable *t, const uint64_t *mark)
	requires_capability(&t->writer)
{
	size_t most = t->pairs_max * PTABLE_REC * 4;
	int rc = 0;

	if (!t->structural && t->ntodo == 0 &&
	    memcmp(t->mark, mark, sizeof(t->mark)) == 0)
		return 0;
	if (t->log.size > most + PTABLE_PAGE * 16)
		t->structural = true;
	if (t->structural)
		rc = flush_structural(t, mark);
	else
		rc = ptable_log_append(&t->log, t->todo, t->ntodo, mark);
	if (rc < 0) {
		t->structural = true;
		return rc;
	}
	t->ntodo = 0;
	mutex_lock(&t->mu);
	memcpy(t->mark, mark, sizeof(t->mark));
	mutex_unlock(&t->mu);
	return 0;
}

int ptable_flush(struct ptable *t, const uint64_t mark[PTABLE_MARKS],
		 struct errmsg *em)
{
	int rc;

	mutex_lock(&t->writer);
	rc = flush(t, mark);
	mutex_unlock(&t->writer);
	if (rc < 0)
		errmsg_set(em, rc, "table %s: flush: %s", t->path,
			   err_text(rc));
	return rc;
}

void ptable_mark(struct ptable *t, uint64_t out[PTABLE_MARKS])
{
	mutex_lock(&t->mu);
	memcpy(out, t->mark, sizeof(t->mark));
	mutex_unlock(&t->mu);
}

int ptable_reset(struct ptable *t, struct errmsg *em)
{
	static const uint64_t zero[PTABLE_MARKS];
	int rc;

	ptable_work_pause(t);
	mutex_lock(&t->writer);
	mutex_lock(&t->mu);
	for (size_t i = 0; i < t->nruns; i++) {
		ptable_files_dead(t, false, t->runs[i]->id);
		ptable_run_put(t->runs[i]);
	}
	t->nruns = 0;
	ptable_mem_clear(&t->mem);
	ptable_mem_release(&t->old);
	memcpy(t->mark, zero, sizeof(t->mark));
	mutex_unlock(&t->mu);
	atomic_store(&t->full, false);
	t->work_rc = 0;
	t->ntodo = 0;
	t->structural = true;
	rc = flush(t, zero);
	mutex_unlock(&t->writer);
	ptable_work_resume(t);
	if (rc < 0)
		errmsg_set(em, rc, "table %s: reset: %s", t->path,
			   err_text(rc));
	return rc;
}

struct each {
	ptable_each_fn *fn;
	void *ctx;
};

static int each_rec(void *ctx, const struct ptable_rec *rec)
{
	struct each *e = ctx;

	return e->fn(e->ctx, rec->key, rec->value);
}

int ptable_each(struct ptable *t, ptable_each_fn *fn, void *ctx)
{
	struct ptable_cursor c[PTABLE_RUNS_MAX + 2] = { 0 };
	autofree struct ptable_rec *v = NULL;
	struct each e = { .fn = fn, .ctx = ctx };
	int rc = -ENOMEM;

	mutex_lock(&t->writer);
	v = malloc((t->mem.n + t->old.n + 1) * sizeof(*v));
	if (v != NULL) {
		ptable_mem_list(&t->mem, v, true);
		ptable_mem_list(&t->old, v + t->mem.n, true);
		ptable_cursor_array(&c[0], v, t->mem.n);
		ptable_cursor_array(&c[1], v + t->mem.n, t->old.n);
		rc = 0;
	}
	for (size_t i = 0; i < t->nruns && rc == 0; i++)
		rc = ptable_cursor_run(&c[2 + i], t->runs[t->nruns - 1 - i]);
	if (rc == 0)
		rc = ptable_merge(c, t->nruns + 2, true, each_rec, &e);
	for (size_t i = 0; i < t->nruns + 2; i++)
		ptable_cursor_release(&c[i]);
	mutex_unlock(&t->writer);
	return rc;
}

void ptable_stats(struct ptable *t, struct ptable_stats *out)
{
	memset(out, 0, sizeof(*out));
	mutex_lock(&t->writer);
	out->runs = t->nruns;
	out->mem_pairs = t->mem.n + t->old.n;
	out->pairs = out->mem_pairs;
	out->waits = t->waits;
	out->memory = ptable_mem_bytes(&t->mem) + ptable_mem_bytes(&t->old) +
		      ptable_mem_bytes(&t->spare) +
		      t->todo_cap * sizeof(t->todo[0]);
	for (size_t i = 0; i < t->nruns; i++) {
		out->pairs += t->runs[i]->nrecs;
		out->memory += ptable_run_bytes(t->runs[i]);
	}
	mutex_unlock(&t->writer);
}

static int check_run(const struct ptable_run *r)
{
	struct ptable_cursor c = { 0 };
	uint64_t n = 0;
	int rc = ptable_cursor_run(&c, r);

	while (rc == 0) {
		rc = ptable_cursor_next(&c);
		if (rc < 0 || c.end)
			break;
		if (!ptable_run_may_have(r, c.rec.key))
			rc = -ERR_CORRUPT;
		n++;
	}
	if (rc == 0 && n != r->nrecs)
		rc = -ERR_CORRUPT;
	ptable_cursor_release(&c);
	return rc;
}

int ptable_check(struct ptable *t, struct errmsg *em)
{
	int rc = 0;

	mutex_lock(&t->writer);
	for (size_t i = 0; i < t->nruns && rc == 0; i++) {
		rc = check_run(t->runs[i]);
		if (rc == 0 && i > 0 &&
		    t->runs[i]->level > t->runs[i - 1]->level)
			rc = -ERR_CORRUPT;
		if (rc < 0)
			errmsg_set(em, rc, "table %s: run %llx: %s", t->path,
				   (unsigned long long)t->runs[i]->id,
				   err_text(rc));
	}
	mutex_unlock(&t->writer);
	return rc;
}
