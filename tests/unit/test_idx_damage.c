/*
 * test_idx_damage.c - a damaged or edited index gives errors or answers,
 * never a crash or an endless walk; fsck's comparison finds the damage, or
 * there is none: then every answer is as before.
 *
 * FLIPS=N tries N bytes instead of the default; FLIPS=all tries every one.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/vio.h"
#include "index/idx_runs.h"
#include "index/idx_views.h"
#include "tests/sim/idx_world.h"

enum { ENTRIES = 210, FLIPS = 150, INOS = 128 };

/* A small index, its bytes, and what it says. */
struct target {
	struct idx_world w;
	uint8_t *bytes;
	size_t n;
	uint64_t sum;
	uint64_t ino[INOS];
	size_t n_ino;
	char path[4096];
};

/* --- everything a reader can be asked, as one sum --- */

struct sum {
	struct idx_reader *r;
	uint64_t h;
	size_t calls;
};

static void add(struct sum *s, const void *p, size_t n)
{
	const uint8_t *b = p;

	cr_assert_lt(s->calls++, 2000000, "an endless answer");
	while (n--)
		s->h = (s->h ^ *b++) * 0x100000001b3ULL;
}

static int on_name(void *ctx, const struct name_row *row, const char *name,
		   uint16_t len)
{
	add(ctx, row, sizeof(*row));
	add(ctx, name, len);
	return 0;
}

static int on_listed(void *ctx, const struct name_row *row, const char *name,
		     uint16_t len, struct inode_row *inode)
{
	struct sum *s = ctx;
	struct inode_row alone;
	struct name_row again;

	if (idx_name_inode(s->r, &again, &alone, row->parent, name, len) > 0) {
		add(s, &alone.ino, sizeof(alone.ino));
		free(alone.target);
	}
	add(ctx, row, sizeof(*row));
	add(ctx, name, len);
	add(ctx, &inode->ino, sizeof(inode->ino));
	add(ctx, &inode->size, sizeof(inode->size));
	free(inode->target);
	return 0;
}

static int on_inode(void *ctx, struct inode_row *row)
{
	add(ctx, &row->ino, sizeof(row->ino));
	add(ctx, &row->size, sizeof(row->size));
	free(row->target);
	return 0;
}

static int on_xattr(void *ctx, const char *name, uint16_t len,
		    const void *value, uint32_t n, const struct digest *chunk)
{
	add(ctx, name, len);
	if (chunk)
		add(ctx, chunk, sizeof(*chunk));
	else
		add(ctx, value, n);
	return 0;
}

static int on_extent(void *ctx, const struct extent_row *row, uint64_t no)
{
	add(ctx, row, sizeof(*row));
	add(ctx, &no, sizeof(no));
	return 0;
}

static int on_ino(void *ctx, uint64_t ino, uint32_t flags)
{
	add(ctx, &ino, sizeof(ino));
	add(ctx, &flags, sizeof(flags));
	return 0;
}

static int on_entry(void *ctx, const struct idx_entry *e)
{
	add(ctx, &e->leaf, sizeof(e->leaf));
	add(ctx, &e->no, sizeof(e->no));
	return 0;
}

static int on_item(void *ctx, const struct idx_read_item *item)
{
	add(ctx, &item->content, sizeof(item->content));
	add(ctx, &item->ino, sizeof(item->ino));
	return 0;
}

static int on_output(void *ctx, const struct idx_version *v,
		     const struct idx_read_item *item)
{
	add(ctx, &v->no, sizeof(v->no));
	return on_item(ctx, item);
}

static int on_version(void *ctx, const struct idx_version *v)
{
	struct sum *s = ctx;
	struct idx_actor a;
	int rc;

	add(s, &v->no, sizeof(v->no));
	add(s, &v->tree_root, sizeof(v->tree_root));
	rc = idx_inputs(s->r, v->reads_no, on_item, s);
	if (!rc)
		rc = idx_outputs(s->r, v->ino, v->version, on_output, s);
	if (rc || !v->actor_no)
		return rc;
	rc = idx_actor(s->r, &a, v->actor_no);
	if (rc <= 0)
		return rc;
	add(s, a.argv.p, a.argv.n);
	idx_actor_release(&a);
	return 0;
}

