/*
 * query_run.c - the sandbox around SQLite.
 *
 * Walls, each of them enough against most of what could be tried:
 *  - the database file is opened read-only, the main database is empty;
 *  - the authorizer lets a statement read the views, run SELECTs and call
 *    functions that touch nothing outside; no ATTACH, PRAGMA, temporary
 *    table, or table below the views by name;
 *  - a progress handler ends it when time or memory is used up; lengths,
 *    depths and counts have SQLite's own limits below the defaults;
 *  - exactly one statement.
 * Memory is what SQLite says it uses in the whole process; queries that run
 * side by side share the allowance.
 */
#include "analytics/query_run.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/buf.h"
#include "base/text.h"
#include "index/idx.h"
#include "index/idx_views.h"

enum { TIME_MS = 10000, STEPS = 1000, VALUE_MAX = 16 << 20 };
#define MEMORY_BYTES (256ULL << 20)

struct run {
	const struct query_options *o;
	struct query_report *out;
	sqlite3 *db;
	int64_t start_ns, end_ns;
	uint64_t memory_max;
	int stopped; /* why the progress handler did */
};

const char *query_type_word(enum query_type t)
{
	static const char *const words[] = { "null", "integer", "real", "text",
					     "blob" };

	return words[t];
}

/* --- walls --- */

static bool is_view(const char *table)
{
	for (const char *const *v = idx_views_names; *v; v++)
		if (!sqlite3_stricmp(*v, table))
			return true;
	return false;
}

static bool is_table_function(const char *name)
{
	return !sqlite3_stricmp(name, "json_each") ||
	       !sqlite3_stricmp(name, "json_tree");
}

static bool function_allowed(const char *name)
{
	static const char *const banned[] = { "load_extension",
					      "fts3_tokenizer",
					      "readfile",
					      "writefile",
					      "edit",
					      "sqlite_compileoption_get",
					      "sqlite_compileoption_used",
					      NULL };

	for (const char *const *b = banned; *b; b++)
		if (!sqlite3_stricmp(*b, name))
			return false;
	return true;
}

/*
 * SQLite asks so for tables whose columns are not used, those below a view
 * too, without saying which view.
 */
static int may_count(const char *table)
{
	return sqlite3_strnicmp(table, "pragma_", 7) &&
			       sqlite3_strnicmp(table, "sqlite_", 7) ?
		       SQLITE_OK :
		       SQLITE_DENY;
}

static int authorize(void *ctx, int action, const char *a, const char *b,
		     const char *schema, const char *view)
{
	(void)ctx;
	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_RECURSIVE:
		return SQLITE_OK;
	case SQLITE_READ:
		if (view || !a || !*a || is_table_function(a))
			return SQLITE_OK;
		if (b && !*b) /* no column of it: a row count at most */
			return may_count(a);
		if (is_view(a) &&
		    (!schema || !sqlite3_stricmp(schema, "audit")))
			return SQLITE_OK;
		return SQLITE_DENY;
	case SQLITE_FUNCTION:
		return b && function_allowed(b) ? SQLITE_OK : SQLITE_DENY;
	default:
		return SQLITE_DENY;
	}
}

static int progress(void *ctx)
{
	struct run *q = ctx;

	if (clock_mono_ns() > q->end_ns)
		q->stopped = -ETIMEDOUT;
	else if ((uint64_t)sqlite3_memory_used() > q->memory_max)
		q->stopped = -ENOMEM;
	return q->stopped != 0;
}

