/*
 * idx_reader.c - the mount's look-ups over a read-only connection.
 *
 * Each call is one statement and sees the newest committed state
 * (idx_reader_begin makes several calls see the same).  Statements are
 * prepared when first used.
 *
 * Threads: a reader is used by one thread at a time.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/limits.h"
#include "index/idx_internal.h"
#include "index/reader_internal.h"
#include "ledger/entry.h"

enum { READER_CACHE_KIB = 8192, READER_PATH = 4096, READER_CANDIDATES = 64 };

static const char *const statements[] = {
#define X(id, sql) sql,
	READER_STATEMENTS(X)
#undef X
};

int idx_reader_take(struct idx_reader *r, enum reader_statement i,
		    sqlite3_stmt **out)
{
	return db_take(r->db, &r->s[i], statements[i], out);
}

void idx_reader_give(struct idx_reader *r, enum reader_statement i,
		     sqlite3_stmt *s)
{
	db_give(&r->s[i], s);
}

int idx_reader_open(struct idx_reader **out, const char *dir, struct errmsg *em)
{
	struct idx_reader *r = calloc(1, sizeof(*r));
	char path[READER_PATH];
	int n, rc = -ENOMEM;

	if (!r)
		return errmsg_set(em, rc, "no memory");
	rc = leaves_place(&r->at, dir);
	if (rc) {
		rc = errmsg_set(em, rc, "%s", dir);
		goto fail;
	}
	n = snprintf(path, sizeof(path), "%s/%s", dir, IDX_NAME);
	if (n < 0 || (size_t)n >= sizeof(path)) {
		rc = errmsg_set(em, -ENAMETOOLONG, "path is too long");
		goto fail;
	}
	rc = db_open(&r->db, path, DB_READ_ONLY, READER_CACHE_KIB, em);
	if (rc) {
		rc = errmsg_wrap(em, rc, "%s", IDX_NAME);
		goto fail;
	}
	*out = r;
	return 0;
fail:
	idx_reader_close(r);
	return rc;
}

void idx_reader_close(struct idx_reader *r)
{
	int i;

	if (!r)
		return;
	for (i = 0; i < READER_STATEMENTS_N; i++)
		(void)sqlite3_finalize(r->s[i]);
	db_close(r->db);
	free(r);
}

int idx_reader_begin(struct idx_reader *r)
{
	uint64_t seals;
	struct digest root;
	int rc = db_exec(r->db, "BEGIN");

	if (rc)
		return rc;
	/* The first read fixes the state. */
	rc = idx_reader_position(r, &seals, &root);
	if (rc)
		idx_reader_end(r);
	return rc;
}

void idx_reader_end(struct idx_reader *r)
{
	(void)sqlite3_exec(r->db, "COMMIT", NULL, NULL, NULL);
}

int idx_reader_position(struct idx_reader *r, uint64_t *out_seals,
			struct digest *out_root)
{
	sqlite3_stmt *s = NULL;
	bool bad = false;
	int rc = idx_reader_take(r, READER_S_POSITION, &s);

	if (rc)
		return rc;
	rc = db_step(s);
	if (rc > 0) {
		*out_seals = db_u64(s, 0, &bad);
		db_digest(s, 1, out_root, NULL, &bad);
	}
	idx_reader_give(r, READER_S_POSITION, s);
	if (rc < 0)
		return rc;
	return !rc || bad ? -ERR_CORRUPT : 0;
}

int idx_inode(struct idx_reader *r, struct inode_row *out, uint64_t ino)
{
	sqlite3_stmt *s = NULL;
	int rc = idx_reader_take(r, READER_S_INODE, &s);

	if (rc)
		return rc;
	db_bind_u64(s, 1, ino);
	rc = db_step(s);
	if (rc > 0) {
		rc = idx_row_read(s, 0, out);
		rc = rc ? rc : 1;
	}
	idx_reader_give(r, READER_S_INODE, s);
	return rc;
}

static int name_read(sqlite3_stmt *s, struct name_row *out, uint64_t parent)
{
	bool bad = false;

	out->parent = parent;
	out->ino = db_u64(s, 0, &bad);
	out->cookie = db_u64(s, 1, &bad);
	out->since = db_u64(s, 2, &bad);
	out->mode = db_u32(s, 3, &bad);
	return bad ? -ERR_CORRUPT : 0;
}