static int on_snapshot(void *ctx, const struct idx_snapshot *v)
{
	add(ctx, v->name, strlen(v->name));
	return 0;
}

static int on_key(void *ctx, const struct idx_key *v)
{
	add(ctx, v->pub, sizeof(v->pub));
	return 0;
}

static int on_replica(void *ctx, const struct idx_replica *v)
{
	add(ctx, v->location, strlen(v->location));
	return 0;
}

static int on_repair(void *ctx, const struct idx_repair *v)
{
	add(ctx, v->object, strlen(v->object));
	return 0;
}

static int on_rule(void *ctx, const struct idx_rule *v)
{
	add(ctx, v->pattern, strlen(v->pattern));
	return 0;
}

static int on_hold(void *ctx, const struct idx_hold *v)
{
	add(ctx, v->reason, strlen(v->reason));
	return 0;
}

static int on_release(void *ctx, const struct idx_release *v)
{
	add(ctx, v, sizeof(*v));
	return 0;
}

#define ask(expr)                        \
	do {                             \
		rc = (expr);             \
		add(s, &rc, sizeof(rc)); \
		bad += rc < 0;           \
	} while (0)

static int ask_about(struct sum *s, uint64_t ino)
{
	struct inode_row row = { .ino = 0 };
	struct idx_version v;
	struct buf path = BUF_INIT;
	bool gone = false;
	int rc, bad = 0;

	ask(idx_inode(s->r, &row, ino));
	free(row.target);
	row.target = NULL;
	if (rc > 0)
		add(s, &row, sizeof(row));
	ask(idx_names(s->r, ino, 0, 1000, on_name, s));
	ask(idx_list(s->r, ino, 0, 1000, false, on_listed, s));
	ask(idx_list(s->r, ino, 0, 1000, true, on_listed, s));
	ask(idx_inodes_from(s->r, ino, 4, on_inode, s));
	ask(idx_names_at(s->r, ino, NULL, 0, 1000, 60 << 12, on_name, s));
	ask(idx_xattrs(s->r, ino, on_xattr, s));
	ask(idx_extents(s->r, ino, on_extent, s));
	ask(idx_history(s->r, ino, 0, IDX_NOW, 1000, false, on_entry, s));
	ask(idx_versions(s->r, ino, 0, 1000, on_version, s));
	ask(idx_version_at(s->r, &v, ino, 60 << 12));
	ask(idx_path(s->r, &path, ino, IDX_NOW));
	ask(idx_path(s->r, &path, ino, 60 << 12));
	ask(idx_path_last(s->r, &path, ino, &gone));
	add(s, path.p ? path.p : (const uint8_t *)"", path.n);
	if (path.n)
		ask(idx_resolve_last(s->r, &ino, &gone, (char *)path.p,
				     path.n));
	buf_release(&path);
	return bad;
}

static int on_run(void *ctx, const struct idx_run *v)
{
	struct sum *s = ctx;
	int rc;

	add(s, v->name, strlen(v->name));
	add(s, &v->end_no, sizeof(v->end_no));
	rc = idx_run_entries(s->r, v, 0, IDX_NOW, 1000, on_entry, s);
	return rc < 0 ? rc : 0;
}

