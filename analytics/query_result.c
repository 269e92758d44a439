/*
 * query_result.c - runs a query and keeps what it gave.
 *
 * Invariant: a failed result has no rows; a good one has no error text.
 */
#include "analytics/query_result.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "analytics/line.h"
#include "base/err.h"
#include "base/text.h"

#define RESULT_BYTES (256ULL << 20)

struct column {
	char *name, *declared;
	unsigned seen; /* bits 1 << enum query_type */
};

struct query_result {
	atomic_uint refs;
	uint64_t id, ino, version, entry_no;
	int64_t wall_ns;
	int rc;
	struct query_report report;
	struct spool csv, jsonl;
	struct digest csv_sha256, jsonl_sha256;
	struct buf schema, status, error;
	/* while it runs */
	struct column *columns;
	char **names;
	unsigned n;
	struct digest_sha256_ctx *csv_hash, *jsonl_hash;
	struct buf line;
};

static uint64_t next_id(void)
{
	static atomic_uint_fast64_t last;

	return atomic_fetch_add(&last, 1) + 1;
}

static int64_t wall_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* --- rows --- */

static int put(struct query_result *r, struct spool *to,
	       struct digest_sha256_ctx *hash)
{
	digest_sha256_update(hash, r->line.p, r->line.n);
	spool_buf(to, &r->line);
	return to->rc;
}

static int on_columns(void *ctx, const struct query_column *v, unsigned n)
{
	struct query_result *r = ctx;

	r->columns = calloc(n, sizeof(*r->columns));
	r->names = calloc(n, sizeof(*r->names));
	if (!r->columns || !r->names)
		return -ENOMEM;
	r->n = n;
	for (unsigned i = 0; i < n; i++) {
		r->columns[i].name = r->names[i] = strdup(v[i].name);
		if (v[i].declared)
			r->columns[i].declared = strdup(v[i].declared);
		if (!r->names[i])
			return -ENOMEM;
	}
	query_run_csv_head(&r->line, v, n);
	return put(r, &r->csv, r->csv_hash);
}

static int on_row(void *ctx, const struct query_value *v, unsigned n)
{
	struct query_result *r = ctx;
	int rc;

	assert(n == r->n);
	for (unsigned i = 0; i < n; i++)
		r->columns[i].seen |= 1u << v[i].type;
	query_run_csv(&r->line, v, n);
	rc = put(r, &r->csv, r->csv_hash);
	if (rc < 0)
		return rc;
	query_run_json(&r->line, r->names, v, n);
	return put(r, &r->jsonl, r->jsonl_hash);
}

/* --- documents --- */

/* What both documents say: which text, which log. */
static void put_origin(struct query_result *r, struct buf *out)
{
	char sql[DIGEST_HEX_SIZE], root[DIGEST_HEX_SIZE];

	digest_hex(sql, &r->report.sql_sha256);
	digest_hex(root, &r->report.root);
	buf_addf(out, " \"query\": {\"sha256\": \"%s\"", sql);
	if (r->ino) {
		buf_addf(out, ", \"inode\": %llu, \"version\": %llu",
			 (unsigned long long)r->ino,
			 (unsigned long long)r->version);
		buf_adds(out, ", \"entry\": ");
		line_no(out, r->entry_no);
	}
	buf_addf(out,
		 "},\n \"log\": {\"seals\": %llu, \"root\": \"%s\"},\n"
		 " \"rows\": %llu",
		 (unsigned long long)r->report.seals, root,
		 (unsigned long long)(r->rc ? 0 : r->report.rows));
}

static void make_schema(struct query_result *r)
{
	struct buf *out = &r->schema;

	buf_adds(out, "{\"format\": \"vouchfs-query-schema-1\",\n");
	put_origin(r, out);
	buf_adds(out, ",\n \"columns\": [");
	for (unsigned i = 0; i < r->n; i++) {
		const struct column *c = &r->columns[i];
		bool first = true;

		buf_adds(out, i ? ",\n  {" : "\n  {");
		line_text(out, "name", c->name, strlen(c->name));
		if (c->declared) {
			buf_adds(out, ", ");
			line_text(out, "declared", c->declared,
				  strlen(c->declared));
		}
		buf_adds(out, ", \"types\": [");
		for (unsigned t = QUERY_NULL; t <= QUERY_BLOB; t++) {
			if (!(c->seen & 1u << t))
				continue;
			buf_addf(out, "%s\"%s\"", first ? "" : ", ",
				 query_type_word(t));
			first = false;
		}
		buf_adds(out, "]}");
	}
	buf_adds(out, "]}\n");
}

static void put_file(struct buf *out, const char *key, const struct spool *s,
		     const struct digest *sha256)
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(hex, sha256);
	buf_addf(out, ",\n \"%s\": {\"bytes\": %llu, \"sha256\": \"%s\"}", key,
		 (unsigned long long)s->size, hex);
}

