/*
 * file_save.c - a file's bytes become entries: EXTENTS and VERSION.
 *
 * content.c makes the bytes durable (or stages them for the frame) before
 * the entry is queued here: invariant 3 of DESIGN 2.  Too many extents of a
 * file without a name become a tree with no entry (may_fold).
 *
 * Save and version are each one section of the store's lease: what they put or
 * report is queued before it ends (lease.h).
 *
 * Threads: request threads, job threads, the tick; save_mu of the file is
 * taken first, itable.mu inside for queueing alone.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/vio.h"
#include "fs/commit/commit.h"
#include "fs/content/content.h"
#include "fs/core/core_internal.h"
#include "fs/core/file.h"
#include "fs/commit/leafcell.h"
#include "fs/store/lease.h"
#include "fs/store/store.h"
#include "fs/core/trail.h"
#include "fs/run/run_table.h"

enum { SMALL_BYTES = 1 << 20, SMALL_EXTENTS = 16 };
enum { RETRY_MS = 1000, RETRY_DOUBLINGS = 6 };

/* --- EXTENTS --- */

static struct pend *extents_entry(const struct file *f)
{
	const struct content_saved *s = &f->owed.saved;
	size_t left = s->n - f->owed.done;
	size_t n = left < LIMIT_EXTENTS ? left : LIMIT_EXTENTS;
	struct pend *p = pend_new(ENTRY_EXTENTS, 0);
	struct entry_extent *v = calloc(n ? n : 1, sizeof(*v));

	if (!p || !v) {
		free(v);
		pend_free(p);
		return NULL;
	}
	p->arrays = v;
	for (size_t i = 0; i < n; i++) {
		const struct extent_row *x = &s->extents[f->owed.done + i];

		v[i].offset = x->off;
		v[i].length = x->len;
		v[i].chunk = x->chunk;
		v[i].chunk_offset = x->chunk_off;
	}
	p->e.body.extents.attribution = f->strength;
	p->e.body.extents.size = s->size;
	p->e.body.extents.n = (uint16_t)n;
	p->e.body.extents.v = v;
	return p;
}

static int save_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct file *f = arg;
	struct file_owed *o = &f->owed;

	while (o->any) {
		struct pend *p = extents_entry(f);
		struct leafcell *cell;
		unsigned n;
		int rc;

		if (!p)
			return -ENOMEM;
		n = p->e.body.extents.n;
		p->e.core.wall_ns = f->times ? f->ctime_ns : core_now(c);
		cell = leafcell_hold(p->cell);
		rc = core_submit(c, tx, p, f->inode, f->writer);
		if (rc < 0) {
			leafcell_drop(cell);
			return rc;
		}
		/* all small chunks ride with the first */
		p->n_staged = o->saved.n_staged;
		p->staged = take(o->saved.staged);
		o->saved.n_staged = 0;
		leafcell_drop(f->extents_cell);
		f->extents_cell = cell;
		o->done += n;
		o->any = o->done < o->saved.n;
	}
	content_saved_release(&o->saved);
	return 0;
}

/* Only the times moved (O_TRUNC of an empty file, a write of nothing). */
static int touched_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct file *f = arg;
	struct pend *p;

	if (!f->times || f->inode->gone ||
	    (f->mtime_ns == f->inode->row.mtime_ns &&
	     f->ctime_ns <= f->inode->row.ctime_ns))
		return 0;
	p = pend_new(ENTRY_SETATTR, 0);
	if (!p)
		return -ENOMEM;
	p->e.body.setattr.mask = ENTRY_ATTR_MTIME;
	p->e.body.setattr.mtime_ns = f->mtime_ns;
	p->e.core.wall_ns = f->ctime_ns;
	if (f->inode->row.ctime_ns > f->ctime_ns)
		p->e.core.wall_ns = f->inode->row.ctime_ns;
	return core_submit(c, tx, p, f->inode, f->writer);
}

/* The content counts it as saved: what could not be queued is tried again. */
static int settle_owed(struct core *c, struct file *f)
{
	return f->owed.any ? core_op(c, save_op, f) : 0;
}

static int save_held(struct core *c, struct file *f)
{
	struct file_owed *o = &f->owed;
	struct content_state st;
	int rc = settle_owed(c, f);

	if (rc < 0)
		return rc;
	content_state(f->content, &st);
	if (!st.dirty) /* the last version says it all, but for the times */
		return core_op(c, touched_op, f);
	rc = content_save(f->content, &o->saved);
	if (rc < 0)
		return rc;
	o->done = 0;
	o->any = o->saved.n > 0 || o->saved.size_changed;
	if (!o->any)
		content_saved_release(&o->saved);
	return settle_owed(c, f);
}

