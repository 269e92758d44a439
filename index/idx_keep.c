/*
 * idx_keep.c - what a retention policy asks: which versions could be
 * released, under which names, since when; see idx_query.h.
 *
 * Paths are walked from the file up.  A name is a span of entries, and what
 * lies above a name counts while that name was there: the spans are cut on
 * the way, so a path comes out only if it could be opened at some moment.
 *
 * Threads: a reader is used by one thread at a time.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "index/reader_internal.h"

enum { KEEP_STEPS = 4096, KEEP_NAMES = 512 };

/* --- candidates --- */

static int candidate_read(sqlite3_stmt *s, struct idx_candidate *out)
{
	bool bad = false;

	out->ino = db_u64(s, 0, &bad);
	out->version = db_u64(s, 1, &bad);
	out->no = db_u64(s, 2, &bad);
	out->size = db_u64(s, 3, &bad);
	out->next_no = db_u64_or_zero(s, 4, &bad);
	out->gone = sqlite3_column_type(s, 5) == SQLITE_NULL;
	out->current = db_u64_or_zero(s, 5, &bad);
	out->has_sha256 = sqlite3_column_type(s, 6) != SQLITE_NULL;
	if (!out->gone && (out->version > out->current || !out->next_no))
		bad = true;
	return bad || out->size > LIMIT_FILE_SIZE ? -ERR_CORRUPT : 1;
}

int idx_candidates(struct idx_reader *r, uint64_t ino, uint64_t version,
		   uint32_t max, idx_candidate_fn *fn, void *ctx)
{
	struct idx_candidate v;
	sqlite3_stmt *s = NULL;
	int n = 0, rc = idx_reader_take(r, READER_S_CANDIDATES, &s);

	if (rc)
		return rc;
	db_bind_u64(s, 1, idx_reader_cap(ino));
	db_bind_u64(s, 2, idx_reader_cap(version));
	db_bind_u64(s, 3, max);
	while ((rc = db_step(s)) > 0) {
		rc = candidate_read(s, &v);
		if (rc > 0)
			rc = fn(ctx, &v);
		if (rc)
			break;
		n++;
	}
	idx_reader_give(r, READER_S_CANDIDATES, s);
	return rc ? rc : n;
}

/* --- every path --- */

struct span_name {
	uint64_t parent, since, until;
	uint16_t len;
	char name[LIMIT_NAME];
};

/* All names that ino ever had. */
static int all_names(struct idx_reader *r, uint64_t ino, struct span_name **out)
{
	struct span_name *v = NULL, *bigger;
	sqlite3_stmt *s = NULL;
	bool bad = false;
	int n = 0, rc = idx_reader_take(r, READER_S_ALL_NAMES, &s);

	if (rc)
		return rc;
	db_bind_u64(s, 1, ino);
	while ((rc = db_step(s)) > 0) {
		const void *p;
		size_t len;

		bigger = n < KEEP_NAMES ?
				 realloc(v, ((size_t)n + 1) * sizeof(*v)) :
				 NULL;
		if (!bigger) {
			rc = n < KEEP_NAMES ? -ENOMEM : -ERR_LIMIT;
			break;
		}
		v = bigger;
		v[n].parent = db_u64(s, 0, &bad);
		p = db_blob(s, 1, LIMIT_NAME, &len, &bad);
		v[n].since = db_u64(s, 2, &bad);
		v[n].until = sqlite3_column_type(s, 3) == SQLITE_NULL ?
				     UINT64_MAX :
				     db_u64(s, 3, &bad);
		if (!p || !len || bad) {
			rc = -ERR_CORRUPT;
			break;
		}
		v[n].len = (uint16_t)len;
		memcpy(v[n++].name, p, len);
	}
	idx_reader_give(r, READER_S_ALL_NAMES, s);
	if (rc < 0) {
		free(v);
		return rc;
	}
	*out = v;
	return n;
}

struct walk {
	struct idx_reader *r;
	idx_path_fn *fn;
	void *ctx;
	unsigned steps; /* left */
};

