/*
 * query_result.h - what one run of one query gave: rows as CSV and as JSON
 * lines, the columns, where in the log it looked; or why it failed.
 *
 * Immutable and counted; any thread.
 */
#ifndef ANALYTICS_QUERY_RESULT_H
#define ANALYTICS_QUERY_RESULT_H

#include <stdbool.h>
#include <stdint.h>

#include "analytics/query_run.h"
#include "analytics/spool.h"
#include "base/auto.h"

struct query_result;

/* The text that was run, and which version of which file it is. */
struct query_text {
	char *sql; /* malloc'd, the owner frees */
	size_t n;
	uint64_t ino, version, entry_no;
};

struct query_result_limits {
	uint32_t time_ms;
	uint64_t memory_bytes;
	uint64_t result_bytes; /* 0: 256 MiB; of each form */
};

/* Runs the query; NULL: no memory. */
struct query_result *query_result_new(const char *store,
				      const struct query_text *text,
				      const struct query_result_limits *l);
struct query_result *query_result_hold(struct query_result *r); /* NULL ok */
void query_result_drop(struct query_result *r);			/* NULL ok */

/* Of this text, and of the log at `seals` or later?  false for NULL. */
bool query_result_is_of(const struct query_result *r,
			const struct query_text *text, uint64_t seals);
/* Differs from that of every other result of this process. */
uint64_t query_result_id(const struct query_result *r);
int64_t query_result_time(const struct query_result *r); /* wall clock */
bool query_result_failed(const struct query_result *r);
int query_result_code(const struct query_result *r); /* 0 or negative */

const struct spool *query_result_csv(const struct query_result *r);
const struct spool *query_result_jsonl(const struct query_result *r);
const struct buf *query_result_schema(const struct query_result *r);
const struct buf *query_result_status(const struct query_result *r);
const struct buf *query_result_error(const struct query_result *r);

#endif
