/*
 * content_clone.c - sharing bytes between files, or within one, without
 * copying them where they are chunks.
 *
 * A whole clean file cloned into an empty one becomes its base: no extents,
 * and the version is the source's tree.  Otherwise every chunk becomes an
 * extent.  One that was cut by its content keeps the CUT flag where source
 * and target agree on the blocks of 4096 and the block that the chunk ends in
 * is cloned too.  Buffered bytes are copied.
 *
 * content_replace does the same with a file that holds something, if that is
 * what its caller expects: a compare-and-set.
 *
 * The two contents are never locked together.  A chunk that is on its way from
 * one to the other is noted for gc, in one section with both (lease.h).
 *
 * Threads: any.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/err.h"
#include "fs/content/content.h"
#include "fs/content/content_internal.h"
#include "fs/store/lease.h"

enum { CLONE_PIECES = 256, CLONE_MEM = 1 << 20 };

struct clone {
	struct content *to;
	struct content *from;
	struct reader *reader;	       /* of the source's base */
	uint64_t shift_up, shift_down; /* target = source + up - down */
	uint64_t end;		       /* of the range in the source */
	uint8_t *buf;		       /* CLONE_MEM bytes */
};

/* Chunks that `from` gave to the bulk writer must be durable for both. */
static int flush_source(struct content *from)
{
	int rc = 0;

	mutex_lock(&from->wmu);
	if (from->unflushed)
		rc = store_writer_flush(from->writer->w);
	if (rc == 0)
		from->unflushed = false;
	mutex_unlock(&from->wmu);
	return rc;
}

/* Takes pieces from `at` on; a buffered piece (the last) is copied. */
static int look(struct clone *k, struct piece *v, size_t *out_n, uint64_t at)
{
	struct content *from = k->from;
	struct view view = { .top = NULL };
	bool base = false;
	int rc = 0;

	*out_n = 0;
	mutex_lock(&from->mu);
	content_view_locked(from, &view);
	if (k->end > view.size)
		k->end = view.size;
	while (at < k->end && *out_n < CLONE_PIECES) {
		struct piece *p = &v[*out_n];

		content_view_piece(&view, p, at, k->end);
		if (p->kind == PIECE_MEM) {
			if (*out_n > 0)
				break;
			if (p->len > CLONE_MEM)
				p->len = CLONE_MEM;
			rc = content_piece_read(from->pool, NULL, p, k->buf,
						(size_t)p->len, at);
			*out_n = 1;
			break;
		}
		base = base || p->kind == PIECE_BASE;
		at += p->len;
		(*out_n)++;
	}
	mutex_unlock(&from->mu);
	if (rc < 0 || !base)
		return rc;
	if (k->reader && (k->reader->size != view.root_size ||
			  !digest_eq(&k->reader->root, &view.root))) {
		content_reader_close(k->reader);
		k->reader = NULL;
	}
	if (!k->reader)
		rc = content_reader_open(&k->reader, from->pool, &view.root,
					 view.root_size);
	return rc;
}

/* Sets one extent of the target; e->off is still the source's. */
static int set_extent(struct clone *k, struct extent *e)
{
	struct content *to = k->to;
	uint64_t end = 0;
	int rc = 0;

	e->off = e->off + k->shift_up - k->shift_down;
	e->flags |= EXTENT_UNSAVED;
	if (e->kind == EXTENT_CHUNK)
		lease_note(store_lease(to->pool->store), &e->id);
	end = e->off + e->len;
	mutex_lock(&to->mu);
	rc = content_grow_locked(to, e->off);
	if (rc == 0)
		rc = extents_prepare(&to->top->ext);
	if (rc == 0) {
		content_changed_locked(to, e->off, end);
		content_uncut_locked(to->top, e->off);
		extents_set(&to->top->ext, e);
		to->seq++;
		to->sha_on = false;
		if (to->size < end)
			to->size = end;
		if (to->hidden_end < end)
			to->hidden_end = end;
		content_list_locked(to);
	}
	mutex_unlock(&to->mu);
	return rc;
}

/* A reference of the base, or the part of it in [lo, hi). */
static int clone_ref(struct clone *k, const struct tree_at *at, uint64_t lo,
		     uint64_t hi, bool more)
{
	uint64_t end = at->off + at->ref.len;
	struct extent e = {
		.off = lo,
		.len = hi - lo,
		.id = at->ref.id,
		.at = at->ref.hole ? 0 : (uint32_t)(lo - at->off),
		.kind = at->ref.hole ? EXTENT_HOLE : EXTENT_CHUNK,
	};

	/* more: a chunk follows, and the bytes up to the block's end */
	if (!at->ref.hole && more && lo == at->off && hi == end &&
	    (k->shift_up - k->shift_down) % CHUNKER_BLOCK == 0)
		e.flags = EXTENT_CUT;
	return set_extent(k, &e);
}

static int clone_base(struct clone *k, const struct piece *p)
{
	uint64_t end = p->off + p->len;
	struct tree_at at = { .off = 0 };
	struct tree_at next = { .off = 0 };
	int rc = content_reader_at(k->reader, &at, p->off);

	for (uint64_t lo = p->off; rc >= 0 && lo < end; at = next) {
		uint64_t hi = at.off + at.ref.len;
		uint64_t up = hi + (0 - hi) % CHUNKER_BLOCK;
		int set = 0;

		if (rc == 0)
			return -ERR_CORRUPT;
		rc = content_reader_at(k->reader, &next, hi);
		if (rc < 0)
			return rc;
		set = clone_ref(k, &at, lo, hi < end ? hi : end,
				rc == 1 && !next.ref.hole && up <= end);
		if (set < 0)
			return set;
		lo = hi;
	}
	return rc < 0 ? rc : 0;
}

