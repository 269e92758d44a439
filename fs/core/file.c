/*
 * file.c - see file.h: taking, giving, attributes.  Saving and versions are
 * in file_save.c, the timers in file_tick.c.
 */
#include "fs/core/file.h"

#include <assert.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/vio.h"
#include "fs/content/content.h"
#include "fs/core/core_internal.h"
#include "fs/commit/leafcell.h"
#include "index/idx.h"
#include "ledger/ledger.h"

struct file *file_hold(struct inode *i)
{
	if (i->file)
		i->file->users++;
	return i->file;
}

static void file_free(struct core *c, struct file *f)
{
	if (!f)
		return;
	content_close(f->content);
	content_saved_release(&f->owed.saved);
	leafcell_drop(f->extents_cell);
	actor_drop(c->actors, f->writer);
	mutex_destroy(&f->save_mu);
	free(f);
}

void file_mark(struct core *c, struct file *f)
{
	if (f->on_dirty)
		return;
	f->on_dirty = true;
	c->n_dirty++;
	f->dirty.prev = c->dirty.prev;
	f->dirty.next = &c->dirty;
	c->dirty.prev->next = &f->dirty;
	c->dirty.prev = &f->dirty;
}

void file_forget(struct core *c, struct file *f)
{
	if (!f->on_dirty)
		return;
	assert(c->n_dirty > 0);
	c->n_dirty--;
	f->dirty.prev->next = f->dirty.next;
	f->dirty.next->prev = f->dirty.prev;
	f->on_dirty = false;
}

void file_give(struct core *c, struct file *f)
{
	bool last;

	if (!f)
		return;
	mutex_lock(&c->t.mu);
	assert(f->users > 0);
	if (--f->users == 0 && f->inode->row.flags & INODE_ORPHAN)
		file_forget(c, f); /* nobody will ever see these bytes */
	last = f->users == 0 && !f->on_dirty;
	if (last) {
		f->inode->file = NULL;
		core_reap(c, f->inode);
		itable_drop(&c->t, f->inode);
	}
	mutex_unlock(&c->t.mu);
	if (last)
		file_free(c, f);
}

void file_drop_all(struct core *c)
{
	while (c->dirty.next != &c->dirty) {
		struct file *f = (struct file *)c->dirty.next;

		mutex_lock(&c->t.mu);
		f->users++;
		file_forget(c, f);
		mutex_unlock(&c->t.mu);
		file_give(c, f);
	}
}

/* All dirty files, each with a user more. */
static int hold_dirty(struct core *c, struct file ***out, size_t *out_n)
{
	struct file **v = NULL;
	size_t n = 0, cap;

	mutex_lock(&c->t.mu);
	cap = c->n_dirty;
	v = calloc(cap ? cap : 1, sizeof(struct file *));
	for (struct link *at = c->dirty.next; v && at != &c->dirty;
	     at = at->next) {
		v[n] = (struct file *)at;
		v[n++]->users++;
	}
	mutex_unlock(&c->t.mu);
	*out = v;
	*out_n = n;
	return v ? 0 : -ENOMEM;
}

int file_each_owed(struct core *c,
		   void (*fn)(void *ctx, const struct digest *id), void *ctx)
{
	struct file **v = NULL;
	size_t n = 0;
	int rc = hold_dirty(c, &v, &n);

	for (size_t i = 0; i < n; i++) {
		const struct content_saved *s = &v[i]->owed.saved;

		mutex_lock(&v[i]->save_mu);
		for (size_t k = v[i]->owed.done; k < s->n; k++)
			if (!digest_is_zero(&s->extents[k].chunk))
				fn(ctx, &s->extents[k].chunk);
		mutex_unlock(&v[i]->save_mu);
		file_give(c, v[i]);
	}
	free(v);
	return rc;
}

/*
 * What the index says a file holds is checked against the journal when the
 * file is opened: the entry that the row names must be this inode's VERSION
 * of this number with this root and size, and hash to the leaf.
 */
