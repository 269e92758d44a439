/*
 * idx.c - the applier's object: open, batches, the position, close.
 *
 * State: open -> (idx_begin) in a batch -> (idx_seal) in a seal -> ... ->
 * (idx_end) open, or (idx_abort) open.  idx_apply is for seals only.
 *
 * Invariants: (1) the position and everything applied up to it are one SQLite
 * transaction.  (2) Seals are applied in order without gaps, each entry of a
 * seal once, in order.  (3) leaves.tab holds at least the leaves of the
 * entries in the tables: after a crash what it lacks is put again from there.
 *
 * Threads: one, the applier.
 */
#include "index/idx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/ptable.h"
#include "base/vio.h"
#include "index/idx_internal.h"
#include "ledger/entry.h"

enum { IDX_LOG_MIN = 256, IDX_LOG_MAX = 4096 }; /* pages */
enum { IDX_CACHE_KIB = 65536, IDX_PATH = 4096, IDX_FLUSH_PUTS = 65536 };
enum { IDX_CANDIDATES = 64 };

static const char *const statements[] = {
#define X(id, sql) sql,
	IDX_STATEMENTS(X)
#undef X
};

/* --- meta --- */

static int meta_get(struct idx *x)
{
	sqlite3_stmt *s = x->s[IDX_S_META_GET];
	struct idx_meta m = { .seals = 0 };
	bool bad = false;
	int rc = db_step(s);

	if (rc > 0) {
		m.seals = db_u64(s, 0, &bad);
		db_digest(s, 1, &m.root, NULL, &bad);
		m.wall_max = db_i64(s, 2, &bad);
		m.files = db_i64(s, 3, &bad);
		m.dirs = db_i64(s, 4, &bad);
		m.others = db_i64(s, 5, &bad);
		m.bytes = db_i64(s, 6, &bad);
		m.entries = db_i64(s, 7, &bad);
		m.rejected = db_i64(s, 8, &bad);
		m.versions = db_i64(s, 9, &bad);
		m.version_bytes = db_i64(s, 10, &bad);
		m.released = db_i64(s, 11, &bad);
		x->meta = m;
	}
	db_reset(s);
	if (rc < 0)
		return rc;
	return !rc || bad || m.seals > UINT64_MAX >> 13 ? -ERR_CORRUPT : 0;
}

static int meta_put(struct idx *x)
{
	sqlite3_stmt *s = x->s[IDX_S_META_PUT];
	const struct idx_meta *m = &x->meta;

	db_bind_u64(s, 1, m->seals);
	db_bind_blob(s, 2, m->root.b, DIGEST_SIZE);
	db_bind_i64(s, 3, m->wall_max);
	db_bind_i64(s, 4, m->files);
	db_bind_i64(s, 5, m->dirs);
	db_bind_i64(s, 6, m->others);
	db_bind_i64(s, 7, m->bytes);
	db_bind_i64(s, 8, m->entries);
	db_bind_i64(s, 9, m->rejected);
	db_bind_i64(s, 10, m->versions);
	db_bind_i64(s, 11, m->version_bytes);
	db_bind_i64(s, 12, m->released);
	return db_run(s);
}

/* --- leaves --- */

/* Puts what leaves.tab lacks: the leaves of seals from its mark on. */
static int leaves_catch_up(struct idx *x, struct errmsg *em)
{
	sqlite3_stmt *s = NULL;
	struct digest leaf;
	uint64_t no, mark;
	bool bad = false, there = false;
	int rc;

	if (!x->meta.seals && leaves_mark(x->leaves)) {
		rc = leaves_reset(x->leaves, em);
		if (rc)
			return rc;
	}
	mark = leaves_mark(x->leaves);
	if (mark >= x->meta.seals)
		return 0;
	rc = db_prepare(x->db, &s, "SELECT no, leaf FROM entry WHERE no>=?");
	if (rc)
		return rc;
	db_bind_u64(s, 1, IDX_ENTRY_NO(mark, 0));
	while ((rc = db_step(s)) > 0) {
		no = db_u64(s, 0, &bad);
		db_digest(s, 1, &leaf, &there, &bad);
		if (bad || !there)
			rc = -ERR_CORRUPT;
		else
			rc = leaves_put(x->leaves, &leaf, no);
		if (rc)
			break;
	}
	(void)sqlite3_finalize(s);
	if (rc)
		return rc;
	return leaves_flush(x->leaves, x->meta.seals, em);
}

