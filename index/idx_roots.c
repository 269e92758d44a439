/*
 * idx_roots.c - everything from which content is reachable, for gc: versions
 * not released, writes that no version has absorbed, attribute values kept as
 * chunks, and saves between versions.
 *
 * Read in pages, each a transaction of its own, so that a long walk does not
 * hold back SQLite's checkpoints.  That is enough: rows that come behind the
 * page's place meanwhile are of content that gc knows from elsewhere, and rows
 * that go are not needed any more (fs/store/lease.h).
 *
 * Deletion rests on this, so the number of versions found is compared with
 * the total that the index keeps: an index that lost rows is refused.
 *
 * Threads: a reader is used by one thread at a time.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "index/reader_internal.h"
#include "ledger/entry.h"

enum { PAGE = 512 };

/* Where the next page begins: behind this row. */
struct place {
	uint64_t a, b, c;
	uint8_t name[LIMIT_XATTR_NAME];
	size_t n_name;
};

struct page {
	struct idx_root v[PAGE];
	bool kept[PAGE];
	unsigned n;
	struct place at;
};

/* Fills the page from the statement's next row on. */
typedef int row_fn(sqlite3_stmt *s, struct page *p, struct idx_root *out,
		   bool *out_kept);

static int version_row(sqlite3_stmt *s, struct page *p, struct idx_root *out,
		       bool *out_kept)
{
	bool bad = false, root = false;

	p->at.a = db_u64(s, 0, &bad);
	p->at.b = db_u64(s, 1, &bad);
	out->kind = IDX_ROOT_VERSION;
	out->ino = p->at.a;
	out->version = p->at.b;
	out->no = db_u64(s, 2, &bad);
	out->size = db_u64(s, 3, &bad);
	db_digest(s, 4, &out->id, &root, &bad);
	*out_kept = root && !db_u64_or_zero(s, 5, &bad);
	return bad ? -ERR_CORRUPT : 0;
}

static int extent_row(sqlite3_stmt *s, struct page *p, struct idx_root *out,
		      bool *out_kept)
{
	bool bad = false;

	p->at.a = db_u64(s, 0, &bad);
	p->at.b = db_u64(s, 1, &bad);
	p->at.c = db_u64(s, 2, &bad);
	out->kind = IDX_ROOT_CHUNK;
	out->ino = p->at.a;
	out->no = p->at.b;
	db_digest(s, 3, &out->id, out_kept, &bad);
	return bad ? -ERR_CORRUPT : 0;
}

static int xattr_row(sqlite3_stmt *s, struct page *p, struct idx_root *out,
		     bool *out_kept)
{
	bool bad = false;
	const void *name;

	p->at.a = db_u64(s, 0, &bad);
	name = db_blob(s, 1, LIMIT_XATTR_NAME, &p->at.n_name, &bad);
	if (name)
		memcpy(p->at.name, name, p->at.n_name);
	out->kind = IDX_ROOT_CHUNK;
	out->ino = p->at.a;
	db_digest(s, 2, &out->id, out_kept, &bad);
	return bad || !name ? -ERR_CORRUPT : 0;
}

static int save_row(sqlite3_stmt *s, struct page *p, struct idx_root *out,
		    bool *out_kept)
{
	bool bad = false;

	p->at.a = db_u64(s, 0, &bad);
	out->kind = IDX_ROOT_SAVE;
	out->no = p->at.a;
	out->ino = db_u64_or_zero(s, 1, &bad);
	out->version = db_u64(s, 2, &bad);
	*out_kept = true;
	return bad ? -ERR_CORRUPT : 0;
}

static void bind_place(sqlite3_stmt *s, enum reader_statement i,
		       const struct place *at)
{
	db_bind_u64(s, 1, at->a);
	if (i == READER_S_ROOT_XATTRS)
		db_bind_blob(s, 2, at->name, at->n_name);
	else if (i != READER_S_ROOT_SAVES && i != READER_S_ROOT_SAVES_SHOWN)
		db_bind_u64(s, 2, at->b);
	if (i == READER_S_ROOT_EXTENTS)
		db_bind_u64(s, 3, at->c);
}

static int read_page(struct idx_reader *r, enum reader_statement i, row_fn *row,
		     struct page *p)
{
	struct place from = p->at; /* bound, while p->at goes on */
	sqlite3_stmt *s = NULL;
	int rc = idx_reader_take(r, i, &s);

	p->n = 0;
	if (rc)
		return rc;
	bind_place(s, i, &from);
	while (rc >= 0 && p->n < PAGE && (rc = db_step(s)) > 0) {
		p->v[p->n] = (struct idx_root){ .no = 0 };
		rc = row(s, p, &p->v[p->n], &p->kept[p->n]);
		if (rc >= 0)
			p->n++;
	}
	idx_reader_give(r, i, s);
	return rc < 0 ? rc : 0;
}

static int each(struct idx_reader *r, enum reader_statement i, row_fn *row,
		uint64_t *out_rows, idx_root_fn *fn, void *ctx)
{
	struct page *p = calloc(1, sizeof(*p));
	int rc = p ? 0 : -ENOMEM;

	*out_rows = 0;
	do {
		if (rc == 0)
			rc = read_page(r, i, row, p);
		for (unsigned k = 0; rc == 0 && k < p->n; k++)
			if (p->kept[k])
				rc = fn(ctx, &p->v[k]);
		*out_rows += p ? p->n : 0;
	} while (rc == 0 && p->n == PAGE);
	free(p);
	return rc;
}

int idx_roots(struct idx_reader *r, bool saves, idx_root_fn *fn, void *ctx)
{
	struct idx_counts counts;
	uint64_t versions = 0, rows = 0;
	int rc = idx_counts(r, &counts);

	if (!rc)
		rc = each(r, READER_S_ROOT_VERSIONS, version_row, &versions, fn,
			  ctx);
	if (!rc && versions < counts.versions)
		rc = -ERR_CORRUPT;
	if (!rc)
		rc = each(r, READER_S_ROOT_EXTENTS, extent_row, &rows, fn, ctx);
	if (!rc)
		rc = each(r, READER_S_ROOT_XATTRS, xattr_row, &rows, fn, ctx);
	if (!rc)
		rc = each(r,
			  saves ? READER_S_ROOT_SAVES :
				  READER_S_ROOT_SAVES_SHOWN,
			  save_row, &rows, fn, ctx);
	return rc;
}
