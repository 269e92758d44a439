/*
 * idx_lists.c - the short lists: snapshots, keys, replicas, repairs,
 * parameters; see idx_query.h.
 *
 * Threads: a reader is used by one thread at a time.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "index/reader_internal.h"

enum { LISTS_STR = 65535 };

/* A string of its own, NUL-terminated; the column must have none inside. */
static int text_read(sqlite3_stmt *s, int i, char **out)
{
	bool bad = false;
	size_t n;
	const void *p = db_blob(s, i, LISTS_STR, &n, &bad);

	if (!p || bad || memchr(p, 0, n))
		return -ERR_CORRUPT;
	*out = strndup(p, n);
	return *out ? 0 : -ENOMEM;
}

static void bytes_read(sqlite3_stmt *s, int i, uint8_t *out, size_t n,
		       bool *bad)
{
	size_t have;
	const void *p = db_blob(s, i, n, &have, bad);

	if (p && have == n)
		memcpy(out, p, n);
	else
		*bad = true;
}

/* --- snapshots --- */

static int snapshot_call(sqlite3_stmt *s, idx_snapshot_fn *fn, void *ctx)
{
	autofree char *name = NULL, *comment = NULL;
	struct idx_snapshot v = { .no = 0 };
	bool bad = false;
	int rc;

	v.no = db_u64(s, 1, &bad);
	db_digest(s, 2, &v.position, NULL, &bad);
	db_digest(s, 3, &v.state, NULL, &bad);
	rc = bad ? -ERR_CORRUPT : text_read(s, 0, &name);
	if (!rc)
		rc = text_read(s, 4, &comment);
	if (rc)
		return rc;
	v.name = name;
	v.comment = comment;
	return fn(ctx, &v);
}

int idx_snapshots(struct idx_reader *r, idx_snapshot_fn *fn, void *ctx)
{
	sqlite3_stmt *s = NULL;
	int rc = idx_reader_take(r, READER_S_SNAPSHOTS, &s);

	if (rc)
		return rc;
	while ((rc = db_step(s)) > 0) {
		rc = snapshot_call(s, fn, ctx);
		if (rc)
			break;
	}
	idx_reader_give(r, READER_S_SNAPSHOTS, s);
	return rc;
}

int idx_snapshot_find(struct idx_reader *r, uint64_t *out_at,
		      struct digest *out_position, const char *name)
{
	sqlite3_stmt *s = NULL;
	bool bad = false;
	int rc = idx_reader_take(r, READER_S_SNAPSHOT, &s);

	if (rc)
		return rc;
	db_bind_blob(s, 1, name, strlen(name));
	rc = db_step(s);
	if (rc > 0) {
		*out_at = db_u64(s, 1, &bad);
		db_digest(s, 2, out_position, NULL, &bad);
	}
	idx_reader_give(r, READER_S_SNAPSHOT, s);
	return bad ? -ERR_CORRUPT : rc;
}

/* --- keys --- */

static int key_call(sqlite3_stmt *s, idx_key_fn *fn, void *ctx)
{
	autofree char *name = NULL;
	struct idx_key k = { .no = 0 };
	bool bad = false;
	int rc;

	k.no = db_u64(s, 0, &bad);
	k.mount_no = db_u32(s, 1, &bad);
	k.role = (uint8_t)db_u32(s, 2, &bad);
	bytes_read(s, 3, k.key_id, sizeof(k.key_id), &bad);
	bytes_read(s, 4, k.pub, sizeof(k.pub), &bad);
	k.until_no = db_u64_or_zero(s, 6, &bad);
	k.reason = (uint8_t)db_u64_or_zero(s, 7, &bad);
	k.suspect_since_ns = (int64_t)db_u64_or_zero(s, 8, &bad);
	rc = bad ? -ERR_CORRUPT : text_read(s, 5, &name);
	if (rc)
		return rc;
	k.name = name;
	return fn(ctx, &k);
}