static int ask_lists(struct sum *s)
{
	struct buf value = BUF_INIT;
	struct idx_policy policy;
	struct idx_counts c;
	uint64_t no = 0;
	int rc, bad = 0;

	ask(idx_counts(s->r, &c));
	if (!rc)
		add(s, &c, sizeof(c));
	ask(idx_unfinished(s->r, on_ino, s));
	ask(idx_entries(s->r, 0, IDX_NOW, 1000, on_entry, s));
	ask(idx_at_wall(s->r, INT64_MAX / 2, &no));
	ask(idx_last_ino(s->r, 1, &no));
	add(s, &no, sizeof(no));
	ask(idx_snapshots(s->r, on_snapshot, s));
	ask(idx_keys(s->r, on_key, s));
	ask(idx_replicas(s->r, on_replica, s));
	ask(idx_repairs(s->r, 0, 100, on_repair, s));
	ask(idx_param(s->r, &value, "zstd"));
	ask(idx_rules(s->r, idx_policy(s->r, &policy) > 0 ? policy.no : 0,
		      on_rule, s));
	ask(idx_holds(s->r, on_hold, s));
	ask(idx_releases(s->r, 0, 1000, on_release, s));
	ask(idx_runs(s->r, IDX_NOW, 1000, on_run, s));
	ask(idx_runs_open(s->r, on_run, s));
	buf_release(&value);
	return bad;
}

/* The number of errors met, or -1 when it does not open at all. */
static int ask_everything(const struct target *t, uint64_t *out_sum)
{
	struct sum s = { .h = 0xcbf29ce484222325ULL };
	size_t i;
	int bad;

	if (idx_reader_open(&s.r, t->w.tmp.path, NULL))
		return -1;
	bad = ask_lists(&s);
	for (i = 0; i < t->n_ino; i++)
		bad += ask_about(&s, t->ino[i]);
	idx_reader_close(s.r);
	*out_sum = s.h;
	return bad;
}

/* --- the target --- */

static void restore(const struct target *t)
{
	int fd = open(t->path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, t->bytes, t->n), (ssize_t)t->n);
	close(fd);
}

static void target_init(struct target *t, const char *name)
{
	struct stat st;
	size_t i, k;
	int fd;

	idx_world_init(&t->w, name, 0, 3);
	idx_world_grow(&t->w, ENTRIES);
	idx_world_apply_all(&t->w, NULL, 10);
	idx_world_apply_all(&t->w, IDX_REBUILD_NAME, 10);
	snprintf(t->path, sizeof(t->path), "%s/%s", t->w.tmp.path, IDX_NAME);
	fd = open(t->path, O_RDONLY);
	cr_assert_eq(fstat(fd, &st), 0);
	t->n = (size_t)st.st_size;
	t->bytes = malloc(t->n);
	cr_assert_eq(read(fd, t->bytes, t->n), st.st_size);
	close(fd);
	t->n_ino = 0;
	for (i = 0; i < t->w.n && t->n_ino < INOS; i++) {
		for (k = 0; k < t->n_ino; k++)
			if (t->ino[k] == t->w.log[i].e.core.inode)
				break;
		if (k == t->n_ino)
			t->ino[t->n_ino++] = t->w.log[i].e.core.inode;
	}
	cr_assert_eq(ask_everything(t, &t->sum), 0);
}

static void target_release(struct target *t)
{
	free(t->bytes);
	idx_world_release(&t->w);
}

/* Errors are fine, and so is going on. */
static void apply_on(struct target *t)
{
	struct idx_options o = { .vio = t->w.vio, .dir = t->w.tmp.path };
	struct digest root, next = idx_world_root(9999);
	struct gen_entry g;
	struct idx *x = NULL;
	uint64_t seals;
	int i, rc;

	if (idx_open(&x, &o, NULL))
		return;
	rc = idx_position(x, &seals, &root);
	if (!rc)
		rc = idx_begin(x);
	if (!rc)
		rc = idx_seal(x, seals, 1, 0, 20);
	for (i = 0; !rc && i < 20; i++) {
		entry_gen_next(&t->w.gen, &g, &t->w.mem);
		rc = idx_apply(x, &g.e, &g.leaf,
			       IDX_ENTRY_NO(seals, (unsigned)i));
		gen_entry_release(&g);
	}
	if (!rc)
		rc = idx_end(x, seals + 1, &next);
	if (rc)
		idx_abort(x);
	idx_close(x);
}

