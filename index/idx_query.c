/*
 * idx_query.c - entries, versions, actors and lists; see idx_query.h.
 *
 * Threads: a reader is used by one thread at a time.
 */
#include "index/idx_query.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "index/reader_internal.h"
#include "ledger/entry.h"

enum { QUERY_STR = 65535, QUERY_PAGE = 256 };

/* Takes a statement, binds up to three numbers. */
static int start(struct idx_reader *r, enum reader_statement i,
		 sqlite3_stmt **out, const uint64_t *v, int n)
{
	int k, rc = idx_reader_take(r, i, out);

	for (k = 0; !rc && k < n; k++)
		db_bind_u64(*out, k + 1, v[k]);
	return rc;
}

/* --- entries --- */

int idx_reader_entry(sqlite3_stmt *s, struct idx_entry *out)
{
	bool bad = false, there = false;
	uint32_t kind;

	out->no = db_u64(s, 0, &bad);
	kind = db_u32(s, 1, &bad);
	out->kind = (uint16_t)kind;
	out->inode = db_u64_or_zero(s, 2, &bad);
	out->parent = db_u64_or_zero(s, 3, &bad);
	out->version = db_u64(s, 4, &bad);
	out->wall_ns = db_i64(s, 5, &bad);
	out->actor_no = db_u64_or_zero(s, 6, &bad);
	out->rejected = db_u32(s, 7, &bad) != 0;
	db_digest(s, 8, &out->leaf, &there, &bad);
	return bad || !there || kind > UINT16_MAX ? -ERR_CORRUPT : 1;
}

int idx_entry(struct idx_reader *r, struct idx_entry *out, uint64_t no)
{
	sqlite3_stmt *s = NULL;
	int rc = start(r, READER_S_ENTRY, &s, &no, 1);

	if (rc)
		return rc;
	rc = db_step(s);
	if (rc > 0)
		rc = idx_reader_entry(s, out);
	idx_reader_give(r, READER_S_ENTRY, s);
	return rc;
}

int idx_entries(struct idx_reader *r, uint64_t from, uint64_t until,
		uint32_t max, idx_entry_fn *fn, void *ctx)
{
	uint64_t v[3] = { idx_reader_cap(from), idx_reader_cap(until), max };
	sqlite3_stmt *s = NULL;
	struct idx_entry e;
	int rc = start(r, READER_S_ENTRIES, &s, v, 3);

	if (rc)
		return rc;
	while ((rc = db_step(s)) > 0) {
		rc = idx_reader_entry(s, &e);
		if (rc > 0)
			rc = fn(ctx, &e);
		if (rc)
			break;
	}
	idx_reader_give(r, READER_S_ENTRIES, s);
	return rc;
}

/* What part of an inode's history is wanted. */
struct history {
	uint64_t ino, from, until;
	uint32_t max; /* of a page */
	bool attributes;
};

static int collect(struct idx_reader *r, enum reader_statement i,
		   const uint64_t *v, int n_v, uint64_t *out, uint32_t max)
{
	sqlite3_stmt *s = NULL;
	bool bad = false;
	uint32_t n = 0;
	int rc = start(r, i, &s, v, n_v);

	if (rc)
		return rc;
	while ((rc = db_step(s)) > 0 && n < max)
		out[n++] = db_u64(s, 0, &bad);
	idx_reader_give(r, i, s);
	if (rc < 0 || bad)
		return rc < 0 ? rc : -ERR_CORRUPT;
	return (int)n;
}

/* Numbers of the inode's VERSIONs from h->from on; how many. */
static int history_versions(struct idx_reader *r, const struct history *h,
			    uint64_t *out)
{
	uint64_t v[3] = { h->ino, 1, h->max };
	struct idx_version last = { .version = 0 };
	int rc = 0;

	if (h->attributes)
		return 0;
	if (h->from)
		rc = idx_version_at(r, &last, h->ino, h->from - 1);
	if (rc < 0)
		return rc;
	if (rc > 0)
		v[1] = last.version + 1;
	return collect(r, READER_S_HISTORY_VERSIONS, v, 3, out, h->max);
}

