/*
 * test_idx_views.c - one small volume by hand: lineage both ways, actors,
 * keys, snapshots and the other lists, and the SQL views that show the same.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/vio.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "index/idx_views.h"
#include "ledger/cert.h"
#include "ledger/entry.h"
#include "ledger/key.h"
#include "tests/sim/tmp.h"

#define WALL 1795255200123456789 /* 2026-11-21T10:00:00.123456789Z */

/* A volume whose entries are applied one by one, a seal each. */
struct vol {
	struct tmp tmp;
	struct vio *vio;
	struct idx *x;
	uint64_t seals;
	uint64_t counter; /* of inodes */
};

/* A file: what its next entry needs. */
struct file {
	uint64_t ino, version;
	struct digest last, version_leaf;
};

static struct digest leaf_no(uint64_t n)
{
	struct digest d;

	digest_sha256(&d, &n, sizeof(n));
	return d;
}

static void vol_init(struct vol *v)
{
	struct idx_options o;

	memset(v, 0, sizeof(*v));
	tmp_init(&v->tmp);
	cr_assert_eq(vio_posix_open(&v->vio, v->tmp.path), 0);
	o = (struct idx_options){ .vio = v->vio, .dir = v->tmp.path };
	cr_assert_eq(idx_open(&v->x, &o, NULL), 0);
}

static void vol_release(struct vol *v)
{
	idx_close(v->x);
	vio_free(v->vio);
	tmp_release(&v->tmp);
}

/* Applies one entry; its leaf. */
static struct digest put(struct vol *v, struct entry *e)
{
	struct digest leaf = leaf_no(1000 + v->seals);
	struct digest root = leaf_no(v->seals + 1);
	uint64_t seal = v->seals++;

	e->body.kind = e->core.kind;
	e->core.wall_ns = WALL + (int64_t)seal * 1000000000;
	cr_assert_eq(idx_begin(v->x), 0);
	cr_assert_eq(idx_seal(v->x, seal, 1, e->core.wall_ns, 1), 0);
	cr_assert_eq(idx_apply(v->x, e, &leaf, IDX_ENTRY_NO(seal, 0)), 0);
	cr_assert_eq(idx_end(v->x, seal + 1, &root), 0);
	return leaf;
}

static struct file make(struct vol *v, uint64_t parent, const char *name,
			uint8_t dtype)
{
	struct entry e = { .core = { .kind = ENTRY_CREATE,
				     .parent = parent,
				     .inode = ENTRY_INODE(1, ++v->counter) } };
	struct file f = { .ino = e.core.inode };

	e.body.create.dtype = dtype;
	e.body.create.mode = 0644;
	e.body.create.uid = 1000;
	e.body.create.name = ENTRY_STR(name);
	f.last = put(v, &e);
	return f;
}

static void write_version(struct vol *v, struct file *f,
			  const struct digest *actor,
			  const struct digest *reads)
{
	struct entry e = { .core = { .kind = ENTRY_VERSION,
				     .inode = f->ino,
				     .version = ++f->version,
				     .prev = f->last,
				     .actor = *actor } };
	struct entry_version *b = &e.body.version;

	b->content_alg = ENTRY_CONTENT_BLAKE3;
	b->reason = ENTRY_REASON_CLOSE;
	b->attribution = ENTRY_EXACT;
	b->size = 100 * f->version;
	b->mtime_ns = -1;
	b->tree_root = leaf_no(f->ino + f->version);
	if (f->version == 1) {
		b->flags |= ENTRY_VERSION_SHA256;
		b->sha256 = leaf_no(f->ino);
	}
	if (reads) {
		b->flags |= ENTRY_VERSION_READS;
		b->reads = *reads;
	}
	f->last = f->version_leaf = put(v, &e);
}

static struct digest actor(struct vol *v, const char *argv,
			   const struct digest *parent)
{
	struct entry e = { .core = { .kind = ENTRY_ACTOR } };
	struct entry_actor *b = &e.body.actor;

	if (parent)
		e.core.actor = *parent;
	b->uid = 1000;
	b->gid = 100;
	b->tgid = 4242;
	b->exe = ENTRY_STR("/usr/bin/python3");
	b->argv = ENTRY_STR(argv);
	b->cwd = ENTRY_STR("/home/ann");
	b->host = ENTRY_STR("box");
	return put(v, &e);
}

