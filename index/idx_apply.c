/*
 * idx_apply.c - what an applied entry adds beyond the namespace: versions,
 * actors, reads, snapshots, keys, repairs, replicas, parameters, what is kept
 * and what was released.  One function per kind.
 *
 * A reference to a leaf that is not in the log, or is of the wrong kind,
 * becomes NULL: hostile entries give rows with holes, never an error.
 *
 * Threads: the applier's.
 */
#include <string.h>

#include "base/err.h"
#include "index/idx_internal.h"
#include "ledger/cert.h"
#include "ledger/entry.h"
#include "ledger/key.h"

static bool is_clear(const struct entry *e)
{
	return e->state == ENTRY_CLEAR && !e->body.opaque;
}

struct record {
	struct idx *x;
	const struct entry *e;
	uint64_t no, actor;
};

/* The number of the entry of kind `kind` with that leaf; 0 if none is. */
static int find_kind(struct idx *x, const struct digest *leaf, uint16_t kind,
		     uint64_t *out)
{
	struct idx_ref ref;
	int rc = idx_ref_find(x, leaf, &ref);

	*out = rc > 0 && ref.kind == kind && !ref.rejected ? ref.no : 0;
	return rc < 0 ? rc : 0;
}

static void bind_str(sqlite3_stmt *s, int i, const struct entry_str *v)
{
	db_bind_blob(s, i, v->p, v->n);
}

/* NULL when all bytes are zero. */
static void bind_id(sqlite3_stmt *s, int i, const uint8_t *p, size_t n)
{
	size_t k;

	for (k = 0; k < n && !p[k]; k++)
		;
	if (k < n)
		db_bind_blob(s, i, p, n);
}

static int record_version(const struct record *r)
{
	const struct entry_version *b = &r->e->body.version;
	bool clear = is_clear(r->e);
	sqlite3_stmt *s = r->x->s[IDX_S_VERSION_ADD];
	uint64_t reads = 0;
	int rc;

	if (clear && b->flags & ENTRY_VERSION_READS) {
		rc = find_kind(r->x, &b->reads, ENTRY_READS, &reads);
		if (rc)
			return rc;
	}
	db_bind_u64(s, 1, r->e->core.inode);
	db_bind_u64(s, 2, r->e->core.version);
	db_bind_u64(s, 3, r->no);
	db_bind_u64(s, 4, clear ? b->size : 0);
	db_bind_i64(s, 5, clear ? b->mtime_ns : 0);
	db_bind_i64(s, 6, r->e->core.wall_ns);
	if (clear)
		db_bind_digest(s, 7, &b->tree_root);
	if (clear && b->flags & ENTRY_VERSION_SHA256) {
		db_bind_blob(s, 8, b->sha256.b, DIGEST_SIZE);
		db_bind_u64(s, 9, r->no);
	}
	db_bind_u64_or_null(s, 10, r->actor);
	db_bind_u64_or_null(s, 11, reads);
	db_bind_u64(s, 12, clear ? b->reason : 0);
	db_bind_u64(s, 13, clear ? b->attribution : 0);
	r->x->meta.versions++;
	if (clear)
		r->x->meta.version_bytes =
			(int64_t)((uint64_t)r->x->meta.version_bytes + b->size);
	return db_run(s);
}

static int record_digest(const struct record *r)
{
	const struct entry_digest *b = &r->e->body.digest;
	sqlite3_stmt *s = r->x->s[IDX_S_VERSION_SHA];
	struct idx_ref ref;
	int rc = idx_ref_find(r->x, &b->version, &ref);

	if (rc <= 0 || ref.kind != ENTRY_VERSION || ref.rejected ||
	    ref.inode != r->e->core.inode)
		return rc < 0 ? rc : 0;
	db_bind_u64(s, 1, ref.inode);
	db_bind_u64(s, 2, ref.version);
	db_bind_blob(s, 3, b->sha256.b, DIGEST_SIZE);
	db_bind_u64(s, 4, r->no);
	return db_run(s);
}

static int record_rename(const struct record *r)
{
	uint64_t other = r->e->body.rename.replaced;
	sqlite3_stmt *s = r->x->s[IDX_S_ALSO_ADD];

	if (!other)
		return 0;
	db_bind_u64(s, 1, other);
	db_bind_u64(s, 2, r->no);
	return db_run(s);
}

