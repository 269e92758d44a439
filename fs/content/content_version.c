/*
 * content_version.c - the canonical tree of the bytes as they are now.
 *
 * The top layer is frozen and writes go to a new one.  Then one walk from the
 * front to the end of the file, in one of two states:
 *
 *   in step   pos is a cut of the base and of the new file, and the bytes
 *             from here to the next change are the base's: references up to
 *             the last cut before that change are taken over whole.
 *   cutting   pos is a cut of the new file.  The next piece is, in this
 *             order: back in step; a hole that is known without reading; a
 *             CUT extent of the overlay, or a LAST one where the file ends;
 *             whatever the chunker says.
 *
 * Why that is canonical: a cut depends on the bytes from where its chunk
 * starts to the end of the 4096-block that it ends in, and on whether the run
 * or the file ends there.  So (1) the walk goes back in front of a change, to
 * the start of the reference that covers the byte before the change's block;
 * (2) it is in step again only at a cut of both files that begins a chunk of
 * the base whose end lies before the next change's block; (3) two touching
 * holes are merged by the tree builder.  The end of a shorter or longer file
 * is a change like any other.
 *
 * Threads: any; the frozen layer is read without the lock (content.c, 2).
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/vio.h"
#include "fs/content/content.h"
#include "fs/content/content_internal.h"

struct walk {
	struct content *content;
	struct scratch *scratch;
	struct view view;      /* of the frozen layer */
	struct reader *reader; /* of the base */
	struct tree_builder *builder;
	struct sink sink;
	struct window window;
	uint64_t pos;
	uint64_t last;	    /* where the last chunk that was cut here starts */
	uint64_t data;	    /* bytes put that are no holes */
	uint64_t base_data; /* of the base; ~0: not known */
	uint64_t base_gone; /* those of it that were not kept */
	uint64_t kept;	    /* the base is accounted for up to here */
	uint64_t stream_no;
	bool in_step;
	bool bulk; /* nothing is staged */
};

static uint64_t block_down(uint64_t off)
{
	return off - off % CHUNKER_BLOCK;
}

static int put_node(void *ctx, const struct digest *id, const void *p, size_t n)
{
	struct walk *w = ctx;
	uint8_t flags = 0;
	struct chunk k = {
		.id = *id,
		.type = CHUNK_NODE,
		.codec = CHUNK_RAW,
		.raw_len = (uint32_t)n,
		.stored_len = (uint32_t)n,
		.stored = p,
	};

	return w->sink.put.put(&w->sink.put, &k, &flags);
}

static int put_ref(struct walk *w, uint64_t len, const struct digest *id)
{
	struct tree_ref ref = { .len = len, .hole = id == NULL };

	if (id)
		ref.id = *id;
	if (id && !content_zero_tail(w->pos, len, id))
		w->data += len;
	w->pos += len;
	return tree_builder_put(w->builder, &ref);
}

/*
 * The first change at or behind `from`: overlay extents, and the end when the
 * base is cut short, or the file has another length.
 */
static bool next_change(const struct walk *w, uint64_t from, uint64_t *out_lo)
{
	const struct view *v = &w->view;
	const struct extent *e = extents_seek(&v->top->ext, from);
	uint64_t same = v->top->limit;
	uint64_t lo = ~0ULL;

	if (same > v->root_size)
		same = v->root_size;
	if (same != v->root_size || v->size != v->root_size)
		lo = same > from ? same : from;
	if (e && e->off < lo)
		lo = e->off > from ? e->off : from;
	*out_lo = lo;
	return lo <= v->size; /* equal: the file got shorter */
}

/* The base up to here is not kept: what of it was data? */
static int base_lost(struct walk *w, uint64_t to)
{
	uint64_t n = to - w->kept;
	int rc = 0;

	if (w->base_data != w->view.root_size)
		rc = content_reader_count(w->reader, &n, w->kept, to);
	w->base_gone += n;
	w->kept = to;
	return rc;
}

