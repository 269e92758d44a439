/*
 * idx_compare.c - are two indexes the same, row for row?
 *
 * Walks each table of both files in the order of its key, side by side, with
 * bounded memory; before that SQLite checks each file by itself (pages, and
 * that every secondary index agrees with its table).  Rows are compared value
 * by value with their types.  A file whose rows come out of order is damaged;
 * the walk ends all the same, for every step moves on in one of them.
 *
 * Threads: any; the files may be in use by nobody else's applier.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "index/db.h"
#include "index/idx.h"

enum { COMPARE_CACHE_KIB = 16384, COMPARE_WORDS = 1000 };
enum { COMPARE_PATH = 4096 };

/* Every table, and its first columns that are the key. */
static const struct table {
	const char *name, *key;
	int n_key;
} tables[] = {
	{ "meta", "id", 1 },
	{ "inode", "ino", 1 },
	{ "unfinished", "ino", 1 },
	{ "name", "parent,name", 2 },
	{ "name_past", "parent,name,until", 3 },
	{ "xattr", "ino,name", 2 },
	{ "extent", "ino,no,seq", 3 },
	{ "seal", "seal", 1 },
	{ "entry", "no", 1 },
	{ "entry_also", "inode,no", 2 },
	{ "version", "ino,version", 2 },
	{ "actor", "no", 1 },
	{ "run", "no", 1 },
	{ "run_seal", "run,seal", 2 },
	{ "reads", "no", 1 },
	{ "read_item", "reads,seq", 2 },
	{ "pubkey", "no,seq", 2 },
	{ "snapshot", "name", 1 },
	{ "repair", "no", 1 },
	{ "replica", "no", 1 },
	{ "param", "name", 1 },
	{ "policy", "no", 1 },
	{ "policy_rule", "no,seq", 2 },
	{ "hold", "no", 1 },
	{ "gc", "no", 1 },
};

struct compare {
	sqlite3 *db[2];
	const char *name[2];
	void (*found)(void *ctx, const char *words);
	void *ctx;
	uint64_t differences;
};

static void tell(struct compare *c, struct buf *words)
{
	c->differences++;
	if (c->found && c->differences <= COMPARE_WORDS && !words->bad)
		c->found(c->ctx, (const char *)words->p);
	buf_release(words);
}

/* --- values --- */

static int type_rank(int type)
{
	switch (type) {
	case SQLITE_NULL:
		return 0;
	case SQLITE_INTEGER:
	case SQLITE_FLOAT:
		return 1;
	case SQLITE_TEXT:
		return 2;
	default:
		return 3;
	}
}

/* In SQLite's order of values. */
static int compare_values(sqlite3_stmt *a, sqlite3_stmt *b, int i)
{
	int ta = sqlite3_column_type(a, i), tb = sqlite3_column_type(b, i);
	const void *pa, *pb;
	int64_t x, y;
	int na, nb, d;

	if (type_rank(ta) != type_rank(tb))
		return type_rank(ta) < type_rank(tb) ? -1 : 1;
	if (ta == SQLITE_NULL)
		return 0;
	if (ta == SQLITE_INTEGER && tb == SQLITE_INTEGER) {
		x = sqlite3_column_int64(a, i);
		y = sqlite3_column_int64(b, i);
		return x < y ? -1 : x > y;
	}
	if (type_rank(ta) == 1) {
		double v = sqlite3_column_double(a, i);
		double w = sqlite3_column_double(b, i);

		/* An integer is never equal to a float here. */
		return v < w ? -1 : v > w ? 1 : ta < tb ? -1 : ta > tb;
	}
	pa = sqlite3_column_blob(a, i);
	na = sqlite3_column_bytes(a, i);
	pb = sqlite3_column_blob(b, i);
	nb = sqlite3_column_bytes(b, i);
	d = na && nb ? memcmp(pa, pb, (size_t)(na < nb ? na : nb)) : 0;
	return d ? d : na < nb ? -1 : na > nb;
}

static void add_value(struct buf *out, sqlite3_stmt *s, int i)
{
	enum { SHOWN = 64 };
	char text[4 * SHOWN + 1];
	const unsigned char *p;
	int k, n;

	switch (sqlite3_column_type(s, i)) {
	case SQLITE_NULL:
		buf_adds(out, "nothing");
		return;
	case SQLITE_INTEGER:
		buf_addf(out, "%lld", (long long)sqlite3_column_int64(s, i));
		return;
	case SQLITE_FLOAT:
		buf_addf(out, "%g", sqlite3_column_double(s, i));
		return;
	default:
		break;
	}
	p = sqlite3_column_blob(s, i);
	n = sqlite3_column_bytes(s, i);
	for (k = 0; k < n && k < SHOWN && p[k] >= ' ' && p[k] < 0x7f; k++)
		;
	if (n && (k == n || k == SHOWN)) {
		log_escape(text, sizeof(text), (const char *)p,
			   (unsigned long)k);
		buf_addf(out, "\"%s\"%s", text, k < n ? "..." : "");
		return;
	}
	buf_adds(out, "x'");
	for (k = 0; k < n && k < SHOWN; k++)
		buf_addf(out, "%02x", p[k]);
	buf_adds(out, k < n ? "...'" : "'");
}

/* "TABLE(KEY, KEY)" */
static void add_row(struct buf *out, const struct table *t, sqlite3_stmt *s)
{
	int i;

	buf_addf(out, "%s(", t->name);
	for (i = 0; i < t->n_key; i++) {
		if (i)
			buf_adds(out, ", ");
		add_value(out, s, i);
	}
	buf_adds(out, ")");
}