/* The next page of numbers, at most h->max; how many. */
static int history_page(struct idx_reader *r, const struct history *h,
			uint64_t *out)
{
	uint64_t v[6] = { h->ino,
			  h->from,
			  h->until,
			  h->max,
			  h->attributes ? ENTRY_CREATE : 0,
			  h->attributes ? ENTRY_FREE_ORPHAN : UINT16_MAX };
	uint64_t a[QUERY_PAGE], b[QUERY_PAGE];
	int i = 0, k = 0, n = 0, n_a, n_b;

	n_a = collect(r, READER_S_HISTORY, v, 6, a, h->max);
	if (n_a < 0)
		return n_a;
	n_b = history_versions(r, h, b);
	if (n_b < 0)
		return n_b;
	while (n_b && b[n_b - 1] > h->until)
		n_b--;
	while ((uint32_t)n < h->max && (i < n_a || k < n_b)) {
		if (k == n_b || (i < n_a && a[i] < b[k]))
			out[n++] = a[i++];
		else
			out[n++] = b[k++];
	}
	return n;
}

int idx_history(struct idx_reader *r, uint64_t ino, uint64_t from,
		uint64_t until, uint32_t max, bool attributes, idx_entry_fn *fn,
		void *ctx)
{
	struct history h = { .ino = ino,
			     .from = idx_reader_cap(from),
			     .until = idx_reader_cap(until),
			     .attributes = attributes };
	uint64_t no[QUERY_PAGE];
	struct idx_entry e;
	int i, n, rc;

	while (max) {
		h.max = max < QUERY_PAGE ? max : QUERY_PAGE;
		n = history_page(r, &h, no);
		if (n <= 0)
			return n;
		for (i = 0; i < n; i++) {
			rc = idx_entry(r, &e, no[i]);
			if (rc > 0 && no[i] >= h.from)
				rc = fn(ctx, &e);
			else if (rc >= 0)
				rc = -ERR_CORRUPT;
			if (rc)
				return rc;
		}
		if ((uint32_t)n < h.max)
			return 0;
		max -= (uint32_t)n;
		h.from = no[n - 1] + 1;
	}
	return 0;
}

/* --- places in time --- */

int idx_seal_get(struct idx_reader *r, struct idx_seal_row *out, uint64_t seal)
{
	sqlite3_stmt *s = NULL;
	bool bad = false;
	int rc = start(r, READER_S_SEAL, &s, &seal, 1);

	if (rc)
		return rc;
	rc = db_step(s);
	if (rc > 0) {
		out->seal = db_u64(s, 0, &bad);
		out->mount_no = db_u32(s, 1, &bad);
		out->wall_ns = db_i64(s, 2, &bad);
		out->wall_max_ns = db_i64(s, 3, &bad);
		out->count = db_u32(s, 4, &bad);
	}
	idx_reader_give(r, READER_S_SEAL, s);
	return bad ? -ERR_CORRUPT : rc;
}

/* Within seal `seal`: the last entry before the running maximum passes t. */
static int at_wall_in(struct idx_reader *r, uint64_t seal, int64_t t,
		      uint64_t *out_no)
{
	uint64_t v[2] = { IDX_ENTRY_NO(seal, 0),
			  IDX_ENTRY_NO(seal, LIMIT_BATCH - 1) };
	struct idx_seal_row row;
	sqlite3_stmt *s = NULL;
	bool bad = false;
	int found = 0, rc;
	int64_t wall;

	rc = idx_seal_get(r, &row, seal);
	if (rc <= 0)
		return rc;
	rc = start(r, READER_S_SEAL_WALLS, &s, v, 2);
	if (rc)
		return rc;
	while ((rc = db_step(s)) > 0) {
		wall = db_i64(s, 1, &bad);
		if ((wall < row.wall_ns ? wall : row.wall_ns) > t)
			break;
		*out_no = db_u64(s, 0, &bad);
		found = 1;
	}
	idx_reader_give(r, READER_S_SEAL_WALLS, s);
	if (rc < 0 || bad)
		return rc < 0 ? rc : -ERR_CORRUPT;
	return found;
}

int idx_at_wall(struct idx_reader *r, int64_t t, uint64_t *out_no)
{
	uint64_t lo = 0, hi, mid, seals;
	struct idx_seal_row row;
	struct digest root;
	int rc;

	rc = idx_reader_position(r, &seals, &root);
	if (rc)
		return rc;
	/* lo: seals whose running maximum is <= t. */
	for (hi = seals; lo < hi;) {
		mid = lo + (hi - lo) / 2;
		rc = idx_seal_get(r, &row, mid);
		if (rc <= 0)
			return rc < 0 ? rc : -ERR_CORRUPT;
		if (row.wall_max_ns <= t)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < seals) {
		rc = at_wall_in(r, lo, t, out_no);
		if (rc)
			return rc;
	}
	if (!lo)
		return 0;
	rc = idx_seal_get(r, &row, lo - 1);
	if (rc <= 0 || !row.count)
		return rc < 0 ? rc : -ERR_CORRUPT;
	*out_no = IDX_ENTRY_NO(lo - 1, row.count - 1);
	return 1;
}