/* In step: takes over what is the same, and goes back before the change. */
static int keep(struct walk *w)
{
	struct tree_cursor *cursor = NULL;
	struct tree_at at = { .off = 0 };
	uint64_t to = w->view.size;
	int rc = 0;

	w->in_step = false;
	if (next_change(w, w->pos, &to)) {
		to = block_down(to);
		if (to <= w->pos)
			return 0;
		rc = content_reader_at(w->reader, &at, to - 1);
		if (rc <= 0)
			return rc < 0 ? rc : -ERR_CORRUPT;
		to = at.off;
		if (to <= w->pos)
			return 0;
	} else {
		to = w->view.size;
	}
	rc = base_lost(w, w->pos);
	if (rc == 0)
		rc = content_reader_cursor(w->reader, &cursor);
	if (rc == 0)
		rc = tree_builder_copy(w->builder, cursor, w->pos, to);
	w->pos = w->kept = to;
	return rc;
}

/* Cutting: is it in step with the base here? */
static int back_in_step(struct walk *w)
{
	struct tree_at at = { .off = 0 };
	uint64_t lo = 0;
	bool more = false;
	int rc = 0;

	if (w->pos >= w->view.root_size)
		return 0;
	more = next_change(w, block_down(w->pos), &lo);
	if (more && block_down(lo) <= w->pos)
		return 0;
	rc = content_reader_at(w->reader, &at, w->pos);
	if (rc < 0)
		return rc;
	if (rc == 0 || at.off != w->pos || at.ref.hole)
		return 0;
	if (more && at.off + at.ref.len >= block_down(lo))
		return 0;
	w->in_step = true;
	return 1;
}

/* Bytes from pos on that are zero without looking at them. */
static int known_zeros(struct walk *w, uint64_t *out)
{
	uint64_t at = w->pos;

	while (at < w->view.size) {
		struct piece p = { .off = 0 };
		struct tree_at base = { .off = 0 };
		int rc = 0;

		content_view_piece(&w->view, &p, at, w->view.size);
		if (p.kind == PIECE_BASE) {
			rc = content_reader_at(w->reader, &base, at);
			if (rc < 0)
				return rc;
			if (rc == 0 || !base.ref.hole)
				break;
			if (base.off + base.ref.len < at + p.len)
				p.len = base.off + base.ref.len - at;
		} else if (p.kind != PIECE_ZERO) {
			break;
		}
		at += p.len;
	}
	*out = at;
	return 0;
}

static int take_zeros(struct walk *w)
{
	uint64_t end = 0;
	int rc = 0;

	if (w->pos % CHUNKER_BLOCK)
		return 0;
	rc = known_zeros(w, &end);
	if (rc < 0)
		return rc;
	end = block_down(end); /* a partial last block is no hole */
	if (end <= w->pos)
		return 0;
	rc = put_ref(w, end - w->pos, NULL);
	return rc < 0 ? rc : 1;
}

/* The chunk at off that a chunker would cut of the file just so; or NULL. */
static const struct extent *whole_chunk(const struct view *v, uint64_t off)
{
	const struct extent *e = extents_seek(&v->top->ext, off);

	if (!e || e->off != off || e->kind != EXTENT_CHUNK)
		return NULL;
	if (!(e->flags & EXTENT_CUT) &&
	    (!(e->flags & EXTENT_LAST) || off + e->len != v->size))
		return NULL;
	assert(e->at == 0 && e->len <= CHUNKER_MAX);
	return e;
}

/* What was reported is in the frame of an entry before ours. */
static int note_staged(struct walk *w, const struct extent *e)
{
	if (!(e->flags & EXTENT_STAGED) || !(e->flags & EXTENT_UNSAVED))
		return 0;
	return content_sink_note(&w->sink, &e->id);
}

/* A chunk that was cut here while it was written or saved. */
static int take_cut(struct walk *w)
{
	const struct extent *e = whole_chunk(&w->view, w->pos);
	int rc = 0;

	if (!e)
		return 0;
	if (!(e->flags & EXTENT_CUT))
		w->last = w->pos;
	rc = note_staged(w, e);
	if (rc == 0)
		rc = put_ref(w, e->len, &e->id);
	return rc < 0 ? rc : 1;
}

