/*
 * ptable.c - the table: memory in front, sorted runs behind; see ptable.h.
 *
 * A put or delete goes to the table in memory (ptable_mem) and to the list of
 * what was not flushed.  A flush appends that list to a log and syncs it once.
 * When the table in memory is full it becomes a sorted run (ptable_run), and
 * runs of one level become one run of the next, FANOUT at a time; the files
 * that are on disk then differ from those the manifest names, so the next
 * flush is `structural`: it writes a new log with all that is in memory, then
 * a new manifest, and only then deletes what the old manifest named.
 *
 * Invariants:
 *  1. On disk there is at any moment a manifest whose runs and log are whole:
 *     a run or log that a manifest on disk may name is not changed (but for
 *     batches appended to the log) and not deleted.
 *  2. Memory and runs together hold every put; newer words win: memory, then
 *     runs from the last to the first.
 *  3. Levels do not rise from older to newer runs.
 *  4. An id is used once.
 *
 * Locks: `writer` first, then `mu`.  The writer lock is held across disk I/O:
 * it serialises puts, deletes, flushes.  `mu` guards mem and runs and is held
 * for memory operations only; who has the writer lock may read both without.
 */
#include "base/ptable.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/ptable_format.h"
#include "base/ptable_log.h"
#include "base/ptable_mem.h"
#include "base/ptable_run.h"
#include "base/thread.h"
#include "base/vio.h"

enum { FANOUT = 4 };
/* Of memory per pair in the table, at its fullest: slot, list, batch. */
enum { BYTES_PER_PAIR = 64 };
enum { PAIRS_MIN = 64 };
/* The name of a file is the path and at most this. */
enum { SUFFIX_MAX = 32 };

struct dead_file {
	bool is_log;
	uint64_t id;
};

struct ptable {
	struct vio *vio;
	char *path;
	char *dir;
	size_t pairs_max;
	uint64_t filter_max;

	struct mutex writer;
	struct mutex mu;
	struct ptable_mem mem;			  /* guarded by mu */
	struct ptable_run *runs[PTABLE_RUNS_MAX]; /* guarded by mu */
	size_t nruns;				  /* guarded by mu */
	uint64_t mark[PTABLE_MARKS];		  /* guarded by mu */

	/* guarded by writer */
	struct ptable_rec *todo; /* not flushed, in order */
	size_t ntodo;
	size_t todo_cap;
	struct ptable_log log;
	bool structural; /* the next flush writes a manifest */
	uint64_t next_id;
	struct dead_file *dead; /* for deletion after the next manifest */
	size_t ndead;
	size_t dead_cap;
};

/* --- files ---------------------------------------------------------------*/

static void file_unlink(struct ptable *t, const struct dead_file *d)
{
	char name[LIMIT_PATH + 1];
	int rc;

	snprintf(name, sizeof(name), "%s.%s-%016llx", t->path,
		 d->is_log ? "log" : "run", (unsigned long long)d->id);
	rc = vio_unlink(t->vio, name);
	(void)rc; /* the next open tries again */
}

/* Without memory the file stays until the next open. */
static void dead_add(struct ptable *t, bool is_log, uint64_t id)
{
	if (t->ndead == t->dead_cap) {
		size_t cap = t->dead_cap == 0 ? 16 : t->dead_cap * 2;
		struct dead_file *v = realloc(t->dead, cap * sizeof(*v));

		if (v == NULL)
			return;
		t->dead = v;
		t->dead_cap = cap;
	}
	t->dead[t->ndead].is_log = is_log;
	t->dead[t->ndead++].id = id;
}

static int manifest_write(struct ptable *t, uint64_t log_id)
{
	struct buf b = BUF_INIT;
	int rc = -ENOMEM;

	buf_u64(&b, PTABLE_MAGIC);
	buf_u64(&b, t->next_id);
	buf_u64(&b, log_id);
	buf_u32(&b, (uint32_t)t->nruns);
	buf_u32(&b, 0);
	for (size_t i = 0; i < t->nruns; i++) {
		buf_u64(&b, t->runs[i]->id);
		buf_u64(&b, t->runs[i]->nrecs);
		buf_u32(&b, t->runs[i]->npages);
		buf_u32(&b, t->runs[i]->level);
		buf_u64(&b, t->runs[i]->nblocks);
		buf_u64(&b, t->runs[i]->meta_hash);
	}
	if (!b.bad)
		buf_u64(&b, XXH64(b.p, b.n, 0));
	if (!b.bad)
		rc = atomic_file_write(t->vio, t->path, b.p, b.n, 0);
	buf_release(&b);
	return rc;
}

