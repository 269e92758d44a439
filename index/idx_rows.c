/*
 * idx_rows.c - the keeper of rows behind apply(): inodes cached for the batch
 * (and some longer), names, xattrs and extents straight in SQLite.
 *
 * An inode that is created, changed and given a version in one batch is
 * written once, when the batch ends.  Rows are allocated one by one, so that
 * the pointers handed out stay good while the table of slots grows.
 *
 * Invariants: (1) a slot that is not dirty is what the table holds (live) or
 * says that it holds nothing (not live).  (2) `was_*` is what the table
 * holds.  (3) xattrs and extents exist only for inodes whose row says so
 * (nxattr, INODE_HAS_EXTENTS), so that others need no query when they end.
 *
 * Threads: the applier's.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/limits.h"
#include "index/idx_internal.h"

enum { ROWS_KEEP = 32768, ROWS_MIN = 1024 };

/* --- columns --- */

int idx_row_read(sqlite3_stmt *s, int c, struct inode_row *out)
{
	bool bad = false, sha = false;
	struct inode_row r = { .ino = db_u64(s, c, &bad) };
	const char *target;
	const void *salt;
	size_t n;

	r.mode = db_u32(s, c + 1, &bad);
	r.uid = db_u32(s, c + 2, &bad);
	r.gid = db_u32(s, c + 3, &bad);
	r.rdev = db_u64(s, c + 4, &bad);
	r.nlink = db_u32(s, c + 5, &bad);
	r.flags = db_u32(s, c + 6, &bad);
	r.size = db_u64(s, c + 7, &bad);
	r.atime_ns = db_i64(s, c + 8, &bad);
	r.mtime_ns = db_i64(s, c + 9, &bad);
	r.ctime_ns = db_i64(s, c + 10, &bad);
	r.btime_ns = db_i64(s, c + 11, &bad);
	r.parent = db_u64(s, c + 12, &bad);
	r.version = db_u64(s, c + 13, &bad);
	r.version_no = db_u64(s, c + 14, &bad);
	r.entry_no = db_u64(s, c + 15, &bad);
	r.next_cookie = db_u64(s, c + 16, &bad);
	r.nchild = db_u64(s, c + 17, &bad);
	r.nxattr = db_u32(s, c + 18, &bad);
	db_digest(s, c + 19, &r.last, NULL, &bad);
	db_digest(s, c + 20, &r.version_leaf, NULL, &bad);
	db_digest(s, c + 21, &r.tree_root, NULL, &bad);
	db_digest(s, c + 22, &r.sha256, &sha, &bad);
	salt = db_blob(s, c + 23, sizeof(r.dir_salt), &n, &bad);
	if (salt && n == sizeof(r.dir_salt))
		memcpy(r.dir_salt, salt, n);
	else if (salt || r.flags & INODE_HAS_DIR_SALT)
		bad = true;
	target = db_blob(s, c + 24, LIMIT_SYMLINK, &n, &bad);
	r.allocated = db_u64(s, c + 25, &bad);
	if (sha != !!(r.flags & INODE_HAS_SHA256) || r.mode > 0177777 ||
	    r.size > LIMIT_FILE_SIZE || r.allocated > LIMIT_FILE_SIZE ||
	    S_ISLNK(r.mode) != !!target ||
	    (target && (!n || memchr(target, 0, n))) ||
	    (S_ISDIR(r.mode) && r.next_cookie < STATE_COOKIE_FIRST))
		bad = true;
	if (bad)
		return -ERR_CORRUPT;
	if (target) {
		r.target = strndup(target, n);
		if (!r.target)
			return -ENOMEM;
		r.target_len = (uint16_t)n;
	}
	*out = r;
	return 0;
}