static int check_row(struct core *c, const struct inode_row *row)
{
	struct buf b = BUF_INIT;
	struct digest leaf;
	struct entry e;
	int rc;

	if (!row->version)
		return 0;
	rc = ledger_read_entry(c->ledger, &b, &leaf, row->version_no);
	if (rc >= 0)
		rc = entry_open(&e, NULL, b.p, b.n, NULL);
	if (rc >= 0 &&
	    (e.core.kind != ENTRY_VERSION || e.core.inode != row->ino ||
	     e.core.version != row->version || e.state != ENTRY_CLEAR ||
	     !digest_eq(&leaf, &row->version_leaf) ||
	     !digest_eq(&e.body.version.tree_root, &row->tree_root) ||
	     entry_version_allocated(&e.body) != row->allocated ||
	     (e.body.version.size != row->size &&
	      !(row->flags & INODE_HAS_EXTENTS))))
		rc = -ERR_CORRUPT;
	if (rc < 0)
		log_event(LOG_ERROR, "index_row_wrong",
			  "inode=%llu entry=%llu.%u why=\"%s\" do=\"vouch "
			  "reindex\"",
			  (unsigned long long)row->ino,
			  (unsigned long long)IDX_SEAL(row->version_no),
			  IDX_POS(row->version_no), err_text(rc));
	buf_release(&b);
	return rc < 0 ? rc : 0;
}

struct extents_load {
	struct extent_row *v;
	size_t n, cap;
};

static int load_extent(void *ctx, const struct extent_row *row, uint64_t no)
{
	struct extents_load *l = ctx;

	(void)no;
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 64;
		struct extent_row *v = realloc(l->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = *row;
	return 0;
}

/* Extents that a crash left without a version. */
static int recover_extents(struct core *c, struct content *content,
			   const struct inode_row *row)
{
	struct extents_load l = { .v = NULL };
	struct idx_reader *r = NULL;
	int rc = core_reader_take(c, &r);

	if (rc >= 0)
		rc = idx_extents(r, row->ino, load_extent, &l);
	core_reader_give(c, r);
	if (rc >= 0)
		rc = content_recover(content, l.v, l.n);
	if (rc >= 0)
		content_recover_size(content, row->size);
	free(l.v);
	return rc < 0 ? rc : 0;
}

/* The size of the tree under a row whose size extents have moved. */
static int base_size(struct core *c, const struct inode_row *row, uint64_t *out)
{
	struct buf b = BUF_INIT;
	struct digest leaf;
	struct entry e;
	int rc = 0;

	*out = row->size;
	if (!(row->flags & INODE_HAS_EXTENTS))
		return 0;
	*out = 0;
	if (!row->version)
		return 0;
	rc = ledger_read_entry(c->ledger, &b, &leaf, row->version_no);
	if (rc >= 0)
		rc = entry_open(&e, NULL, b.p, b.n, NULL);
	if (rc >= 0 && (e.core.kind != ENTRY_VERSION ||
			e.core.inode != row->ino || e.state != ENTRY_CLEAR))
		rc = -ERR_CORRUPT;
	if (rc >= 0)
		*out = e.body.version.size;
	buf_release(&b);
	return rc < 0 ? rc : 0;
}

/*
 * Extents and the number of the version's entry come from the index and the
 * journal: both must have what was entered, perhaps a moment ago.
 */
static int settle_row(struct core *c, struct inode *i, struct inode_row *row)
{
	int rc = core_settle_index(c);
	uint64_t no = 0;

	mutex_lock(&c->t.mu);
	if (i->version_cell)
		no = i->version_cell->entry_no;
	mutex_unlock(&c->t.mu);
	if (no)
		row->version_no = no;
	return rc < 0 ? rc : 0;
}

static int file_new(struct core *c, struct file **out, struct inode *i,
		    struct inode_row *row)
{
	struct file *f = calloc(1, sizeof(*f));
	uint64_t size = 0;
	int rc;

	if (!f)
		return -ENOMEM;
	mutex_init(&f->save_mu);
	rc = row->flags & INODE_HAS_EXTENTS ? settle_row(c, i, row) : 0;
	if (rc >= 0)
		rc = base_size(c, row, &size);
	if (rc >= 0)
		rc = content_open(&f->content, c->pool, &row->tree_root, size);
	if (rc >= 0)
		content_base_allocated(f->content, row->allocated);
	if (rc >= 0 && row->flags & INODE_HAS_EXTENTS)
		rc = recover_extents(c, f->content, row);
	if (rc < 0) {
		file_free(c, f);
		return rc;
	}
	*out = f;
	return 0;
}

/* Puts a new file at its inode, unless the row has changed meanwhile. */
static int publish_locked(struct core *c, struct file *f, struct inode *i,
			  const struct inode_row *seen)
{
	if (i->gone || i->file || i->row.version != seen->version ||
	    i->row.size != seen->size || i->row.flags != seen->flags)
		return -ERR_RELOCKED;
	f->inode = i;
	f->users = 1;
	itable_hold(&c->t, i);
	i->file = f;
	i->checked = true;
	/* perhaps: the first write looks */
	atomic_store(&f->capable, i->row.nxattr > 0);
	if (i->row.flags & INODE_HAS_EXTENTS) {
		f->strength = ENTRY_GUESSED;
		file_mark(c, f);
	}
	return 0;
}

struct take_arg {
	uint64_t ino;
	struct file *found;
	struct inode *inode; /* held */
	struct inode_row row;
	bool checked;
};

static int take_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct take_arg *a = arg;
	int rc = itable_get(tx, &a->inode, a->ino);

	if (rc < 0)
		return rc;
	if (!core_is_reg(a->inode))
		return core_is_dir(a->inode) ? -EISDIR : -EINVAL;
	a->found = file_hold(a->inode);
	if (a->found)
		return 0;
	a->row = a->inode->row;
	a->checked = a->inode->checked;
	itable_hold(&c->t, a->inode);
	return 0;
}