static struct digest reads(struct vol *v, const struct digest *who,
			   const struct digest *previous,
			   const struct digest *what)
{
	struct entry_read item = { .strength = ENTRY_EXACT, .version = *what };
	struct entry e = { .core = { .kind = ENTRY_READS, .actor = *who } };

	e.body.reads.n = 1;
	e.body.reads.v = &item;
	if (previous)
		e.body.reads.previous = *previous;
	return put(v, &e);
}

/* data.csv and train.py go into models/m by way of one python. */
struct lab {
	struct vol v;
	struct file dir, data, script, early, model, later;
	struct digest shell, python, r1, r2;
};

static void lab_init(struct lab *l)
{
	struct entry root = { .core = { .kind = ENTRY_SETATTR, .inode = 1 } };

	vol_init(&l->v);
	root.body.setattr.mask = ENTRY_ATTR_MODE;
	root.body.setattr.mode = 0755;
	(void)put(&l->v, &root);
	l->shell = actor(&l->v, "sh", NULL);
	l->dir = make(&l->v, 1, "models", DT_DIR);
	l->data = make(&l->v, 1, "data.csv", DT_REG);
	write_version(&l->v, &l->data, &l->shell, NULL);
	l->script = make(&l->v, 1, "train.py", DT_REG);
	write_version(&l->v, &l->script, &l->shell, NULL);
	l->python = actor(&l->v, "python3\\0train.py", &l->shell);
	l->early = make(&l->v, 1, "early", DT_REG);
	write_version(&l->v, &l->early, &l->python, NULL);
	l->r1 = reads(&l->v, &l->python, NULL, &l->script.version_leaf);
	l->r2 = reads(&l->v, &l->python, &l->r1, &l->data.version_leaf);
	l->model = make(&l->v, l->dir.ino, "m", DT_REG);
	write_version(&l->v, &l->model, &l->python, &l->r2);
	l->later = make(&l->v, l->dir.ino, "later", DT_REG);
	write_version(&l->v, &l->later, &l->python, &l->r2);
}

static struct idx_reader *reader(struct vol *v)
{
	struct idx_reader *r = NULL;
	struct errmsg em = ERRMSG_INIT;

	cr_assert_eq(idx_reader_open(&r, v->tmp.path, &em), 0, "%s", em.text);
	return r;
}

/* --- lineage --- */

struct seen {
	uint64_t ino[16];
	unsigned n;
};

static int see_item(void *ctx, const struct idx_read_item *item)
{
	struct seen *s = ctx;

	cr_assert_eq(item->version, 1);
	cr_assert_eq(item->strength, ENTRY_EXACT);
	cr_assert_neq(item->target_no, 0);
	s->ino[s->n++] = item->ino;
	return 0;
}

static int see_output(void *ctx, const struct idx_version *v,
		      const struct idx_read_item *item)
{
	struct seen *s = ctx;

	cr_assert_gt(v->no, item->reads_no);
	s->ino[s->n++] = v->ino;
	return 0;
}

static int see_version(void *ctx, const struct idx_version *v)
{
	struct seen *s = ctx;

	s->ino[s->n++] = v->ino;
	return 0;
}

Test(idx_lineage, walks_both_ways)
{
	struct seen in = { .n = 0 }, out = { .n = 0 }, by = { .n = 0 };
	struct seen none = { .n = 0 };
	struct idx_version v;
	struct idx_reader *r;
	struct lab l;

	lab_init(&l);
	r = reader(&l.v);
	cr_assert_eq(idx_version(r, &v, l.model.ino, 1), 1);
	cr_assert_eq(idx_inputs(r, v.reads_no, see_item, &in), 0);
	cr_assert_eq(in.n, 2);
	cr_assert_eq(in.ino[0], l.data.ino);
	cr_assert_eq(in.ino[1], l.script.ino);
	cr_assert_eq(idx_outputs(r, l.script.ino, 1, see_output, &out), 0);
	cr_assert_eq(out.n, 2, "model and later, not what came before");
	cr_assert_eq(out.ino[0], l.model.ino);
	cr_assert_eq(out.ino[1], l.later.ino);
	cr_assert_eq(
		idx_versions_by_actor(r, v.actor_no, 0, 99, see_version, &by),
		0);
	cr_assert_eq(by.n, 3);
	cr_assert_eq(by.ino[0], l.early.ino);
	cr_assert_eq(idx_outputs(r, l.model.ino, 1, see_output, &none), 0);
	cr_assert_eq(idx_inputs(r, 0, see_item, &none), 0);
	cr_assert_eq(none.n, 0);
	idx_reader_close(r);
	vol_release(&l.v);
}