/* Opens the runs that the manifest names and reads the log. */
static int manifest_decode(struct ptable *t, const uint8_t *p, size_t n)
{
	struct breader r;
	uint64_t log_id;
	uint32_t nruns;
	int rc = 0;

	if (n < PTABLE_MANIFEST_HEADER + 8)
		return -ERR_CORRUPT;
	breader_init(&r, p + n - 8, 8);
	if (breader_u64(&r) != XXH64(p, n - 8, 0))
		return -ERR_CORRUPT;
	breader_init(&r, p, n - 8);
	if (breader_u64(&r) != PTABLE_MAGIC)
		return -ERR_CORRUPT;
	t->next_id = breader_u64(&r);
	log_id = breader_u64(&r);
	nruns = breader_u32(&r);
	if (breader_u32(&r) != 0 || nruns > PTABLE_RUNS_MAX)
		return -ERR_CORRUPT;
	for (uint32_t i = 0; i < nruns && rc == 0; i++) {
		struct ptable_run like = { .id = breader_u64(&r) };

		like.nrecs = breader_u64(&r);
		like.npages = breader_u32(&r);
		like.level = breader_u32(&r);
		like.nblocks = breader_u64(&r);
		like.meta_hash = breader_u64(&r);
		if (r.bad)
			return -ERR_CORRUPT;
		rc = ptable_run_open(&t->runs[t->nruns], t->vio, t->path,
				     &like);
		t->nruns += rc == 0;
	}
	if (rc < 0)
		return rc;
	if (!breader_done(&r))
		return -ERR_CORRUPT;
	return ptable_log_replay(&t->log, t->vio, t->path, log_id, &t->mem,
				 t->mark, &t->structural);
}

/* A file of ours that nothing names goes. */
struct sweep {
	struct ptable *t; /* NULL: all go */
	struct vio *vio;
	const char *path;
	size_t base_at;	  /* where the last component of path starts */
	struct buf names; /* NUL-terminated, one after another */
};

static bool sweep_keeps(const struct sweep *s, const char *kind, uint64_t id)
{
	if (s->t == NULL)
		return false;
	if (kind[0] == 'l')
		return s->t->log.file != NULL && s->t->log.id == id;
	for (size_t i = 0; i < s->t->nruns; i++)
		if (s->t->runs[i]->id == id)
			return true;
	return false;
}

static int sweep_name(void *ctx, const char *name)
{
	struct sweep *s = ctx;
	const char *base = s->path + s->base_at;
	size_t n = strlen(base);
	const char *kind = name + n;
	char *end = NULL;
	uint64_t id;

	if (strncmp(name, base, n) != 0)
		return 0;
	if (strncmp(kind, ".run-", 5) != 0 && strncmp(kind, ".log-", 5) != 0 &&
	    strncmp(kind, ".tmp-", 5) != 0)
		return 0;
	id = strtoull(kind + 5, &end, 16);
	if (end != kind + 5 + 16 || *end != '\0')
		return 0;
	if (kind[1] != 't' && sweep_keeps(s, kind + 1, id))
		return 0;
	if (kind[1] != 't' && s->t != NULL && id >= s->t->next_id)
		s->t->next_id = id + 1;
	buf_add(&s->names, s->path, s->base_at);
	buf_add(&s->names, name, strlen(name) + 1);
	return 0;
}

static int sweep(struct sweep *s, const char *dir)
{
	int rc = vio_list(s->vio, dir, sweep_name, s);
	const char *p = (const char *)s->names.p;
	const char *end = p ? p + s->names.n : NULL;

	if (s->names.bad)
		rc = -ENOMEM;
	for (; rc == 0 && p < end; p += strlen(p) + 1)
		rc = vio_unlink(s->vio, p);
	buf_release(&s->names);
	return rc;
}