static void query_views(const struct target *t)
{
	sqlite3 *db = NULL;

	if (idx_views_open(&db, t->w.tmp.path, NULL))
		return;
	(void)sqlite3_exec(db,
			   "SELECT * FROM files; SELECT * FROM versions;"
			   "SELECT * FROM lineage; SELECT * FROM entries",
			   NULL, NULL, NULL);
	sqlite3_close(db);
}

static void forget_journals(const struct target *t)
{
	(void)!vio_unlink(t->w.vio, IDX_NAME "-wal");
	(void)!vio_unlink(t->w.vio, IDX_NAME "-shm");
}

/* What is there now, asked, compared, applied to: no crash, no lie. */
static void try_it(struct target *t, unsigned *found, unsigned *harmless)
{
	uint64_t sum = 0, n = 0;
	int bad = ask_everything(t, &sum), rc;

	rc = idx_compare(t->w.tmp.path, IDX_NAME, IDX_REBUILD_NAME, NULL, NULL,
			 &n, NULL);
	if (!rc && !n) {
		++*harmless;
		cr_assert_eq(bad, 0, "an error that fsck does not find");
		cr_assert_eq(sum, t->sum, "a lie that fsck does not find");
	} else {
		++*found;
	}
	query_views(t);
	apply_on(t);
	forget_journals(t);
	restore(t);
}

static size_t flips(size_t all)
{
	const char *v = getenv("FLIPS");

	if (!v)
		return FLIPS;
	return strcmp(v, "all") ? strtoul(v, NULL, 10) : all;
}

Test(idx_damage, one_wrong_byte_is_found_or_harmless, .timeout = 3600)
{
	unsigned found = 0, harmless = 0;
	struct target t;
	size_t i, n, at;
	uint8_t with;

	target_init(&t, "idx flip");
	n = flips(t.n);
	for (i = 0; i < n; i++) {
		at = n == t.n ? i : prng_below(&t.w.p, t.n);
		if (n < t.n && !t.bytes[at] && prng_chance(&t.w.p, 80))
			at = prng_below(&t.w.p, 4096); /* few zeros there */
		with = (uint8_t)prng_range(&t.w.p, 1, 255);
		t.bytes[at] ^= with;
		restore(&t);
		t.bytes[at] ^= with;
		try_it(&t, &found, &harmless);
	}
	cr_assert_gt(found, n / 20);
	target_release(&t);
}

Test(idx_damage, torn_and_mixed_pages_are_found_or_harmless)
{
	unsigned found = 0, harmless = 0;
	struct target t;
	uint8_t *good;
	size_t i, a, b, pages;

	target_init(&t, "idx pages");
	good = malloc(t.n);
	memcpy(good, t.bytes, t.n);
	pages = t.n / 4096;
	for (i = 0; i < 45; i++) {
		a = prng_below(&t.w.p, pages) * 4096;
		b = prng_below(&t.w.p, pages) * 4096;
		if (i % 3 == 0)
			memset(t.bytes + a, 0, 4096);
		else if (i % 3 == 1)
			memcpy(t.bytes + a, good + b, 4096);
		else
			prng_bytes(&t.w.p, t.bytes + a + 2048, 2048);
		restore(&t);
		memcpy(t.bytes, good, t.n);
		try_it(&t, &found, &harmless);
	}
	cr_assert_gt(found, 10);
	for (i = 0; i < pages; i += 9) {
		cr_assert_eq(truncate(t.path, (off_t)(i * 4096)), 0);
		try_it(&t, &found, &harmless);
	}
	free(good);
	target_release(&t);
}