int idx_reader_listed(sqlite3_stmt *s, struct name_row *out,
		      const char **out_name, uint16_t *out_len, uint64_t parent)
{
	int rc = name_read(s, out, parent);
	bool bad = false;
	size_t n;

	*out_name = db_blob(s, 4, LIMIT_NAME, &n, &bad);
	*out_len = (uint16_t)n;
	return rc || bad || !*out_name || !entry_name_ok(*out_name, n) ?
		       -ERR_CORRUPT :
		       0;
}

int idx_name(struct idx_reader *r, struct name_row *out, uint64_t parent,
	     const char *name, uint16_t len)
{
	sqlite3_stmt *s = NULL;
	int rc = idx_reader_take(r, READER_S_NAME, &s);

	if (rc)
		return rc;
	db_bind_u64(s, 1, parent);
	db_bind_blob(s, 2, name, len);
	rc = db_step(s);
	if (rc > 0) {
		rc = name_read(s, out, parent);
		rc = rc ? rc : 1;
	}
	idx_reader_give(r, READER_S_NAME, s);
	return rc;
}

int idx_names(struct idx_reader *r, uint64_t parent, uint64_t after,
	      uint32_t max, idx_name_fn *fn, void *ctx)
{
	sqlite3_stmt *s = NULL;
	struct name_row row;
	const char *name;
	uint16_t len;
	int rc;

	if (after > INT64_MAX)
		return 0;
	rc = idx_reader_take(r, READER_S_NAMES, &s);
	if (rc)
		return rc;
	db_bind_u64(s, 1, parent);
	db_bind_u64(s, 2, after);
	db_bind_u64(s, 3, max);
	while ((rc = db_step(s)) > 0) {
		rc = idx_reader_listed(s, &row, &name, &len, parent);
		if (!rc)
			rc = fn(ctx, &row, name, len);
		if (rc)
			break;
	}
	idx_reader_give(r, READER_S_NAMES, s);
	return rc;
}

int idx_xattrs(struct idx_reader *r, uint64_t ino, idx_xattr_fn *fn, void *ctx)
{
	sqlite3_stmt *s = NULL;
	const void *name, *value;
	struct digest chunk;
	bool bad = false, has_chunk = false;
	uint32_t size;
	size_t n, value_n;
	int rc = idx_reader_take(r, READER_S_XATTRS, &s);

	if (rc)
		return rc;
	db_bind_u64(s, 1, ino);
	while ((rc = db_step(s)) > 0) {
		name = db_blob(s, 0, LIMIT_XATTR_NAME, &n, &bad);
		size = db_u32(s, 1, &bad);
		value = db_blob(s, 2, LIMIT_XATTR_VALUE, &value_n, &bad);
		db_digest(s, 3, &chunk, &has_chunk, &bad);
		if (bad || !name || !n || !value != has_chunk ||
		    size > LIMIT_XATTR_VALUE || (value && value_n != size))
			rc = -ERR_CORRUPT;
		else
			rc = fn(ctx, name, (uint16_t)n, value, size,
				has_chunk ? &chunk : NULL);
		if (rc)
			break;
	}
	idx_reader_give(r, READER_S_XATTRS, s);
	return rc;
}

int idx_extents(struct idx_reader *r, uint64_t ino, idx_extent_fn *fn,
		void *ctx)
{
	sqlite3_stmt *s = NULL;
	struct extent_row x;
	bool bad = false;
	uint64_t no;
	int rc = idx_reader_take(r, READER_S_EXTENTS, &s);

	if (rc)
		return rc;
	db_bind_u64(s, 1, ino);
	while ((rc = db_step(s)) > 0) {
		x.off = db_u64(s, 0, &bad);
		x.len = db_u32(s, 1, &bad);
		x.chunk_off = db_u32(s, 2, &bad);
		db_digest(s, 3, &x.chunk, NULL, &bad);
		no = db_u64(s, 4, &bad);
		if (bad || !x.len || x.off > LIMIT_FILE_SIZE ||
		    x.len > LIMIT_FILE_SIZE - x.off)
			rc = -ERR_CORRUPT;
		else
			rc = fn(ctx, &x, no);
		if (rc)
			break;
	}
	idx_reader_give(r, READER_S_EXTENTS, s);
	return rc;
}