static int cut(struct walk *w)
{
	struct chunker_cut cut = { .off = 0 };
	struct chunk k = { .type = 0 };
	const uint8_t *p = NULL;
	uint8_t flags = 0;
	int rc = content_window_cut(&w->window, &cut, &p, w->pos);

	if (rc < 0)
		return rc;
	assert(rc == 1 && cut.off == w->pos);
	w->last = w->pos;
	if (cut.hole)
		return put_ref(w, cut.len, NULL);
	rc = chunk_name(&k, w->scratch->maker, CHUNK_DATA, p, (size_t)cut.len);
	if (rc == 0)
		rc = w->sink.put.put(&w->sink.put, &k, &flags);
	return rc < 0 ? rc : put_ref(w, cut.len, &k.id);
}

static int step(struct walk *w)
{
	bool first = w->in_step;
	int rc = 0;

	if (w->in_step) {
		rc = keep(w);
		if (rc < 0 || w->pos == w->view.size)
			return rc;
	}
	rc = first ? 0 : back_in_step(w);
	if (rc == 0)
		rc = take_zeros(w);
	if (rc == 0)
		rc = take_cut(w);
	if (rc == 0)
		rc = cut(w);
	return rc < 0 ? rc : 0;
}

static int build(struct walk *w, struct digest *root)
{
	const struct tree_sink sink = { .write = put_node, .ctx = w };
	uint64_t size = 0;
	int rc = tree_builder_open(&w->builder, &sink);

	if (rc == 0 && w->base_data == ~0ULL)
		rc = content_reader_count(w->reader, &w->base_data, 0,
					  w->view.root_size);
	w->in_step = w->view.root_size > 0;
	w->window = (struct window){
		.pool = w->content->pool,
		.reader = w->reader,
		.view = &w->view,
		.end = w->view.size,
		.eof = true,
		.buf = w->scratch->window,
	};
	while (rc == 0 && w->pos < w->view.size)
		rc = step(w);
	if (rc == 0)
		rc = base_lost(w, w->view.root_size);
	if (rc == 0 && w->base_gone < w->base_data)
		w->data += w->base_data - w->base_gone;
	if (rc == 0)
		rc = tree_builder_finish(w->builder, root, &size);
	assert(rc < 0 || size == w->view.size);
	tree_builder_close(w->builder);
	return rc;
}

/* --- the short ways --- */

/* A file that a save made one chunk, and nothing changed since. */
static int one_saved(struct walk *w, struct digest *root)
{
	const struct view *v = &w->view;
	const struct extent *e = whole_chunk(v, 0);
	int rc = 0;

	if (!e || e->len != v->size)
		return 0;
	rc = note_staged(w, e);
	*root = e->id;
	w->data = content_zero_tail(0, v->size, &e->id) ? 0 : v->size;
	return rc < 0 ? rc : 1;
}

/* A small file in one buffer that is one chunk: its hash is the root. */
static int one_chunk(struct walk *w, struct digest *root)
{
	const struct view *v = &w->view;
	const struct extent *e = extents_seek(&v->top->ext, 0);
	struct chunker ck = { .off = 0 };
	struct chunker_cut cut = { .off = 0 };
	struct chunk k = { .type = 0 };
	const uint8_t *p = NULL;
	uint8_t flags = 0;
	int rc = 0;

	if (!e || e->kind != EXTENT_MEM || e->off > 0 || e->len != v->size ||
	    v->size > CHUNKER_MAX)
		return 0;
	p = e->buf->p + e->at;
	chunker_init(&ck, 0);
	if (!chunker_next(&ck, &cut, p, (size_t)v->size, true) || cut.hole ||
	    cut.len != v->size)
		return 0;
	rc = chunk_name(&k, w->scratch->maker, CHUNK_DATA, p, (size_t)cut.len);
	if (rc == 0)
		rc = w->sink.put.put(&w->sink.put, &k, &flags);
	*root = k.id;
	w->data = chunker_is_zero(p, (size_t)v->size) ? 0 : v->size;
	return rc < 0 ? rc : 1;
}