Test(idx_lineage, an_executable_digest_that_comes_later_is_the_actors)
{
	struct entry e = { .core = { .kind = ENTRY_ATTEST } };
	struct idx_actor a;
	struct idx_reader *r;
	struct digest exe = leaf_no(7);
	struct lab l;
	uint64_t no;

	lab_init(&l);
	r = reader(&l.v);
	cr_assert_eq(idx_leaf(r, &l.python, &no), 1);
	cr_assert_eq(idx_actor(r, &a, no), 1);
	cr_assert(!a.has_exe_digest);
	cr_assert_str_eq(a.exe.p, "/usr/bin/python3");
	cr_assert_str_eq(a.argv.p, "python3\\0train.py");
	cr_assert_eq(a.tgid, 4242);
	cr_assert_neq(a.parent_no, 0);
	idx_actor_release(&a);
	e.body.attest.subject = l.python;
	e.body.attest.what = ENTRY_ATTEST_EXE;
	e.body.attest.digest = exe;
	(void)put(&l.v, &e);
	cr_assert_eq(idx_actor(r, &a, no), 1);
	cr_assert(a.has_exe_digest);
	cr_assert(digest_eq(&a.exe_digest, &exe));
	cr_assert_eq(a.exe_digest_no, IDX_ENTRY_NO(l.v.seals - 1, 0));
	idx_actor_release(&a);
	cr_assert_eq(idx_actor(r, &a, 0), 0);
	idx_reader_close(r);
	vol_release(&l.v);
}

/* --- lists --- */

static int key_seen(void *ctx, const struct idx_key *k)
{
	unsigned *n = ctx;

	cr_assert_eq(k->role, *n == 0 ? KEY_ADMIN : KEY_MOUNT);
	if (*n == 0) {
		cr_assert_eq(k->pub[0], 9);
		cr_assert_eq(k->until_no, 0);
	} else if (*n == 1) {
		cr_assert_str_eq(k->name, "box");
		cr_assert_neq(k->until_no, 0);
		cr_assert_eq(k->reason, 3);
		cr_assert_eq(k->suspect_since_ns, 77);
	}
	++*n;
	return 0;
}

static int snapshot_seen(void *ctx, const struct idx_snapshot *s)
{
	unsigned *n = ctx;

	cr_assert_str_eq(s->name, "before");
	++*n;
	return 0;
}

static int replica_seen(void *ctx, const struct idx_replica *v)
{
	unsigned *n = ctx;

	cr_assert_eq(v->number, 1 + *n);
	cr_assert_eq(v->until_no != 0, *n == 0);
	cr_assert_str_eq(v->location, "/mnt/b");
	++*n;
	return 0;
}

static int repair_seen(void *ctx, const struct idx_repair *v)
{
	unsigned *n = ctx;

	cr_assert_str_eq(v->object, "packs/1");
	++*n;
	return 0;
}