static int ref_at(struct idx *x, const struct digest *leaf, uint64_t no,
		  struct idx_ref *out)
{
	sqlite3_stmt *s = x->s[IDX_S_ENTRY_LEAF];
	struct idx_ref r = { .no = no };
	struct digest found;
	bool bad = false;
	int rc;

	db_bind_u64(s, 1, no);
	rc = db_step(s);
	if (rc > 0) {
		db_digest(s, 0, &found, NULL, &bad);
		r.kind = (uint16_t)db_u32(s, 1, &bad);
		r.inode = db_u64_or_zero(s, 2, &bad);
		r.version = db_u64(s, 3, &bad);
		r.rejected = db_u32(s, 4, &bad) != 0;
		if (bad)
			rc = -ERR_CORRUPT;
		else if (!digest_eq(&found, leaf))
			rc = 0;
	}
	db_reset(s);
	if (rc > 0 && out)
		*out = r;
	return rc;
}

int idx_ref_find(struct idx *x, const struct digest *leaf, struct idx_ref *out)
{
	uint64_t v[IDX_CANDIDATES];
	int i, n, rc = 0;

	if (digest_is_zero(leaf))
		return 0;
	n = leaves_get(x->leaves, leaf, v, IDX_CANDIDATES);
	if (n < 0)
		return n;
	if (n > IDX_CANDIDATES)
		n = IDX_CANDIDATES;
	for (i = 0; i < n && !rc; i++)
		rc = ref_at(x, leaf, v[i], out);
	return rc;
}

/* *out: the ACTOR that the entry names, NULL if none. */
static int actor_ref(struct idx *x, const struct digest *leaf,
		     const struct idx_actor_ref **out)
{
	struct idx_actor_ref *a = &x->actors[digest_prefix(leaf) % IDX_ACTORS];
	struct idx_ref ref;
	uint64_t run;
	int rc;

	*out = NULL;
	if (digest_is_zero(leaf))
		return 0;
	if (a->no && digest_eq(&a->leaf, leaf)) {
		*out = a;
		return 0;
	}
	rc = idx_ref_find(x, leaf, &ref);
	if (rc <= 0 || ref.kind != ENTRY_ACTOR || ref.rejected)
		return rc < 0 ? rc : 0;
	rc = idx_run_of_actor(x, ref.no, &run);
	if (rc < 0)
		return rc;
	*a = (struct idx_actor_ref){ .leaf = *leaf, .no = ref.no, .run = run };
	*out = a;
	return 0;
}

/* --- batches --- */

int idx_begin(struct idx *x)
{
	int rc;

	if (x->read_only || x->in_batch)
		return -ERR_USAGE;
	rc = db_exec(x->db, "BEGIN IMMEDIATE");
	x->in_batch = !rc;
	return rc;
}

/* The row of the seal whose entries are all applied. */
static int end_seal(struct idx *x)
{
	sqlite3_stmt *s = x->s[IDX_S_SEAL_ADD];

	if (!x->in_seal)
		return 0;
	if (x->seal_left)
		return -ERR_USAGE;
	db_bind_u64(s, 1, x->seal);
	db_bind_u64(s, 2, x->seal_mount);
	db_bind_i64(s, 3, x->seal_wall);
	db_bind_i64(s, 4, x->meta.wall_max);
	db_bind_u64(s, 5, x->seal_count);
	x->in_seal = false;
	x->meta.seals = x->seal + 1;
	return db_run(s);
}

int idx_seal(struct idx *x, uint64_t seal, uint32_t mount_no, int64_t wall_ns,
	     uint32_t count)
{
	int rc;

	if (!x->in_batch || !count || count > LIMIT_BATCH)
		return -ERR_USAGE;
	rc = end_seal(x);
	if (rc)
		return rc;
	if (seal != x->meta.seals)
		return -ERR_USAGE;
	x->seal = seal;
	x->seal_mount = mount_no;
	x->seal_wall = wall_ns;
	x->seal_count = x->seal_left = count;
	x->in_seal = true;
	return 0;
}

