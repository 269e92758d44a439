/*
 * idx_retain.c - what is kept and what was released: policies, holds, GC
 * entries; see idx_query.h.
 *
 * Threads: a reader is used by one thread at a time.
 */
#include <string.h>

#include "base/err.h"
#include "base/limits.h"
#include "index/reader_internal.h"
#include "ledger/entry.h"

enum { RETAIN_STR = 65535 };

/*
 * A string of its own, NUL-terminated; the column must have none inside.
 * NULL where the column is and may be.
 */
static int text_read(sqlite3_stmt *s, int i, bool may_be_null, char **out)
{
	bool bad = false;
	const void *p;
	size_t n;

	if (may_be_null && sqlite3_column_type(s, i) == SQLITE_NULL)
		return 0;
	p = db_blob(s, i, RETAIN_STR, &n, &bad);
	if (!p || bad || memchr(p, 0, n))
		return -ERR_CORRUPT;
	*out = strndup(p, n);
	return *out ? 0 : -ENOMEM;
}

/* --- policies --- */

int idx_policy(struct idx_reader *r, struct idx_policy *out)
{
	sqlite3_stmt *s = NULL;
	bool bad = false;
	int rc = idx_reader_take(r, READER_S_POLICY, &s);

	if (rc)
		return rc;
	rc = db_step(s);
	if (rc > 0) {
		out->no = db_u64(s, 0, &bad);
		out->count = db_u32(s, 1, &bad);
		if (bad || out->count > LIMIT_RULES)
			rc = -ERR_CORRUPT;
	}
	idx_reader_give(r, READER_S_POLICY, s);
	return rc;
}

static int rule_call(sqlite3_stmt *s, idx_rule_fn *fn, void *ctx)
{
	autofree char *pattern = NULL;
	struct idx_rule v = { .keep = 0 };
	bool bad = false;
	int rc;

	v.position = db_u32(s, 0, &bad);
	if (sqlite3_column_type(s, 1) != SQLITE_NULL) {
		v.keep |= ENTRY_KEEP_AGE;
		v.seconds = db_u64(s, 1, &bad);
	}
	if (sqlite3_column_type(s, 2) != SQLITE_NULL) {
		v.keep |= ENTRY_KEEP_COUNT;
		v.versions = db_u32(s, 2, &bad);
	}
	if (v.seconds > ENTRY_KEEP_SECONDS_MAX)
		bad = true;
	rc = bad ? -ERR_CORRUPT : text_read(s, 3, false, &pattern);
	if (rc)
		return rc;
	v.pattern = pattern;
	return fn(ctx, &v);
}

int idx_rules(struct idx_reader *r, uint64_t no, idx_rule_fn *fn, void *ctx)
{
	sqlite3_stmt *s = NULL;
	int rc = idx_reader_take(r, READER_S_RULES, &s);

	if (rc)
		return rc;
	db_bind_u64(s, 1, no);
	while ((rc = db_step(s)) > 0) {
		rc = rule_call(s, fn, ctx);
		if (rc)
			break;
	}
	idx_reader_give(r, READER_S_RULES, s);
	return rc;
}

/* --- holds --- */

static int hold_call(sqlite3_stmt *s, idx_hold_fn *fn, void *ctx)
{
	autofree char *pattern = NULL, *reason = NULL, *until = NULL;
	struct idx_hold v = { .no = 0 };
	bool bad = false;
	int rc;

	v.no = db_u64(s, 0, &bad);
	v.ino = db_u64_or_zero(s, 1, &bad);
	v.until_no = db_u64_or_zero(s, 4, &bad);
	rc = bad ? -ERR_CORRUPT : text_read(s, 2, true, &pattern);
	if (!rc)
		rc = text_read(s, 3, false, &reason);
	if (!rc)
		rc = text_read(s, 5, true, &until);
	if (!rc && !v.ino == !pattern)
		rc = -ERR_CORRUPT;
	if (rc)
		return rc;
	v.pattern = pattern;
	v.reason = reason;
	v.until_reason = until;
	return fn(ctx, &v);
}

int idx_holds(struct idx_reader *r, idx_hold_fn *fn, void *ctx)
{
	sqlite3_stmt *s = NULL;
	int rc = idx_reader_take(r, READER_S_HOLDS, &s);

	if (rc)
		return rc;
	while ((rc = db_step(s)) > 0) {
		rc = hold_call(s, fn, ctx);
		if (rc)
			break;
	}
	idx_reader_give(r, READER_S_HOLDS, s);
	return rc;
}

/* --- what was released --- */

int idx_releases(struct idx_reader *r, uint64_t from, uint32_t max,
		 idx_release_fn *fn, void *ctx)
{
	struct idx_release v;
	sqlite3_stmt *s = NULL;
	bool bad = false;
	int rc = idx_reader_take(r, READER_S_RELEASES, &s);

	if (rc)
		return rc;
	db_bind_u64(s, 1, idx_reader_cap(from));
	db_bind_u64(s, 2, max);
	while ((rc = db_step(s)) > 0) {
		v.no = db_u64(s, 0, &bad);
		v.policy_no = db_u64_or_zero(s, 1, &bad);
		v.versions = db_u64(s, 2, &bad);
		v.bytes = db_u64(s, 3, &bad);
		rc = bad ? -ERR_CORRUPT : fn(ctx, &v);
		if (rc)
			break;
	}
	idx_reader_give(r, READER_S_RELEASES, s);
	return rc;
}
