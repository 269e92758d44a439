/*
 * content.c - the bytes of one open or dirty file: its life, its state, and
 * what excludes what.  The rest is in content_write.c (changes), _read.c,
 * _holes.c, _spill.c and _scatter.c (buffers to chunks), _save.c, _version.c,
 * _clone.c, _view.c.
 *
 * A content is a stack: `top` takes writes; `low` exists from the moment
 * content_version freezes it until content_versioned makes the new tree the
 * base (or until something thaws it: a failed version, a save, another
 * version); the base is a version.  Each layer says up to which offset what
 * is below it shows (`limit`).
 *
 * Invariants:
 *  1. No extent of any layer ends behind the file's size at the time the
 *     layer was frozen (top: now); limit <= that size.  So bytes behind the
 *     size are nowhere, and growing shows zeros.
 *  2. The frozen layer changes only in content_versioned and when it is
 *     thawed; who is `busy` reads it without the lock.
 *  3. The bytes of a buffer that lie in an extent change only in place, under
 *     mu, while the extent is in the top layer and the buffer is not pinned.
 *  4. A CUT extent is what a chunker that starts at its offset cuts, given
 *     the bytes of the file now.  Whoever changes bytes takes the flag from
 *     cuts that end in the 4096-block of the change or where it begins,
 *     unless the change is the stream's next write: its cuts never looked at
 *     those bytes.
 *  5. busy, or cutting, or inflight > 0: never busy together with the others.
 *
 * Locks: core's locks > mu > pool->mu, dirty.mu, workers' lock.  wmu is
 * taken without mu.  Nothing is held while waiting for room.
 */
#include "fs/content/content.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/vio.h"
#include "fs/content/content_internal.h"
#include "index/state.h"

int content_open(struct content **out, struct content_pool *p,
		 const struct digest *root, uint64_t size)
{
	struct content *c = calloc(1, sizeof(*c));

	*out = c;
	if (!c)
		return -ENOMEM;
	c->pool = p;
	c->work.fn = content_spill_work;
	mutex_init(&c->mu);
	mutex_init(&c->wmu);
	cond_init(&c->cond);
	c->root = *root;
	if (size == 0)
		tree_empty_root(&c->root);
	c->root_size = size;
	c->size = size;
	c->saved_size = size;
	c->hidden_end = size;
	c->base_data = size > 0 ? ~0ULL : 0;
	c->top = &c->layer[0];
	c->top->limit = size;
	c->sha_on = size == 0;
	mutex_lock(&p->mu);
	p->contents++;
	c->all_next = p->all;
	if (p->all)
		p->all->all_prev = c;
	p->all = c;
	mutex_unlock(&p->mu);
	return 0;
}

void content_base_allocated(struct content *c, uint64_t allocated)
{
	mutex_lock(&c->mu);
	c->base_data = allocated < c->root_size ? allocated : c->root_size;
	mutex_unlock(&c->mu);
}

static void unlist(struct content *c)
{
	struct content_pool *p = c->pool;

	if (!c->listed)
		return;
	*(c->prev ? &c->prev->next : &p->head) = c->next;
	*(c->next ? &c->next->prev : &p->tail) = c->prev;
	c->prev = NULL;
	c->next = NULL;
	c->listed = false;
}

/* Extents of this one; who waits until they are fewer is told. */
static void count_as(struct content *c, uint64_t n)
{
	struct content_pool *p = c->pool;
	uint64_t less = c->counted - n;
	uint64_t now = 0;

	if (n == c->counted)
		return;
	now = atomic_fetch_sub(&p->extents, less) - less;
	if (n < c->counted && now <= p->extents_max &&
	    now + less > p->extents_max) {
		mutex_lock(&p->mu);
		cond_broadcast(&p->thinned);
		mutex_unlock(&p->mu);
	}
	c->counted = n;
}

void content_close(struct content *c)
{
	struct content_pool *p = NULL;

	if (!c)
		return;
	p = c->pool;
	mutex_lock(&c->mu);
	c->closing = true;
	mutex_unlock(&c->mu);
	workers_cancel(p->workers, &c->work);
	mutex_lock(&p->mu);
	unlist(c);
	while (c->pins > 0)
		cond_wait(&p->unpinned, &p->mu);
	*(c->all_prev ? &c->all_prev->all_next : &p->all) = c->all_next;
	if (c->all_next)
		c->all_next->all_prev = c->all_prev;
	p->contents--;
	mutex_unlock(&p->mu);

	assert(!c->busy && !c->cutting && c->inflight == 0);
	dirty_put(c->tail);
	count_as(c, 0);
	extents_release(&c->layer[0].ext);
	extents_release(&c->layer[1].ext);
	digest_sha256_free(c->sha);
	content_pool_unwriter(p, c->writer);
	cond_destroy(&c->cond);
	mutex_destroy(&c->wmu);
	mutex_destroy(&c->mu);
	free(c);
}

void content_count_locked(struct content *c)
{
	count_as(c, c->layer[0].ext.n + c->layer[1].ext.n);
}

void content_list_locked(struct content *c)
{
	struct content_pool *p = c->pool;
	bool want = (c->top->ext.mem > 0 || c->tail) && !c->closing;

	content_count_locked(c);
	if (want == c->listed) /* changes under mu only, but for close */
		return;
	mutex_lock(&p->mu);
	if (!want) {
		unlist(c);
	} else if (!c->listed) {
		c->prev = p->tail;
		c->next = NULL;
		*(p->tail ? &p->tail->next : &p->head) = c;
		p->tail = c;
		c->listed = true;
	}
	mutex_unlock(&p->mu);
}

/* --- exclusion --- */

