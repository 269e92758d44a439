/*
 * core_storage.c - entries about content that no system call makes: old bytes
 * brought back, replicas, scrubs.  Any thread.
 */
#include "fs/core/core_storage.h"

#include <fcntl.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "fs/content/content.h"
#include "fs/core/core_internal.h"
#include "fs/core/file.h"
#include "fs/commit/leafcell.h"
#include "fs/store/lease.h"
#include "fs/store/store.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/entry.h"
#include "ledger/ledger.h"

/* --- restore --- */

struct restore_arg {
	struct handle *h;
	struct digest leaf; /* of VERSION entry `no` */
	uint64_t no;
	const char *when;
};

static int restore_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct restore_arg *a = arg;
	size_t n = strlen(a->when);
	struct pend *p = pend_new(ENTRY_RESTORE, n);

	if (!p)
		return -ENOMEM;
	p->e.body.restore.why = 1;
	p->subject = leafcell_known_new(&a->leaf, a->no);
	if (!p->subject) {
		pend_free(p);
		return -ENOMEM;
	}
	p->e.body.restore.when = pend_str(p, a->when, n);
	return core_submit(c, tx, p, a->h->inode, a->h->actor);
}

/* An index row is a hint: the journal says what the version holds. */
int core_storage_check(struct core *c, const struct idx_version *v,
		       struct digest *out_leaf)
{
	struct buf b = BUF_INIT;
	struct entry e;
	int rc = ledger_read_entry(c->ledger, &b, out_leaf, v->no);

	if (rc >= 0)
		rc = entry_open(&e, NULL, b.p, b.n, NULL);
	if (rc >= 0 &&
	    (e.core.kind != ENTRY_VERSION || e.core.inode != v->ino ||
	     e.core.version != v->version || e.state != ENTRY_CLEAR ||
	     !digest_eq(&e.body.version.tree_root, &v->tree_root) ||
	     e.body.version.size != v->size))
		rc = -ERR_CORRUPT;
	if (rc < 0)
		log_event(LOG_ERROR, "index_row_wrong",
			  "inode=%llu version=%llu why=\"%s\" do=\"vouch "
			  "reindex\"",
			  (unsigned long long)v->ino,
			  (unsigned long long)v->version, err_text(rc));
	buf_release(&b);
	if (rc < 0)
		return rc;
	return digest_is_zero(&v->tree_root) || v->released_no ? -ENODATA : 0;
}

static int look_up(struct core *c, struct idx_version *out, uint64_t ino,
		   uint64_t version)
{
	struct idx_reader *r = NULL;
	int rc = core_reader_take(c, &r);

	if (rc >= 0)
		rc = idx_version(r, out, ino, version);
	core_reader_give(c, r);
	return rc;
}

int core_storage_version(struct core *c, struct idx_version *out,
			 struct digest *out_leaf, uint64_t ino,
			 uint64_t version)
{
	int rc = look_up(c, out, ino, version);

	if (rc == 0) { /* perhaps it is on its way */
		rc = core_settle_index(c);
		if (rc >= 0)
			rc = look_up(c, out, ino, version);
		if (rc == 0)
			return -ENOENT;
	}
	return rc < 0 ? rc : core_storage_check(c, out, out_leaf);
}

/* Walks the tree: every node of it is there and good.  No chunk is read. */
static int walk(struct content *old, uint64_t size)
{
	bool hole = true;
	int rc = 0;

	for (uint64_t at = 0; rc == 0 && at < size; hole = !hole)
		rc = content_seek(old, at, hole, &at);
	return rc == -ENXIO ? 0 : rc;
}

/*
 * The old version's chunks become the file's: nothing is copied.  A tree that
 * cannot be read is found before the file's own bytes are given up.
 */
static int bring_back(struct core *c, struct handle *h,
		      const struct idx_version *v)
{
	struct content *old = NULL;
	uint64_t done = 0;
	int rc = content_open(&old, c->pool, &v->tree_root, v->size);

	if (rc >= 0)
		rc = walk(old, v->size);
	if (rc < 0) {
		content_close(old);
		return rc;
	}
	moment_enter(&c->moment);
	rc = content_truncate(h->file->content, 0);
	while (rc >= 0 && done < v->size) {
		uint64_t n = 0;

		rc = content_clone(h->file->content, done, old, done,
				   v->size - done, &n);
		if (rc >= 0 && n == 0)
			rc = -ERR_CORRUPT;
		done += n;
	}
	mutex_lock(&c->t.mu);
	file_dirtied(c, h->file, h->actor, ENTRY_EXACT, core_now(c));
	mutex_unlock(&c->t.mu);
	moment_leave(&c->moment);
	content_close(old);
	if (rc >= 0)
		rc = file_version(c, h->file, ENTRY_REASON_DEMAND);
	return rc;
}