static int clone_piece(struct clone *k, const struct piece *p)
{
	struct extent e = {
		.off = p->off,
		.len = p->len,
		.id = p->id,
		.at = p->kind == PIECE_CHUNK ? p->at : 0,
		.kind = p->kind == PIECE_ZERO ? EXTENT_HOLE : EXTENT_CHUNK,
		.flags = p->flags & EXTENT_STAGED,
	};

	if (p->kind == PIECE_BASE)
		return clone_base(k, p);
	if (p->kind == PIECE_MEM)
		return content_write_soon(k->to, k->buf, (size_t)p->len,
					  p->off + k->shift_up - k->shift_down);
	return set_extent(k, &e);
}

/* A file that is its base and nothing else. */
struct whole {
	struct digest root;
	uint64_t size;
	uint64_t data;
};

static bool is_whole_locked(struct content *c) requires_capability(&c->mu)
{
	return !c->low && c->top->ext.n == 0 && c->size == c->root_size &&
	       c->top->limit == c->size;
}

/* The base that nothing lies upon is another one from now on. */
static void set_base_locked(struct content *c, const struct whole *w)
	requires_capability(&c->mu)
{
	uint64_t end = c->size > w->size ? c->size : w->size;

	c->root = w->root;
	c->root_size = w->size;
	c->base_data = w->data;
	c->base_unsaved = true;
	c->top->limit = w->size;
	c->size = w->size;
	if (c->hidden_end < w->size)
		c->hidden_end = w->size;
	c->seq++;
	c->streaming = false;
	c->stream_no++;
	c->sha_on = false;
	c->sha_len = 0;
	c->sha_no++;
	content_changed_locked(c, 0, end);
}

/* All of a clean file into an empty one. */
static bool clone_whole(struct content *c, struct content *from, uint64_t len)
{
	struct whole w;
	bool clean = false;

	mutex_lock(&from->mu);
	w = (struct whole){ from->root, from->size, from->base_data };
	clean = is_whole_locked(from) && !from->base_unsaved && w.size > 0 &&
		len >= w.size;
	mutex_unlock(&from->mu);
	if (!clean)
		return false;
	mutex_lock(&c->mu);
	clean = c->size == 0 && !c->low && c->top->ext.n == 0 && !c->busy;
	if (clean)
		set_base_locked(c, &w);
	mutex_unlock(&c->mu);
	return clean;
}

int content_replace(struct content *c, const struct digest *root, uint64_t size,
		    struct content *from)
{
	struct whole w;
	bool same = false;
	int rc = store_failed(c->pool->store);

	if (rc < 0)
		return rc;
	mutex_lock(&from->mu);
	assert(is_whole_locked(from));
	w = (struct whole){ from->root, from->size, from->base_data };
	mutex_unlock(&from->mu);
	content_enter(c);
	mutex_lock(&c->mu);
	same = is_whole_locked(c) && !c->dirty && c->size == size &&
	       (size == 0 || digest_eq(&c->root, root));
	if (same)
		set_base_locked(c, &w);
	mutex_unlock(&c->mu);
	content_leave(c);
	return same ? 0 : -EBUSY;
}

static int clone_in_section(struct content *c, uint64_t off,
			    struct content *from, uint64_t from_off,
			    uint64_t len, uint64_t *out_len)
{
	struct clone k = { .to = c, .from = from };
	autofree struct piece *v = NULL;
	autofree uint8_t *buf = NULL;
	uint64_t at = from_off;
	size_t n = 0;
	int rc = store_failed(c->pool->store);

	*out_len = 0;
	if (rc < 0)
		return rc;
	if (len > UINT64_MAX - from_off)
		len = UINT64_MAX - from_off;
	if (off > LIMIT_FILE_SIZE)
		return -EFBIG;
	k.end = from_off + len;
	if (k.end > content_size(from))
		k.end = content_size(from);
	if (from_off >= k.end)
		return 0;
	if (k.end - from_off > LIMIT_FILE_SIZE - off)
		return -EFBIG;
	if (off == 0 && from_off == 0 && c != from &&
	    clone_whole(c, from, len)) {
		*out_len = content_size(c);
		return 0;
	}
	k.shift_up = off;
	k.shift_down = from_off;
	v = calloc(CLONE_PIECES, sizeof(*v));
	buf = malloc(CLONE_MEM);
	k.buf = buf;
	if (!v || !buf)
		return -ENOMEM;
	do {
		rc = look(&k, v, &n, at);
		if (rc == 0)
			rc = flush_source(from);
		for (size_t i = 0; rc == 0 && i < n; i++) {
			rc = clone_piece(&k, &v[i]);
			if (rc == 0)
				at = v[i].off + v[i].len;
		}
	} while (rc == 0 && n > 0 && at < k.end);
	content_reader_close(k.reader);
	*out_len = at - from_off;
	return *out_len > 0 ? 0 : rc;
}

static uint64_t extents_of(struct content *c)
{
	uint64_t n = 0;

	mutex_lock(&c->mu);
	n = c->counted;
	mutex_unlock(&c->mu);
	return n;
}

int content_clone(struct content *c, uint64_t off, struct content *from,
		  uint64_t from_off, uint64_t len, uint64_t *out_len)
{
	struct lease *lease = store_lease(c->pool->store);
	uint64_t before = extents_of(c);
	unsigned section = lease_enter(lease);
	int rc = clone_in_section(c, off, from, from_off, len, out_len);

	lease_leave(lease, section);
	if (extents_of(c) > before) /* not before: gc waits for sections */
		content_pool_thin(c->pool);
	return rc;
}