/* Edits that leave a perfect SQLite file. */
static const char *const edits[] = {
	"UPDATE inode SET mode='x'",
	"UPDATE inode SET size=-5",
	"UPDATE inode SET flags=1<<40",
	"UPDATE inode SET last=x'00'",
	"UPDATE inode SET tree_root=7",
	"UPDATE inode SET target=zeroblob(5)",
	"UPDATE inode SET target=zeroblob(100000)",
	"UPDATE inode SET nlink=1.5",
	"UPDATE inode SET parent=ino",
	"UPDATE inode SET nchild=0, nlink=0, nxattr=0, next_cookie=3",
	"UPDATE inode SET flags=31, dir_salt=zeroblob(16), sha256=zeroblob(32)",
	"UPDATE OR IGNORE name SET ino=parent",
	"UPDATE name SET ino=(SELECT max(parent) FROM name)",
	"UPDATE OR IGNORE name SET parent=parent+1 WHERE parent>1",
	"UPDATE OR IGNORE name SET name=x''",
	"UPDATE OR IGNORE name SET name=zeroblob(300)",
	"UPDATE OR IGNORE name SET name=CAST(name AS TEXT)",
	"UPDATE name SET since=-1, cookie=-1",
	"UPDATE name_past SET ino=parent",
	"UPDATE OR IGNORE name_past SET until=0",
	"UPDATE name_past SET since='a'",
	"UPDATE xattr SET size=99999999",
	"UPDATE xattr SET value=NULL, chunk=NULL",
	"UPDATE extent SET len=0",
	"UPDATE extent SET off=-1",
	"UPDATE extent SET chunk=x'11'",
	"UPDATE unfinished SET flags='z'",
	"UPDATE entry SET kind=99999",
	"UPDATE entry SET leaf=x''",
	"UPDATE entry SET inode='q'",
	"DELETE FROM entry",
	"UPDATE version SET version=version+1000000 WHERE version>1",
	"UPDATE version SET no=-no, size=-1",
	"UPDATE version SET reads=no, actor=-1",
	"UPDATE actor SET argv=7",
	"UPDATE actor SET exe=zeroblob(9), run=x'01'",
	"UPDATE reads SET prev=no",
	"UPDATE reads SET prev=no+4096",
	"DELETE FROM reads",
	"UPDATE read_item SET ino='x'",
	"UPDATE read_item SET content=x'0102'",
	"UPDATE meta SET seals=-1",
	"UPDATE meta SET seals=1<<52",
	"UPDATE meta SET seals='many'",
	"UPDATE meta SET root=x''",
	"DELETE FROM meta",
	"DELETE FROM seal",
	"UPDATE seal SET wall_max='x'",
	"UPDATE seal SET count=0",
	"UPDATE snapshot SET name=zeroblob(4 + no % 1000)",
	"UPDATE replica SET id=x'00'",
	"UPDATE repair SET object=7",
	"UPDATE policy SET count=-1, until=0",
	"UPDATE policy SET no=no+1",
	"UPDATE policy_rule SET seconds=-1",
	"UPDATE policy_rule SET pattern=zeroblob(3)",
	"DELETE FROM policy_rule",
	"UPDATE hold SET ino=NULL, pattern=NULL",
	"UPDATE hold SET reason=7",
	"UPDATE hold SET until=5, until_reason=7",
	"UPDATE gc SET versions=-1",
	"UPDATE version SET released=7",
	"UPDATE version SET released=-1",
	"CREATE TRIGGER t AFTER INSERT ON entry BEGIN DELETE FROM inode; END",
	"CREATE TABLE more(a)",
	"CREATE TEMP TABLE more(a)",
	"DROP INDEX name_ino",
	"DROP TABLE xattr",
	"ALTER TABLE inode ADD COLUMN extra",
	"DROP VIEW files; CREATE VIEW files AS SELECT 1",
	"PRAGMA user_version=3",
	"PRAGMA user_version=7",
	"PRAGMA user_version=0",
	"PRAGMA application_id=1",
};

Test(idx_damage, edited_rows_and_tables_are_found)
{
	unsigned found = 0, harmless = 0, before;
	struct target t;
	sqlite3 *db = NULL;
	char *why = NULL;
	size_t i;

	target_init(&t, "idx edits");
	for (i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		int rc;

		cr_assert_eq(sqlite3_open(t.path, &db), SQLITE_OK);
		rc = sqlite3_exec(db, edits[i], NULL, NULL, &why);
		/* where rows would become the same, SQLite itself refuses */
		cr_assert(rc == SQLITE_OK || rc == SQLITE_CONSTRAINT, "%s: %s",
			  edits[i], why);
		before = rc == SQLITE_OK ? (unsigned)sqlite3_total_changes(db) :
					   0;
		sqlite3_free(why);
		why = NULL;
		sqlite3_close(db);
		found = 0;
		harmless = 0;
		try_it(&t, &found, &harmless);
		if (before)
			cr_assert_eq(found, 1, "%s", edits[i]);
	}
	target_release(&t);
}