/* Does the file hold these bytes already?  Then there is nothing to enter. */
static bool holds(struct core *c, const struct handle *h,
		  const struct idx_version *v)
{
	const struct inode_row *row = &h->inode->row;
	bool same;

	mutex_lock(&c->t.mu);
	same = !h->file->on_dirty && row->version && row->size == v->size &&
	       digest_eq(&row->tree_root, &v->tree_root);
	mutex_unlock(&c->t.mu);
	return same;
}

/* Was nothing ever written?  Then there is nothing to keep as history. */
static bool is_new(struct core *c, const struct handle *h)
{
	struct content_state st;
	bool empty;

	content_state(h->file->content, &st);
	mutex_lock(&c->t.mu);
	empty = !h->inode->row.version && h->inode->row.size == 0;
	mutex_unlock(&c->t.mu);
	return empty && !st.dirty && !st.unsaved;
}

static int restore(struct core *c, bool *out_same, const struct cred *cr,
		   uint64_t ino, uint64_t from, uint64_t version_no,
		   const char *when)
{
	struct restore_arg a = { .when = when };
	struct idx_version v;
	bool keep;
	int rc = core_storage_version(c, &v, &a.leaf, from, version_no);

	if (rc >= 0)
		rc = core_open_file(c, cr, ino, O_WRONLY, false, &a.h, &keep);
	if (rc < 0)
		return rc;
	if (!a.h->file)
		rc = -EINVAL;
	/* What is dirty is history too: it gets its version first. */
	if (rc >= 0 && !is_new(c, a.h))
		rc = file_version(c, a.h->file, ENTRY_REASON_DEMAND);
	a.no = v.no;
	*out_same = rc >= 0 && holds(c, a.h, &v);
	if (rc >= 0 && !*out_same) {
		rc = core_op(c, restore_op, &a);
		if (rc >= 0)
			rc = bring_back(c, a.h, &v);
	}
	core_release(c, a.h);
	if (!*out_same && c->o.invalidate)
		c->o.invalidate(c->o.ctx, ino, true);
	return rc < 0 ? rc : 0;
}

/* From the row that names the old tree to the entry that names it anew. */
int core_storage_restore(struct core *c, bool *out_same, const struct cred *cr,
			 uint64_t ino, uint64_t from, uint64_t version_no,
			 const char *when)
{
	unsigned section = lease_enter(store_lease(c->store));
	int rc = restore(c, out_same, cr, ino, from, version_no, when);

	lease_leave(store_lease(c->store), section);
	return rc;
}

/* --- another content, if the file is still as it was seen --- */

struct put_arg {
	const struct core_storage_put *o;
	struct handle *h;
	uint64_t size; /* before */
};

static int put_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct put_arg *a = arg;
	size_t n = strlen(a->o->when);
	struct pend *p = pend_new(ENTRY_RESTORE, n);
	struct entry_restore *b;

	if (!p)
		return -ENOMEM;
	b = &p->e.body.restore;
	b->why = a->o->why;
	memcpy(b->run, a->o->run, sizeof(b->run));
	b->when = pend_str(p, a->o->when, n);
	p->subject = digest_is_zero(&a->o->subject) ?
			     NULL :
			     leafcell_known_new(&a->o->subject, a->o->no);
	if (!p->subject && !digest_is_zero(&a->o->subject)) {
		pend_free(p);
		return -ENOMEM;
	}
	return core_submit(c, tx, p, a->h->inode, a->h->actor);
}

static int put(struct core *c, const struct cred *cr, struct put_arg *a,
	       struct content *from)
{
	struct inode *i = a->h->inode;
	struct digest root;
	uint64_t version, size;
	int rc = a->h->file ? 0 : -EINVAL;

