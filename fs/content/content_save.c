/*
 * content_save.c - everything that changed since the last report, made
 * durable and reported as extents.
 *
 * The moment that counts is when the unsaved extents are taken, all under one
 * lock: what was written before is in the report, whatever is written over it
 * meanwhile.  Buffered bytes become chunks in portions; then what went to the
 * bulk writer is flushed; only then does an extent count as saved, and only
 * where it is still the one that was reported.
 *
 * Where nothing happened since the call but that a stream went on at the end,
 * the moment is that of the call, or of the stream's last cut if that is
 * later.  Else a writer that is faster than one thread cuts would have the
 * save cut, alone, all that came while it cut what came before: with a save
 * each second that was most of a stream of 1 GiB.
 *
 * Threads: any; save, version, pressure and spilling exclude each other.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/vio.h"
#include "fs/content/content.h"
#include "fs/content/content_internal.h"
#include "index/state.h"

enum { SAVE_PORTION = 8 << 20 };

#define ROW_HOLE_MAX (1ULL << 31)

struct rows {
	struct extent_row *v;
	size_t n, cap;
};

static int rows_add(struct rows *r, uint64_t off, uint64_t len,
		    const struct digest *id, uint32_t at)
{
	while (len > 0) {
		uint64_t part = len < ROW_HOLE_MAX ? len : ROW_HOLE_MAX;

		if (r->n == r->cap) {
			size_t cap = r->cap ? 2 * r->cap : 8;
			struct extent_row *v = realloc(r->v, cap * sizeof(*v));

			if (!v)
				return -ENOMEM;
			r->v = v;
			r->cap = cap;
		}
		r->v[r->n++] = (struct extent_row){
			.off = off,
			.len = (uint32_t)part,
			.chunk_off = at,
			.chunk = *id,
		};
		off += part;
		len -= part;
	}
	return 0;
}

/* A base that was cloned and never reported: all of it, first of all. */
static int base_rows(struct content *c, struct rows *r,
		     const struct digest *root, uint64_t size, uint64_t limit)
{
	struct reader *reader = NULL;
	struct tree_at at = { .off = 0 };
	int rc = content_reader_open(&reader, c->pool, root, size);

	for (uint64_t off = 0; rc == 0 && off < limit;) {
		uint64_t end = 0;

		rc = content_reader_at(reader, &at, off);
		if (rc <= 0) {
			rc = rc < 0 ? rc : -ERR_CORRUPT;
			break;
		}
		end = at.off + at.ref.len;
		if (end > limit)
			end = limit;
		rc = rows_add(r, off, end - off, &at.ref.id, 0);
		off = end;
	}
	content_reader_close(reader);
	return rc;
}

/* Rows for pieces that are chunks or holes already; their staged ids. */
static int piece_rows(struct rows *r, struct sink *sink, const struct spill *s)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < s->n_piece; i++) {
		const struct piece *p = &s->piece[i];

		if (p->kind == PIECE_MEM)
			continue;
		rc = rows_add(r, p->off, p->len, &p->id, p->at);
		if (rc == 0 && (p->flags & EXTENT_STAGED) &&
		    p->kind == PIECE_CHUNK)
			rc = content_sink_note(sink, &p->id);
	}
	return rc;
}

/* End of the portion of pieces that begins at i: whole regions. */
static size_t portion(const struct spill *s, size_t i)
{
	uint64_t bytes = 0;

	for (; i < s->n_piece; i++) {
		const struct piece *p = &s->piece[i];

		if (p->kind != PIECE_MEM)
			continue;
		if (bytes >= SAVE_PORTION && p->off != p[-1].off + p[-1].len)
			break;
		bytes += p->len;
	}
	return i;
}

/* Buffers become chunks, and rows. */
static int mem_rows(struct content *c, struct scratch *sc, struct rows *r,
		    struct sink *sink, struct spill *s)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < s->n_piece;) {
		size_t j = portion(s, i);
		size_t first = s->n_done;

		rc = content_spill_store(c, sc, s, i, j, &sink->put);
		for (size_t k = first; rc == 0 && k < s->n_done; k++)
			rc = rows_add(r, s->done[k].off, s->done[k].len,
				      &s->done[k].id, 0);
		mutex_lock(&c->mu);
		if (rc == 0)
			rc = content_spill_apply_locked(c, s, first);
		content_spill_unpin_locked(s, i, j);
		mutex_unlock(&c->mu);
		if (rc == 0)
			i = j;
	}
	return rc;
}

/* What the row says is saved, where it is still what the file has. */
static void row_saved_locked(struct content *c, const struct extent_row *r)
	requires_capability(&c->mu)
{
	uint64_t end = r->off + r->len;
	bool hole = digest_is_zero(&r->chunk);

	for (uint64_t at = r->off; at < end;) {
		struct extent *e = extents_seek(&c->top->ext, at);
		struct extent part = { .off = 0 };

		if (!e || e->off >= end)
			return;
		part = *e;
		at = e->off + e->len;
		if (!(e->flags & EXTENT_UNSAVED) ||
		    e->kind != (hole ? EXTENT_HOLE : EXTENT_CHUNK))
			continue;
		if (!hole && (!digest_eq(&e->id, &r->chunk) ||
			      e->off + r->chunk_off != r->off + e->at))
			continue;
		if (e->off >= r->off && at <= end) {
			e->flags &= (uint8_t)~EXTENT_UNSAVED;
			continue;
		}
		if (extents_prepare(&c->top->ext) < 0)
			return; /* is reported once more */
		if (part.off < r->off) {
			part.at += hole ? 0 : (uint32_t)(r->off - part.off);
			part.len -= r->off - part.off;
			part.off = r->off;
		}
		if (part.off + part.len > end)
			part.len = end - part.off;
		part.flags &= (uint8_t) ~(EXTENT_UNSAVED | EXTENT_WHOLE);
		extents_set(&c->top->ext, &part);
	}
}