static int make_tree(struct walk *w, struct digest *root)
{
	const struct view *v = &w->view;
	int rc = 0;

	if (v->size == 0) {
		tree_empty_root(root);
		w->data = 0;
		return 0;
	}
	if (v->top->ext.n == 0 && v->size == v->root_size &&
	    v->top->limit >= v->root_size && w->base_data != ~0ULL) {
		*root = v->root;
		w->data = w->base_data;
		return 0;
	}
	rc = one_saved(w, root);
	if (rc == 0)
		rc = one_chunk(w, root);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = content_reader_open(&w->reader, w->content->pool, &v->root,
				 v->root_size);
	if (rc == 0)
		rc = build(w, root);
	content_reader_close(w->reader);
	return rc;
}

/* --- plain digest --- */

/* The bytes were written once, in order: hash what is not hashed yet. */
static int plain_digest(struct walk *w, uint64_t no, struct digest *out)
{
	struct content *c = w->content;
	const struct extent *e = extents_seek(&w->view.top->ext, 0);
	struct window win = {
		.pool = c->pool,
		.view = &w->view,
		.end = w->view.size,
		.eof = true,
		.buf = w->scratch->window,
	};
	struct digest_sha256_ctx *all = NULL;
	int rc = 0;

	if (w->view.size == 0 ||
	    (e && e->kind == EXTENT_MEM && e->off == 0 &&
	     e->len == w->view.size && (!c->sha || c->sha_pos_no != no))) {
		digest_sha256(out, e ? e->buf->p + e->at : NULL,
			      (size_t)w->view.size);
		return 0;
	}
	rc = content_reader_open(&win.reader, c->pool, &w->view.root,
				 w->view.root_size);
	if (rc == 0)
		rc = content_sha_to(c, no, &win, w->view.size);
	content_reader_close(win.reader);
	if (rc < 0)
		return rc;
	all = digest_sha256_dup(c->sha);
	if (!all)
		return -ENOMEM;
	digest_sha256_final(all, out);
	digest_sha256_free(all);
	return 0;
}

/* Of bytes that had one lately it is not made again. */
static int known_digest(struct walk *w, uint64_t no, const struct digest *root,
			struct digest *out)
{
	struct plain_known *known = &w->content->pool->known;
	int rc = 0;

	if (plain_known_find(known, out, root))
		return 0;
	rc = plain_digest(w, no, out);
	if (rc == 0)
		plain_known_add(known, root, out);
	return rc;
}

/* --- the call --- */

static int freeze_locked(struct content *c, struct walk *w)
	requires_capability(&c->mu)
{
	struct layer *top = NULL;
	int rc = content_thaw_locked(c);

	if (rc < 0)
		return rc;
	top = c->top == &c->layer[0] ? &c->layer[1] : &c->layer[0];
	assert(top->ext.n == 0 && top->ranges.n == 0);
	c->low = c->top;
	c->top = top;
	*top = (struct layer){ .limit = c->size };
	c->low_root = digest_zero; /* not known yet */
	c->low_size = c->size;
	w->base_data = c->base_data;
	w->stream_no = c->stream_no;
	c->touched = false;
	c->scattered = 0;
	c->gen++;
	dirty_put(c->tail);
	c->tail = NULL;
	w->view = (struct view){
		.top = c->low,
		.root = c->root,
		.root_size = c->root_size,
		.size = c->size,
	};
	content_list_locked(c);
	return 0;
}

static void fill_ranges(struct content_version *out, const struct layer *low)
{
	out->n_ranges = low->ranges.n;
	out->ranges_are_hull = low->ranges.hull;
	for (unsigned i = 0; i < low->ranges.n; i++) {
		out->ranges[i].lo = low->ranges.v[i].lo;
		out->ranges[i].hi = low->ranges.v[i].hi;
	}
}

