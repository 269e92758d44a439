/*
 * idx_lineage.c - chains of READS: what came in before a version, what went
 * out after an opening.
 *
 * Each process has a chain: READS entries, each naming the one before.  A
 * version names the head at the time it was made, so its inputs are what is
 * on the way from there to the start; and who opened X wrote, after that,
 * what the rest of the chain's versions are.  Entries name only earlier
 * entries, so numbers fall on the way up and rise on the way down; a chain
 * where they do not is damaged.
 *
 * Threads: a reader is used by one thread at a time.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "index/reader_internal.h"

static int item_read(sqlite3_stmt *s, struct idx_read_item *out)
{
	bool bad = false;

	out->reads_no = db_u64(s, 0, &bad);
	out->seq = db_u32(s, 1, &bad);
	out->target_no = db_u64_or_zero(s, 2, &bad);
	out->ino = db_u64_or_zero(s, 3, &bad);
	out->version = db_u64_or_zero(s, 4, &bad);
	out->strength = (uint8_t)db_u32(s, 5, &bad);
	db_digest(s, 6, &out->content, NULL, &bad);
	return bad ? -ERR_CORRUPT : 1;
}

int idx_reads(struct idx_reader *r, struct idx_reads *out, uint64_t no)
{
	sqlite3_stmt *s = NULL;
	bool bad = false;
	int rc = idx_reader_take(r, READER_S_READS, &s);

	if (rc)
		return rc;
	db_bind_u64(s, 1, no);
	rc = db_step(s);
	if (rc > 0) {
		out->no = db_u64(s, 0, &bad);
		out->prev_no = db_u64_or_zero(s, 1, &bad);
		out->actor_no = db_u64_or_zero(s, 2, &bad);
		out->count = db_u32(s, 3, &bad);
	}
	idx_reader_give(r, READER_S_READS, s);
	return bad ? -ERR_CORRUPT : rc;
}

static int each_item(struct idx_reader *r, uint64_t reads_no, idx_read_fn *fn,
		     void *ctx)
{
	sqlite3_stmt *s = NULL;
	struct idx_read_item item;
	int rc = idx_reader_take(r, READER_S_READ_ITEMS, &s);

	if (rc)
		return rc;
	db_bind_u64(s, 1, reads_no);
	while ((rc = db_step(s)) > 0) {
		rc = item_read(s, &item);
		if (rc > 0)
			rc = fn(ctx, &item);
		if (rc)
			break;
	}
	idx_reader_give(r, READER_S_READ_ITEMS, s);
	return rc;
}

int idx_inputs(struct idx_reader *r, uint64_t head, idx_read_fn *fn, void *ctx)
{
	struct idx_reads reads = { .no = 0 };
	int rc;

	while (head) {
		rc = idx_reads(r, &reads, head);
		if (rc <= 0)
			return rc < 0 ? rc : -ERR_CORRUPT;
		if (reads.prev_no >= head)
			return -ERR_CORRUPT;
		rc = each_item(r, head, fn, ctx);
		if (rc)
			return rc;
		head = reads.prev_no;
	}
	return 0;
}

/* READS still to be followed downwards. */
struct frontier {
	uint64_t *v;
	size_t n, cap;
};