/* When the tick tries again: what no time mends, ever more rarely. */
static void note_result(struct core *c, struct file *f, int rc)
{
	if (rc == -ENOSPC || rc >= 0)
		f->tries = 0;
	else if (f->tries < RETRY_DOUBLINGS)
		f->tries++;
	if (rc < 0)
		f->retry_ns = vio_mono_ns(c->vio) +
			      (RETRY_MS * 1000000LL << f->tries);
}

int file_save(struct core *c, struct file *f, uint64_t *out_seq)
{
	unsigned section = lease_enter(store_lease(c->store));
	int rc;

	mutex_lock(&f->save_mu);
	rc = save_held(c, f);
	lease_leave(store_lease(c->store), section);
	mutex_lock(&c->t.mu);
	*out_seq = commit_last_seq(c->commit);
	note_result(c, f, rc);
	mutex_unlock(&c->t.mu);
	mutex_unlock(&f->save_mu);
	return rc;
}

/* --- VERSION --- */

struct version_arg {
	struct file *f;
	struct content_version *v;
	uint8_t reason;
	bool fold; /* no entry, if it still may be */
	bool made, folded;
};

static void fill_version(struct pend *p, const struct version_arg *a)
{
	uint8_t tlv[ENTRY_ALLOCATED_MAX];
	struct entry_version *b = &p->e.body.version;
	const struct content_version *v = a->v;
	const struct file *f = a->f;

	b->content_alg = ENTRY_CONTENT_BLAKE3;
	b->reason = a->reason;
	b->attribution = f->strength;
	b->size = v->size;
	b->mtime_ns = f->times ? f->mtime_ns : f->inode->row.mtime_ns;
	b->tree_root = v->root;
	if (v->has_sha256) {
		b->flags |= ENTRY_VERSION_SHA256;
		b->sha256 = v->sha256;
	}
	if (!v->has_sha256 && f->twin && digest_eq(&v->root, &f->twin_root)) {
		/* the same tree is the same bytes (invariant 10) */
		b->flags |= ENTRY_VERSION_SHA256;
		b->sha256 = f->twin_sha256;
	}
	if (v->ranges_are_hull)
		b->flags |= ENTRY_VERSION_HULL;
	p->e.body.extra.n =
		entry_version_allocated_put(tlv, v->size, v->allocated);
	p->e.body.extra.p = pend_bytes(p, tlv, p->e.body.extra.n);
	b->n_ranges = v->n_ranges;
	for (unsigned i = 0; i < v->n_ranges; i++) {
		b->ranges[i].lo = v->ranges[i].lo;
		b->ranges[i].hi = v->ranges[i].hi;
	}
}

/*
 * The path from the root, from the names that were last looked up; empty
 * when a part of it is not in memory.
 */
static size_t path_of(struct core *c, const struct inode *i, char *out,
		      size_t cap)
{
	size_t at = cap;

	while (i && i->row.ino != STATE_ROOT_INO) {
		size_t n = i->hint ? strlen(i->hint) : 0;

		if (!n || n + 1 > at)
			return 0;
		at -= n;
		memcpy(out + at, i->hint, n);
		i = itable_find_inode(&c->t, i->row.parent);
		if (i && i->row.ino != STATE_ROOT_INO)
			out[--at] = '/';
	}
	if (!i)
		return 0;
	memmove(out, out + at, cap - at);
	return cap - at;
}

/*
 * Extents of a file without a name become a tree like any other's, but no
 * entry: a version in the log would be kept as history, and these bytes are
 * nobody's at the last close.  Where the log knows of extents of it, as after
 * a fsync, only a VERSION ends them.
 */
static bool may_fold(const struct file *f, uint8_t reason)
{
	const struct inode_row *row = &f->inode->row;

	return reason == ENTRY_REASON_EXTENTS && row->flags & INODE_ORPHAN &&
	       !(row->flags & INODE_HAS_EXTENTS);
}