static int version(struct content *c, struct walk *w,
		   struct content_version *out)
{
	uint64_t no = 0;
	int rc = 0;

	mutex_lock(&c->mu);
	rc = freeze_locked(c, w);
	out->gen = c->gen;
	out->size = c->size;
	out->has_sha256 =
		content_sha_keeps_up_locked(c) && c->sha_len == c->size;
	no = c->sha_no;
	mutex_unlock(&c->mu);
	if (rc < 0)
		return rc;
	content_sink_init(&w->sink, c,
			  w->bulk || c->low->ext.mem > CONTENT_STAGE);
	rc = make_tree(w, &out->root);
	if (rc == 0 && out->has_sha256)
		rc = known_digest(w, no, &out->root, &out->sha256);
	if (rc == 0)
		rc = content_sink_flush(&w->sink);

	mutex_lock(&c->mu);
	if (rc == 0) {
		c->low_root = out->root;
		c->low_data = w->data;
		out->allocated = w->data;
		/* the stream goes on with the chunk that ended with the file */
		if (c->stream_no == w->stream_no && c->stream_cut < w->last)
			c->stream_cut = w->last < c->stream_end ? w->last :
								  c->stream_end;
		fill_ranges(out, c->low);
	} else if (content_thaw_locked(c) < 0) {
		c->gen++; /* thawed by the next one; this one is void */
	}
	mutex_unlock(&c->mu);
	return rc;
}

static int make(struct content *c, struct content_version *out, bool bulk)
{
	struct walk w = { .content = c, .bulk = bulk };
	int rc = store_failed(c->pool->store);

	*out = (struct content_version){ .gen = 0 };
	if (rc == 0)
		rc = content_pool_scratch(c->pool, &w.scratch);
	if (rc < 0)
		return rc;
	content_spill_drain(c, w.scratch);
	content_enter(c);
	rc = version(c, &w, out);
	content_leave(c);
	content_pool_unscratch(c->pool, w.scratch);
	if (rc < 0) {
		content_sink_undo(&w.sink);
		*out = (struct content_version){ .gen = 0 };
		return rc;
	}
	content_sink_take(&w.sink, &out->staged, &out->n_staged);
	return 0;
}

int content_version(struct content *c, struct content_version *out)
{
	return make(c, out, false);
}

int content_fold(struct content *c, struct content_version *out)
{
	return make(c, out, true);
}

void content_version_release(struct content_version *v)
{
	free(v->staged);
	v->staged = NULL;
	v->n_staged = 0;
}

/* The tree that was made becomes the base; false: it is void. */
static bool base_locked(struct content *c, uint64_t gen)
	requires_capability(&c->mu)
{
	if (!c->low || c->gen != gen)
		return false;
	extents_release(&c->low->ext);
	*c->low = (struct layer){ .limit = 0 };
	c->low = NULL;
	c->root = c->low_root;
	c->root_size = c->low_size;
	c->base_data = c->low_data;
	return true;
}

void content_versioned(struct content *c, uint64_t gen)
{
	mutex_lock(&c->mu);
	if (base_locked(c, gen)) {
		c->base_unsaved = false;
		c->saved_size = c->low_size;
		c->hidden_end = c->low_size > c->size ? c->low_size : c->size;
		c->dirty = c->touched;
		c->unsaved = c->touched;
		if (!c->touched)
			c->unsaved_ns = 0;
	}
	content_count_locked(c);
	mutex_unlock(&c->mu);
}

/* As with a clone: the log knows nothing of this base. */
void content_folded(struct content *c, uint64_t gen)
{
	mutex_lock(&c->mu);
	if (base_locked(c, gen)) {
		c->base_unsaved = true;
		c->dirty = true;
		if (!c->unsaved)
			c->unsaved_ns = vio_mono_ns(c->pool->vio);
		c->unsaved = true;
	}
	content_count_locked(c);
	mutex_unlock(&c->mu);
}