static int frontier_push(struct frontier *f, uint64_t no)
{
	uint64_t *v;
	size_t cap;

	if (f->n == f->cap) {
		cap = f->cap ? f->cap * 2 : 64;
		v = realloc(f->v, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		f->v = v;
		f->cap = cap;
	}
	f->v[f->n++] = no;
	return 0;
}

static int versions_of(struct idx_reader *r, uint64_t reads_no,
		       const struct idx_read_item *item, idx_output_fn *fn,
		       void *ctx)
{
	sqlite3_stmt *s = NULL;
	struct idx_version v;
	int rc = idx_reader_take(r, READER_S_VERSIONS_BY_READS, &s);

	if (rc)
		return rc;
	db_bind_u64(s, 1, reads_no);
	while ((rc = db_step(s)) > 0) {
		rc = idx_reader_version(s, &v);
		if (rc > 0)
			rc = fn(ctx, &v, item);
		if (rc)
			break;
	}
	idx_reader_give(r, READER_S_VERSIONS_BY_READS, s);
	return rc;
}

/* Queues the READS that carry on from `no`. */
static int carried_on(struct idx_reader *r, uint64_t no, struct frontier *f)
{
	sqlite3_stmt *s = NULL;
	bool bad = false;
	uint64_t next;
	int rc = idx_reader_take(r, READER_S_READS_NEXT, &s);

	if (rc)
		return rc;
	db_bind_u64(s, 1, no);
	while ((rc = db_step(s)) > 0) {
		next = db_u64(s, 0, &bad);
		rc = bad || next <= no ? -ERR_CORRUPT : frontier_push(f, next);
		if (rc)
			break;
	}
	idx_reader_give(r, READER_S_READS_NEXT, s);
	return rc;
}

static int outputs_of(struct idx_reader *r, const struct idx_read_item *item,
		      idx_output_fn *fn, void *ctx)
{
	struct frontier f = { .n = 0 };
	uint64_t no;
	int rc = frontier_push(&f, item->reads_no);

	while (!rc && f.n) {
		no = f.v[--f.n];
		rc = versions_of(r, no, item, fn, ctx);
		if (!rc)
			rc = carried_on(r, no, &f);
	}
	free(f.v);
	return rc;
}

int idx_outputs(struct idx_reader *r, uint64_t ino, uint64_t version,
		idx_output_fn *fn, void *ctx)
{
	sqlite3_stmt *s = NULL;
	struct idx_read_item item;
	int rc = idx_reader_take(r, READER_S_READ_BY, &s);

	if (rc)
		return rc;
	db_bind_u64(s, 1, ino);
	db_bind_u64(s, 2, version);
	while ((rc = db_step(s)) > 0) {
		rc = item_read(s, &item);
		if (rc > 0)
			rc = outputs_of(r, &item, fn, ctx);
		if (rc)
			break;
	}
	idx_reader_give(r, READER_S_READ_BY, s);
	return rc;
}

/* --- openings, and processes, one by one --- */

int idx_read_items(struct idx_reader *r, uint64_t reads_no, idx_read_fn *fn,
		   void *ctx)
{
	return each_item(r, reads_no, fn, ctx);
}

int idx_readers(struct idx_reader *r, uint64_t ino, uint64_t version,
		idx_read_fn *fn, void *ctx)
{
	sqlite3_stmt *s = NULL;
	struct idx_read_item item;
	int rc = idx_reader_take(r, READER_S_READ_BY, &s);

	if (rc)
		return rc;
	db_bind_u64(s, 1, ino);
	db_bind_u64(s, 2, version);
	while ((rc = db_step(s)) > 0) {
		rc = item_read(s, &item);
		if (rc > 0)
			rc = fn(ctx, &item);
		if (rc)
			break;
	}
	idx_reader_give(r, READER_S_READ_BY, s);
	return rc;
}

/* Calls fn with the number in each row. */
static int each_no(sqlite3_stmt *s, idx_no_fn *fn, void *ctx)
{
	bool bad = false;
	uint64_t no;
	int rc;

	while ((rc = db_step(s)) > 0) {
		no = db_u64(s, 0, &bad);
		rc = bad ? -ERR_CORRUPT : fn(ctx, no);
		if (rc)
			break;
	}
	return rc;
}

int idx_reads_by_actor(struct idx_reader *r, uint64_t actor_no, uint64_t until,
		       idx_no_fn *fn, void *ctx)
{
	sqlite3_stmt *s = NULL;
	int rc = idx_reader_take(r, READER_S_READS_BY_ACTOR, &s);

	if (rc)
		return rc;
	db_bind_u64(s, 1, actor_no);
	db_bind_u64(s, 2, idx_reader_cap(until));
	rc = each_no(s, fn, ctx);
	idx_reader_give(r, READER_S_READS_BY_ACTOR, s);
	return rc;
}

int idx_actor_children(struct idx_reader *r, uint64_t actor_no, idx_no_fn *fn,
		       void *ctx)
{
	sqlite3_stmt *s = NULL;
	int rc = idx_reader_take(r, READER_S_ACTOR_CHILDREN, &s);

	if (rc)
		return rc;
	db_bind_u64(s, 1, actor_no);
	rc = each_no(s, fn, ctx);
	idx_reader_give(r, READER_S_ACTOR_CHILDREN, s);
	return rc;
}