static void make_status(struct query_result *r)
{
	struct buf *out = &r->status;

	buf_addf(out,
		 "{\"format\": \"vouchfs-query-status-1\", \"state\": \"%s\","
		 "\n",
		 r->rc ? "failed" : "ok");
	put_origin(r, out);
	buf_addf(out, ",\n \"elapsed_ms\": %lld, \"finished\": ",
		 (long long)(r->report.elapsed_ns / 1000000));
	line_time(out, r->wall_ns);
	if (!r->rc) {
		put_file(out, "result.csv", &r->csv, &r->csv_sha256);
		put_file(out, "result.jsonl", &r->jsonl, &r->jsonl_sha256);
	} else {
		buf_adds(out, ",\n ");
		line_text(out, "error", r->report.words,
			  strlen(r->report.words));
		if (r->report.has_place)
			buf_addf(out, ", \"line\": %u, \"column\": %u",
				 r->report.line, r->report.column);
	}
	buf_adds(out, "}\n");
}

static void fail(struct query_result *r, const struct query_text *text,
		 uint64_t result_bytes)
{
	if (r->rc == -ERR_LIMIT) {
		char size[TEXT_SIZE_SIZE];
		struct buf words = BUF_INIT;

		text_size(size, result_bytes);
		buf_addf(&words, "cut off: the result is larger than %s", size);
		if (words.n < sizeof(r->report.words))
			memcpy(r->report.words, words.p, words.n + 1);
		buf_release(&words);
	}
	query_run_explain(&r->error, &r->report, text->sql, text->n);
	spool_release(&r->csv);
	spool_release(&r->jsonl);
}

static void finish(struct query_result *r, const struct query_text *text,
		   uint64_t result_bytes)
{
	if (!r->rc)
		r->rc = spool_end(&r->csv);
	if (!r->rc)
		r->rc = spool_end(&r->jsonl);
	digest_sha256_final(r->csv_hash, &r->csv_sha256);
	digest_sha256_final(r->jsonl_hash, &r->jsonl_sha256);
	r->wall_ns = wall_now();
	if (r->rc)
		fail(r, text, result_bytes);
	else
		make_schema(r);
	make_status(r);
	for (unsigned i = 0; i < r->n; i++) {
		free(r->columns[i].name);
		free(r->columns[i].declared);
	}
	free(r->columns);
	free(r->names);
	r->columns = NULL;
	r->names = NULL;
	digest_sha256_free(r->csv_hash);
	digest_sha256_free(r->jsonl_hash);
	r->csv_hash = r->jsonl_hash = NULL;
	buf_release(&r->line);
}

struct query_result *query_result_new(const char *store,
				      const struct query_text *text,
				      const struct query_result_limits *l)
{
	struct query_result *r = calloc(1, sizeof(*r));
	uint64_t max = l->result_bytes ? l->result_bytes : RESULT_BYTES;
	struct query_options o = {
		.store = store,
		.sql = text->sql,
		.sql_n = text->n,
		.time_ms = l->time_ms,
		.memory_bytes = l->memory_bytes,
		.columns = on_columns,
		.row = on_row,
		.ctx = r,
	};

	if (!r)
		return NULL;
	atomic_init(&r->refs, 1);
	r->id = next_id();
	r->ino = text->ino;
	r->version = text->version;
	r->entry_no = text->entry_no;
	spool_init(&r->csv, store, max);
	spool_init(&r->jsonl, store, max);
	r->csv_hash = digest_sha256_new();
	r->jsonl_hash = digest_sha256_new();
	if (!r->csv_hash || !r->jsonl_hash) {
		digest_sha256_free(r->csv_hash);
		digest_sha256_free(r->jsonl_hash);
		free(r);
		return NULL;
	}
	r->rc = query_run(&r->report, &o);
	finish(r, text, max);
	return r;
}

struct query_result *query_result_hold(struct query_result *r)
{
	if (r)
		atomic_fetch_add(&r->refs, 1);
	return r;
}

void query_result_drop(struct query_result *r)
{
	if (!r || atomic_fetch_sub(&r->refs, 1) != 1)
		return;
	spool_release(&r->csv);
	spool_release(&r->jsonl);
	buf_release(&r->schema);
	buf_release(&r->status);
	buf_release(&r->error);
	free(r);
}

bool query_result_is_of(const struct query_result *r,
			const struct query_text *text, uint64_t seals)
{
	return r && r->ino == text->ino && r->version == text->version &&
	       r->report.seals >= seals;
}

uint64_t query_result_id(const struct query_result *r)
{
	return r->id;
}

int64_t query_result_time(const struct query_result *r)
{
	return r->wall_ns;
}

bool query_result_failed(const struct query_result *r)
{
	return r->rc != 0;
}

int query_result_code(const struct query_result *r)
{
	return r->rc;
}

const struct spool *query_result_csv(const struct query_result *r)
{
	return &r->csv;
}

const struct spool *query_result_jsonl(const struct query_result *r)
{
	return &r->jsonl;
}

const struct buf *query_result_schema(const struct query_result *r)
{
	return &r->schema;
}

const struct buf *query_result_status(const struct query_result *r)
{
	return &r->status;
}

const struct buf *query_result_error(const struct query_result *r)
{
	return &r->error;
}