static void put_keys(struct vol *v)
{
	struct entry genesis = { .core = { .kind = ENTRY_GENESIS } };
	struct entry add = { .core = { .kind = ENTRY_KEY_ADD } };
	struct entry revoke = { .core = { .kind = ENTRY_REVOKE } };
	struct cert c = { .mount_no = 1, .role = KEY_MOUNT, .pub = { 3 } };
	struct key *admin = NULL;

	genesis.body.genesis.origin = ENTRY_STR("example.org/v");
	genesis.body.genesis.n_admin = 1;
	genesis.body.genesis.admin[0][0] = 9;
	(void)put(v, &genesis);
	cr_assert_eq(key_generate(&admin, KEY_ADMIN, v->vio), 0);
	cr_assert_eq(cert_make(add.body.key_add.cert, &c, admin), 0);
	key_free(admin);
	add.body.key_add.name = ENTRY_STR("box");
	(void)put(v, &add);
	key_id(revoke.body.revoke.key_id, c.pub);
	revoke.body.revoke.reason = 3;
	revoke.body.revoke.suspect_since_ns = 77;
	revoke.body.revoke.comment = ENTRY_STR("");
	(void)put(v, &revoke);
}

static void put_lists(struct vol *v)
{
	struct entry snap = { .core = { .kind = ENTRY_SNAPSHOT } };
	struct entry rep = { .core = { .kind = ENTRY_REPLICA_ADD } };
	struct entry fix = { .core = { .kind = ENTRY_REPAIR } };
	struct entry par = { .core = { .kind = ENTRY_PARAMS } };
	struct entry_param p = { .name = ENTRY_STR("zstd"),
				 .value = ENTRY_STR("1") };

	snap.body.snapshot.comment = ENTRY_STR("all well");
	snap.body.snapshot.name = ENTRY_STR("gone");
	(void)put(v, &snap);
	snap.body.snapshot.name = ENTRY_STR("before");
	(void)put(v, &snap);
	snap.body.snapshot.name = ENTRY_STR("gone");
	snap.body.snapshot.flags = ENTRY_SNAPSHOT_REMOVED;
	(void)put(v, &snap);
	rep.body.replica.kind = 1;
	rep.body.replica.number = 1;
	rep.body.replica.location = ENTRY_STR("/mnt/b");
	(void)put(v, &rep);
	rep.body.replica.number = 2;
	(void)put(v, &rep);
	rep.core.kind = ENTRY_REPLICA_REMOVE;
	rep.body.replica.number = 1;
	(void)put(v, &rep);
	fix.body.repair.what = 1;
	fix.body.repair.object = ENTRY_STR("packs/1");
	(void)put(v, &fix);
	par.body.params.n = 1;
	par.body.params.v = &p;
	(void)put(v, &par);
}

Test(idx_lists, keys_snapshots_replicas_repairs_parameters)
{
	unsigned keys = 0, snapshots = 0, replicas = 0, repairs = 0;
	struct buf value = BUF_INIT;
	struct digest position;
	struct idx_reader *r;
	struct vol v;
	uint64_t at;

	vol_init(&v);
	put_keys(&v);
	put_lists(&v);
	r = reader(&v);
	cr_assert_eq(idx_keys(r, key_seen, &keys), 0);
	cr_assert_eq(keys, 2);
	cr_assert_eq(idx_snapshots(r, snapshot_seen, &snapshots), 0);
	cr_assert_eq(snapshots, 1);
	cr_assert_eq(idx_snapshot_find(r, &at, &position, "before"), 1);
	cr_assert_eq(at, IDX_ENTRY_NO(4, 0));
	cr_assert(digest_is_zero(&position));
	cr_assert_eq(idx_snapshot_find(r, &at, &position, "gone"), 0);
	cr_assert_eq(idx_replicas(r, replica_seen, &replicas), 0);
	cr_assert_eq(replicas, 2);
	cr_assert_eq(idx_repairs(r, 0, 10, repair_seen, &repairs), 0);
	cr_assert_eq(repairs, 1);
	cr_assert_eq(idx_param(r, &value, "zstd"), 1);
	cr_assert(value.n == 1 && value.p[0] == '1');
	cr_assert_eq(idx_param(r, &value, "none"), 0);
	buf_release(&value);
	idx_reader_close(r);
	vol_release(&v);
}

/* --- what is kept --- */