static void build_walls(struct run *q)
{
	uint32_t ms = q->o->time_ms ? q->o->time_ms : (uint32_t)TIME_MS;
	uint64_t bytes = q->o->memory_bytes ? q->o->memory_bytes : MEMORY_BYTES;

	q->end_ns = q->start_ns + (int64_t)ms * 1000000;
	q->memory_max = (uint64_t)sqlite3_memory_used() + bytes;
	sqlite3_limit(q->db, SQLITE_LIMIT_LENGTH, VALUE_MAX);
	sqlite3_limit(q->db, SQLITE_LIMIT_SQL_LENGTH, QUERY_SQL_MAX);
	sqlite3_limit(q->db, SQLITE_LIMIT_COLUMN, QUERY_COLUMNS_MAX);
	sqlite3_limit(q->db, SQLITE_LIMIT_EXPR_DEPTH, 200);
	sqlite3_limit(q->db, SQLITE_LIMIT_COMPOUND_SELECT, 100);
	sqlite3_limit(q->db, SQLITE_LIMIT_ATTACHED, 1);
	sqlite3_limit(q->db, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000);
	sqlite3_limit(q->db, SQLITE_LIMIT_WORKER_THREADS, 0);
	sqlite3_progress_handler(q->db, STEPS, progress, q);
	sqlite3_set_authorizer(q->db, authorize, q);
}

/* --- failures in words --- */

static void fail_words(struct run *q, const char *words)
{
	if (!q->out->words[0])
		snprintf(q->out->words, sizeof(q->out->words), "%s", words);
}

static void fail_place(struct run *q, size_t offset)
{
	const char *sql = q->o->sql;

	q->out->has_place = true;
	q->out->line = q->out->column = 1;
	for (size_t i = 0; i < offset && i < q->o->sql_n; i++) {
		q->out->column++;
		if (sql[i] == '\n') {
			q->out->line++;
			q->out->column = 1;
		}
	}
}

/* What SQLite's answer means; base: where its text begins in ours. */
static int fail_sqlite(struct run *q, int code, size_t base)
{
	int at = sqlite3_error_offset(q->db);
	char words[128];

	if (q->stopped == -ETIMEDOUT) {
		snprintf(words, sizeof(words),
			 "cut off: it ran longer than %.3g s",
			 (double)(q->end_ns - q->start_ns) / 1e9);
		fail_words(q, words);
		return -ETIMEDOUT;
	}
	if (q->stopped == -ENOMEM || (code & 0xff) == SQLITE_NOMEM) {
		fail_words(q, "cut off: it needs more memory than it may use");
		return -ENOMEM;
	}
	if ((code & 0xff) == SQLITE_AUTH) {
		fail_words(q, "not allowed: only SELECT over the views "
			      "entries, names, files, versions, lineage, "
			      "actors, runs, keys, snapshots, policies, "
			      "holds, releases");
		return -EINVAL;
	}
	fail_words(q, sqlite3_errmsg(q->db));
	if (at >= 0)
		fail_place(q, base + (size_t)at);
	switch (code & 0xff) {
	case SQLITE_IOERR:
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EIO;
	case SQLITE_FULL:
		return -ENOSPC;
	default:
		return -EINVAL;
	}
}

/* --- running --- */

/* In the same transaction as the query: the state it sees. */
static int read_position(struct run *q)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_exec(q->db, "BEGIN", NULL, NULL, NULL);

	if (!rc)
		rc = sqlite3_prepare_v2(q->db,
					"SELECT seals, root FROM audit.meta",
					-1, &s, NULL);
	if (!rc && sqlite3_step(s) == SQLITE_ROW) {
		q->out->seals = (uint64_t)sqlite3_column_int64(s, 0);
		if (sqlite3_column_bytes(s, 1) == DIGEST_SIZE)
			memcpy(q->out->root.b, sqlite3_column_blob(s, 1),
			       DIGEST_SIZE);
	}
	sqlite3_finalize(s);
	if (!rc)
		return 0;
	fail_words(q, "the index cannot be read");
	return -EIO;
}

