/*
 * idx_runs.c - see idx_runs.h.
 *
 * Threads: a reader is used by one thread at a time.
 */
#include "index/idx_runs.h"

#include <stdio.h>
#include <stdlib.h>
#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "base/limits.h"
#include "index/reader_internal.h"

enum { SEALS_PAGE = 256, AMBIGUOUS = 2 };

void idx_run_word(char out[RUN_WORD_MAX], const struct idx_run *v)
{
	snprintf(out, RUN_WORD_MAX, "%s.%u", v->name, v->number);
}

/* --- which there are --- */

static int run_read(sqlite3_stmt *s, struct idx_run *out)
{
	bool bad = false;
	const void *p;
	size_t n = 0;

	memset(out, 0, sizeof(*out));
	out->no = db_u64(s, 0, &bad);
	p = db_blob(s, 1, sizeof(out->id), &n, &bad);
	if (!p || n != sizeof(out->id))
		return -ERR_CORRUPT;
	memcpy(out->id, p, n);
	p = db_blob(s, 2, RUN_NAME_MAX, &n, &bad);
	if (!p || !idx_run_name_ok(p, n))
		return -ERR_CORRUPT;
	memcpy(out->name, p, n);
	out->number = db_u32(s, 3, &bad);
	out->implicit = db_u32(s, 4, &bad) != 0;
	out->uid = db_u32(s, 5, &bad);
	out->gid = db_u32(s, 6, &bad);
	out->parent_no = db_u64_or_zero(s, 7, &bad);
	out->started_ns = db_i64(s, 8, &bad);
	out->end_no = db_u64_or_zero(s, 9, &bad);
	out->changed = db_u32(s, 14, &bad) != 0;
	if (out->end_no) {
		out->ended_ns = db_i64(s, 10, &bad);
		out->how = (uint8_t)db_u32(s, 11, &bad);
		out->status = db_u32(s, 12, &bad);
		out->processes = db_u64(s, 13, &bad);
	}
	return bad ? -ERR_CORRUPT : 1;
}

int idx_run(struct idx_reader *r, struct idx_run *out, uint64_t no)
{
	sqlite3_stmt *s = NULL;
	int rc = idx_reader_take(r, READER_S_RUN, &s);

	if (rc)
		return rc;
	db_bind_u64(s, 1, idx_reader_cap(no));
	rc = db_step(s);
	if (rc > 0)
		rc = run_read(s, out);
	idx_reader_give(r, READER_S_RUN, s);
	return rc;
}

int idx_run_by_id(struct idx_reader *r, struct idx_run *out,
		  const uint8_t id[16])
{
	sqlite3_stmt *s = NULL;
	int rc = idx_reader_take(r, READER_S_RUN_BY_ID, &s);

	if (rc)
		return rc;
	db_bind_blob(s, 1, id, 16);
	rc = db_step(s);
	if (rc > 0)
		rc = run_read(s, out);
	idx_reader_give(r, READER_S_RUN_BY_ID, s);
	return rc;
}

static int by_number(struct idx_reader *r, struct idx_run *out,
		     const char *name, size_t n, uint64_t number)
{
	sqlite3_stmt *s = NULL;
	int rc = idx_reader_take(r, READER_S_RUN_BY_WORD, &s);

	if (rc)
		return rc;
	db_bind_blob(s, 1, name, n);
	db_bind_u64(s, 2, number);
	rc = db_step(s);
	if (rc > 0)
		rc = run_read(s, out);
	idx_reader_give(r, READER_S_RUN_BY_WORD, s);
	return rc;
}

/* The newest of that name, and how many there are, counted up to two. */
static int by_name(struct idx_reader *r, struct idx_run *out, const char *name)
{
	sqlite3_stmt *s = NULL;
	int rc = idx_reader_take(r, READER_S_RUNS_BY_NAME, &s), n = 0;
	struct idx_run v;

	if (rc)
		return rc;
	db_bind_blob(s, 1, name, strlen(name));
	while (n < AMBIGUOUS && (rc = db_step(s)) > 0) {
		rc = run_read(s, &v);
		if (rc < 0)
			break;
		if (!n++)
			*out = v;
	}
	idx_reader_give(r, READER_S_RUNS_BY_NAME, s);
	return rc < 0 ? rc : n;
}