static int record_actor(const struct record *r)
{
	const struct entry_actor *b = &r->e->body.actor;
	sqlite3_stmt *s = r->x->s[IDX_S_ACTOR_ADD];
	int rc;

	db_bind_u64(s, 1, r->no);
	db_bind_u64_or_null(s, 2, r->actor);
	db_bind_u64(s, 3, b->uid);
	db_bind_u64(s, 4, b->gid);
	db_bind_u64(s, 5, b->tgid);
	db_bind_u64(s, 6, b->start);
	db_bind_u64(s, 7, b->ppid);
	bind_str(s, 8, &b->exe);
	db_bind_digest(s, 9, &b->exe_digest);
	if (!digest_is_zero(&b->exe_digest))
		db_bind_u64(s, 10, r->no);
	bind_str(s, 11, &b->argv);
	bind_str(s, 12, &b->cwd);
	bind_str(s, 13, &b->host);
	bind_id(s, 14, b->run, sizeof(b->run));
	bind_id(s, 15, b->git, sizeof(b->git));
	db_bind_u64(s, 16, b->dirty);
	rc = db_run(s);
	return rc ? rc : idx_run_actor(r->x, r->e, r->no, r->actor);
}

/*
 * One thing that was opened.  Of an EXTENTS the version is the one that will
 * absorb it.
 */
static int record_read_item(const struct record *r, unsigned i,
			    const struct entry_read *item)
{
	sqlite3_stmt *s = r->x->s[IDX_S_READ_ITEM_ADD];
	struct idx_ref ref;
	int rc = idx_ref_find(r->x, &item->version, &ref);

	if (rc < 0)
		return rc;
	db_bind_u64(s, 1, r->no);
	db_bind_u64(s, 2, i);
	if (rc && !ref.rejected &&
	    (ref.kind == ENTRY_VERSION || ref.kind == ENTRY_EXTENTS)) {
		db_bind_u64(s, 3, ref.no);
		db_bind_u64(s, 4, ref.inode);
		db_bind_u64(s, 5,
			    ref.version + (ref.kind == ENTRY_EXTENTS ? 1 : 0));
	}
	db_bind_u64(s, 6, item->strength);
	db_bind_digest(s, 7, &item->content);
	return db_run(s);
}

/* A body that cannot be read gives an empty READS: the chain starts anew. */
static int record_reads(const struct record *r)
{
	static const struct entry_reads none;
	const struct entry_reads *b =
		is_clear(r->e) ? &r->e->body.reads : &none;
	sqlite3_stmt *s = r->x->s[IDX_S_READS_ADD];
	struct entry_read item;
	uint64_t prev = 0;
	unsigned i;
	int rc;

	rc = find_kind(r->x, &b->previous, ENTRY_READS, &prev);
	if (rc)
		return rc;
	db_bind_u64(s, 1, r->no);
	db_bind_u64_or_null(s, 2, prev);
	db_bind_u64_or_null(s, 3, r->actor);
	db_bind_u64(s, 4, b->n);
	rc = db_run(s);
	for (i = 0; !rc && i < b->n; i++) {
		entry_reads_at(&item, b, i);
		rc = record_read_item(r, i, &item);
	}
	return rc;
}

static int record_attest(const struct record *r)
{
	const struct entry_attest *b = &r->e->body.attest;
	sqlite3_stmt *s;
	uint64_t no = 0;
	int rc;

	if (b->what == ENTRY_ATTEST_EXE) {
		rc = find_kind(r->x, &b->subject, ENTRY_ACTOR, &no);
		if (rc || !no)
			return rc;
		s = r->x->s[IDX_S_ACTOR_EXE];
		db_bind_u64(s, 1, no);
		db_bind_digest(s, 2, &b->digest);
		db_bind_u64(s, 3, r->no);
		return db_run(s);
	}
	if (b->what != ENTRY_ATTEST_READ)
		return 0;
	rc = find_kind(r->x, &b->subject, ENTRY_READS, &no);
	if (rc || !no)
		return rc;
	s = r->x->s[IDX_S_READ_ITEM_CONTENT];
	db_bind_u64(s, 1, no);
	db_bind_u64(s, 2, b->item);
	db_bind_digest(s, 3, &b->digest);
	return db_run(s);
}

static int add_key(const struct record *r, unsigned seq, uint32_t mount,
		   unsigned role, const uint8_t pub[KEY_SIZE],
		   const struct entry_str *name)
{
	sqlite3_stmt *s = r->x->s[IDX_S_PUBKEY_ADD];
	uint8_t id[KEY_ID_SIZE];

	key_id(id, pub);
	db_bind_u64(s, 1, r->no);
	db_bind_u64(s, 2, seq);
	db_bind_u64(s, 3, mount);
	db_bind_u64(s, 4, role);
	db_bind_blob(s, 5, id, sizeof(id));
	db_bind_blob(s, 6, pub, KEY_SIZE);
	bind_str(s, 7, name);
	return db_run(s);
}

