/*
 * test_idx_golden.c - a log made once gives, for ever, the rows it gave then.
 *
 * tests/golden/index-vN.log holds stored entries (u32 length, bytes), 8 to a
 * seal; the text beside it every row of every table and what the views say.
 * A difference is a change of apply() or of the schema: existing volumes
 * would get another index, so it needs a new SCHEMA_VERSION, a new text for
 * each log, and a new log when there are new kinds.  GOLDEN=write makes the
 * texts, and the newest log, where they are missing; it changes none.
 *
 * Log 1: all kinds of version 1.  Log 2: policies, holds and releases, too.
 * Log 3: runs.
 */
#include <criterion/criterion.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/vio.h"
#include "index/idx_views.h"
#include "tests/sim/idx_world.h"

static const struct {
	const char *log, *text;
} golden[] = {
	{ "tests/golden/index-v1.log", "tests/golden/index-v1.schema7.txt" },
	{ "tests/golden/index-v2.log", "tests/golden/index-v2.schema7.txt" },
	{ "tests/golden/index-v3.log", "tests/golden/index-v3.schema7.txt" },
};
enum { GOLDEN = sizeof(golden) / sizeof(golden[0]) };

enum { SEAL = 8, ENTRIES = 400 /* of a new log */, FILE_MAX = 1 << 22 };

static const char *const tables[] = {
	"meta",	     "inode",	 "unfinished", "name",	      "name_past",
	"xattr",     "extent",	 "seal",       "entry",	      "entry_also",
	"version",   "actor",	 "reads",      "read_item",   "pubkey",
	"snapshot",  "repair",	 "replica",    "param",	      "files",
	"versions",  "entries",	 "names",      "lineage",     "actors",
	"snapshots", "keys",	 "policy",     "policy_rule", "hold",
	"gc",	     "policies", "holds",      "releases",    "run",
	"run_seal",  "runs",
};

static bool writing(void)
{
	const char *v = getenv("GOLDEN");

	return v && !strcmp(v, "write");
}

static void slurp(struct buf *out, const char *path)
{
	struct vio *v = NULL;

	cr_assert_eq(vio_posix_open(&v, "."), 0);
	cr_assert_eq(vio_read_file(v, out, path, FILE_MAX), 0, "%s", path);
	vio_free(v);
}

static void spill(const struct buf *b, const char *path)
{
	FILE *f = fopen(path, "w");

	cr_assert(f);
	cr_assert_eq(fwrite(b->p, 1, b->n, f), b->n);
	cr_assert_eq(fclose(f), 0);
}

/* --- making the log --- */

static void renamed(struct digest *v, unsigned n, const struct digest *old,
		    const struct digest *leaf)
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (digest_eq(&v[i], old))
			v[i] = *leaf;
}

static void make_log(struct buf *out)
{
	struct apply_options o = { .entry_no = 0 };
	struct entry_gen *g;
	struct gen_entry e;
	struct idx_world w;
	struct digest leaf;
	struct buf b = BUF_INIT;
	uint8_t salt[16] = { 7 };
	unsigned n = 0;

	idx_world_init(&w, "golden", 20261121, 4);
	g = &w.gen;
	while (n < ENTRIES) {
		if (n)
			entry_gen_next(g, &e, &w.mem);
		else
			entry_gen_root(g, &e);
		buf_clear(&b);
		if (e.e.body.opaque ||
		    entry_store(&b, &leaf, &e.e, salt) != 0) {
			gen_entry_release(&e);
			continue;
		}
		renamed(g->actors, 16, &e.leaf, &leaf);
		renamed(g->reads, 16, &e.leaf, &leaf);
		renamed(g->versions, 64, &e.leaf, &leaf);
		renamed(g->holds, 4, &e.leaf, &leaf);
		renamed(&g->policy, 1, &e.leaf, &leaf);
		o.entry_no = IDX_ENTRY_NO(n / SEAL, n % SEAL);
		o.leaf = &leaf;
		cr_assert_geq(apply(&w.mem, &state_mem_ops, &e.e, &o, NULL), 0);
		buf_u32(out, (uint32_t)b.n);
		buf_add(out, b.p, b.n);
		gen_entry_release(&e);
		n++;
	}
	buf_release(&b);
	idx_world_release(&w);
}

/* --- the index of it, as text --- */