static char *dir_of(const char *path, size_t *out_base)
{
	const char *slash = strrchr(path, '/');

	*out_base = slash != NULL ? (size_t)(slash - path) + 1 : 0;
	if (slash == NULL)
		return strdup(".");
	return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* --- opening -------------------------------------------------------------*/

void ptable_close(struct ptable *t)
{
	if (t == NULL)
		return;
	ptable_log_close(&t->log);
	for (size_t i = 0; i < t->nruns; i++)
		ptable_run_put(t->runs[i]);
	ptable_mem_release(&t->mem);
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
	mutex_init(&t->writer);
	mutex_init(&t->mu);
	t->vio = v;
	t->path = strdup(path);
	t->dir = dir_of(path, &base);
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
	struct sweep s = { .vio = v, .path = path };
	struct buf b = BUF_INIT;
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
	if (rc < 0)
		goto done;
	ptable_mem_init(&t->mem, salt);
	rc = vio_read_file(v, &b, path, 1 << 16);
	if (rc == 0)
		rc = manifest_decode(t, b.p, b.n);
	else if (rc == -ENOENT)
		rc = 0;
	else if (rc == -ERR_LIMIT)
		rc = -ERR_CORRUPT;
	if (rc < 0) {
		errmsg_set(em, rc, "table %s: %s", path, err_text(rc));
		goto done;
	}
	s.t = t;
	free(dir_of(path, &s.base_at));
	rc = sweep(&s, t->dir);
done:
	buf_release(&b);
	if (rc < 0) {
		ptable_close(t);
		return rc;
	}
	*out = t;
	return 0;
}

int ptable_remove(struct vio *v, const char *path)
{
	struct sweep s = { .vio = v, .path = path };
	autofree char *dir = dir_of(path, &s.base_at);
	int rc;

	if (dir == NULL)
		return -ENOMEM;
	rc = vio_unlink(v, path);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	/* The manifest first, for good: it must not name what is gone. */
	rc = vio_syncdir(v, dir);
	if (rc == 0)
		rc = sweep(&s, dir);
	return rc == 0 ? vio_syncdir(v, dir) : rc;
}

/* --- runs ----------------------------------------------------------------*/

static int add_to_writer(void *ctx, const struct ptable_rec *rec)
{
	return ptable_writer_add(ctx, rec);
}

/*
 * How much a filter may take: three quarters of what those of the runs before
 * `first` leave, for newer runs need theirs too.
 */
static uint64_t filter_left(const struct ptable *t, size_t first)
{
	uint64_t used = 0;

	for (size_t i = 0; i < first; i++)
		used += t->runs[i]->nblocks * PTABLE_FILTER_BLOCK;
	return used < t->filter_max ? (t->filter_max - used) / 4 * 3 : 0;
}

/* Makes one run of the runs from number `first` to the newest. */
static int runs_merge(struct ptable *t, size_t first)
	requires_capability(&t->writer)
{
	struct ptable_cursor c[PTABLE_RUNS_MAX] = { 0 };
	struct ptable_writer *w = NULL;
	struct ptable_run *run = NULL;
	size_t n = t->nruns - first;
	uint64_t recs = 0;
	uint64_t id = t->next_id++;
	uint32_t level = t->runs[first]->level + 1;
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = ptable_cursor_run(&c[i], t->runs[t->nruns - 1 - i]);
		recs += t->runs[first + i]->nrecs;
	}
	if (rc == 0)
		rc = ptable_writer_open(&w, t->vio, t->path, id, recs,
					filter_left(t, first));
	if (rc == 0)
		rc = ptable_merge(c, n, first == 0, add_to_writer, w);
	for (size_t i = 0; i < n; i++)
		ptable_cursor_release(&c[i]);
	if (rc < 0) {
		ptable_writer_abort(w);
		return rc;
	}
	rc = ptable_writer_finish(w, &run, level);
	if (rc < 0)
		return rc;
	mutex_lock(&t->mu);
	for (size_t i = first; i < t->nruns; i++) {
		dead_add(t, false, t->runs[i]->id);
		ptable_run_put(t->runs[i]);
	}
	t->nruns = first;
	if (run != NULL)
		t->runs[t->nruns++] = run;
	mutex_unlock(&t->mu);
	t->structural = true;
	return 0;
}

/* Merges while FANOUT of the newest runs are of one level. */
static int runs_compact(struct ptable *t) requires_capability(&t->writer)
{
	for (;;) {
		size_t first = t->nruns;
		int rc;

		while (first > 0 && t->runs[first - 1]->level ==
					    t->runs[t->nruns - 1]->level)
			first--;
		if (t->nruns - first < FANOUT)
			return 0;
		rc = runs_merge(t, first);
		if (rc < 0)
			return rc;
	}
}