static int entry_add(struct idx *x, const struct entry *e,
		     const struct digest *leaf, uint64_t no, uint64_t actor,
		     bool rejected)
{
	sqlite3_stmt *s = x->s[IDX_S_ENTRY_ADD];

	db_bind_u64(s, 1, no);
	db_bind_u64(s, 2, e->core.kind);
	db_bind_u64_or_null(s, 3, e->core.inode);
	db_bind_u64_or_null(s, 4, e->core.parent);
	db_bind_u64(s, 5, e->core.version);
	db_bind_i64(s, 6, e->core.wall_ns);
	db_bind_u64_or_null(s, 7, actor);
	db_bind_u64(s, 8, rejected);
	db_bind_blob(s, 9, leaf->b, DIGEST_SIZE);
	return db_run(s);
}

int idx_apply(struct idx *x, const struct entry *e, const struct digest *leaf,
	      uint64_t entry_no)
{
	struct apply_options o = { .entry_no = entry_no, .leaf = leaf };
	const struct idx_actor_ref *by = NULL;
	int64_t wall = e->core.wall_ns;
	uint64_t actor, run;
	int rc, answer;

	if (!x->in_seal || !x->seal_left ||
	    entry_no != IDX_ENTRY_NO(x->seal, x->seal_count - x->seal_left))
		return -ERR_USAGE;
	x->seal_left--;
	x->entry_no = entry_no;
	rc = actor_ref(x, &e->core.actor, &by);
	if (rc)
		return rc;
	actor = by ? by->no : 0;
	run = by ? by->run : 0;
	answer = apply(x, &idx_rows_ops, e, &o, NULL);
	if (answer < 0)
		return answer;
	rc = entry_add(x, e, leaf, entry_no, actor, !answer);
	if (!rc)
		rc = leaves_put(x->leaves, leaf, entry_no);
	if (!rc && run)
		rc = idx_run_did(x, run, e->core.kind);
	if (!rc && answer)
		rc = idx_record(x, e, entry_no, actor);
	if (rc)
		return rc;
	if (wall > x->seal_wall)
		wall = x->seal_wall;
	if (wall > x->meta.wall_max)
		x->meta.wall_max = wall;
	x->puts++;
	x->meta.entries++;
	if (!answer)
		x->meta.rejected++;
	return 0;
}

int idx_end(struct idx *x, uint64_t seals, const struct digest *root)
{
	int rc;

	if (!x->in_batch)
		return -ERR_USAGE;
	rc = end_seal(x);
	if (rc)
		return rc;
	if (seals != x->meta.seals)
		return -ERR_USAGE;
	x->meta.root = *root;
	rc = idx_rows_flush(x);
	if (!rc)
		rc = meta_put(x);
	if (!rc)
		rc = db_exec(x->db, "COMMIT");
	if (rc)
		return rc;
	x->in_batch = false;
	idx_rows_trim(x);
	if (x->puts >= IDX_FLUSH_PUTS &&
	    !leaves_flush(x->leaves, x->meta.seals, NULL))
		x->puts = 0;
	return 0;
}

void idx_abort(struct idx *x)
{
	if (!x->in_batch)
		return;
	(void)sqlite3_exec(x->db, "ROLLBACK", NULL, NULL, NULL);
	x->in_batch = x->in_seal = false;
	idx_rows_forget(x);
	memset(x->actors, 0, sizeof(x->actors));
	memset(x->runs, 0, sizeof(x->runs));
	if (meta_get(x))
		x->read_only = true; /* nothing can be added to it */
}

int idx_position(struct idx *x, uint64_t *out_seals, struct digest *out_root)
{
	if (x->in_batch)
		return -ERR_USAGE;
	*out_seals = x->meta.seals;
	*out_root = x->meta.root;
	return 0;
}