static void fill_value(sqlite3_stmt *s, int i, struct query_value *v)
{
	memset(v, 0, sizeof(*v));
	switch (sqlite3_column_type(s, i)) {
	case SQLITE_INTEGER:
		v->type = QUERY_INTEGER;
		v->integer = sqlite3_column_int64(s, i);
		break;
	case SQLITE_FLOAT:
		v->type = QUERY_REAL;
		v->real = sqlite3_column_double(s, i);
		break;
	case SQLITE_TEXT:
		v->type = QUERY_TEXT;
		v->p = sqlite3_column_text(s, i);
		v->n = (size_t)sqlite3_column_bytes(s, i);
		break;
	case SQLITE_BLOB:
		v->type = QUERY_BLOB;
		v->p = sqlite3_column_blob(s, i);
		v->n = (size_t)sqlite3_column_bytes(s, i);
		break;
	default:
		break;
	}
}

static int give_columns(struct run *q, sqlite3_stmt *s, unsigned n)
{
	autofree struct query_column *v = calloc(n, sizeof(*v));

	if (!v)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		v[i].name = sqlite3_column_name(s, (int)i);
		v[i].declared = sqlite3_column_decltype(s, (int)i);
		if (!v[i].name)
			return -ENOMEM;
	}
	return q->o->columns(q->o->ctx, v, n);
}

static int give_rows(struct run *q, sqlite3_stmt *s, size_t base)
{
	unsigned n = (unsigned)sqlite3_column_count(s);
	autofree struct query_value *v = calloc(n, sizeof(*v));
	int rc = v ? give_columns(q, s, n) : -ENOMEM;

	while (!rc) {
		int code = sqlite3_step(s);

		if (code == SQLITE_DONE)
			return 0;
		if (code != SQLITE_ROW)
			return fail_sqlite(q, code, base);
		for (unsigned i = 0; i < n; i++)
			fill_value(s, (int)i, &v[i]);
		q->out->rows++;
		rc = q->o->row(q->o->ctx, v, n);
	}
	return rc;
}

/* Blanks, semicolons and comments only? */
static bool nothing_left(const char *p, const char *end)
{
	while (p < end) {
		if (isspace((unsigned char)*p) || *p == ';') {
			p++;
		} else if (end - p >= 2 && p[0] == '-' && p[1] == '-') {
			while (p < end && *p != '\n')
				p++;
		} else if (end - p >= 2 && p[0] == '/' && p[1] == '*') {
			for (p += 2; p < end && (end - p < 2 || p[0] != '*' ||
						 p[1] != '/');)
				p++;
			p = end - p >= 2 ? p + 2 : end;
		} else {
			return false;
		}
	}
	return true;
}

static int run_sql(struct run *q)
{
	const char *sql = q->o->sql, *end = sql + q->o->sql_n, *tail = NULL;
	sqlite3_stmt *s = NULL;
	int rc, code;

	if (memchr(sql, '\0', q->o->sql_n)) {
		fail_words(q, "the text holds a NUL byte");
		return -EINVAL;
	}
	code = sqlite3_prepare_v3(q->db, sql, (int)q->o->sql_n, 0, &s, &tail);
	if (code) {
		rc = fail_sqlite(q, code, 0);
	} else if (!s) {
		fail_words(q, "there is no statement");
		rc = -EINVAL;
	} else if (!nothing_left(tail, end)) {
		fail_words(q, "one statement only");
		fail_place(q, (size_t)(tail - sql));
		rc = -EINVAL;
	} else if (!sqlite3_column_count(s) || !sqlite3_stmt_readonly(s)) {
		fail_words(q, "only SELECT is allowed");
		rc = -EINVAL;
	} else {
		rc = give_rows(q, s, 0);
	}
	sqlite3_finalize(s);
	return rc;
}

int query_run(struct query_report *out, const struct query_options *o)
{
	struct run q = { .o = o, .out = out, .start_ns = clock_mono_ns() };
	struct errmsg em = ERRMSG_INIT;
	int rc;

	memset(out, 0, sizeof(*out));
	digest_sha256(&out->sql_sha256, o->sql, o->sql_n);
	if (o->sql_n > QUERY_SQL_MAX) {
		fail_words(&q, "the text is longer than 1 MiB");
		return -EINVAL;
	}
	rc = idx_views_open(&q.db, o->store, &em);
	if (rc < 0) {
		fail_words(&q, errmsg_text(&em, rc));
		return rc;
	}
	rc = read_position(&q);
	build_walls(&q);
	if (rc >= 0)
		rc = run_sql(&q);
	if (rc < 0)
		fail_words(&q, err_text(rc));
	out->elapsed_ns = clock_mono_ns() - q.start_ns;
	sqlite3_set_authorizer(q.db, NULL, NULL);
	sqlite3_close(q.db);
	return rc < 0 ? rc : 0;
}

