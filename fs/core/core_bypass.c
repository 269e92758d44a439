/*
 * core_bypass.c - files that are written round the kernel's page cache.
 *
 * Who makes a file and only writes it is answered so; while it is open, so is
 * everybody else.  The kernel still maps such a file through its page cache,
 * and drops the pages that a write covers before it asks us for the write,
 * older kernels not again after it: a page that is filled meanwhile has bytes
 * from before.
 *
 * Invariants: (1) while one writes round the page cache, nobody is answered
 * otherwise.  It begins when the file is made and, when the last such writer
 * is gone, is over for ever.  (2) A page with old bytes does not stay: a write
 * after which a page was filled has the kernel forget the pages, and so has
 * the end.  Those who open the file before the kernel has done so forget them
 * first.
 *
 * Threads: any; fields as file.h says.
 */
#include "fs/core/core_internal.h"
#include "fs/core/file.h"

/* itable.mu held. */
static void writes_round(struct handle *h)
{
	h->bypass = true;
	h->file->bypass++;
}

bool core_handle_bypass(struct core *c, struct handle *h, bool made, bool *keep)
{
	struct file *f = h->file;

	if (!f)
		return false;
	mutex_lock(&c->t.mu);
	if (made && h->write_only && h->inode->opens == 1) {
		writes_round(h);
	} else if (f->bypass) {
		f->mixed = true;
		if (h->writable)
			writes_round(h);
	}
	h->direct = f->bypass > 0;
	if (!h->direct && h->inode->stale) {
		atomic_store(&h->forgets, true);
		*keep = false;
	}
	mutex_unlock(&c->t.mu);
	return h->direct;
}

void core_handle_fills(struct handle *h)
{
	if (h->direct && !atomic_load(&h->file->filled))
		atomic_store(&h->file->filled, true);
}

void core_bypass_reads(struct core *c, struct handle *h)
{
	if (!atomic_load(&h->forgets))
		return;
	mutex_lock(&c->t.mu);
	h->inode->stale = false;
	mutex_unlock(&c->t.mu);
	atomic_store(&h->forgets, false);
}

void core_bypass_wrote(struct core *c, struct handle *h)
{
	struct file *f = h->file;

	if (atomic_load(&f->filled) && atomic_exchange(&f->filled, false) &&
	    c->o.invalidate)
		c->o.invalidate(c->o.ctx, h->inode->row.ino, true);
}

bool core_bypass_ends(struct handle *h)
{
	bool mixed = false;

	if (h->bypass && --h->file->bypass == 0) {
		mixed = h->file->mixed;
		h->file->mixed = false;
		h->inode->stale = mixed;
	}
	return mixed;
}
