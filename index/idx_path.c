/*
 * idx_path.c - names and paths, now and at any entry; see idx_query.h.
 *
 * A name is valid at `at` when since <= at, and (in name_past) at < until.
 * For one (parent, name) these spans never overlap, so of the rows that end
 * after `at` only the one that ends first can be valid.
 *
 * Threads: a reader is used by one thread at a time.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "index/reader_internal.h"
#include "ledger/entry.h"

enum {
	PATH_PAGE = 4096,
	PATH_TRIES = 4096,
	PATH_INOS = 64,
	PATH_LINKS = 1 << 16
};

/* --- one name --- */

/* The row of name_past that is valid at `at`. */
static int past_name(struct idx_reader *r, struct name_row *out,
		     uint64_t parent, const void *name, size_t len, uint64_t at)
{
	sqlite3_stmt *s = NULL;
	bool bad = false;
	int rc = idx_reader_take(r, READER_S_NAME_PAST_AT, &s);

	if (rc)
		return rc;
	db_bind_u64(s, 1, parent);
	db_bind_blob(s, 2, name, len);
	db_bind_u64(s, 3, idx_reader_cap(at));
	rc = db_step(s);
	if (rc > 0) {
		*out = (struct name_row){ .parent = parent };
		out->ino = db_u64(s, 0, &bad);
		out->since = db_u64(s, 1, &bad);
		out->mode = db_u32(s, 2, &bad);
		rc = bad ? -ERR_CORRUPT : out->since <= at;
	}
	idx_reader_give(r, READER_S_NAME_PAST_AT, s);
	return rc;
}

int idx_name_at(struct idx_reader *r, struct name_row *out, uint64_t parent,
		const char *name, uint16_t len, uint64_t at)
{
	int rc = idx_name(r, out, parent, name, len);

	if (rc < 0 || at == IDX_NOW || (rc > 0 && out->since <= at))
		return rc;
	return past_name(r, out, parent, name, len, at);
}

/* --- directories of the past --- */

struct past_item {
	struct name_row row;
	uint16_t len;
	char name[LIMIT_NAME];
};

/* Reads a name column; what is no name would lead an export elsewhere. */
static int name_read(sqlite3_stmt *s, int i, struct past_item *out)
{
	bool bad = false;
	size_t n;
	const void *p = db_blob(s, i, LIMIT_NAME, &n, &bad);

	if (!p || bad || !entry_name_ok(p, n))
		return -ERR_CORRUPT;
	memcpy(out->name, p, n);
	out->len = (uint16_t)n;
	return 1;
}

/*
 * The next name after *cursor in name_past that is valid at `at`; skips from
 * name to name, whatever the number of rows a name has.
 */
static int next_past(struct idx_reader *r, uint64_t parent, uint64_t at,
		     struct past_item *cursor)
{
	sqlite3_stmt *s = NULL;
	int rc;

	for (;;) {
		rc = idx_reader_take(r, READER_S_NAME_PAST_NEXT, &s);
		if (rc)
			return rc;
		db_bind_u64(s, 1, parent);
		db_bind_blob(s, 2, cursor->name, cursor->len);
		rc = db_step(s);
		if (rc > 0)
			rc = name_read(s, 0, cursor);
		idx_reader_give(r, READER_S_NAME_PAST_NEXT, s);
		if (rc <= 0)
			return rc;
		rc = past_name(r, &cursor->row, parent, cursor->name,
			       cursor->len, at);
		if (rc)
			return rc;
	}
}

static int next_live(sqlite3_stmt *s, uint64_t parent, struct past_item *out)
{
	bool bad = false;
	int rc = db_step(s);

	if (rc <= 0)
		return rc;
	out->row = (struct name_row){ .parent = parent };
	out->row.ino = db_u64(s, 1, &bad);
	out->row.since = db_u64(s, 2, &bad);
	out->row.mode = db_u32(s, 3, &bad);
	return bad ? -ERR_CORRUPT : name_read(s, 0, out);
}