/* The number after the last dot; 0: none that is written as we write it. */
static uint64_t word_number(const char *dot)
{
	uint64_t v = 0;

	if (!dot || dot[1] < '1' || dot[1] > '9' || strlen(dot) > 10)
		return 0;
	for (const char *p = dot + 1; *p; p++) {
		if (*p < '0' || *p > '9')
			return 0;
		v = v * 10 + (uint64_t)(*p - '0');
	}
	return v;
}

int idx_run_find(struct idx_reader *r, struct idx_run *out, const char *word)
{
	const char *dot = strrchr(word, '.');
	uint64_t number = word_number(dot);
	int rc = number ?
			 by_number(r, out, word, (size_t)(dot - word), number) :
			 0;

	return rc ? rc : by_name(r, out, word);
}

static int each(struct idx_reader *r, enum reader_statement i, sqlite3_stmt *s,
		idx_run_fn *fn, void *ctx)
{
	struct idx_run v;
	int rc;

	while ((rc = db_step(s)) > 0) {
		rc = run_read(s, &v);
		if (rc > 0)
			rc = fn(ctx, &v);
		if (rc)
			break;
	}
	idx_reader_give(r, i, s);
	return rc;
}

int idx_runs(struct idx_reader *r, uint64_t before, uint32_t max,
	     idx_run_fn *fn, void *ctx)
{
	sqlite3_stmt *s = NULL;
	int rc = idx_reader_take(r, READER_S_RUNS, &s);

	if (rc)
		return rc;
	db_bind_u64(s, 1, idx_reader_cap(before));
	db_bind_u64(s, 2, max);
	return each(r, READER_S_RUNS, s, fn, ctx);
}

int idx_runs_beginning(struct idx_reader *r, const uint8_t *first, size_t n,
		       idx_run_fn *fn, void *ctx)
{
	uint8_t last[16];
	sqlite3_stmt *s = NULL;
	int rc;

	assert(n > 0 && n <= sizeof(last));
	memset(last, 0xff, sizeof(last));
	memcpy(last, first, n);
	rc = idx_reader_take(r, READER_S_RUNS_BEGINNING, &s);
	if (rc)
		return rc;
	db_bind_blob(s, 1, first, n);
	db_bind_blob(s, 2, last, sizeof(last));
	return each(r, READER_S_RUNS_BEGINNING, s, fn, ctx);
}

int idx_runs_open(struct idx_reader *r, idx_run_fn *fn, void *ctx)
{
	sqlite3_stmt *s = NULL;
	int rc = idx_reader_take(r, READER_S_RUNS_OPEN, &s);

	return rc ? rc : each(r, READER_S_RUNS_OPEN, s, fn, ctx);
}

/* --- what one did --- */

/* The next of its seals, from `from` on; how many. */
static int seals_page(struct idx_reader *r, uint64_t run, uint64_t from,
		      uint64_t *out)
{
	sqlite3_stmt *s = NULL;
	int n = 0, rc = idx_reader_take(r, READER_S_RUN_SEALS, &s);
	bool bad = false;

	if (rc)
		return rc;
	db_bind_u64(s, 1, run);
	db_bind_u64(s, 2, idx_reader_cap(from));
	db_bind_u64(s, 3, SEALS_PAGE);
	while (n < SEALS_PAGE && (rc = db_step(s)) > 0)
		out[n++] = db_u64(s, 0, &bad);
	idx_reader_give(r, READER_S_RUN_SEALS, s);
	return rc < 0 ? rc : bad ? -ERR_CORRUPT : n;
}

struct wanted {
	const struct idx_run *run;
	uint64_t from, until;
	uint32_t left;
	idx_entry_fn *fn;
	void *ctx;
};