int file_take(struct core *c, struct file **out, uint64_t ino)
{
	for (;;) {
		struct take_arg a = { .ino = ino };
		struct file *f = NULL;
		int rc = core_op(c, take_op, &a);

		if (rc < 0)
			return rc;
		if (a.found) {
			*out = a.found;
			return 0;
		}
		if (!a.checked)
			rc = check_row(c, &a.row);
		if (rc >= 0)
			rc = file_new(c, &f, a.inode, &a.row);
		mutex_lock(&c->t.mu);
		if (rc >= 0)
			rc = publish_locked(c, f, a.inode, &a.row);
		itable_drop(&c->t, a.inode);
		mutex_unlock(&c->t.mu);
		if (rc >= 0) {
			*out = f;
			return 0;
		}
		file_free(c, f);
		if (rc != -ERR_RELOCKED)
			return rc;
	}
}

void file_attributes(struct file *f, uint64_t *size, uint64_t *allocated,
		     int64_t *mtime, int64_t *ctime)
{
	*size = content_size(f->content);
	*allocated = content_allocated(f->content);
	if (f->times) {
		*mtime = f->mtime_ns;
		if (f->ctime_ns > *ctime)
			*ctime = f->ctime_ns;
	}
}

void file_dirtied(struct core *c, struct file *f, struct actor *a,
		  uint8_t strength, int64_t now)
{
	f->mtime_ns = f->ctime_ns = now;
	f->times = true;
	f->strength = strength;
	/* whoever it was: may that be closed when the file is opened next? */
	f->flushed = f->mute > 0 || f->writers == 0;
	if (f->writer != a) {
		struct actor *old = f->writer;

		f->writer = a ? actor_hold(a) : NULL;
		actor_drop(c->actors, old);
	}
	file_mark(c, f);
}

void file_set_mtime(struct file *f, int64_t mtime)
{
	if (f->times)
		f->mtime_ns = mtime;
}