int idx_keys(struct idx_reader *r, idx_key_fn *fn, void *ctx)
{
	sqlite3_stmt *s = NULL;
	int rc = idx_reader_take(r, READER_S_KEYS, &s);

	if (rc)
		return rc;
	while ((rc = db_step(s)) > 0) {
		rc = key_call(s, fn, ctx);
		if (rc)
			break;
	}
	idx_reader_give(r, READER_S_KEYS, s);
	return rc;
}

/* --- replicas and repairs --- */

static int replica_call(sqlite3_stmt *s, idx_replica_fn *fn, void *ctx)
{
	autofree char *location = NULL;
	struct idx_replica v = { .no = 0 };
	bool bad = false;
	int rc;

	v.no = db_u64(s, 0, &bad);
	v.number = (uint16_t)db_u32(s, 1, &bad);
	v.kind = (uint8_t)db_u32(s, 2, &bad);
	bytes_read(s, 3, v.id, sizeof(v.id), &bad);
	v.until_no = db_u64_or_zero(s, 5, &bad);
	rc = bad ? -ERR_CORRUPT : text_read(s, 4, &location);
	if (rc)
		return rc;
	v.location = location;
	return fn(ctx, &v);
}

int idx_replicas(struct idx_reader *r, idx_replica_fn *fn, void *ctx)
{
	sqlite3_stmt *s = NULL;
	int rc = idx_reader_take(r, READER_S_REPLICAS, &s);

	if (rc)
		return rc;
	while ((rc = db_step(s)) > 0) {
		rc = replica_call(s, fn, ctx);
		if (rc)
			break;
	}
	idx_reader_give(r, READER_S_REPLICAS, s);
	return rc;
}

static int repair_call(sqlite3_stmt *s, idx_repair_fn *fn, void *ctx)
{
	autofree char *object = NULL;
	struct idx_repair v = { .no = 0 };
	bool bad = false;
	int rc;

	v.no = db_u64(s, 0, &bad);
	v.what = (uint8_t)db_u32(s, 1, &bad);
	v.source = (uint16_t)db_u32(s, 2, &bad);
	v.target = (uint16_t)db_u32(s, 3, &bad);
	db_digest(s, 4, &v.id, NULL, &bad);
	v.bytes = db_u64(s, 5, &bad);
	rc = bad ? -ERR_CORRUPT : text_read(s, 6, &object);
	if (rc)
		return rc;
	v.object = object;
	return fn(ctx, &v);
}

int idx_repairs(struct idx_reader *r, uint64_t from, uint32_t max,
		idx_repair_fn *fn, void *ctx)
{
	sqlite3_stmt *s = NULL;
	int rc = idx_reader_take(r, READER_S_REPAIRS, &s);

	if (rc)
		return rc;
	db_bind_u64(s, 1, idx_reader_cap(from));
	db_bind_u64(s, 2, max);
	while ((rc = db_step(s)) > 0) {
		rc = repair_call(s, fn, ctx);
		if (rc)
			break;
	}
	idx_reader_give(r, READER_S_REPAIRS, s);
	return rc;
}

int idx_param(struct idx_reader *r, struct buf *out, const char *name)
{
	sqlite3_stmt *s = NULL;
	const void *p = NULL;
	bool bad = false;
	size_t n = 0;
	int rc = idx_reader_take(r, READER_S_PARAM, &s);

	if (rc)
		return rc;
	db_bind_blob(s, 1, name, strlen(name));
	rc = db_step(s);
	if (rc > 0) {
		p = db_blob(s, 0, LISTS_STR, &n, &bad);
		if (p)
			buf_add(out, p, n);
		else
			bad = true;
	}
	idx_reader_give(r, READER_S_PARAM, s);
	if (out->bad)
		return -ENOMEM;
	return bad ? -ERR_CORRUPT : rc;
}