/* Its entries of one seal. */
static int of_seal(struct idx_reader *r, struct wanted *w, uint64_t seal)
{
	uint64_t first = IDX_ENTRY_NO(seal, 0);
	uint64_t last = IDX_ENTRY_NO(seal, LIMIT_BATCH - 1);
	sqlite3_stmt *s = NULL;
	struct idx_entry e;
	int rc = idx_reader_take(r, READER_S_RUN_ENTRIES, &s);

	if (rc)
		return rc;
	db_bind_u64(s, 1, first > w->from ? first : w->from);
	db_bind_u64(s, 2, last < w->until ? last : w->until);
	db_bind_blob(s, 3, w->run->id, sizeof(w->run->id));
	while (w->left && (rc = db_step(s)) > 0) {
		rc = idx_reader_entry(s, &e);
		if (rc > 0)
			rc = w->fn(w->ctx, &e);
		if (rc)
			break;
		w->left--;
	}
	idx_reader_give(r, READER_S_RUN_ENTRIES, s);
	return rc;
}

int idx_run_entries(struct idx_reader *r, const struct idx_run *run,
		    uint64_t from, uint64_t until, uint32_t max,
		    idx_entry_fn *fn, void *ctx)
{
	struct wanted w = { .run = run,
			    .from = idx_reader_cap(from),
			    .until = idx_reader_cap(until),
			    .left = max,
			    .fn = fn,
			    .ctx = ctx };
	uint64_t seals[SEALS_PAGE], next = IDX_SEAL(w.from);
	int n, rc = 0;

	do {
		n = seals_page(r, run->no, next, seals);
		for (int i = 0; !rc && w.left && i < n; i++) {
			if (IDX_ENTRY_NO(seals[i], 0) > w.until)
				return 0;
			rc = of_seal(r, &w, seals[i]);
			next = seals[i] + 1;
		}
	} while (!rc && w.left && n == SEALS_PAGE);
	return n < 0 ? n : rc;
}

static int take_no(void *ctx, const struct idx_entry *e)
{
	*(uint64_t *)ctx = e->no;
	return 0;
}

int idx_run_last(struct idx_reader *r, const struct idx_run *run, uint64_t *out)
{
	struct wanted w = {
		.run = run, .left = LIMIT_BATCH, .fn = take_no, .ctx = out
	};
	sqlite3_stmt *s = NULL;
	uint64_t seal = 0, before = *out;
	bool bad = false;
	int rc = idx_reader_take(r, READER_S_RUN_SEAL_LAST, &s);

	if (rc)
		return rc;
	db_bind_u64(s, 1, run->no);
	rc = db_step(s);
	if (rc > 0)
		seal = db_u64_or_zero(s, 0, &bad);
	idx_reader_give(r, READER_S_RUN_SEAL_LAST, s);
	if (rc <= 0 || bad || !seal)
		return rc < 0 ? rc : bad ? -ERR_CORRUPT : 0;
	w.until = IDX_ENTRY_NO(seal, LIMIT_BATCH - 1);
	rc = of_seal(r, &w, seal);
	return rc < 0 ? rc : *out != before;
}

int idx_run_actors(struct idx_reader *r, const struct idx_run *run,
		   uint64_t after, uint32_t max, idx_no_fn *fn, void *ctx)
{
	sqlite3_stmt *s = NULL;
	int n = 0, rc = idx_reader_take(r, READER_S_RUN_ACTORS, &s);
	bool bad = false;

	if (rc)
		return rc;
	db_bind_blob(s, 1, run->id, sizeof(run->id));
	db_bind_u64(s, 2, idx_reader_cap(after));
	db_bind_u64(s, 3, max);
	while ((rc = db_step(s)) > 0) {
		uint64_t no = db_u64(s, 0, &bad);

		rc = bad ? -ERR_CORRUPT : fn(ctx, no);
		if (rc)
			break;
		n++;
	}
	idx_reader_give(r, READER_S_RUN_ACTORS, s);
	return rc ? rc : n;
}