static int item_order(const struct past_item *a, const struct past_item *b)
{
	int d = memcmp(a->name, b->name, a->len < b->len ? a->len : b->len);

	return d ? d : (int)a->len - (int)b->len;
}

/* Merges the names that are there still with those of the past. */
static int merge_names(struct idx_reader *r, sqlite3_stmt *s, uint64_t parent,
		       uint64_t at, const struct past_item *after,
		       struct past_item *out, uint32_t max)
{
	struct past_item live = { .len = 0 }, past = *after;
	int has_live = next_live(s, parent, &live);
	int has_past = next_past(r, parent, at, &past);
	uint32_t n = 0;

	while (n < max && has_live >= 0 && has_past >= 0 &&
	       (has_live || has_past)) {
		if (!has_past || (has_live && item_order(&live, &past) < 0)) {
			out[n++] = live;
			has_live = next_live(s, parent, &live);
		} else {
			out[n++] = past;
			has_past = next_past(r, parent, at, &past);
		}
	}
	if (has_live < 0 || has_past < 0)
		return has_live < 0 ? has_live : has_past;
	return (int)n;
}

int idx_names_at(struct idx_reader *r, uint64_t parent, const char *after,
		 uint16_t after_len, uint32_t max, uint64_t at,
		 idx_past_name_fn *fn, void *ctx)
{
	autofree struct past_item *v = NULL;
	struct past_item from = { .len = after_len };
	sqlite3_stmt *s = NULL;
	int i, n, rc;

	if (after_len > LIMIT_NAME || !max)
		return 0;
	if (after_len)
		memcpy(from.name, after, after_len);
	if (max > PATH_PAGE)
		max = PATH_PAGE;
	v = calloc(max, sizeof(*v));
	if (!v)
		return -ENOMEM;
	rc = idx_reader_take(r, READER_S_NAMES_AT, &s);
	if (rc)
		return rc;
	db_bind_u64(s, 1, parent);
	db_bind_blob(s, 2, from.name, from.len);
	db_bind_u64(s, 3, idx_reader_cap(at));
	n = merge_names(r, s, parent, at, &from, v, max);
	idx_reader_give(r, READER_S_NAMES_AT, s);
	for (i = 0; i < n; i++) {
		rc = fn(ctx, &v[i].row, v[i].name, v[i].len);
		if (rc)
			return rc;
	}
	return n;
}

/* Rows of (parent, name, entry, cookie or mode); how many. */
static int each_name(struct idx_reader *r, enum reader_statement i,
		     const uint64_t *v, int n_v, idx_past_name_fn *fn,
		     void *ctx)
{
	struct past_item item = { .len = 0 };
	sqlite3_stmt *s = NULL;
	bool bad = false;
	int n = 0, rc = idx_reader_take(r, i, &s);

	if (rc)
		return rc;
	for (int k = 0; k < n_v; k++)
		db_bind_u64(s, k + 1, v[k]);
	while ((rc = db_step(s)) > 0) {
		item.row.ino = v[0];
		item.row.parent = db_u64(s, 0, &bad);
		item.row.since = db_u64(s, 2, &bad);
		if (i == READER_S_NAMES_OF)
			item.row.cookie = db_u64(s, 3, &bad);
		else
			item.row.mode = db_u32(s, 3, &bad);
		rc = bad ? -ERR_CORRUPT : name_read(s, 1, &item);
		if (rc > 0)
			rc = fn(ctx, &item.row, item.name, item.len);
		if (rc)
			break;
		n++;
	}
	idx_reader_give(r, i, s);
	return rc ? rc : n;
}

int idx_names_of(struct idx_reader *r, uint64_t ino, idx_past_name_fn *fn,
		 void *ctx)
{
	return each_name(r, READER_S_NAMES_OF, &ino, 1, fn, ctx);
}

int idx_names_lost(struct idx_reader *r, uint64_t ino, uint64_t from,
		   idx_past_name_fn *fn, void *ctx)
{
	const uint64_t v[2] = { ino, idx_reader_cap(from) };

	return each_name(r, READER_S_NAMES_LOST, v, 2, fn, ctx);
}

/* --- paths --- */