/* --- versions --- */

int idx_reader_version(sqlite3_stmt *s, struct idx_version *out)
{
	bool bad = false;

	out->ino = db_u64(s, 0, &bad);
	out->version = db_u64(s, 1, &bad);
	out->no = db_u64(s, 2, &bad);
	out->size = db_u64(s, 3, &bad);
	out->mtime_ns = db_i64(s, 4, &bad);
	out->wall_ns = db_i64(s, 5, &bad);
	db_digest(s, 6, &out->tree_root, NULL, &bad);
	db_digest(s, 7, &out->sha256, &out->has_sha256, &bad);
	out->sha256_no = db_u64_or_zero(s, 8, &bad);
	out->actor_no = db_u64_or_zero(s, 9, &bad);
	out->reads_no = db_u64_or_zero(s, 10, &bad);
	out->reason = (uint8_t)db_u32(s, 11, &bad);
	out->attribution = (uint8_t)db_u32(s, 12, &bad);
	out->released_no = db_u64_or_zero(s, 13, &bad);
	return bad || out->size > LIMIT_FILE_SIZE ? -ERR_CORRUPT : 1;
}

int idx_version(struct idx_reader *r, struct idx_version *out, uint64_t ino,
		uint64_t version)
{
	uint64_t v[2] = { ino, version };
	sqlite3_stmt *s = NULL;
	int rc = start(r, READER_S_VERSION, &s, v, 2);

	if (rc)
		return rc;
	rc = db_step(s);
	if (rc > 0)
		rc = idx_reader_version(s, out);
	idx_reader_give(r, READER_S_VERSION, s);
	return rc;
}

/* One number; 1, 0 (no row, or NULL) or an error. */
static int one_number(struct idx_reader *r, enum reader_statement i,
		      const uint64_t *v, int n, uint64_t *out)
{
	sqlite3_stmt *s = NULL;
	bool bad = false, there = false;
	int rc = start(r, i, &s, v, n);

	if (rc)
		return rc;
	rc = db_step(s);
	if (rc > 0) {
		there = sqlite3_column_type(s, 0) != SQLITE_NULL;
		*out = db_u64_or_zero(s, 0, &bad);
	}
	idx_reader_give(r, i, s);
	if (rc < 0 || bad)
		return rc < 0 ? rc : -ERR_CORRUPT;
	return there;
}

/*
 * The newest two, which are asked for most: one statement, not one and one
 * more for each power of two.  1: found; 0: *hi is the newest of the others.
 */
static int version_late(struct idx_reader *r, struct idx_version *out,
			uint64_t ino, uint64_t at, uint64_t *hi)
{
	sqlite3_stmt *s = NULL;
	struct idx_version v;
	int rc = start(r, READER_S_VERSIONS_LATE, &s, &ino, 1);

	if (rc)
		return rc;
	while ((rc = db_step(s)) > 0) {
		rc = idx_reader_version(s, &v);
		if (rc < 0 || v.no <= at)
			break;
		*hi = v.version - 1;
	}
	if (rc > 0)
		*out = v;
	idx_reader_give(r, READER_S_VERSIONS_LATE, s);
	return rc;
}

int idx_version_at(struct idx_reader *r, struct idx_version *out, uint64_t ino,
		   uint64_t at)
{
	uint64_t lo = 0, hi = 0, mid, no = 0, v[2] = { ino };
	int rc;

	rc = version_late(r, out, ino, at, &hi);
	if (rc)
		return rc;
	/* Versions are 1..max without gaps, their entries ascend. */
	while (lo < hi) {
		mid = hi - (hi - lo) / 2;
		v[1] = mid;
		rc = one_number(r, READER_S_VERSION_NO, v, 2, &no);
		if (rc <= 0)
			return rc < 0 ? rc : -ERR_CORRUPT;
		if (no <= at)
			lo = mid;
		else
			hi = mid - 1;
	}
	return lo ? idx_version(r, out, ino, lo) : 0;
}

static int each_version(struct idx_reader *r, enum reader_statement i,
			const uint64_t v[3], idx_version_fn *fn, void *ctx)
{
	sqlite3_stmt *s = NULL;
	struct idx_version row;
	int rc = start(r, i, &s, v, 3);

	if (rc)
		return rc;
	while ((rc = db_step(s)) > 0) {
		rc = idx_reader_version(s, &row);
		if (rc > 0)
			rc = fn(ctx, &row);
		if (rc)
			break;
	}
	idx_reader_give(r, i, s);
	return rc;
}

