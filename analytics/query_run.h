/*
 * query_run.h - one SQL query over the views of vouchfs-query(5), bounded in
 * time, memory and result.
 *
 * The query runs on a private, read-only connection in which only the views
 * and harmless functions can be named; it sees one consistent state, whose
 * place in the log is told.  Any thread, several at once.
 */
#ifndef ANALYTICS_QUERY_RUN_H
#define ANALYTICS_QUERY_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"

enum query_type {
	QUERY_NULL,
	QUERY_INTEGER,
	QUERY_REAL,
	QUERY_TEXT,
	QUERY_BLOB,
};
/* "null", "integer", "real", "text", "blob". */
const char *query_type_word(enum query_type t);

struct query_value {
	enum query_type type;
	int64_t integer;
	double real;
	const void *p; /* text (no UTF-8 promised) or blob; borrowed */
	size_t n;
};

struct query_column {
	const char *name;     /* as SQLite calls it */
	const char *declared; /* type of the view's column, or NULL */
};

enum { QUERY_COLUMNS_MAX = 2000, QUERY_SQL_MAX = 1 << 20 };

struct query_options {
	const char *store; /* absolute path of STORE */
	const char *sql;
	size_t sql_n;
	uint32_t time_ms;      /* 0: 10,000 */
	uint64_t memory_bytes; /* 0: 256 MiB more than there was */
	/* Nonzero stops and is returned.  columns comes once, first. */
	int (*columns)(void *ctx, const struct query_column *v, unsigned n);
	int (*row)(void *ctx, const struct query_value *v, unsigned n);
	void *ctx;
};

/* Filled as far as it got, also after a failure. */
struct query_report {
	struct digest sql_sha256;
	uint64_t seals; /* the log's size and root that were queried */
	struct digest root;
	uint64_t rows;
	int64_t elapsed_ns;
	/* of a failure */
	bool has_place;
	unsigned line, column; /* from 1, in bytes */
	char words[1024];      /* one line, the reason; "" when it went well */
};

/*
 * 0; -EINVAL: the SQL is wrong or asks for what is not allowed; -ETIMEDOUT;
 * -ENOMEM: the memory limit; else what a callback or the index answered.
 */
int must_use query_run(struct query_report *out, const struct query_options *o);

struct buf;
/*
 * The failure as a person reads it: "line 2, column 8: no such column: x",
 * the line of SQL and a caret below the place.  Escaped for a terminal.
 */
void query_run_explain(struct buf *out, const struct query_report *r,
		       const char *sql, size_t sql_n);
/* One row of CSV (RFC 4180, CRLF): numbers as they are, blobs in hex. */
void query_run_csv(struct buf *out, const struct query_value *v, unsigned n);
void query_run_csv_head(struct buf *out, const struct query_column *v,
			unsigned n);
/* One object with the columns as keys; blobs in hex. */
void query_run_json(struct buf *out, char *const *names,
		    const struct query_value *v, unsigned n);

#endif