/* How the file was when the save was asked for. */
struct asked {
	uint64_t size, seq, over, stream_no;
	int64_t ns;
	bool streaming; /* at the end */
};

/* What is taken at the moment that counts. */
struct taken {
	struct asked asked;
	struct spill s;
	uint64_t size, saved_size;
	struct digest root;
	uint64_t root_size, limit;
	bool base;
	bool unsaved;
	int64_t unsaved_ns;
};

static void ask(struct content *c, struct asked *a)
{
	mutex_lock(&c->mu);
	*a = (struct asked){
		.size = c->size,
		.seq = c->seq,
		.over = c->over,
		.stream_no = c->stream_no,
		.ns = vio_mono_ns(c->pool->vio),
		.streaming = c->streaming && c->stream_end == c->size,
	};
	mutex_unlock(&c->mu);
}

/* Where the file ends at the moment that counts. */
static uint64_t end_locked(const struct content *c, const struct asked *a)
	requires_capability(&c->mu)
{
	if (!a->streaming || !c->streaming || a->stream_no != c->stream_no ||
	    a->seq != c->seq || a->over != c->over)
		return c->size;
	return a->size > c->stream_cut ? a->size : c->stream_cut;
}

static int take_locked(struct content *c, struct taken *t)
	requires_capability(&c->mu)
{
	int rc = 0;

	t->size = end_locked(c, &t->asked);
	rc = content_spill_take_locked(c, &t->s, 0, t->size, SPILL_UNSAVED,
				       ~0ULL);
	t->saved_size = c->saved_size;
	t->root = c->root;
	t->root_size = c->root_size;
	t->limit = c->top->limit;
	t->base = c->base_unsaved;
	t->unsaved_ns = c->unsaved_ns;
	if (rc < 0) {
		content_spill_unpin_locked(&t->s, 0, t->s.n_piece);
		t->s.n_piece = 0;
		return rc;
	}
	/* from here on, only what comes later */
	c->scattered = 0;
	c->unsaved = c->size > t->size;
	c->unsaved_ns = c->unsaved ? t->asked.ns : 0;
	return 0;
}

static void finish_locked(struct content *c, const struct taken *t,
			  const struct rows *r, int rc)
	requires_capability(&c->mu)
{
	if (rc < 0) { /* nothing was reported */
		c->unsaved = true;
		c->unsaved_ns = t->unsaved_ns;
		return;
	}
	for (size_t i = 0; i < r->n; i++)
		row_saved_locked(c, &r->v[i]);
	c->saved_size = t->size;
	if (t->base && digest_eq(&t->root, &c->root))
		c->base_unsaved = false;
	if (c->size > t->size)
		return; /* the stream's next bytes are in it */
	dirty_put(c->tail);
	c->tail = NULL;
}

static int save(struct content *c, struct scratch *sc, struct rows *r,
		struct sink *sink, struct taken *t)
{
	uint64_t later = 0;
	bool bulk = false;
	int rc = 0;

	mutex_lock(&c->mu);
	rc = content_thaw_locked(c);
	t->size = end_locked(c, &t->asked);
	later = c->size - t->size;
	bulk = c->top->ext.mem > CONTENT_STAGE + later;
	mutex_unlock(&c->mu);
	if (rc < 0)
		return rc;
	content_sink_init(sink, c, bulk);
	rc = content_spill_stream(c, sc, t->size, &sink->put);
	if (rc < 0)
		return rc;

	mutex_lock(&c->mu);
	rc = take_locked(c, t);
	mutex_unlock(&c->mu);
	if (rc < 0)
		return rc;
	if (t->base)
		rc = base_rows(c, r, &t->root, t->root_size, t->limit);
	if (rc == 0)
		rc = piece_rows(r, sink, &t->s);
	if (rc == 0)
		rc = mem_rows(c, sc, r, sink, &t->s);
	if (rc == 0)
		rc = content_sink_flush(sink);

	mutex_lock(&c->mu);
	content_spill_unpin_locked(&t->s, 0, t->s.n_piece);
	finish_locked(c, t, r, rc);
	mutex_unlock(&c->mu);
	return rc;
}

int content_save(struct content *c, struct content_saved *out)
{
	struct scratch *sc = NULL;
	struct sink sink = { .bulk = false };
	struct taken t = { .size = 0 };
	struct rows r = { .v = NULL };
	int rc = store_failed(c->pool->store);

	*out = (struct content_saved){ .extents = NULL };
	if (rc == 0)
		rc = content_pool_scratch(c->pool, &sc);
	if (rc < 0)
		return rc;
	ask(c, &t.asked);
	content_spill_drain(c, sc);
	content_enter(c);
	rc = save(c, sc, &r, &sink, &t);
	content_leave(c);
	content_pool_unscratch(c->pool, sc);
	content_spill_release(&t.s);
	if (rc < 0) { /* staged chunks stay: extents name them */
		content_sink_release(&sink);
		free(r.v);
		return rc;
	}
	*out = (struct content_saved){
		.extents = r.v,
		.n = r.n,
		.size = t.size,
		.size_changed = t.size != t.saved_size,
	};
	content_sink_take(&sink, &out->staged, &out->n_staged);
	return 0;
}

void content_saved_release(struct content_saved *s)
{
	free(s->extents);
	free(s->staged);
	*s = (struct content_saved){ .extents = NULL };
}