void idx_tidy(struct idx *x)
{
	if (!x->in_batch && !x->read_only)
		(void)sqlite3_wal_checkpoint_v2(
			x->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

void idx_keep_small(struct idx *x, uint64_t bytes)
{
	uint64_t pages = bytes / 4096;
	char sql[64];

	if (pages < IDX_LOG_MIN)
		pages = IDX_LOG_MIN;
	if (pages >= IDX_LOG_MAX || x->read_only)
		return;
	(void)sqlite3_snprintf(sizeof(sql), sql, "PRAGMA wal_autocheckpoint=%d",
			       (int)pages);
	(void)!db_exec(x->db, sql);
}

/* --- open and close --- */

static int prepare_all(struct idx *x, struct errmsg *em)
{
	int i, rc;

	for (i = 0; i < IDX_STATEMENTS_N; i++) {
		rc = db_prepare(x->db, &x->s[i], statements[i]);
		if (rc)
			return db_fail(x->db, em, "cannot use the index");
	}
	return 0;
}

int idx_open(struct idx **out, const struct idx_options *o, struct errmsg *em)
{
	const char *name = o->name ? o->name : IDX_NAME;
	struct idx *x = calloc(1, sizeof(*x));
	char path[IDX_PATH];
	int n, rc = -ENOMEM;

	if (!x)
		return errmsg_set(em, rc, "no memory");
	x->read_only = o->read_only;
	n = snprintf(path, sizeof(path), "%s/%s", o->dir, name);
	if (n < 0 || (size_t)n >= sizeof(path)) {
		rc = errmsg_set(em, -ENAMETOOLONG, "path is too long");
		goto fail;
	}
	rc = db_open(&x->db, path, o->read_only ? DB_READ_ONLY : DB_CREATE,
		     IDX_CACHE_KIB, em);
	if (!rc)
		rc = prepare_all(x, em);
	if (!rc)
		rc = meta_get(x);
	if (!rc)
		rc = idx_rows_init(x);
	if (!rc && !o->read_only)
		rc = leaves_open(&x->leaves, o->vio, o->dir, name, em);
	if (!rc && !o->read_only)
		rc = leaves_catch_up(x, em);
	if (rc) {
		rc = errmsg_wrap(em, rc, "%s", name);
		goto fail;
	}
	*out = x;
	return 0;
fail:
	idx_close(x);
	return rc;
}

void idx_close(struct idx *x)
{
	int i;

	if (!x)
		return;
	idx_abort(x);
	if (x->leaves && x->puts)
		(void)!leaves_flush(x->leaves, x->meta.seals, NULL);
	leaves_close(x->leaves);
	idx_rows_forget(x);
	for (i = 0; i < IDX_STATEMENTS_N; i++)
		(void)sqlite3_finalize(x->s[i]);
	if (x->db && !x->read_only)
		(void)sqlite3_wal_checkpoint_v2(
			x->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	db_close(x->db);
	free(x);
}

/* --- files --- */

static int unlink_if_there(struct vio *v, const char *name, const char *suffix)
{
	char path[IDX_PATH];
	int n = snprintf(path, sizeof(path), "%s%s", name, suffix);
	int rc;

	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	rc = vio_unlink(v, path);
	return rc == -ENOENT ? 0 : rc;
}

int idx_remove(struct vio *v, const char *name)
{
	char leaves[LEAVES_NAME];
	int rc;

	if (!name)
		name = IDX_NAME;
	/* The database first: without it its journal means nothing. */
	rc = unlink_if_there(v, name, "");
	if (!rc)
		rc = vio_syncdir(v, ".");
	if (!rc)
		rc = unlink_if_there(v, name, "-wal");
	if (!rc)
		rc = unlink_if_there(v, name, "-shm");
	if (!rc)
		rc = leaves_name(leaves, name);
	if (!rc)
		rc = ptable_remove(v, leaves);
	return rc == -ENOENT ? 0 : rc;
}

int idx_replace(struct vio *v, struct errmsg *em)
{
	char leaves[LEAVES_NAME];
	struct vio_stat st;
	int rc;

	rc = vio_stat(v, IDX_REBUILD_NAME, &st);
	if (rc)
		return errmsg_set(em, rc, "%s is not there", IDX_REBUILD_NAME);
	if (!vio_stat(v, IDX_REBUILD_NAME "-wal", &st) && st.size)
		return errmsg_set(em, -EBUSY, "%s is in use", IDX_REBUILD_NAME);
	rc = idx_remove(v, IDX_NAME);
	if (!rc)
		rc = vio_rename(v, IDX_REBUILD_NAME, IDX_NAME);
	if (!rc)
		rc = vio_syncdir(v, ".");
	if (!rc)
		rc = leaves_name(leaves, IDX_REBUILD_NAME);
	if (!rc)
		rc = ptable_remove(v, leaves);
	if (rc == -ENOENT)
		rc = 0;
	return rc ? errmsg_set(em, rc, "cannot replace the index") : 0;
}
