/*
 * test_query_run.c - SQL in, rows out, and nothing else.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "analytics/query_run.h"
#include "base/buf.h"
#include "base/err.h"
#include "tests/sim/vol.h"

struct got {
	struct query_report report;
	struct buf csv, json;
	char *names[8];
	uint64_t stop_at; /* 0: never */
};

static int on_columns(void *ctx, const struct query_column *v, unsigned n)
{
	struct got *g = ctx;

	for (unsigned i = 0; i < n && i < 8; i++)
		g->names[i] = strdup(v[i].name);
	query_run_csv_head(&g->csv, v, n);
	return 0;
}

static int on_row(void *ctx, const struct query_value *v, unsigned n)
{
	struct got *g = ctx;

	query_run_csv(&g->csv, v, n);
	query_run_json(&g->json, g->names, v, n);
	return g->stop_at && g->report.rows == g->stop_at ? -ERR_LIMIT : 0;
}

static void got_release(struct got *g)
{
	buf_release(&g->csv);
	buf_release(&g->json);
	for (unsigned i = 0; i < 8; i++)
		free(g->names[i]);
	memset(g, 0, sizeof(*g));
}

static int run(const struct vol *v, const char *sql, struct got *g)
{
	struct query_options o = {
		.store = v->tmp.path,
		.sql = sql,
		.sql_n = strlen(sql),
		.time_ms = 300,
		.memory_bytes = 32 << 20,
		.columns = on_columns,
		.row = on_row,
		.ctx = g,
	};
	uint64_t stop = g->stop_at;

	got_release(g);
	g->stop_at = stop;
	return query_run(&g->report, &o);
}

static void begin(struct vol *v)
{
	vol_init(v, 1);
	cr_assert_eq(vol_mount(v), 0);
	cr_assert_eq(core_settle_index(v->core), 0);
}

static void end(struct vol *v)
{
	cr_assert_eq(vol_umount(v), 0);
	vol_release(v);
}

Test(query_run, values_keep_their_types)
{
	struct vol v;
	struct got g = { .stop_at = 0 };

	begin(&v);
	cr_assert_eq(run(&v,
			 "SELECT 1 AS i, 2.0 AS r, 0.1 AS t, NULL AS n, '' "
			 "AS e, 'a\"b,c' AS s, x'00ff' AS b",
			 &g),
		     0, "%s", g.report.words);
	cr_assert_str_eq((char *)g.csv.p, "i,r,t,n,e,s,b\r\n1,2.0,0.1,,\"\","
					  "\"a\"\"b,c\",00ff\r\n");
	cr_assert_str_eq((char *)g.json.p,
			 "{\"i\":1,\"r\":2.0,\"t\":0.1,\"n\":null,\"e\":\"\","
			 "\"s\":\"a\\\"b,c\",\"b\":\"00ff\"}\n");
	cr_assert_eq(g.report.rows, 1);
	cr_assert_gt(g.report.seals, 0);
	cr_assert(!digest_is_zero(&g.report.root));
	cr_assert_eq(
		run(&v, "SELECT kind FROM entries ORDER BY no LIMIT 1", &g), 0);
	cr_assert_str_eq((char *)g.csv.p, "kind\r\ngenesis\r\n");
	got_release(&g);
	end(&v);
}

Test(query_run, nothing_but_the_views_can_be_reached)
{
	static const char *const forbidden[] = {
		"ATTACH ':memory:' AS x",
		"DETACH audit",
		"PRAGMA query_only=OFF",
		"SELECT * FROM inode",
		"SELECT ino FROM audit.inode",
		"SELECT * FROM audit.sqlite_master",
		"SELECT count(*) FROM sqlite_schema",
		"SELECT * FROM pragma_table_info('inode')",
		"SELECT count(*) FROM pragma_database_list",
		"SELECT load_extension('x')",
		"CREATE TABLE t(x)",
		"CREATE TEMP TABLE t(x)",
		"DELETE FROM audit.inode",
		"UPDATE audit.inode SET size=0",
		"DROP TABLE audit.inode",
		"BEGIN",
		"COMMIT",
		"VACUUM INTO 'x'",
		"SELECT 1; DELETE FROM audit.inode",
		"REINDEX",
		"ANALYZE",
		"",
		"-- nothing\n",
	};
	struct vol v;
	struct got g = { .stop_at = 0 };

	begin(&v);
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(*forbidden); i++) {
		cr_assert_eq(run(&v, forbidden[i], &g), -EINVAL, "%s: %s",
			     forbidden[i], g.report.words);
		cr_assert(g.report.words[0]);
	}
	cr_assert_eq(run(&v, "SELECT 1;; -- and a comment\n/* two */ ;", &g),
		     0);
	got_release(&g);
	end(&v);
}

Test(query_run, failure_tells_the_place)
{
	static const char sql[] = "SELECT 1,\n  \x1b[1mnonesuch\nFROM files";
	static const char good[] = "SELECT 1,\n\tnonesuch\nFROM files";
	struct vol v;
	struct got g = { .stop_at = 0 };
	struct buf b = BUF_INIT;

	begin(&v);
	cr_assert_eq(run(&v, good, &g), -EINVAL);
	cr_assert(g.report.has_place);
	cr_assert_eq(g.report.line, 2);
	cr_assert_eq(g.report.column, 2);
	query_run_explain(&b, &g.report, good, sizeof(good) - 1);
	cr_assert(strstr((char *)b.p,
			 "line 2, column 2: no such column: nonesuch\n"),
		  "%s", (char *)b.p);
	cr_assert(strchr((char *)b.p, '^'));
	buf_clear(&b);
	cr_assert_eq(run(&v, sql, &g), -EINVAL);
	query_run_explain(&b, &g.report, sql, sizeof(sql) - 1);
	cr_assert_null(memchr(b.p, '\x1b', b.n), "escapes are shown, not sent");
	buf_release(&b);
	got_release(&g);
	end(&v);
}

Test(query_run, what_runs_too_long_is_cut)
{
	struct vol v;
	struct got g = { .stop_at = 0 };

	begin(&v);
	cr_assert_eq(run(&v,
			 "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT "
			 "x+1 FROM c) SELECT count(*) FROM c",
			 &g),
		     -ETIMEDOUT);
	cr_assert(strstr(g.report.words, "longer than"));
	cr_assert_lt(g.report.elapsed_ns, 5000000000LL);
	got_release(&g);
	end(&v);
}

Test(query_run, what_needs_too_much_memory_is_cut)
{
	struct vol v;
	struct got g = { .stop_at = 0 };
	int rc;

	begin(&v);
	rc = run(&v, "SELECT zeroblob(1000000000)", &g);
	cr_assert_lt(rc, 0);
	rc = run(&v,
		 "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c "
		 "LIMIT 40) SELECT group_concat(hex(zeroblob(1000000))) FROM c",
		 &g);
	cr_assert_lt(rc, 0, "a value of 80 MB");
	cr_assert_eq(run(&v, "SELECT 1", &g), 0, "and the next one runs");
	got_release(&g);
	end(&v);
}

Test(query_run, callback_ends_it)
{
	struct vol v;
	struct got g = { .stop_at = 10 };

	begin(&v);
	cr_assert_eq(run(&v,
			 "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT "
			 "x+1 FROM c) SELECT x FROM c",
			 &g),
		     -ERR_LIMIT);
	cr_assert_eq(g.report.rows, 10);
	got_release(&g);
	end(&v);
}
