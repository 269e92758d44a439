/*
 * cmd_query.c - `vouch query STORE|DIR SQL`: one query over the views of
 * vouchfs-query(5), for a person (columns), as CSV or as JSON lines.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analytics/query_run.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"
#include "mount-tools/opt.h"
#include "mount-tools/print.h"
#include "mount-tools/reader.h"
#include "mount-tools/vouch.h"

enum { FLUSH_BYTES = 64 << 10, CELL_MAX = 60, ROWS_ALIGNED = 200 };
enum query_as { AS_TEXT, AS_CSV, AS_JSON };

struct query {
	enum query_as as;
	unsigned n_columns;
	char **names;
	struct buf out;
	/* Text: the first rows are kept, to find how wide columns are. */
	char **cells;
	size_t n_cells;
	unsigned *width;
	bool laid_out;
};

static void put_cell(struct query *q, const char *s, unsigned i)
{
	size_t n = text_columns(s);

	buf_adds(&q->out, s);
	if (i + 1 == q->n_columns)
		buf_addc(&q->out, '\n');
	else
		do
			buf_addc(&q->out, ' ');
		while (n++ <= q->width[i]);
}

static int lay_out(struct query *q)
{
	q->laid_out = true;
	for (unsigned i = 0; i < q->n_columns; i++)
		q->width[i] = (unsigned)text_columns(q->names[i]);
	for (size_t i = 0; i < q->n_cells; i++) {
		size_t n = text_columns(q->cells[i]);
		unsigned *w = &q->width[i % q->n_columns];

		*w = n > *w ? (unsigned)n : *w;
	}
	for (unsigned i = 0; i < q->n_columns; i++)
		put_cell(q, q->names[i], i);
	for (size_t i = 0; i < q->n_cells; i++)
		put_cell(q, q->cells[i], (unsigned)(i % q->n_columns));
	for (size_t i = 0; i < q->n_cells; i++)
		free(q->cells[i]);
	q->n_cells = 0;
	return print_flush(&q->out);
}

static char *cell_text(const struct query_value *v)
{
	struct buf b = BUF_INIT;

	switch (v->type) {
	case QUERY_NULL:
		buf_addc(&b, '-');
		break;
	case QUERY_INTEGER:
		buf_addf(&b, "%lld", (long long)v->integer);
		break;
	case QUERY_REAL:
		buf_addf(&b, "%.15g", v->real);
		break;
	case QUERY_TEXT:
		text_term_escape(&b, v->p, v->n);
		break;
	case QUERY_BLOB:
		text_hex(&b, v->p, v->n > CELL_MAX ? CELL_MAX : v->n);
		break;
	}
	if (b.n == 0)
		buf_adds(&b, "");
	if (b.bad || !b.p) {
		buf_release(&b);
		return strdup("");
	}
	return buf_take(&b);
}

static int on_columns(void *ctx, const struct query_column *v, unsigned n)
{
	struct query *q = ctx;

	q->n_columns = n;
	q->names = calloc(n, sizeof(*q->names));
	q->width = calloc(n, sizeof(*q->width));
	q->cells = calloc((size_t)n * ROWS_ALIGNED, sizeof(*q->cells));
	if (!q->names || !q->width || !q->cells)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		struct buf b = BUF_INIT;

		if (q->as == AS_TEXT)
			text_term_escape(&b, v[i].name, strlen(v[i].name));
		else
			buf_adds(&b, v[i].name);
		q->names[i] = b.p ? buf_take(&b) : strdup("");
		if (!q->names[i])
			return -ENOMEM;
	}
	if (q->as == AS_CSV)
		query_run_csv_head(&q->out, v, n);
	return 0;
}

static int text_row(struct query *q, const struct query_value *v, unsigned n)
{
	if (!q->laid_out && q->n_cells == (size_t)n * ROWS_ALIGNED) {
		int rc = lay_out(q);

		if (rc < 0)
			return rc;
	}
	for (unsigned i = 0; i < n; i++) {
		char *s = cell_text(&v[i]);

		if (!s)
			return -ENOMEM;
		if (q->laid_out) {
			put_cell(q, s, i);
			free(s);
		} else {
			q->cells[q->n_cells++] = s;
		}
	}
	return 0;
}