static int hold_seen(void *ctx, const struct idx_hold *v)
{
	unsigned *n = ctx;

	cr_assert_str_eq(v->reason, "case 7");
	if (*n == 0) {
		cr_assert_str_eq(v->pattern, "mail");
		cr_assert_eq(v->until_no, IDX_ENTRY_NO(4, 0));
		cr_assert_str_eq(v->until_reason, "settled");
	} else {
		cr_assert_null(v->pattern);
		cr_assert_eq(v->ino, 12);
		cr_assert_eq(v->until_no, 0);
	}
	++*n;
	return 0;
}

static int rule_seen(void *ctx, const struct idx_rule *v)
{
	unsigned *n = ctx;

	cr_assert_eq(v->position, *n);
	cr_assert_str_eq(v->pattern, *n ? "*" : "logs");
	cr_assert_eq(v->keep, *n ? 0 : 3);
	cr_assert_eq(v->seconds, *n ? 0 : 60);
	cr_assert_eq(v->versions, *n ? 0 : 5);
	++*n;
	return 0;
}

Test(idx_lists, policies_and_holds)
{
	static const struct entry_rule rules[] = {
		{ 3, 60, 5, { "logs", 4 } },
		{ 0, 0, 0, { "*", 1 } },
	};
	struct entry policy = { .core = { .kind = ENTRY_POLICY } };
	struct entry hold = { .core = { .kind = ENTRY_HOLD } };
	struct digest first;
	unsigned n = 0;
	struct idx_policy p;
	struct idx_reader *r;
	struct vol v;

	vol_init(&v);
	r = reader(&v);
	cr_assert_eq(idx_policy(r, &p), 0, "none was ever set");
	idx_reader_close(r);
	policy.body.policy.n = 2;
	policy.body.policy.v = rules;
	(void)put(&v, &policy);
	policy.body.policy.n = 0;
	(void)put(&v, &policy);
	hold.body.hold.pattern = ENTRY_STR("mail");
	hold.body.hold.reason = ENTRY_STR("case 7");
	first = put(&v, &hold);
	hold.body.hold.pattern.n = 0;
	hold.body.hold.inode = 12;
	(void)put(&v, &hold);
	hold.body.hold.inode = 0;
	hold.body.hold.flags = ENTRY_HOLD_LIFTED;
	hold.body.hold.lifted = first;
	hold.body.hold.reason = ENTRY_STR("settled");
	(void)put(&v, &hold);
	r = reader(&v);
	cr_assert_eq(idx_policy(r, &p), 1);
	cr_assert_eq(p.count, 0);
	cr_assert_eq(idx_rules(r, IDX_ENTRY_NO(0, 0), rule_seen, &n), 0);
	cr_assert_eq(n, 2);
	n = 0;
	cr_assert_eq(idx_holds(r, hold_seen, &n), 0);
	cr_assert_eq(n, 2);
	idx_reader_close(r);
	vol_release(&v);
}

/* --- views --- */