static void apply_log(struct idx *x, const struct buf *log)
{
	struct digest leaf, root = { .b = { 1 } };
	struct entry_view v;
	struct breader r;
	struct entry e;
	uint64_t no = 0;
	uint32_t n;
	const uint8_t *p;

	breader_init(&r, log->p, log->n);
	cr_assert_eq(idx_begin(x), 0);
	while (r.left) {
		n = breader_u32(&r);
		p = breader_borrow(&r, n);
		cr_assert(p);
		cr_assert_eq(entry_open(&e, &v, p, n, NULL), 0);
		entry_view_leaf(&leaf, &v);
		if (no % SEAL == 0)
			cr_assert_eq(idx_seal(x, no / SEAL, 1,
					      e.core.wall_ns + 1000, SEAL),
				     0);
		cr_assert_eq(idx_apply(x, &e, &leaf,
				       IDX_ENTRY_NO(no / SEAL, no % SEAL)),
			     0);
		no++;
	}
	cr_assert_eq(no % SEAL, 0);
	cr_assert_eq(idx_end(x, no / SEAL, &root), 0);
}

static void add_value(struct buf *out, sqlite3_stmt *s, int i)
{
	const unsigned char *p = sqlite3_column_blob(s, i);
	int k, n = sqlite3_column_bytes(s, i);

	switch (sqlite3_column_type(s, i)) {
	case SQLITE_NULL:
		buf_adds(out, "-");
		return;
	case SQLITE_INTEGER:
		buf_addf(out, "%lld", (long long)sqlite3_column_int64(s, i));
		return;
	default:
		break;
	}
	for (k = 0; k < n && p[k] > ' ' && p[k] < 0x7f; k++)
		;
	if (k == n) {
		buf_addf(out, "'%.*s'", n, n ? (const char *)p : "");
		return;
	}
	buf_adds(out, "x");
	for (k = 0; k < n; k++)
		buf_addf(out, "%02x", p[k]);
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void dump_table(struct buf *out, sqlite3 *db, const char *name)
{
	char *line[1000];
	sqlite3_stmt *s = NULL;
	char sql[64];
	int i, k, n = 0;

	snprintf(sql, sizeof(sql), "SELECT * FROM audit.%s", name);
	cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
	while (sqlite3_step(s) == SQLITE_ROW) {
		struct buf b = BUF_INIT;

		for (i = 0; i < sqlite3_column_count(s); i++) {
			buf_addc(&b, ' ');
			add_value(&b, s, i);
		}
		cr_assert_lt(n, 1000);
		line[n++] = buf_take(&b);
	}
	sqlite3_finalize(s);
	qsort(line, (size_t)n, sizeof(*line), compare_lines);
	for (k = 0; k < n; k++) {
		buf_addf(out, "%s%s\n", name, line[k]);
		free(line[k]);
	}
}

static void dump(struct buf *out, const struct buf *log)
{
	struct idx_options o;
	struct vio *v = NULL;
	struct idx *x = NULL;
	sqlite3 *db = NULL;
	struct tmp t;
	size_t i;

	tmp_init(&t);
	cr_assert_eq(vio_posix_open(&v, t.path), 0);
	o = (struct idx_options){ .vio = v, .dir = t.path };
	cr_assert_eq(idx_open(&x, &o, NULL), 0);
	apply_log(x, log);
	idx_close(x);
	cr_assert_eq(idx_views_open(&db, t.path, NULL), 0);
	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		dump_table(out, db, tables[i]);
	sqlite3_close(db);
	vio_free(v);
	tmp_release(&t);
}

static bool is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

static void check(const char *log_path, const char *text_path, bool newest)
{
	struct buf log = BUF_INIT, got = BUF_INIT, want = BUF_INIT;
	size_t i;

	if (writing() && newest && !is_there(log_path)) {
		make_log(&log);
		spill(&log, log_path);
		buf_clear(&log);
	}
	slurp(&log, log_path);
	dump(&got, &log);
	if (writing() && !is_there(text_path))
		spill(&got, text_path);
	slurp(&want, text_path);
	for (i = 0; i < got.n && i < want.n && got.p[i] == want.p[i]; i++)
		;
	while (i && i < got.n && got.p[i - 1] != '\n')
		i--;
	cr_assert(got.n == want.n && i == got.n,
		  "%s: first difference at byte %zu: %.200s", text_path, i,
		  i < got.n ? (char *)got.p + i : "the end");
	buf_release(&log);
	buf_release(&got);
	buf_release(&want);
}

Test(idx_golden, the_logs_give_the_rows_they_gave)
{
	unsigned i;

	for (i = 0; i < GOLDEN; i++)
		check(golden[i].log, golden[i].text, i == GOLDEN - 1);
}