/* A name of ino at `at`: parent and name into *out. */
static int name_of(struct idx_reader *r, uint64_t ino, uint64_t at,
		   enum reader_statement i, struct past_item *out)
{
	sqlite3_stmt *s = NULL;
	bool bad = false;
	int rc = idx_reader_take(r, i, &s);

	if (rc)
		return rc;
	db_bind_u64(s, 1, ino);
	db_bind_u64(s, 2, idx_reader_cap(at));
	rc = db_step(s);
	if (rc > 0) {
		out->row.parent = db_u64(s, 0, &bad);
		out->row.since = db_u64(s, 2, &bad);
		rc = bad ? -ERR_CORRUPT : name_read(s, 1, out);
	}
	idx_reader_give(r, i, s);
	return rc;
}

int idx_name_of(struct idx_reader *r, struct name_row *out,
		char name[LIMIT_NAME + 1], uint64_t ino, uint64_t at)
{
	struct past_item item = { .len = 0 };
	int rc = name_of(r, ino, at, READER_S_NAME_OF, &item);

	if (!rc && at != IDX_NOW)
		rc = name_of(r, ino, at, READER_S_NAME_PAST_OF, &item);
	if (rc <= 0)
		return rc;
	*out = item.row;
	out->ino = ino;
	memcpy(name, item.name, item.len);
	name[item.len] = '\0';
	return 1;
}

int idx_name_before(struct idx_reader *r, uint64_t *out_ino,
		    uint64_t *out_until, const struct name_row *row,
		    const char *name)
{
	sqlite3_stmt *s = NULL;
	bool bad = false;
	int rc = idx_reader_take(r, READER_S_NAME_PAST_BEFORE, &s);

	if (rc)
		return rc;
	db_bind_u64(s, 1, row->parent);
	db_bind_blob(s, 2, name, strlen(name));
	db_bind_u64(s, 3, idx_reader_cap(row->since));
	rc = db_step(s);
	if (rc > 0) {
		*out_ino = db_u64(s, 0, &bad);
		*out_until = db_u64(s, 1, &bad);
		rc = bad ? -ERR_CORRUPT : 1;
	}
	idx_reader_give(r, READER_S_NAME_PAST_BEFORE, s);
	return rc;
}

/*
 * Paths grow from their end: components are added backwards, byte by byte,
 * and the whole is turned round when the root is reached.
 */
static int prepend(struct buf *path, const struct past_item *item)
{
	unsigned i;

	if (path->n)
		buf_addc(path, '/');
	for (i = item->len; i; i--)
		buf_addc(path, item->name[i - 1]);
	return path->bad ? -ENOMEM : 1;
}

static void turn_round(struct buf *path)
{
	size_t i, n = path->n;
	uint8_t b;

	for (i = 0; i < n / 2; i++) {
		b = path->p[i];
		path->p[i] = path->p[n - 1 - i];
		path->p[n - 1 - i] = b;
	}
}

/*
 * From ino up to the root; the components are put before *path.  Directories
 * that lead into each other (a damaged index) are noticed: `mark` is the one
 * met at the last power of two.
 */
static int walk_up(struct idx_reader *r, struct buf *path, uint64_t ino,
		   uint64_t at)
{
	struct past_item item = { .len = 0 };
	uint64_t mark = 0;
	unsigned depth;
	int rc;

	for (depth = 0; ino != STATE_ROOT_INO; depth++) {
		if (depth > STATE_DEPTH_MAX || (depth && ino == mark))
			return -ERR_CORRUPT;
		if (!(depth & (depth - 1)))
			mark = ino;
		rc = name_of(r, ino, at, READER_S_NAME_OF, &item);
		if (!rc && at != IDX_NOW)
			rc = name_of(r, ino, at, READER_S_NAME_PAST_OF, &item);
		if (rc > 0)
			rc = prepend(path, &item);
		if (rc <= 0)
			return rc;
		ino = item.row.parent;
	}
	turn_round(path);
	return 1;
}

static int append(struct buf *out, const struct buf *path)
{
	buf_add(out, path->p ? (const char *)path->p : "", path->n);
	return out->bad ? -ENOMEM : 1;
}