/* The one value that `sql` gives, as text; NULL when there is no row. */
static char *ask(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *s = NULL;
	char *out = NULL;
	int rc = sqlite3_prepare_v2(db, sql, -1, &s, NULL);

	cr_assert_eq(rc, SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
	if (sqlite3_step(s) == SQLITE_ROW && sqlite3_column_text(s, 0))
		out = strdup((const char *)sqlite3_column_text(s, 0));
	sqlite3_finalize(s);
	return out;
}

static void expect(sqlite3 *db, const char *sql, const char *want)
{
	char *got = ask(db, sql);

	if (want)
		cr_assert_str_eq(got ? got : "(nothing)", want, "%s", sql);
	else
		cr_assert_null(got, "%s", sql);
	free(got);
}

static void expect_files(sqlite3 *db)
{
	expect(db,
	       "SELECT group_concat(path) FROM (SELECT path FROM"
	       " audit.files ORDER BY path)",
	       "data.csv,early,models/later,models/m,train.py");
	expect(db, "SELECT count(*) FROM names", "6");
	expect(db, "SELECT type FROM names WHERE path='models'", "directory");
	expect(db, "SELECT mtime FROM files WHERE path='models/m'",
	       "1969-12-31T23:59:59.999999999Z");
	expect(db, "SELECT entry||' '||size FROM files WHERE path='models/m'",
	       "13.0 100");
	expect(db,
	       "SELECT length(sha256)||' '||length(tree_root) FROM files"
	       " WHERE path='models/m'",
	       "64 64");
}

Test(idx_views, tell_what_is_there)
{
	struct errmsg em = ERRMSG_INIT;
	sqlite3 *db = NULL;
	struct lab l;

	lab_init(&l);
	write_version(&l.v, &l.model, &l.shell, NULL);
	cr_assert_eq(idx_views_open(&db, l.v.tmp.path, &em), 0, "%s", em.text);
	expect(db, "SELECT count(*) FROM entries", "17");
	expect(db,
	       "SELECT kind||' '||time||' '||entry FROM audit.entries"
	       " WHERE no=4096",
	       "actor 2026-11-21T10:00:01.123456789Z 1.0");
	expect(db,
	       "SELECT path||' '||version||' '||command||' '||reason||"
	       "' '||attribution||' '||deleted FROM versions"
	       " WHERE path='models/m' AND version=1",
	       "models/m 1 python3 train.py close exact 0");
	expect(db,
	       "SELECT group_concat(input_path||'@'||input_version) FROM"
	       " (SELECT * FROM lineage WHERE output_path='models/m'"
	       " ORDER BY input_path)",
	       "data.csv@1,train.py@1");
	expect(db, "SELECT count(*) FROM lineage", "4");
	expect(db, "SELECT strength FROM lineage LIMIT 1", "exact");
	expect(db, "SELECT count(*)||' '||max(pid) FROM actors", "2 4242");
	expect(db, "SELECT count(*) FROM keys", "0");
	expect(db, "SELECT count(*) FROM snapshots", "0");
	expect(db,
	       "SELECT version||' '||size FROM versions WHERE inode="
	       "(SELECT inode FROM files WHERE path='models/m')"
	       " ORDER BY version DESC",
	       "2 200");
	sqlite3_close(db);
	vol_release(&l.v);
}

static uint64_t released_no(struct lab *l, uint64_t version)
{
	struct idx_version v = { .ino = 0 };
	struct idx_reader *r = reader(&l->v);

	cr_assert_eq(idx_version(r, &v, l->model.ino, version), 1);
	idx_reader_close(r);
	return v.released_no;
}

static void release(struct lab *l, const struct digest *policy, uint64_t first,
		    uint64_t last)
{
	struct entry_release v = { l->model.ino, first, last };
	struct entry e = { .core = { .kind = ENTRY_GC } };

	e.body.gc.policy = *policy;
	e.body.gc.bytes = 300;
	e.body.gc.n = 1;
	e.body.gc.v = &v;
	(void)put(&l->v, &e);
}

Test(idx_views, released_versions_keep_their_rows_and_the_newest_its_bytes)
{
	static const struct entry_rule rule = { 2, 0, 1, { "models", 6 } };
	struct entry p = { .core = { .kind = ENTRY_POLICY } };
	struct entry e = { .core = { .kind = ENTRY_UNLINK } };
	struct idx_counts n = { .seals = 0 };
	struct idx_reader *r;
	struct digest policy;
	sqlite3 *db = NULL;
	struct lab l;

	lab_init(&l);
	p.body.policy.n = 1;
	p.body.policy.v = &rule;
	policy = put(&l.v, &p); /* 16.0 */
	for (unsigned i = 0; i < 3; i++)
		write_version(&l.v, &l.model, &l.shell, NULL);
	release(&l, &policy, 2, UINT64_MAX); /* 20.0 */
	cr_assert_eq(released_no(&l, 1), 0);
	cr_assert_eq(released_no(&l, 2), IDX_ENTRY_NO(20, 0));
	cr_assert_eq(released_no(&l, 3), IDX_ENTRY_NO(20, 0));
	cr_assert_eq(released_no(&l, 4), 0, "it is the file");
	release(&l, &policy, 1, 3); /* 21.0: the first release stays */
	cr_assert_eq(released_no(&l, 1), IDX_ENTRY_NO(21, 0));
	cr_assert_eq(released_no(&l, 2), IDX_ENTRY_NO(20, 0));
	e.core.inode = l.model.ino;
	e.core.version = 4;
	e.core.prev = l.model.last;
	e.core.parent = l.dir.ino;
	e.body.link.flags = ENTRY_UNLINK_FREED;
	e.body.link.name = ENTRY_STR("m");
	(void)put(&l.v, &e);
	release(&l, &e.core.prev, 4, 4); /* 23.0: of no policy */
	cr_assert_eq(released_no(&l, 4), IDX_ENTRY_NO(23, 0));
	r = reader(&l.v);
	cr_assert_eq(idx_counts(r, &n), 0);
	cr_assert_eq(n.released, 4);
	idx_reader_close(r);
	cr_assert_eq(idx_views_open(&db, l.v.tmp.path, NULL), 0);
	expect(db,
	       "SELECT group_concat(released) FROM (SELECT released FROM"
	       " versions WHERE path='models/m' ORDER BY version)",
	       "21.0,20.0,20.0,23.0");
	expect(db,
	       "SELECT group_concat(entry||' '||ifnull(policy,'-')||' '||"
	       "versions||' '||bytes) FROM releases",
	       "20.0 16.0 2 300,21.0 16.0 1 300,23.0 - 1 300");
	expect(db,
	       "SELECT entry||' '||in_force||' '||position||' '||pattern||' '"
	       "||keep_versions FROM policies WHERE keep_seconds IS NULL",
	       "16.0 1 1 models 1");
	expect(db, "SELECT count(*) FROM holds", "0");
	sqlite3_close(db);
	vol_release(&l.v);
}

Test(idx_views, show_files_by_path)
{
	sqlite3 *db = NULL;
	struct lab l;

	lab_init(&l);
	cr_assert_eq(idx_views_open(&db, l.v.tmp.path, NULL), 0);
	expect(db, "SELECT version FROM files WHERE path='early'", "1");
	expect_files(db);
	sqlite3_close(db);
	vol_release(&l.v);
}

Test(idx_views, of_a_deleted_file_keep_its_last_path)
{
	struct entry e = { .core = { .kind = ENTRY_UNLINK } };
	sqlite3 *db = NULL;
	struct lab l;

	lab_init(&l);
	e.core.inode = l.data.ino;
	e.core.version = 1;
	e.core.prev = l.data.last;
	e.core.parent = 1;
	e.body.link.flags = ENTRY_UNLINK_FREED;
	e.body.link.name = ENTRY_STR("data.csv");
	(void)put(&l.v, &e);
	cr_assert_eq(idx_views_open(&db, l.v.tmp.path, NULL), 0);
	expect(db, "SELECT path FROM files WHERE name='data.csv'", NULL);
	expect(db,
	       "SELECT path||' '||deleted FROM versions"
	       " WHERE path='data.csv'",
	       "data.csv 1");
	expect(db,
	       "SELECT input_path FROM lineage"
	       " WHERE output_path='models/m' AND input_path LIKE 'data%'",
	       "data.csv");
	sqlite3_close(db);
	vol_release(&l.v);
}

Test(idx_views, cannot_be_written_through)
{
	static const char *const tries[] = {
		"DELETE FROM audit.entry",     "UPDATE audit.inode SET size=0",
		"CREATE TABLE audit.x(a)",     "DROP VIEW audit.files",
		"PRAGMA audit.user_version=7",
	};
	sqlite3 *db = NULL;
	struct lab l;
	size_t i;

	lab_init(&l);
	cr_assert_eq(idx_views_open(&db, l.v.tmp.path, NULL), 0);
	for (i = 0; i < sizeof(tries) / sizeof(tries[0]); i++)
		cr_assert_neq(sqlite3_exec(db, tries[i], NULL, NULL, NULL),
			      SQLITE_OK, "%s", tries[i]);
	cr_assert_eq(
		sqlite3_exec(db, "PRAGMA query_only=OFF", NULL, NULL, NULL),
		SQLITE_OK);
	for (i = 0; i < sizeof(tries) / sizeof(tries[0]); i++)
		cr_assert_neq(sqlite3_exec(db, tries[i], NULL, NULL, NULL),
			      SQLITE_OK, "%s", tries[i]);
	sqlite3_close(db);
	vol_release(&l.v);
}