int idx_versions(struct idx_reader *r, uint64_t ino, uint64_t from,
		 uint32_t max, idx_version_fn *fn, void *ctx)
{
	uint64_t v[3] = { ino, idx_reader_cap(from), max };

	return each_version(r, READER_S_VERSIONS, v, fn, ctx);
}

int idx_versions_by_actor(struct idx_reader *r, uint64_t actor_no,
			  uint64_t from, uint32_t max, idx_version_fn *fn,
			  void *ctx)
{
	uint64_t v[3] = { actor_no, idx_reader_cap(from), max };

	return each_version(r, READER_S_VERSIONS_BY_ACTOR, v, fn, ctx);
}

/* --- actors --- */

static int str_read(sqlite3_stmt *s, int i, struct idx_str *out)
{
	bool bad = false;
	const void *p = db_blob(s, i, QUERY_STR, &out->n, &bad);

	if (!p || bad || memchr(p, 0, out->n))
		return -ERR_CORRUPT;
	out->p = strndup(p, out->n);
	return out->p ? 0 : -ENOMEM;
}

static void id_read(sqlite3_stmt *s, int i, uint8_t *out, size_t n, bool *bad)
{
	size_t have;
	const void *p = db_blob(s, i, n, &have, bad);

	memset(out, 0, n);
	if (p && have == n)
		memcpy(out, p, n);
	else if (p)
		*bad = true;
}

static int actor_read(sqlite3_stmt *s, struct idx_actor *a)
{
	bool bad = false;
	int rc;

	a->no = db_u64(s, 0, &bad);
	a->parent_no = db_u64_or_zero(s, 1, &bad);
	a->uid = db_u32(s, 2, &bad);
	a->gid = db_u32(s, 3, &bad);
	a->tgid = db_u32(s, 4, &bad);
	a->start = db_u64(s, 5, &bad);
	a->ppid = db_u32(s, 6, &bad);
	db_digest(s, 8, &a->exe_digest, &a->has_exe_digest, &bad);
	a->exe_digest_no = db_u64_or_zero(s, 9, &bad);
	id_read(s, 13, a->run, sizeof(a->run), &bad);
	id_read(s, 14, a->git, sizeof(a->git), &bad);
	a->dirty = db_u32(s, 15, &bad) != 0;
	if (bad)
		return -ERR_CORRUPT;
	rc = str_read(s, 7, &a->exe);
	if (!rc)
		rc = str_read(s, 10, &a->argv);
	if (!rc)
		rc = str_read(s, 11, &a->cwd);
	if (!rc)
		rc = str_read(s, 12, &a->host);
	return rc ? rc : 1;
}

int idx_actor(struct idx_reader *r, struct idx_actor *out, uint64_t no)
{
	struct idx_actor a = { .no = 0 };
	sqlite3_stmt *s = NULL;
	int rc = start(r, READER_S_ACTOR, &s, &no, 1);

	if (rc)
		return rc;
	rc = db_step(s);
	if (rc > 0)
		rc = actor_read(s, &a);
	idx_reader_give(r, READER_S_ACTOR, s);
	if (rc > 0)
		*out = a;
	else
		idx_actor_release(&a);
	return rc;
}

void idx_actor_release(struct idx_actor *a)
{
	free(a->exe.p);
	free(a->argv.p);
	free(a->cwd.p);
	free(a->host.p);
	*a = (struct idx_actor){ .no = 0 };
}

int idx_counts(struct idx_reader *r, struct idx_counts *out)
{
	sqlite3_stmt *s = NULL;
	bool bad = false;
	int rc = start(r, READER_S_COUNTS, &s, NULL, 0);

	if (rc)
		return rc;
	rc = db_step(s);
	if (rc > 0) {
		out->seals = db_u64(s, 0, &bad);
		out->wall_max_ns = db_i64(s, 1, &bad);
		out->files = db_u64(s, 2, &bad);
		out->dirs = db_u64(s, 3, &bad);
		out->others = db_u64(s, 4, &bad);
		out->bytes = db_u64(s, 5, &bad);
		out->entries = db_u64(s, 6, &bad);
		out->rejected = db_u64(s, 7, &bad);
		out->versions = db_u64(s, 8, &bad);
		out->version_bytes = db_u64(s, 9, &bad);
		out->released = db_u64(s, 10, &bad);
		out->released_bytes = db_u64(s, 11, &bad);
	}
	idx_reader_give(r, READER_S_COUNTS, s);
	if (rc < 0)
		return rc;
	return !rc || bad ? -ERR_CORRUPT : 0;
}