static int end_key(const struct record *r, const uint8_t id[KEY_ID_SIZE],
		   unsigned reason, int64_t suspect_since_ns)
{
	sqlite3_stmt *s = r->x->s[IDX_S_PUBKEY_END];

	db_bind_blob(s, 1, id, KEY_ID_SIZE);
	db_bind_u64(s, 2, r->no);
	db_bind_u64(s, 3, reason);
	if (suspect_since_ns)
		db_bind_i64(s, 4, suspect_since_ns);
	return db_run(s);
}

static int record_genesis(const struct record *r)
{
	const struct entry_genesis *b = &r->e->body.genesis;
	struct entry_str none = { .p = "", .n = 0 };
	unsigned i;
	int rc = 0;

	for (i = 0; !rc && i < b->n_admin && i < ENTRY_ADMIN_MAX; i++)
		rc = add_key(r, i, 0, KEY_ADMIN, b->admin[i], &none);
	return rc;
}

static int record_key_add(const struct record *r)
{
	const struct entry_key_add *b = &r->e->body.key_add;
	struct cert c;
	int rc;

	if (cert_decode(&c, b->cert))
		return 0;
	if (r->e->core.kind == ENTRY_ROTATE) {
		rc = end_key(r, b->old_key_id, IDX_KEY_ROTATED, 0);
		if (rc)
			return rc;
	}
	return add_key(r, 0, c.mount_no, c.role, c.pub, &b->name);
}

static int record_snapshot(const struct record *r)
{
	const struct entry_snapshot *b = &r->e->body.snapshot;
	sqlite3_stmt *s;

	if (b->flags & ENTRY_SNAPSHOT_REMOVED) {
		s = r->x->s[IDX_S_SNAPSHOT_DEL];
		bind_str(s, 1, &b->name);
		return db_run(s);
	}
	s = r->x->s[IDX_S_SNAPSHOT_PUT];
	bind_str(s, 1, &b->name);
	db_bind_u64(s, 2, r->no);
	db_bind_digest(s, 3, &b->position);
	db_bind_digest(s, 4, &b->state);
	bind_str(s, 5, &b->comment);
	return db_run(s);
}

static int record_repair(const struct record *r)
{
	const struct entry_repair *b = &r->e->body.repair;
	sqlite3_stmt *s = r->x->s[IDX_S_REPAIR_ADD];

	db_bind_u64(s, 1, r->no);
	db_bind_u64(s, 2, b->what);
	db_bind_u64(s, 3, b->source);
	db_bind_u64(s, 4, b->target);
	db_bind_digest(s, 5, &b->id);
	db_bind_u64(s, 6, b->bytes);
	bind_str(s, 7, &b->object);
	return db_run(s);
}

static int record_replica(const struct record *r)
{
	const struct entry_replica *b = &r->e->body.replica;
	sqlite3_stmt *s;

	if (r->e->core.kind == ENTRY_REPLICA_REMOVE) {
		s = r->x->s[IDX_S_REPLICA_END];
		db_bind_u64(s, 1, b->number);
		db_bind_u64(s, 2, r->no);
		return db_run(s);
	}
	s = r->x->s[IDX_S_REPLICA_ADD];
	db_bind_u64(s, 1, r->no);
	db_bind_u64(s, 2, b->number);
	db_bind_u64(s, 3, b->kind);
	db_bind_blob(s, 4, b->id, sizeof(b->id));
	bind_str(s, 5, &b->location);
	return db_run(s);
}

static int record_params(const struct record *r)
{
	const struct entry_params *b = &r->e->body.params;
	sqlite3_stmt *s = r->x->s[IDX_S_PARAM_PUT];
	struct entry_param p;
	unsigned i;
	int rc = 0;

	for (i = 0; !rc && i < b->n; i++) {
		entry_params_at(&p, b, i);
		bind_str(s, 1, &p.name);
		bind_str(s, 2, &p.value);
		db_bind_u64(s, 3, r->no);
		rc = db_run(s);
	}
	return rc;
}

static int record_policy(const struct record *r)
{
	const struct entry_policy *b = &r->e->body.policy;
	sqlite3_stmt *s = r->x->s[IDX_S_POLICY_END];
	struct entry_rule v;
	unsigned i;
	int rc;

	db_bind_u64(s, 1, r->no);
	rc = db_run(s);
	s = r->x->s[IDX_S_POLICY_ADD];
	if (!rc) {
		db_bind_u64(s, 1, r->no);
		db_bind_u64(s, 2, b->n);
		rc = db_run(s);
	}
	s = r->x->s[IDX_S_RULE_ADD];
	for (i = 0; !rc && i < b->n; i++) {
		entry_policy_at(&v, b, i);
		db_bind_u64(s, 1, r->no);
		db_bind_u64(s, 2, i);
		if (v.keep & ENTRY_KEEP_AGE)
			db_bind_u64(s, 3, v.seconds);
		if (v.keep & ENTRY_KEEP_COUNT)
			db_bind_u64(s, 4, v.versions);
		bind_str(s, 5, &v.pattern);
		rc = db_run(s);
	}
	return rc;
}