/* Makes a run of the table in memory. */
static int mem_spill(struct ptable *t) requires_capability(&t->writer)
{
	autofree struct ptable_rec *v = NULL;
	struct ptable_cursor c = { 0 };
	struct ptable_writer *w = NULL;
	struct ptable_run *run = NULL;
	size_t n = t->mem.n;
	int rc;

	if (t->nruns == PTABLE_RUNS_MAX) {
		rc = runs_merge(t, 0);
		if (rc < 0)
			return rc;
	}
	v = malloc((n + 1) * sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	ptable_mem_list(&t->mem, v, true);
	rc = ptable_writer_open(&w, t->vio, t->path, t->next_id++, n,
				filter_left(t, t->nruns));
	if (rc < 0)
		return rc;
	ptable_cursor_array(&c, v, n);
	rc = ptable_merge(&c, 1, t->nruns == 0, add_to_writer, w);
	if (rc < 0) {
		ptable_writer_abort(w);
		return rc;
	}
	rc = ptable_writer_finish(w, &run, 0);
	if (rc < 0)
		return rc;
	mutex_lock(&t->mu);
	if (run != NULL)
		t->runs[t->nruns++] = run;
	ptable_mem_clear(&t->mem);
	mutex_unlock(&t->mu);
	t->ntodo = 0;
	t->structural = true;
	/* The spill is done: a merge that found no space is tried again. */
	rc = runs_compact(t);
	return rc == -ENOSPC ? 0 : rc;
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

static int set(struct ptable *t, const struct ptable_rec *rec)
{
	int rc = 0;

	mutex_lock(&t->writer);
	if (t->mem.n >= t->pairs_max || t->ntodo >= t->pairs_max)
		rc = mem_spill(t);
	if (rc == 0)
		rc = todo_reserve(t);
	if (rc == 0) {
		mutex_lock(&t->mu);
		rc = ptable_mem_set(&t->mem, rec);
		mutex_unlock(&t->mu);
	}
	if (rc > 0)
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

	v = malloc((t->mem.n + 1) * sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	ptable_mem_list(&t->mem, v, false);
	rc = ptable_log_create(&log, t->vio, t->path, id);
	if (rc == 0)
		rc = ptable_log_append(&log, v, t->mem.n, mark);
	if (rc == 0)
		rc = vio_syncdir(t->vio, t->dir);
	if (rc == 0)
		rc = manifest_write(t, id);
	if (rc < 0) {
		/* It may be on disk and name the log: that one stays a while. */
		ptable_log_close(&log);
		dead_add(t, true, id);
		return rc;
	}
	if (t->log.file != NULL) {
		dead_add(t, true, t->log.id);
		ptable_log_close(&t->log);
	}
	t->log = log;
	t->structural = false;
	for (size_t i = 0; i < t->ndead; i++)
		file_unlink(t, &t->dead[i]);
	t->ndead = 0;
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

	mutex_lock(&t->writer);
	mutex_lock(&t->mu);
	for (size_t i = 0; i < t->nruns; i++) {
		dead_add(t, false, t->runs[i]->id);
		ptable_run_put(t->runs[i]);
	}
	t->nruns = 0;
	ptable_mem_clear(&t->mem);
	memcpy(t->mark, zero, sizeof(t->mark));
	mutex_unlock(&t->mu);
	t->ntodo = 0;
	t->structural = true;
	rc = flush(t, zero);
	mutex_unlock(&t->writer);
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
	struct ptable_cursor c[PTABLE_RUNS_MAX + 1] = { 0 };
	autofree struct ptable_rec *v = NULL;
	struct each e = { .fn = fn, .ctx = ctx };
	int rc = -ENOMEM;

	mutex_lock(&t->writer);
	v = malloc((t->mem.n + 1) * sizeof(*v));
	if (v != NULL) {
		ptable_mem_list(&t->mem, v, true);
		ptable_cursor_array(&c[0], v, t->mem.n);
		rc = 0;
	}
	for (size_t i = 0; i < t->nruns && rc == 0; i++)
		rc = ptable_cursor_run(&c[1 + i], t->runs[t->nruns - 1 - i]);
	if (rc == 0)
		rc = ptable_merge(c, t->nruns + 1, true, each_rec, &e);
	for (size_t i = 0; i <= t->nruns; i++)
		ptable_cursor_release(&c[i]);
	mutex_unlock(&t->writer);
	return rc;
}

void ptable_stats(struct ptable *t, struct ptable_stats *out)
{
	memset(out, 0, sizeof(*out));
	mutex_lock(&t->writer);
	out->runs = t->nruns;
	out->mem_pairs = t->mem.n;
	out->pairs = t->mem.n;
	out->memory =
		ptable_mem_bytes(&t->mem) + t->todo_cap * sizeof(t->todo[0]);
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