int idx_path(struct idx_reader *r, struct buf *out, uint64_t ino, uint64_t at)
{
	struct buf path = BUF_INIT;
	int rc = walk_up(r, &path, ino, at);

	if (rc > 0)
		rc = append(out, &path);
	buf_release(&path);
	return rc;
}

/* Names that an inode had at one place of the log. */
struct past_names {
	struct past_item *v;
	size_t n, cap;
};

static int names_add(struct past_names *l, const struct past_item *item)
{
	if (l->n == PATH_LINKS)
		return -ERR_LIMIT;
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 4;
		struct past_item *v = realloc(l->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = *item;
	return 0;
}

/* since: in the third column, or tested by the statement. */
static int names_collect(struct idx_reader *r, enum reader_statement i,
			 uint64_t ino, uint64_t at, bool since,
			 struct past_names *out)
{
	struct past_item item = { .len = 0 };
	sqlite3_stmt *s = NULL;
	bool bad = false;
	int rc = idx_reader_take(r, i, &s);

	if (rc)
		return rc;
	db_bind_u64(s, 1, ino);
	if (!since)
		db_bind_u64(s, 2, idx_reader_cap(at));
	while (rc >= 0 && (rc = db_step(s)) > 0) {
		item.row.parent = db_u64(s, 0, &bad);
		rc = bad ? -ERR_CORRUPT : name_read(s, 1, &item);
		if (rc > 0 && (!since || db_u64(s, 2, &bad) <= at))
			rc = bad ? -ERR_CORRUPT : names_add(out, &item);
	}
	idx_reader_give(r, i, s);
	return rc;
}

/* One of them: where its directory was, and itself. */
static int path_of(struct idx_reader *r, struct buf *out,
		   const struct past_item *item, uint64_t at)
{
	int rc;

	buf_clear(out);
	rc = prepend(out, item);
	return rc > 0 ? walk_up(r, out, item->row.parent, at) : rc;
}

int idx_paths_at(struct idx_reader *r, uint64_t ino, uint64_t at,
		 idx_path_fn *fn, void *ctx)
{
	struct past_names names = { .n = 0 };
	struct buf path = BUF_INIT;
	int rc, n = 0;

	if (ino == STATE_ROOT_INO) {
		rc = fn(ctx, "", 0);
		return rc ? rc : 1;
	}
	rc = names_collect(r, READER_S_NAMES_OF, ino, at, true, &names);
	if (rc >= 0 && at != IDX_NOW)
		rc = names_collect(r, READER_S_NAMES_PAST_OF, ino, at, false,
				   &names);
	for (size_t i = 0; rc >= 0 && i < names.n; i++) {
		rc = path_of(r, &path, &names.v[i], at);
		if (rc > 0) {
			buf_addc(&path, '\0');
			rc = path.bad ? -ENOMEM :
					fn(ctx, (char *)path.p, path.n - 1);
			n += rc == 0;
			if (rc)
				break;
		}
	}
	buf_release(&path);
	free(names.v);
	return rc ? rc : n;
}

/* The name that ino lost last, and just before when. */
static int last_name(struct idx_reader *r, uint64_t ino, struct past_item *out,
		     uint64_t *out_at)
{
	sqlite3_stmt *s = NULL;
	bool bad = false;
	int rc = idx_reader_take(r, READER_S_NAME_PAST_LAST, &s);

	if (rc)
		return rc;
	db_bind_u64(s, 1, ino);
	rc = db_step(s);
	if (rc > 0) {
		out->row.parent = db_u64(s, 0, &bad);
		*out_at = db_u64(s, 2, &bad);
		rc = name_read(s, 1, out);
		if (bad || !*out_at)
			rc = -ERR_CORRUPT;
		--*out_at;
	}
	idx_reader_give(r, READER_S_NAME_PAST_LAST, s);
	return rc;
}

int idx_path_last(struct idx_reader *r, struct buf *out, uint64_t ino,
		  bool *out_gone)
{
	struct past_item item = { .len = 0 };
	struct buf path = BUF_INIT;
	uint64_t at = 0;
	int rc = walk_up(r, &path, ino, IDX_NOW);

	*out_gone = !rc;
	if (!rc) {
		buf_clear(&path);
		rc = last_name(r, ino, &item, &at);
		if (rc > 0)
			rc = prepend(&path, &item);
		if (rc > 0)
			rc = walk_up(r, &path, item.row.parent, at);
	}
	if (rc > 0)
		rc = append(out, &path);
	buf_release(&path);
	return rc;
}

/* The next component of a path; false at the end. */
static bool component(const char **p, size_t *n, const char **out,
		      size_t *out_n)
{
	while (*n && **p == '/') {
		++*p;
		--*n;
	}
	*out = *p;
	while (*n && **p != '/') {
		++*p;
		--*n;
	}
	*out_n = (size_t)(*p - *out);
	return *out_n > 0;
}

int idx_resolve(struct idx_reader *r, uint64_t *out_ino, const char *path,
		size_t n, uint64_t at)
{
	uint64_t ino = STATE_ROOT_INO;
	struct name_row row;
	const char *name;
	size_t len;
	int rc;

	while (component(&path, &n, &name, &len)) {
		if (len > LIMIT_NAME)
			return 0;
		rc = idx_name_at(r, &row, ino, name, (uint16_t)len, at);
		if (rc <= 0)
			return rc;
		ino = row.ino;
	}
	*out_ino = ino;
	return 1;
}

/* Inodes that had (parent, name), the last first; how many. */
static int past_inos(struct idx_reader *r, uint64_t parent, const char *name,
		     size_t len, uint64_t *out, int max)
{
	sqlite3_stmt *s = NULL;
	bool bad = false;
	int n = 0, rc = idx_reader_take(r, READER_S_NAME_PAST_INOS, &s);

	if (rc)
		return rc;
	db_bind_u64(s, 1, parent);
	db_bind_blob(s, 2, name, len);
	db_bind_u64(s, 3, (uint64_t)max);
	while ((rc = db_step(s)) > 0 && n < max)
		out[n++] = db_u64(s, 0, &bad);
	idx_reader_give(r, READER_S_NAME_PAST_INOS, s);
	if (rc < 0 || bad)
		return rc < 0 ? rc : -ERR_CORRUPT;
	return n;
}

/* One step of the search: a directory, and the path from there. */
struct search {
	struct idx_reader *r;
	unsigned tries; /* left */
	uint64_t ino;	/* found */
	bool gone;
};

static int search_from(struct search *q, uint64_t dir, const char *path,
		       size_t n, unsigned depth, bool gone)
{
	uint64_t v[PATH_INOS + 1], past[PATH_INOS];
	struct name_row row;
	const char *name;
	size_t len;
	int i, k, count = 0, live, rc;

	if (!component(&path, &n, &name, &len)) {
		q->ino = dir;
		q->gone = gone;
		return 1;
	}
	if (len > LIMIT_NAME || depth > LIMIT_PATH / 2)
		return 0;
	live = idx_name(q->r, &row, dir, name, (uint16_t)len);
	if (live < 0)
		return live;
	if (live)
		v[count++] = row.ino;
	k = past_inos(q->r, dir, name, len, past, PATH_INOS);
	if (k < 0)
		return k;
	for (i = 0; i < k; i++)
		if (!count || v[count - 1] != past[i])
			v[count++] = past[i];
	for (i = 0; i < count && q->tries; i++) {
		q->tries--;
		rc = search_from(q, v[i], path, n, depth + 1,
				 gone || !live || i);
		if (rc)
			return rc;
	}
	return 0;
}

int idx_resolve_last(struct idx_reader *r, uint64_t *out_ino, bool *out_gone,
		     const char *path, size_t n)
{
	struct search q = { .r = r, .tries = PATH_TRIES };
	int rc = search_from(&q, STATE_ROOT_INO, path, n, 0, false);

	if (rc > 0) {
		*out_ino = q.ino;
		*out_gone = q.gone;
	}
	return rc;
}