/* --- rows --- */

static void row_missing(struct compare *c, const struct table *t, int side,
			sqlite3_stmt *s)
{
	struct buf w = BUF_INIT;

	add_row(&w, t, s);
	buf_addf(&w, ": in %s alone", c->name[side]);
	tell(c, &w);
}

static void row_values(struct compare *c, const struct table *t,
		       sqlite3_stmt *const s[2])
{
	struct buf w = BUF_INIT;
	int i, n = sqlite3_column_count(s[0]);
	bool differs = false;

	for (i = t->n_key; i < n; i++) {
		if (!compare_values(s[0], s[1], i))
			continue;
		if (!differs)
			add_row(&w, t, s[0]);
		buf_addf(&w, "%s %s is ", differs ? "," : ":",
			 sqlite3_column_name(s[0], i));
		add_value(&w, s[0], i);
		buf_addf(&w, " in %s, ", c->name[0]);
		add_value(&w, s[1], i);
		buf_addf(&w, " in %s", c->name[1]);
		differs = true;
	}
	if (differs)
		tell(c, &w);
}

static int compare_keys(const struct table *t, sqlite3_stmt *const s[2])
{
	int i, d = 0;

	for (i = 0; i < t->n_key && !d; i++)
		d = compare_values(s[0], s[1], i);
	return d;
}

/* A table that cannot be read to its end is a difference, told once. */
static int step(struct compare *c, const struct table *t, int side,
		sqlite3_stmt *s)
{
	struct buf w = BUF_INIT;
	int rc = db_step(s);

	if (rc != -ERR_CORRUPT)
		return rc;
	buf_addf(&w, "%s of %s cannot be read: %s", t->name, c->name[side],
		 sqlite3_errmsg(c->db[side]));
	tell(c, &w);
	return 0;
}

static int compare_table(struct compare *c, const struct table *t)
{
	sqlite3_stmt *s[2] = { NULL, NULL };
	char sql[128];
	int i, d, more[2], rc = 0;

	(void)snprintf(sql, sizeof(sql), "SELECT * FROM %s ORDER BY %s",
		       t->name, t->key);
	for (i = 0; i < 2 && !rc; i++)
		rc = db_prepare(c->db[i], &s[i], sql);
	if (rc)
		goto out;
	more[0] = step(c, t, 0, s[0]);
	more[1] = step(c, t, 1, s[1]);
	while (more[0] >= 0 && more[1] >= 0 && (more[0] || more[1])) {
		d = !more[0] ? 1 : !more[1] ? -1 : compare_keys(t, s);
		if (d < 0)
			row_missing(c, t, 0, s[0]);
		else if (d > 0)
			row_missing(c, t, 1, s[1]);
		else
			row_values(c, t, s);
		if (d <= 0)
			more[0] = step(c, t, 0, s[0]);
		if (d >= 0)
			more[1] = step(c, t, 1, s[1]);
	}
	rc = more[0] < 0 ? more[0] : more[1] < 0 ? more[1] : 0;
out:
	(void)sqlite3_finalize(s[0]);
	(void)sqlite3_finalize(s[1]);
	return rc;
}

/* SQLite's own check of one file; each line it says is a difference. */
static int check_file(struct compare *c, int side)
{
	struct buf w = BUF_INIT;
	sqlite3_stmt *s = NULL;
	const char *text;
	int rc;

	rc = db_prepare(c->db[side], &s, "PRAGMA integrity_check(1000)");
	if (rc)
		return rc;
	while ((rc = db_step(s)) > 0) {
		text = (const char *)sqlite3_column_text(s, 0);
		if (text && !strcmp(text, "ok"))
			continue;
		buf_addf(&w, "%s: %s", c->name[side],
			 text ? text : "cannot be checked");
		tell(c, &w);
	}
	(void)sqlite3_finalize(s);
	if (rc != -ERR_CORRUPT)
		return rc;
	buf_addf(&w, "%s: is damaged", c->name[side]);
	tell(c, &w);
	return 0;
}

static int open_side(struct compare *c, int side, const char *dir,
		     const char *name, struct errmsg *em)
{
	char path[COMPARE_PATH];
	int n = snprintf(path, sizeof(path), "%s/%s", dir, name);
	int rc;

	c->name[side] = name;
	if (n < 0 || (size_t)n >= sizeof(path))
		return errmsg_set(em, -ENAMETOOLONG, "path is too long");
	rc = db_open(&c->db[side], path, DB_READ_ONLY, COMPARE_CACHE_KIB, em);
	return rc ? errmsg_wrap(em, rc, "%s", name) : 0;
}

int idx_compare(const char *dir, const char *name_a, const char *name_b,
		void (*found)(void *ctx, const char *words), void *ctx,
		uint64_t *out_differences, struct errmsg *em)
{
	struct compare c = { .found = found, .ctx = ctx };
	size_t i;
	int rc;

	*out_differences = 0;
	rc = open_side(&c, 0, dir, name_a, em);
	if (!rc)
		rc = open_side(&c, 1, dir, name_b, em);
	if (!rc)
		rc = check_file(&c, 0);
	if (!rc)
		rc = check_file(&c, 1);
	for (i = 0; !rc && i < sizeof(tables) / sizeof(tables[0]); i++)
		rc = compare_table(&c, &tables[i]);
	if (rc)
		(void)errmsg_set(em, rc, "the indexes cannot be compared: %s",
				 err_text(rc));
	db_close(c.db[0]);
	db_close(c.db[1]);
	*out_differences = c.differences;
	return rc;
}