	if (rc >= 0 && !is_new(c, a->h))
		rc = file_version(c, a->h->file, ENTRY_REASON_DEMAND);
	if (rc < 0)
		return rc;
	mutex_lock(&c->t.mu);
	version = i->row.version;
	root = i->row.tree_root;
	a->size = size = i->row.size;
	mutex_unlock(&c->t.mu);
	if (version != a->o->expect)
		return -EBUSY;
	rc = core_file_wrote_by(c, cr, a->h);
	if (rc < 0)
		return rc;
	moment_enter(&c->moment);
	rc = content_replace(a->h->file->content, &root, size, from);
	if (rc < 0) {
		moment_leave(&c->moment);
		return rc;
	}
	rc = core_op(c, put_op, a);
	mutex_lock(&c->t.mu);
	file_dirtied(c, a->h->file, a->h->actor, ENTRY_EXACT, core_now(c));
	i->stale = true; /* who opens it sees no old page */
	mutex_unlock(&c->t.mu);
	moment_leave(&c->moment);
	return rc < 0 ? rc : file_version(c, a->h->file, ENTRY_REASON_DEMAND);
}

int core_storage_put(struct core *c, const struct cred *cr,
		     const struct core_storage_put *o, struct content *from)
{
	struct put_arg a = { .o = o };
	bool keep;
	int rc = core_open_file(c, cr, o->ino, O_WRONLY, false, &a.h, &keep);

	if (rc < 0)
		return rc;
	rc = put(c, cr, &a, from);
	core_release(c, a.h);
	if (c->o.invalidate && rc != -EBUSY) {
		c->o.invalidate(c->o.ctx, o->ino, false);
		if (a.size) /* else the kernel has no page of it */
			c->o.invalidate(c->o.ctx, o->ino, true);
	}
	return rc < 0 ? rc : 0;
}

/* --- replicas, scrubs --- */

/* An entry of kind `kind`, if the volume may take one; strings need n bytes. */
static int begin(struct core *c, struct pend **out, uint16_t kind, size_t n)
{
	int rc = core_may_change(c, SPACE_ADD);

	if (rc < 0)
		return rc;
	*out = pend_new(kind, n);
	return *out ? 0 : -ENOMEM;
}

static int enter_op(struct core *c, struct itable_tx *tx, void *arg)
{
	return core_submit(c, tx, arg, NULL, NULL);
}

static int enter(struct core *c, struct pend *p)
{
	int rc = core_op(c, enter_op, p);

	return rc < 0 ? rc : core_settle_index(c);
}

int core_storage_replica(struct core *c, uint16_t kind, uint16_t number,
			 const char *location)
{
	size_t n = strlen(location);
	struct pend *p = NULL;
	struct digest id;
	int rc = begin(c, &p, kind, n);

	if (rc < 0)
		return rc;
	digest_sha256(&id, location, n);
	p->e.body.replica.number = number;
	p->e.body.replica.kind = CORE_STORAGE_DIRECTORY;
	memcpy(p->e.body.replica.id, id.b, sizeof(p->e.body.replica.id));
	if (kind == ENTRY_REPLICA_ADD)
		p->e.body.replica.location = pend_str(p, location, n);
	return enter(c, p);
}

int core_storage_anchor(struct core *c, const struct entry_anchor *a)
{
	struct pend *p = NULL;
	int rc = begin(c, &p, ENTRY_ANCHOR, a->location.n + a->ref.n);

	if (rc < 0)
		return rc;
	p->e.body.anchor = *a;
	p->e.body.anchor.location = pend_str(p, a->location.p, a->location.n);
	p->e.body.anchor.ref = pend_str(p, a->ref.p, a->ref.n);
	return enter(c, p);
}

int core_storage_scrub(struct core *c, uint64_t objects, uint64_t bytes,
		       uint64_t bad, uint64_t repaired)
{
	struct pend *p = NULL;
	int rc = begin(c, &p, ENTRY_SCRUB, 0);

	if (rc < 0)
		return rc;
	p->e.body.scrub.objects = objects;
	p->e.body.scrub.bytes = bytes;
	p->e.body.scrub.bad = bad;
	p->e.body.scrub.repaired = repaired;
	return enter(c, p);
}

int core_storage_repair(struct core *c, uint16_t source, const char *object,
			uint64_t bytes)
{
	size_t n = strlen(object);
	struct pend *p = n <= LIMIT_PATH ? pend_new(ENTRY_REPAIR, n) : NULL;

	if (!p)
		return n <= LIMIT_PATH ? -ENOMEM : -ENAMETOOLONG;
	p->e.body.repair.what = 4; /* journal */
	p->e.body.repair.source = source;
	p->e.body.repair.bytes = bytes;
	p->e.body.repair.object = pend_str(p, object, n);
	return enter(c, p);
}