/* Paths of ino while since <= entry < until, with `below` after them. */
static int walk(struct walk *w, uint64_t ino, uint64_t since, uint64_t until,
		const struct buf *below, unsigned depth)
{
	autofree struct span_name *v = NULL;
	struct buf path = BUF_INIT;
	int n, rc = 0;

	if (ino == STATE_ROOT_INO)
		return w->fn(w->ctx, below->n ? (const char *)below->p : "",
			     below->n);
	if (depth > LIMIT_PATH / 2 || w->steps == 0)
		return -ERR_LIMIT;
	w->steps--;
	n = all_names(w->r, ino, &v);
	for (int i = 0; i < n && rc == 0; i++) {
		uint64_t from = v[i].since > since ? v[i].since : since;
		uint64_t to = v[i].until < until ? v[i].until : until;

		if (from >= to)
			continue;
		buf_clear(&path);
		buf_add(&path, v[i].name, v[i].len);
		if (below->n) {
			buf_addc(&path, '/');
			buf_add(&path, below->p, below->n);
		}
		rc = path.bad ?
			     -ENOMEM :
			     walk(w, v[i].parent, from, to, &path, depth + 1);
	}
	buf_release(&path);
	return n < 0 ? n : rc;
}

int idx_paths_ever(struct idx_reader *r, uint64_t ino, idx_path_fn *fn,
		   void *ctx)
{
	struct walk w = { .r = r, .fn = fn, .ctx = ctx, .steps = KEEP_STEPS };
	const struct buf nothing = BUF_INIT;

	return walk(&w, ino, 0, UINT64_MAX, &nothing, 0);
}

/* --- who came after --- */

int idx_newest_version(struct idx_reader *r, uint64_t ino, uint64_t *out)
{
	sqlite3_stmt *s = NULL;
	bool bad = false;
	int rc = idx_reader_take(r, READER_S_VERSION_MAX, &s);

	if (rc)
		return rc;
	db_bind_u64(s, 1, ino);
	rc = db_step(s);
	*out = rc > 0 ? db_u64_or_zero(s, 0, &bad) : 0;
	idx_reader_give(r, READER_S_VERSION_MAX, s);
	return rc < 0 ? rc : bad ? -ERR_CORRUPT : 0;
}

int idx_successor_versions(struct idx_reader *r, uint64_t ino, uint64_t max,
			   uint64_t *out)
{
	autofree struct span_name *v = NULL;
	sqlite3_stmt *s = NULL;
	bool bad = false;
	int last = -1, n = all_names(r, ino, &v), rc;
	uint64_t count;

	*out = 0;
	for (int i = 0; i < n; i++)
		if (last < 0 || v[i].until > v[last].until)
			last = i;
	if (n < 0 || last < 0 || v[last].until == UINT64_MAX)
		return n < 0 ? n : 0;
	rc = idx_reader_take(r, READER_S_SUCCESSORS, &s);
	if (rc)
		return rc;
	db_bind_u64(s, 1, v[last].parent);
	db_bind_blob(s, 2, v[last].name, v[last].len);
	db_bind_u64(s, 3, idx_reader_cap(v[last].until));
	db_bind_u64(s, 4, ino);
	while (*out < max && (rc = db_step(s)) > 0) {
		rc = idx_newest_version(r, db_u64(s, 0, &bad), &count);
		if (rc || bad)
			break;
		*out += count < max ? count : max;
	}
	idx_reader_give(r, READER_S_SUCCESSORS, s);
	return rc < 0 ? rc : bad ? -ERR_CORRUPT : 0;
}

int idx_last_about(struct idx_reader *r, uint64_t ino, uint64_t *out)
{
	sqlite3_stmt *s = NULL;
	bool bad = false;
	int rc = idx_reader_take(r, READER_S_LAST_ABOUT, &s);

	if (rc)
		return rc;
	db_bind_u64(s, 1, ino);
	rc = db_step(s);
	*out = rc > 0 ? db_u64_or_zero(s, 0, &bad) : 0;
	idx_reader_give(r, READER_S_LAST_ABOUT, s);
	return rc < 0 ? rc : bad ? -ERR_CORRUPT : *out != 0;
}

int idx_extents_among(struct idx_reader *r, uint64_t ino, uint64_t after,
		      uint64_t until)
{
	sqlite3_stmt *s = NULL;
	int rc = idx_reader_take(r, READER_S_EXTENTS_AMONG, &s);

	if (rc)
		return rc;
	db_bind_u64(s, 1, ino);
	db_bind_u64(s, 2, idx_reader_cap(after));
	db_bind_u64(s, 3, idx_reader_cap(until));
	rc = db_step(s);
	idx_reader_give(r, READER_S_EXTENTS_AMONG, s);
	return rc;
}