/* Lifting what is no hold, or is lifted already, changes nothing. */
static int record_hold(const struct record *r)
{
	const struct entry_hold *b = &r->e->body.hold;
	sqlite3_stmt *s = r->x->s[IDX_S_HOLD_ADD];
	uint64_t no = 0;
	int rc;

	if (b->flags & ENTRY_HOLD_LIFTED) {
		rc = find_kind(r->x, &b->lifted, ENTRY_HOLD, &no);
		if (rc || !no)
			return rc;
		s = r->x->s[IDX_S_HOLD_END];
		db_bind_u64(s, 1, no);
		db_bind_u64(s, 2, r->no);
		bind_str(s, 3, &b->reason);
		return db_run(s);
	}
	db_bind_u64(s, 1, r->no);
	db_bind_u64_or_null(s, 2, b->inode);
	if (b->pattern.n)
		bind_str(s, 3, &b->pattern);
	bind_str(s, 4, &b->reason);
	return db_run(s);
}

/*
 * Releases one range.  The newest version of an inode that exists stays,
 * whatever an entry says: it is the file.
 */
static int release_range(const struct record *r, const struct entry_release *v,
			 uint64_t *io_count)
{
	sqlite3_stmt *s = r->x->s[IDX_S_VERSION_RELEASE];
	struct inode_row *row = NULL;
	uint64_t last = v->last;
	int rc = idx_rows_ops.inode_get(r->x, &row, v->inode);

	if (rc < 0)
		return rc;
	if (rc && last >= row->version)
		last = row->version ? row->version - 1 : 0;
	if (last > INT64_MAX)
		last = INT64_MAX;
	if (v->first > last)
		return 0;
	db_bind_u64(s, 1, v->inode);
	db_bind_u64(s, 2, v->first);
	db_bind_u64(s, 3, last);
	db_bind_u64(s, 4, r->no);
	rc = db_run(s);
	if (!rc)
		*io_count += (uint64_t)sqlite3_changes(r->x->db);
	return rc;
}

static int record_gc(const struct record *r)
{
	const struct entry_gc *b = &r->e->body.gc;
	sqlite3_stmt *s = r->x->s[IDX_S_GC_ADD];
	uint64_t policy = 0, count = 0;
	struct entry_release v;
	unsigned i;
	int rc;

	rc = find_kind(r->x, &b->policy, ENTRY_POLICY, &policy);
	for (i = 0; !rc && i < b->n; i++) {
		entry_gc_at(&v, b, i);
		rc = release_range(r, &v, &count);
	}
	if (rc)
		return rc;
	r->x->meta.released += (int64_t)count;
	db_bind_u64(s, 1, r->no);
	db_bind_u64_or_null(s, 2, policy);
	db_bind_u64(s, 3, count);
	db_bind_u64(s, 4, b->bytes);
	return db_run(s);
}

int idx_record(struct idx *x, const struct entry *e, uint64_t entry_no,
	       uint64_t actor_no)
{
	struct record r = { .x = x, .e = e, .no = entry_no, .actor = actor_no };

	if (e->core.kind == ENTRY_VERSION)
		return record_version(&r);
	if (e->core.kind == ENTRY_READS)
		return record_reads(&r);
	if (!is_clear(e))
		return 0;
	switch (e->core.kind) {
	case ENTRY_GENESIS:
		return record_genesis(&r);
	case ENTRY_KEY_ADD:
	case ENTRY_ROTATE:
		return record_key_add(&r);
	case ENTRY_REVOKE:
		return end_key(&r, e->body.revoke.key_id, e->body.revoke.reason,
			       e->body.revoke.suspect_since_ns);
	case ENTRY_PARAMS:
		return record_params(&r);
	case ENTRY_POLICY:
		return record_policy(&r);
	case ENTRY_HOLD:
		return record_hold(&r);
	case ENTRY_GC:
		return record_gc(&r);
	case ENTRY_RENAME:
		return record_rename(&r);
	case ENTRY_DIGEST:
		return record_digest(&r);
	case ENTRY_SNAPSHOT:
		return record_snapshot(&r);
	case ENTRY_ACTOR:
		return record_actor(&r);
	case ENTRY_ATTEST:
		return record_attest(&r);
	case ENTRY_RUN_START:
		return idx_run_start(x, e, entry_no, actor_no);
	case ENTRY_RUN_END:
		return idx_run_end(x, e, entry_no);
	case ENTRY_REPAIR:
		return record_repair(&r);
	case ENTRY_REPLICA_ADD:
	case ENTRY_REPLICA_REMOVE:
		return record_replica(&r);
	default:
		return 0;
	}
}