static void edit(const struct target *t, const char *sql)
{
	sqlite3 *db = NULL;

	cr_assert_eq(sqlite3_open(t->path, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* Else a reader that is kept would answer from that moment for ever. */
Test(idx_damage, a_state_that_cannot_be_held_is_let_go)
{
	struct idx_reader *r = NULL;
	struct target t;

	target_init(&t, "idx begin");
	r = idx_world_reader(&t.w);
	edit(&t, "UPDATE meta SET id=2");
	cr_assert_eq(idx_reader_begin(r), -ERR_CORRUPT);
	edit(&t, "UPDATE meta SET id=1");
	cr_assert_eq(idx_reader_begin(r), 0);
	idx_reader_end(r);
	idx_reader_close(r);
	target_release(&t);
}

static int no_name_is_told(void *ctx, const struct name_row *row,
			   const char *name, uint16_t len)
{
	(void)ctx, (void)row;
	cr_assert(entry_name_ok(name, len), "%.*s", len, name);
	return 0;
}

/* An export opens what it is told relative to a directory. */
Test(idx_damage, a_name_that_leads_elsewhere_is_damage)
{
	static const char *const names[] = { "'..'", "'../../x'", "'a/b'",
					     "x'6100'" };
	struct idx_reader *r = NULL;
	struct target t;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char sql[256];

		snprintf(sql, sizeof(sql),
			 "UPDATE name SET name=CAST(%s AS BLOB) WHERE name="
			 "(SELECT min(name) FROM name WHERE parent=1)"
			 " AND parent=1",
			 names[i]);
		target_init(&t, "idx names");
		r = idx_world_reader(&t.w);
		cr_assert_gt(idx_names_at(r, 1, "", 0, 1000, IDX_NOW,
					  no_name_is_told, NULL),
			     0);
		edit(&t, sql);
		cr_assert_eq(idx_names_at(r, 1, "", 0, 1000, IDX_NOW,
					  no_name_is_told, NULL),
			     -ERR_CORRUPT, "%s", names[i]);
		cr_assert_eq(idx_names(r, 1, 0, 1000, no_name_is_told, NULL),
			     -ERR_CORRUPT, "%s", names[i]);
		idx_reader_close(r);
		target_release(&t);
	}
}

Test(idx_damage, each_kind_of_wrong_file_has_its_words)
{
	struct errmsg em = ERRMSG_INIT;
	struct idx_reader *r = NULL;
	struct target t;
	int fd;

	target_init(&t, "idx words");
	cr_assert_eq(unlink(t.path), 0);
	cr_assert_eq(idx_reader_open(&r, t.w.tmp.path, &em), -ENOENT);
	cr_assert(strstr(em.text, "no index"), "%s", em.text);
	fd = open(t.path, O_WRONLY | O_CREAT, 0600);
	cr_assert_eq(write(fd, "this is no database, it is some text", 36), 36);
	close(fd);
	em = (struct errmsg)ERRMSG_INIT;
	cr_assert_eq(idx_reader_open(&r, t.w.tmp.path, &em), -ERR_FORMAT);
	cr_assert(strstr(em.text, "not a database"), "%s", em.text);
	t.bytes[63] = 99; /* user_version */
	restore(&t);
	em = (struct errmsg)ERRMSG_INIT;
	cr_assert_eq(idx_reader_open(&r, t.w.tmp.path, &em), -ERR_NEWER);
	cr_assert(strstr(em.text, "newer"), "%s", em.text);
	target_release(&t);
}