static int version_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct version_arg *a = arg;
	struct file *f = a->f;
	struct inode *i = f->inode;
	char path[LIMIT_PATH];
	size_t n_path;
	struct pend *p;
	struct leafcell *cell, *reads = NULL;
	int rc;

	if (a->made || i->gone)
		return 0; /* nobody can ever open it again */
	/* what a clone brought may ride in another's frame: with an entry */
	a->folded = a->fold && may_fold(f, a->reason) && a->v->n_staged == 0;
	if (a->folded)
		return 0;
	n_path = path_of(c, i, path, sizeof(path));
	rc = trail_reads(c, tx, f->writer, &reads);
	if (rc < 0)
		return rc;
	p = pend_new(ENTRY_VERSION, n_path + ENTRY_ALLOCATED_MAX);
	if (!p) {
		leafcell_drop(reads);
		return -ENOMEM;
	}
	fill_version(p, a);
	p->e.body.version.path = pend_str(p, path, n_path);
	if (reads) {
		p->e.body.version.flags |= ENTRY_VERSION_READS;
		p->reads = reads;
	}
	p->extents = leafcell_hold(f->extents_cell);
	p->e.core.wall_ns = f->times ? f->ctime_ns : 0;
	if (f->times && i->row.ctime_ns > f->ctime_ns)
		p->e.core.wall_ns = i->row.ctime_ns;
	cell = leafcell_hold(p->cell);
	rc = core_submit(c, tx, p, i, f->writer);
	if (rc < 0) {
		leafcell_drop(cell);
		return rc;
	}
	p->n_staged = a->v->n_staged;
	p->staged = take(a->v->staged);
	leafcell_drop(i->version_cell);
	i->version_cell = cell;
	leafcell_drop(f->extents_cell);
	f->extents_cell = NULL;
	if (!(i->row.flags & INODE_HAS_SHA256))
		core_idle_owe(c, i->row.ino, i->row.size);
	a->made = true;
	return 0;
}

/* Under itable.mu after a version: what is still owed? */
static void settle_locked(struct core *c, struct file *f)
{
	struct content_state st;
	bool again;

	content_state(f->content, &st);
	again = st.dirty || st.unsaved;
	file_forget(c, f);
	if (again) { /* written meanwhile: next time, after the others */
		file_mark(c, f);
		return;
	}
	f->times = false;
	if (!f->writers) {
		actor_drop(c->actors, f->writer);
		f->writer = NULL;
	}
}

static int version_held(struct core *c, struct file *f, uint8_t reason)
{
	struct content_version v;
	struct version_arg a = { .f = f, .v = &v, .reason = reason };
	struct content_state st;
	bool empty_first;
	int rc = settle_owed(c, f);

	if (rc < 0)
		return rc;
	content_state(f->content, &st);
	mutex_lock(&c->t.mu);
	empty_first = !f->inode->row.version && reason == ENTRY_REASON_DEMAND;
	a.fold = may_fold(f, reason);
	mutex_unlock(&c->t.mu);
	if (!st.dirty && !st.unsaved && !empty_first) {
		rc = core_op(c, touched_op, f);
		goto out;
	}
	memset(&v, 0, sizeof(v));
	rc = a.fold ? content_fold(f->content, &v) :
		      content_version(f->content, &v);
	if (rc < 0)
		return rc;
	rc = core_op(c, version_op, &a);
	if (rc >= 0 && a.folded)
		content_folded(f->content, v.gen);
	else if (rc >= 0)
		content_versioned(f->content, v.gen);
	content_version_release(&v);
out:
	if (rc < 0)
		return rc;
	mutex_lock(&c->t.mu);
	settle_locked(c, f);
	mutex_unlock(&c->t.mu);
	return 0;
}

int file_version(struct core *c, struct file *f, uint8_t reason)
{
	unsigned section = lease_enter(store_lease(c->store));
	int rc;

	mutex_lock(&f->save_mu);
	rc = version_held(c, f, reason);
	lease_leave(store_lease(c->store), section);
	mutex_unlock(&f->save_mu);
	mutex_lock(&c->t.mu);
	note_result(c, f, rc);
	if (rc < 0 && !atomic_load(&f->deferred))
		atomic_store(&f->deferred, rc);
	mutex_unlock(&c->t.mu);
	return rc;
}

static bool declared(const struct actor *a)
{
	static const uint8_t none[sizeof(a->run)];

	return !run_id_implicit(a->run) &&
	       memcmp(a->run, none, sizeof(none)) != 0;
}

/*
 * Programs of one user that no `vouch run` started count as one: the processes
 * of a database are process groups of their own, write its files in turn, and
 * would make a version each time.
 */
static bool together(const struct actor *a, const struct actor *b)
{
	if (a == b)
		return true;
	return a->uid == b->uid &&
	       (memcmp(a->run, b->run, sizeof(a->run)) == 0 ||
		(!declared(a) && !declared(b)));
}

int file_turn(struct core *c, struct file *f, const struct actor *a)
{
	bool others;

	mutex_lock(&c->t.mu);
	others = f->on_dirty && a && f->writer && !together(f->writer, a);
	mutex_unlock(&c->t.mu);
	return others ? file_version(c, f, ENTRY_REASON_DEMAND) : 0;
}

bool file_is_small(struct file *f)
{
	struct content_state st;

	content_state(f->content, &st);
	return st.buffered <= SMALL_BYTES && st.extents <= SMALL_EXTENTS;
}