static int row_write(struct idx *x, const struct inode_row *r)
{
	sqlite3_stmt *s = x->s[IDX_S_INODE_PUT];

	db_bind_u64(s, 1, r->ino);
	db_bind_u64(s, 2, r->mode);
	db_bind_u64(s, 3, r->uid);
	db_bind_u64(s, 4, r->gid);
	db_bind_u64(s, 5, r->rdev);
	db_bind_u64(s, 6, r->nlink);
	db_bind_u64(s, 7, r->flags);
	db_bind_u64(s, 8, r->size);
	db_bind_i64(s, 9, r->atime_ns);
	db_bind_i64(s, 10, r->mtime_ns);
	db_bind_i64(s, 11, r->ctime_ns);
	db_bind_i64(s, 12, r->btime_ns);
	db_bind_u64(s, 13, r->parent);
	db_bind_u64(s, 14, r->version);
	db_bind_u64(s, 15, r->version_no);
	db_bind_u64(s, 16, r->entry_no);
	db_bind_u64(s, 17, r->next_cookie);
	db_bind_u64(s, 18, r->nchild);
	db_bind_u64(s, 19, r->nxattr);
	db_bind_digest(s, 20, &r->last);
	db_bind_digest(s, 21, &r->version_leaf);
	db_bind_digest(s, 22, &r->tree_root);
	if (r->flags & INODE_HAS_SHA256)
		db_bind_blob(s, 23, r->sha256.b, DIGEST_SIZE);
	if (r->flags & INODE_HAS_DIR_SALT)
		db_bind_blob(s, 24, r->dir_salt, sizeof(r->dir_salt));
	if (r->target)
		db_bind_blob(s, 25, r->target, r->target_len);
	db_bind_u64(s, 26, r->allocated);
	return db_run(s);
}

/* --- the cache --- */

static size_t slot_of(const struct idx_rows *t, uint64_t ino)
{
	uint64_t h = ino * 0x9e3779b97f4a7c15ULL;

	return (size_t)(h ^ h >> 32) & (t->cap - 1);
}

static struct idx_row *rows_find(const struct idx_rows *t, uint64_t ino)
{
	size_t i;

	if (!t->cap)
		return NULL;
	for (i = slot_of(t, ino); t->slot[i]; i = (i + 1) & (t->cap - 1))
		if (t->slot[i]->row.ino == ino)
			return t->slot[i];
	return NULL;
}

static void rows_insert(struct idx_rows *t, struct idx_row *r)
{
	size_t i = slot_of(t, r->row.ino);

	while (t->slot[i])
		i = (i + 1) & (t->cap - 1);
	t->slot[i] = r;
}

static int rows_grow(struct idx_rows *t)
{
	struct idx_rows bigger = { .cap = t->cap ? t->cap * 2 : ROWS_MIN };
	size_t i;

	if (t->cap && (t->n + 1) * 4 < t->cap * 3)
		return 0;
	bigger.slot = calloc(bigger.cap, sizeof(struct idx_row *));
	if (!bigger.slot)
		return -ENOMEM;
	for (i = 0; i < t->cap; i++)
		if (t->slot[i])
			rows_insert(&bigger, t->slot[i]);
	free(t->slot);
	t->slot = bigger.slot;
	t->cap = bigger.cap;
	return 0;
}

/* The slot for ino, loaded from the table when it is new. */
static int rows_load(struct idx *x, struct idx_row **out, uint64_t ino)
{
	sqlite3_stmt *s = x->s[IDX_S_INODE_GET];
	struct idx_row *r = rows_find(&x->rows, ino);
	int rc;

	*out = r;
	if (r)
		return 0;
	rc = rows_grow(&x->rows);
	if (rc)
		return rc;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	rc = 0;
	if (ino <= x->rows.ino_max || ino > INT64_MAX) {
		db_bind_u64(s, 1, ino);
		rc = db_step(s);
	}
	if (rc > 0) {
		rc = idx_row_read(s, 0, &r->row);
		r->live = r->was_live = true;
		r->was_mode = r->row.mode;
		r->was_flags = r->row.flags;
		r->was_size = r->row.size;
	}
	db_reset(s);
	if (rc < 0) {
		free(r);
		return rc;
	}
	r->row.ino = ino;
	rows_insert(&x->rows, r);
	x->rows.n++;
	*out = r;
	return 0;
}