static int on_row(void *ctx, const struct query_value *v, unsigned n)
{
	struct query *q = ctx;
	int rc = 0;

	if (q->as == AS_CSV) {
		query_run_csv(&q->out, v, n);
	} else if (q->as == AS_JSON) {
		query_run_json(&q->out, q->names, v, n);
	} else {
		rc = text_row(q, v, n);
	}
	if (rc == 0 && q->out.n > FLUSH_BYTES)
		rc = print_flush(&q->out);
	return rc;
}

static void query_release(struct query *q)
{
	for (size_t i = 0; i < q->n_cells; i++)
		free(q->cells[i]);
	for (unsigned i = 0; q->names && i < q->n_columns; i++)
		free(q->names[i]);
	free(q->names);
	free(q->width);
	free(q->cells);
	buf_release(&q->out);
}

/* Words of a bad query have several lines, escaped already. */
static void explain(const struct query_report *report, const char *sql)
{
	struct buf b = BUF_INIT;

	query_run_explain(&b, report, sql, strlen(sql));
	fflush(stdout);
	fputs("vouch query: ", stderr);
	if (b.n)
		fwrite(b.p, 1, b.n, stderr);
	if (b.n == 0 || b.p[b.n - 1] != '\n')
		fputc('\n', stderr);
	buf_release(&b);
}

static int run(struct query *q, const struct reader *r, const char *sql,
	       uint64_t seconds)
{
	const struct query_options o = {
		.store = r->place.store,
		.sql = sql,
		.sql_n = strlen(sql),
		.time_ms = (uint32_t)(seconds * 1000),
		.columns = on_columns,
		.row = on_row,
		.ctx = q,
	};
	autofree struct query_report *report = calloc(1, sizeof(*report));
	struct errmsg em = ERRMSG_INIT;
	int rc = report ? query_run(report, &o) : -ENOMEM;

	if (rc == 0 && q->as == AS_TEXT && !q->laid_out && q->names)
		rc = lay_out(q);
	if (rc == 0)
		rc = print_flush(&q->out);
	if (rc == 0 && q->as == AS_TEXT && isatty(STDOUT_FILENO))
		printf("(%llu row%s, as of seal %llu)\n",
		       (unsigned long long)report->rows,
		       report->rows == 1 ? "" : "s",
		       (unsigned long long)report->seals);
	if (rc == 0)
		return 0;
	if (report && report->words[0]) {
		explain(report, sql);
		return 1;
	}
	return opt_fail("query", rc, &em);
}

int cmd_query(int argc, char **argv)
{
	struct query q = { .as = AS_TEXT };
	const char *format = "text";
	uint64_t seconds = 0;
	const struct opt options[] = {
		{ 0, "format", OPT_TEXT, &format, "text|csv|json",
		  "how to print (text); json: an object a line" },
		{ 0, "time", OPT_NUMBER, &seconds, "SECONDS",
		  "how long it may take (10)" },
		OPT_END,
	};
	struct errmsg em = ERRMSG_INIT;
	struct reader r;
	int status = opt_parse(options, &argc, &argv, 2, 2), rc;

	if (status != OPT_GO)
		return status;
	if (strcmp(format, "csv") == 0)
		q.as = AS_CSV;
	else if (strcmp(format, "json") == 0)
		q.as = AS_JSON;
	else if (strcmp(format, "text") != 0)
		return opt_misuse("query", "--format=%s: text, csv or json",
				  format);
	if (seconds > 86400)
		return opt_misuse("query", "--time: a day is the most");
	rc = reader_open(&r, argv[0], NULL, READER_INDEX, &em);
	if (rc < 0)
		return opt_fail("query", rc, &em);
	status = run(&q, &r, argv[1], seconds);
	query_release(&q);
	reader_close(&r);
	return status;
}