void content_enter_locked(struct content *c)
{
	while (c->busy)
		cond_wait(&c->cond, &c->mu);
	c->busy = true;
	while (c->cutting || c->inflight > 0)
		cond_wait(&c->cond, &c->mu);
}

void content_enter(struct content *c)
{
	mutex_lock(&c->mu);
	content_enter_locked(c);
	mutex_unlock(&c->mu);
}

void content_leave(struct content *c)
{
	bool due = false;

	mutex_lock(&c->mu);
	assert(c->busy);
	c->busy = false;
	due = content_spill_due_locked(c);
	content_list_locked(c);
	cond_broadcast(&c->cond);
	mutex_unlock(&c->mu);
	if (due)
		workers_push(c->pool->workers, &c->work);
}

/* --- layers --- */

void content_view_locked(struct content *c, struct view *out)
{
	*out = (struct view){
		.top = c->top,
		.low = c->low,
		.root = c->root,
		.root_size = c->root_size,
		.size = c->size,
	};
}

void content_uncut_locked(struct layer *l, uint64_t lo)
{
	uint64_t block = lo - lo % CHUNKER_BLOCK;

	/* a cut that ends where the block begins may end at a hole there */
	extents_unflag(&l->ext, block ? block - 1 : 0, lo, EXTENT_CUT);
}

/*
 * Puts the newer extents over the frozen ones.  Where it stops for want of
 * memory the file reads the same: what was copied is in both layers.
 */
int content_thaw_locked(struct content *c)
{
	struct layer *low = c->low;
	struct layer *top = c->top;
	const struct extent *e = NULL;
	uint64_t end = ~0ULL;
	int rc = 0;

	if (!low)
		return 0;
	if (top->limit < c->low_size) {
		rc = extents_prepare(&low->ext);
		if (rc < 0)
			return rc;
		extents_cut(&low->ext, top->limit, ~0ULL);
		content_uncut_locked(low, top->limit);
		if (low->limit > top->limit)
			low->limit = top->limit;
	}
	for (uint64_t at = 0; (e = extents_seek(&top->ext, at)); at = end) {
		rc = extents_prepare(&low->ext);
		if (rc < 0)
			return rc;
		if (e->off != end)
			content_uncut_locked(low, e->off);
		end = e->off + e->len;
		extents_set(&low->ext, e);
	}
	extents_release(&top->ext);
	content_ranges_merge(&low->ranges, &top->ranges);
	top->ranges = (struct ranges){ .n = 0 };
	c->top = low;
	c->low = NULL;
	c->gen++;
	return 0;
}

/* --- state --- */

void content_changed_locked(struct content *c, uint64_t lo, uint64_t hi)
{
	c->dirty = true;
	c->touched = true;
	c->unsaved = true;
	c->write_ns = vio_mono_ns(c->pool->vio);
	if (c->unsaved_ns == 0)
		c->unsaved_ns = c->write_ns;
	content_ranges_add(&c->top->ranges, lo, hi);
}

uint64_t content_size(struct content *c)
{
	uint64_t size = 0;

	mutex_lock(&c->mu);
	size = c->size;
	mutex_unlock(&c->mu);
	return size;
}

void content_state(struct content *c, struct content_state *out)
{
	mutex_lock(&c->mu);
	*out = (struct content_state){
		.dirty = c->dirty,
		.unsaved = c->unsaved,
		.buffered = c->top->ext.mem + (c->low ? c->low->ext.mem : 0),
		.extents = c->top->ext.n + (c->low ? c->low->ext.n : 0),
		.write_ns = c->write_ns,
		.unsaved_ns = c->unsaved ? c->unsaved_ns : 0,
	};
	mutex_unlock(&c->mu);
}

/* --- after a crash --- */

int content_recover(struct content *c, const struct extent_row *v, size_t n)
{
	int rc = 0;

	mutex_lock(&c->mu);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		bool hole = digest_is_zero(&v[i].chunk);
		struct extent e = {
			.off = v[i].off,
			.len = v[i].len,
			.id = v[i].chunk,
			.at = hole ? 0 : v[i].chunk_off,
			.kind = hole ? EXTENT_HOLE : EXTENT_CHUNK,
		};

		if (e.len == 0)
			continue;
		if (e.off > LIMIT_FILE_SIZE ||
		    e.len > LIMIT_FILE_SIZE - e.off) {
			rc = -ERR_CORRUPT;
			break;
		}
		rc = extents_prepare(&c->top->ext);
		if (rc < 0)
			break;
		content_uncut_locked(c->top, e.off);
		extents_set(&c->top->ext, &e);
		content_ranges_add(&c->top->ranges, e.off, e.off + e.len);
		if (c->size < e.off + e.len)
			c->size = e.off + e.len;
	}
	if (c->hidden_end < c->size)
		c->hidden_end = c->size;
	c->dirty = true;
	c->touched = true;
	c->sha_on = false;
	c->saved_size = c->size;
	c->write_ns = vio_mono_ns(c->pool->vio);
	content_count_locked(c);
	mutex_unlock(&c->mu);
	return rc;
}

void content_recover_size(struct content *c, uint64_t size)
{
	mutex_lock(&c->mu);
	if (size < c->size) {
		content_ranges_add(&c->top->ranges, size, c->size);
		/* a cut at the end only trims: it needs no memory */
		extents_cut(&c->top->ext, size, ~0ULL);
		if (c->top->limit > size)
			c->top->limit = size;
	} else if (size > c->size) {
		content_ranges_add(&c->top->ranges, c->size, size);
	}
	if (c->hidden_end < size)
		c->hidden_end = size;
	c->dirty = c->dirty || size != c->root_size;
	c->size = size;
	c->saved_size = size;
	c->sha_on = false;
	mutex_unlock(&c->mu);
}