/* --- how failures and rows are shown --- */

void query_run_explain(struct buf *out, const struct query_report *r,
		       const char *sql, size_t sql_n)
{
	const char *p = sql, *end = sql + sql_n, *eol;
	size_t before;

	if (r->has_place)
		buf_addf(out, "line %u, column %u: ", r->line, r->column);
	text_term_escape(out, r->words, strlen(r->words));
	buf_addc(out, '\n');
	if (!r->has_place)
		return;
	for (unsigned i = 1; i < r->line && p < end; i++) {
		eol = memchr(p, '\n', (size_t)(end - p));
		p = eol ? eol + 1 : end;
	}
	eol = p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;
	if (!eol)
		eol = end;
	buf_adds(out, "  ");
	text_term_escape(out, p, (size_t)(eol - p));
	buf_adds(out, "\n  ");
	before = r->column - 1;
	if (before > (size_t)(eol - p))
		before = (size_t)(eol - p);
	for (size_t i = 0; i < before; i++)
		buf_addc(out, p[i] == '\t' ? '\t' : ' ');
	buf_adds(out, "^\n");
}

static void put_real(struct buf *out, double v)
{
	char text[40];

	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	buf_adds(out, text);
	if (!strpbrk(text, ".eEn"))
		buf_adds(out, ".0");
}

void query_run_csv_head(struct buf *out, const struct query_column *v,
			unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (i)
			buf_addc(out, ',');
		text_csv_escape(out, v[i].name, strlen(v[i].name));
	}
	buf_adds(out, "\r\n");
}

void query_run_csv(struct buf *out, const struct query_value *v, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (i)
			buf_addc(out, ',');
		switch (v[i].type) {
		case QUERY_INTEGER:
			buf_addf(out, "%lld", (long long)v[i].integer);
			break;
		case QUERY_REAL:
			put_real(out, v[i].real);
			break;
		case QUERY_TEXT: /* NULL is an empty field, "" is quoted */
			text_csv_escape(out, v[i].p, v[i].n);
			if (!v[i].n)
				buf_adds(out, "\"\"");
			break;
		case QUERY_BLOB:
			text_hex(out, v[i].p, v[i].n);
			break;
		case QUERY_NULL:
			break;
		}
	}
	buf_adds(out, "\r\n");
}

void query_run_json(struct buf *out, char *const *names,
		    const struct query_value *v, unsigned n)
{
	buf_addc(out, '{');
	for (unsigned i = 0; i < n; i++) {
		if (i)
			buf_addc(out, ',');
		text_json_string(out, names[i], strlen(names[i]));
		buf_addc(out, ':');
		switch (v[i].type) {
		case QUERY_INTEGER:
			buf_addf(out, "%lld", (long long)v[i].integer);
			break;
		case QUERY_REAL:
			if (v[i].real - v[i].real == 0)
				put_real(out, v[i].real);
			else /* JSON has no infinity */
				buf_adds(out, v[i].real > 0 ? "\"inf\"" :
							      "\"-inf\"");
			break;
		case QUERY_TEXT:
			text_json_string(out, v[i].n ? v[i].p : "", v[i].n);
			break;
		case QUERY_BLOB:
			buf_addc(out, '"');
			text_hex(out, v[i].p, v[i].n);
			buf_addc(out, '"');
			break;
		case QUERY_NULL:
			buf_adds(out, "null");
			break;
		}
	}
	buf_adds(out, "}\n");
}