int idx_unfinished(struct idx_reader *r, idx_ino_fn *fn, void *ctx)
{
	sqlite3_stmt *s = NULL;
	bool bad = false;
	uint64_t ino;
	uint32_t flags;
	int rc = idx_reader_take(r, READER_S_UNFINISHED, &s);

	if (rc)
		return rc;
	while ((rc = db_step(s)) > 0) {
		ino = db_u64(s, 0, &bad);
		flags = db_u32(s, 1, &bad);
		rc = bad ? -ERR_CORRUPT : fn(ctx, ino, flags);
		if (rc)
			break;
	}
	idx_reader_give(r, READER_S_UNFINISHED, s);
	return rc;
}

int idx_last_ino(struct idx_reader *r, uint32_t mount_no, uint64_t *out_counter)
{
	uint64_t first = (uint64_t)mount_no << 40, mask = (1ULL << 40) - 1;
	sqlite3_stmt *s = NULL;
	bool bad = false;
	uint64_t ino = 0;
	int rc = idx_reader_take(r, READER_S_LAST_INO, &s);

	if (rc)
		return rc;
	db_bind_u64(s, 1, first);
	db_bind_u64(s, 2, first | mask);
	rc = db_step(s);
	if (rc > 0)
		ino = db_u64_or_zero(s, 0, &bad);
	idx_reader_give(r, READER_S_LAST_INO, s);
	if (rc < 0)
		return rc;
	if (!rc || bad || (ino && ino >> 40 != mount_no))
		return -ERR_CORRUPT;
	*out_counter = ino & mask;
	return 0;
}

int idx_inodes(struct idx_reader *r, uint64_t *out)
{
	sqlite3_stmt *s = NULL;
	bool bad = false;
	int rc = idx_reader_take(r, READER_S_INODES, &s);

	if (rc)
		return rc;
	rc = db_step(s);
	*out = rc > 0 ? db_u64(s, 0, &bad) : 0;
	idx_reader_give(r, READER_S_INODES, s);
	if (rc < 0)
		return rc;
	return rc && !bad ? 0 : -ERR_CORRUPT;
}

/* --- leaves --- */

static int leaf_scan(struct idx_reader *r, const struct digest *leaf,
		     uint64_t *out)
{
	sqlite3_stmt *s = NULL;
	bool bad = false;
	int rc = idx_reader_take(r, READER_S_LEAF_SCAN, &s);

	if (rc)
		return rc;
	db_bind_blob(s, 1, leaf->b, DIGEST_SIZE);
	rc = db_step(s);
	if (rc > 0)
		*out = db_u64(s, 0, &bad);
	idx_reader_give(r, READER_S_LEAF_SCAN, s);
	return bad ? -ERR_CORRUPT : rc;
}

static int leaf_is(struct idx_reader *r, const struct digest *leaf, uint64_t no)
{
	sqlite3_stmt *s = NULL;
	struct digest found = digest_zero;
	bool bad = false;
	int rc = idx_reader_take(r, READER_S_LEAF_AT, &s);

	if (rc)
		return rc;
	db_bind_u64(s, 1, no);
	rc = db_step(s);
	if (rc > 0)
		db_digest(s, 0, &found, NULL, &bad);
	idx_reader_give(r, READER_S_LEAF_AT, s);
	if (rc < 0 || bad)
		return rc < 0 ? rc : -ERR_CORRUPT;
	return rc && digest_eq(&found, leaf);
}

int idx_leaf(struct idx_reader *r, const struct digest *leaf,
	     uint64_t *out_entry_no)
{
	uint64_t v[READER_CANDIDATES];
	struct leaves *l;
	int i, n, rc = 0;

	if (digest_is_zero(leaf))
		return 0;
	l = leaves_attach(&r->at, IDX_NAME);
	if (!l)
		return leaf_scan(r, leaf, out_entry_no);
	n = leaves_get(l, leaf, v, READER_CANDIDATES);
	leaves_close(l);
	if (n < 0)
		return n;
	for (i = 0; i < n && i < READER_CANDIDATES && !rc; i++) {
		rc = leaf_is(r, leaf, v[i]);
		if (rc > 0)
			*out_entry_no = v[i];
	}
	return rc;
}