static int rows_dirty(struct idx *x, struct idx_row *r)
{
	struct idx_rows *t = &x->rows;
	struct idx_row **v;
	size_t cap;

	if (r->dirty)
		return 0;
	if (t->n_dirty == t->cap_dirty) {
		cap = t->cap_dirty ? t->cap_dirty * 2 : ROWS_MIN;
		v = realloc(t->dirty, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		t->dirty = v;
		t->cap_dirty = cap;
	}
	t->dirty[t->n_dirty++] = r;
	r->dirty = true;
	return 0;
}

static int by_ino(const void *a, const void *b)
{
	const struct idx_row *x = *(struct idx_row *const *)a;
	const struct idx_row *y = *(struct idx_row *const *)b;

	return x->row.ino < y->row.ino ? -1 : x->row.ino > y->row.ino;
}

static void count_row(struct idx_meta *m, uint32_t mode, uint64_t size,
		      int64_t sign)
{
	if (S_ISREG(mode)) {
		m->files += sign;
		m->bytes =
			(int64_t)((uint64_t)m->bytes + (uint64_t)sign * size);
	} else if (S_ISDIR(mode)) {
		m->dirs += sign;
	} else {
		m->others += sign;
	}
}

static int flush_unfinished(struct idx *x, const struct idx_row *r)
{
	uint32_t mask = INODE_ORPHAN | INODE_HAS_EXTENTS;
	uint32_t now = r->live ? r->row.flags & mask : 0;
	uint32_t was = r->was_live ? r->was_flags & mask : 0;
	sqlite3_stmt *s;

	if (now == was)
		return 0;
	s = x->s[now ? IDX_S_UNFINISHED_PUT : IDX_S_UNFINISHED_DEL];
	db_bind_u64(s, 1, r->row.ino);
	if (now)
		db_bind_u64(s, 2, now);
	return db_run(s);
}

static int flush_row(struct idx *x, struct idx_row *r)
{
	int rc = 0;

	if (r->was_live)
		count_row(&x->meta, r->was_mode, r->was_size, -1);
	if (r->live) {
		count_row(&x->meta, r->row.mode, r->row.size, 1);
		rc = row_write(x, &r->row);
	} else if (r->was_live) {
		db_bind_u64(x->s[IDX_S_INODE_DEL], 1, r->row.ino);
		rc = db_run(x->s[IDX_S_INODE_DEL]);
	}
	if (!rc)
		rc = flush_unfinished(x, r);
	r->was_live = r->live;
	r->was_mode = r->row.mode;
	r->was_flags = r->row.flags;
	r->was_size = r->row.size;
	r->dirty = false;
	return rc;
}

int idx_rows_flush(struct idx *x)
{
	struct idx_rows *t = &x->rows;
	size_t i;
	int rc;

	if (t->n_dirty)
		qsort(t->dirty, t->n_dirty, sizeof(*t->dirty), by_ino);
	for (i = 0; i < t->n_dirty; i++) {
		rc = flush_row(x, t->dirty[i]);
		if (rc)
			return rc;
	}
	t->n_dirty = 0;
	return 0;
}

void idx_rows_forget(struct idx *x)
{
	struct idx_rows *t = &x->rows;
	size_t i;

	for (i = 0; i < t->cap; i++) {
		if (!t->slot[i])
			continue;
		free(t->slot[i]->row.target);
		free(t->slot[i]);
	}
	free(t->slot);
	free(t->dirty);
	*t = (struct idx_rows){ .ino_max = t->ino_max };
}

int idx_rows_init(struct idx *x)
{
	sqlite3_stmt *s = x->s[IDX_S_INODE_MAX];
	bool bad = false;
	int rc = db_step(s);

	if (rc > 0)
		x->rows.ino_max = db_u64_or_zero(s, 0, &bad);
	if (x->rows.ino_max > INT64_MAX)
		x->rows.ino_max = INT64_MAX;
	db_reset(s);
	return bad ? -ERR_CORRUPT : rc < 0 ? rc : 0;
}

void idx_rows_trim(struct idx *x)
{
	if (x->rows.n > ROWS_KEEP && !x->rows.n_dirty)
		idx_rows_forget(x);
}

/* --- state_ops: inodes --- */

static int op_inode_get(void *st, struct inode_row **out, uint64_t ino)
{
	struct idx_row *r = NULL;
	int rc = rows_load(st, &r, ino);

	if (rc)
		return rc;
	*out = &r->row;
	return r->live;
}

static int op_inode_new(void *st, struct inode_row **out, uint64_t ino)
{
	struct idx *x = st;
	struct idx_row *r = NULL;
	int rc = rows_load(x, &r, ino);

	if (rc)
		return rc;
	if (r->live)
		return -ERR_CORRUPT;
	r->row = (struct inode_row){ .ino = ino };
	r->live = true;
	if (ino <= INT64_MAX && ino > x->rows.ino_max)
		x->rows.ino_max = ino;
	*out = &r->row;
	return rows_dirty(x, r);
}

static int op_inode_touch(void *st, struct inode_row *row)
{
	return rows_dirty(st, (struct idx_row *)row);
}

static int op_extents_clear(void *st, struct inode_row *row)
{
	struct idx *x = st;

	if (!(row->flags & INODE_HAS_EXTENTS))
		return 0;
	db_bind_u64(x->s[IDX_S_EXTENT_CLEAR], 1, row->ino);
	return db_run(x->s[IDX_S_EXTENT_CLEAR]);
}

static int op_inode_del(void *st, struct inode_row *row)
{
	struct idx *x = st;
	struct idx_row *r = (struct idx_row *)row;
	int rc = op_extents_clear(st, row);

	if (!rc && row->nxattr) {
		db_bind_u64(x->s[IDX_S_XATTR_CLEAR], 1, row->ino);
		rc = db_run(x->s[IDX_S_XATTR_CLEAR]);
	}
	if (rc)
		return rc;
	free(row->target);
	*row = (struct inode_row){ .ino = row->ino };
	r->live = false;
	return rows_dirty(x, r);
}

/* --- state_ops: names --- */

static int op_name_get(void *st, struct name_row *out, uint64_t parent,
		       const char *name, uint16_t len)
{
	struct idx *x = st;
	sqlite3_stmt *s = x->s[IDX_S_NAME_GET];
	bool bad = false;
	int rc;

	db_bind_u64(s, 1, parent);
	db_bind_blob(s, 2, name, len);
	rc = db_step(s);
	if (rc > 0) {
		*out = (struct name_row){ .parent = parent };
		out->ino = db_u64(s, 0, &bad);
		out->cookie = db_u64(s, 1, &bad);
		out->since = db_u64(s, 2, &bad);
		out->mode = db_u32(s, 3, &bad);
		if (bad)
			rc = -ERR_CORRUPT;
	}
	db_reset(s);
	return rc;
}

static int op_name_del(void *st, uint64_t parent, const char *name,
		       uint16_t len)
{
	struct idx *x = st;
	sqlite3_stmt *past = x->s[IDX_S_NAME_TO_PAST];
	sqlite3_stmt *del = x->s[IDX_S_NAME_DEL];
	int rc;

	db_bind_u64(past, 1, parent);
	db_bind_blob(past, 2, name, len);
	db_bind_u64(past, 3, x->entry_no);
	rc = db_run(past);
	if (rc)
		return rc;
	db_bind_u64(del, 1, parent);
	db_bind_blob(del, 2, name, len);
	return db_run(del);
}

static int name_add(struct idx *x, const struct name_row *row, const char *name,
		    uint16_t len)
{
	sqlite3_stmt *s = x->s[IDX_S_NAME_ADD];

	db_bind_u64(s, 1, row->parent);
	db_bind_blob(s, 2, name, len);
	db_bind_u64(s, 3, row->ino);
	db_bind_u64(s, 4, row->cookie);
	db_bind_u64(s, 5, row->since);
	db_bind_u64(s, 6, row->mode);
	return db_run(s);
}

static int op_name_put(void *st, const struct name_row *row, const char *name,
		       uint16_t len)
{
	int rc = name_add(st, row, name, len);

	if (rc != -ERR_CORRUPT)
		return rc;
	/* A constraint failed: the name is there (RENAME, exchange). */
	rc = op_name_del(st, row->parent, name, len);
	return rc ? rc : name_add(st, row, name, len);
}

/* --- state_ops: xattrs, extents --- */

static int xattr_has(struct idx *x, uint64_t ino, const char *name,
		     uint16_t len)
{
	sqlite3_stmt *s = x->s[IDX_S_XATTR_HAS];
	int rc;

	db_bind_u64(s, 1, ino);
	db_bind_blob(s, 2, name, len);
	rc = db_step(s);
	db_reset(s);
	return rc;
}

static int op_xattr_put(void *st, struct inode_row *row, const char *name,
			uint16_t len, const void *value, uint32_t value_len,
			const struct digest *chunk, bool *out_was_there)
{
	struct idx *x = st;
	sqlite3_stmt *s = x->s[IDX_S_XATTR_PUT];
	int rc = row->nxattr ? xattr_has(x, row->ino, name, len) : 0;

	if (rc < 0)
		return rc;
	*out_was_there = rc > 0;
	db_bind_u64(s, 1, row->ino);
	db_bind_blob(s, 2, name, len);
	db_bind_u64(s, 3, value_len);
	if (chunk)
		db_bind_blob(s, 5, chunk->b, DIGEST_SIZE);
	else
		db_bind_blob(s, 4, value, value_len);
	return db_run(s);
}

static int op_xattr_del(void *st, struct inode_row *row, const char *name,
			uint16_t len, bool *out_was_there)
{
	struct idx *x = st;
	sqlite3_stmt *s = x->s[IDX_S_XATTR_DEL];
	int rc = row->nxattr ? xattr_has(x, row->ino, name, len) : 0;

	*out_was_there = rc > 0;
	if (rc <= 0)
		return rc;
	db_bind_u64(s, 1, row->ino);
	db_bind_blob(s, 2, name, len);
	return db_run(s);
}

static int op_extents_add(void *st, struct inode_row *row,
			  const struct extent_row *v, uint16_t n,
			  uint64_t entry_no)
{
	struct idx *x = st;
	sqlite3_stmt *s = x->s[IDX_S_EXTENT_ADD];
	unsigned i;
	int rc;

	for (i = 0; i < n; i++) {
		db_bind_u64(s, 1, row->ino);
		db_bind_u64(s, 2, entry_no);
		db_bind_u64(s, 3, i);
		db_bind_u64(s, 4, v[i].off);
		db_bind_u64(s, 5, v[i].len);
		db_bind_u64(s, 6, v[i].chunk_off);
		db_bind_digest(s, 7, &v[i].chunk);
		rc = db_run(s);
		if (rc)
			return rc;
	}
	return 0;
}

const struct state_ops idx_rows_ops = {
	.inode_get = op_inode_get,
	.inode_new = op_inode_new,
	.inode_touch = op_inode_touch,
	.inode_del = op_inode_del,
	.name_get = op_name_get,
	.name_put = op_name_put,
	.name_del = op_name_del,
	.xattr_put = op_xattr_put,
	.xattr_del = op_xattr_del,
	.extents_add = op_extents_add,
	.extents_clear = op_extents_clear,
};
