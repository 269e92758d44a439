/*
 * content_view.c - where the bytes of a file are, and how to read them: the
 * layers, the version below them, and contiguous windows for the chunker.
 *
 * Invariants: (1) bytes come from a buffer, from store_get (verified), or are
 * zero because nothing was ever written there or it was truncated away.
 * (2) A chunk that is shorter than an extent or a reference says is an error,
 * never zeros.
 *
 * Threads: a view of live layers is used under the content's lock; a reader
 * and a window by one thread at a time.
 */
#include "fs/content/content_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

enum { READ_STREAM = 64 << 10 };

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Fills *out from an extent that covers off. */
static void from_extent(struct piece *out, const struct extent *e, uint64_t off,
			uint64_t hi)
{
	static const uint8_t kinds[] = {
		[EXTENT_HOLE] = PIECE_ZERO,
		[EXTENT_CHUNK] = PIECE_CHUNK,
		[EXTENT_MEM] = PIECE_MEM,
	};

	*out = (struct piece){
		.off = off,
		.len = least(e->off + e->len, hi) - off,
		.kind = kinds[e->kind],
		.flags = e->flags,
	};
	if (e->kind != EXTENT_HOLE)
		out->at = e->at + (uint32_t)(off - e->off);
	if (e->kind == EXTENT_CHUNK)
		out->id = e->id;
	else if (e->kind == EXTENT_MEM)
		out->buf = e->buf;
}

void content_view_piece(const struct view *v, struct piece *out, uint64_t off,
			uint64_t hi)
{
	const struct layer *layers[2] = { v->top, v->low };

	assert(off < hi);
	for (int i = 0; i < 2 && layers[i]; i++) {
		const struct extent *e = extents_seek(&layers[i]->ext, off);

		if (e && e->off <= off) {
			from_extent(out, e, off, hi);
			return;
		}
		if (e)
			hi = least(hi, e->off);
		if (off >= layers[i]->limit)
			goto zero;
		hi = least(hi, layers[i]->limit);
	}
	if (off < v->root_size) {
		*out = (struct piece){
			.off = off,
			.len = least(hi, v->root_size) - off,
			.kind = PIECE_BASE,
		};
		return;
	}
zero:
	*out = (struct piece){ .off = off, .len = hi - off };
}

/* --- the version below --- */

/* all: bytes wanted in all; when they are many they are read in order. */
static int chunk_copy(struct content_pool *p, const struct digest *id,
		      uint64_t at, uint64_t whole, uint8_t *out, size_t n,
		      size_t all)
{
	uint32_t len = 0;
	int rc = store_read(p->store, out, &len, id, CHUNK_DATA, at, n,
			    all >= READ_STREAM);

	if (rc < 0)
		return rc;
	/* whole: the length that the reference promised, 0 if none did */
	return at + n > len || (whole && whole != len) ? -ERR_CORRUPT : 0;
}

/* A root that fits one chunk is a chunk or a node: whichever the store has. */
static int reader_kind(struct reader *r)
{
	struct store_ref ref = { .p = NULL };
	int rc = 0;

	if (r->kind != READER_UNKNOWN)
		return 0;
	if (r->size > LIMIT_CHUNK) {
		r->kind = READER_TREE;
		return 0;
	}
	rc = store_get(r->pool->store, &ref, &r->root, CHUNK_ANY);
	if (rc < 0)
		return rc;
	r->kind = rc == CHUNK_DATA ? READER_PLAIN : READER_TREE;
	if (r->kind == READER_PLAIN && ref.n != r->size)
		rc = -ERR_CORRUPT;
	store_release(&ref);
	return rc < 0 ? rc : 0;
}

static int source_read(void *ctx, uint8_t *out, size_t *out_n,
		       const struct digest *id)
{
	struct reader *r = ctx;
	uint32_t len = 0;
	int rc = 0;

	if (r->kind == READER_PLAIN) { /* only the root is asked for */
		*out_n = r->size;
		return 1;
	}
	rc = store_read(r->pool->store, out, &len, id, CHUNK_NODE, 0,
			TREE_NODE_MAX, false);
	if (rc < 0)
		return rc;
	*out_n = len;
	return len > TREE_NODE_MAX ? -ERR_CORRUPT : 0;
}

/* Takes a spare reader of this version out of the pool. */
static struct reader *reader_take(struct content_pool *p,
				  const struct digest *root, uint64_t size)
{
	struct reader *r = NULL;

	mutex_lock(&p->mu);
	for (unsigned i = p->n_reader; i > 0 && !r; i--) {
		struct reader *x = p->reader[i - 1];

		if (x->size != size ||
		    memcmp(&x->root, root, sizeof(*root)) != 0)
			continue;
		r = x;
		p->n_reader--;
		memmove(&p->reader[i - 1], &p->reader[i],
			(p->n_reader - (i - 1)) * sizeof(r));
	}
	mutex_unlock(&p->mu);
	return r;
}

int content_reader_open(struct reader **out, struct content_pool *p,
			const struct digest *root, uint64_t size)
{
	struct reader *r = NULL;

	if (size > CHUNKER_MIN) /* less is one chunk, nearly always */
		r = reader_take(p, root, size);
	if (r && !tree_cursor_good(r->cursor)) {
		content_reader_free(r);
		r = NULL;
	}
	*out = r;
	if (r)
		return 0;
	r = calloc(1, sizeof(*r));
	*out = r;
	if (!r)
		return -ENOMEM;
	r->pool = p;
	r->root = *root;
	r->size = size;
	if (size == 0)
		tree_empty_root(&r->root);
	r->source = (struct tree_source){ .read = source_read, .ctx = r };
	return 0;
}

void content_reader_free(struct reader *r)
{
	if (!r)
		return;
	tree_cursor_close(r->cursor);
	free(r);
}

void content_reader_close(struct reader *r)
{
	struct content_pool *p = NULL;
	struct reader *oldest = NULL;

	if (!r || r->kind != READER_TREE || !r->cursor ||
	    r->size <= CHUNKER_MIN) {
		content_reader_free(r);
		return;
	}
	p = r->pool;
	mutex_lock(&p->mu);
	if (p->n_reader == CONTENT_READERS) {
		oldest = p->reader[0];
		p->n_reader--;
		memmove(&p->reader[0], &p->reader[1],
			p->n_reader * sizeof(oldest));
	}
	p->reader[p->n_reader++] = r;
	mutex_unlock(&p->mu);
	content_reader_free(oldest);
}

int content_reader_cursor(struct reader *r, struct tree_cursor **out)
{
	int rc = 0;

	if (r->size > 0)
		rc = reader_kind(r);
	if (rc == 0 && !r->cursor)
		rc = tree_cursor_open(&r->cursor, &r->source, &r->root,
				      r->size);
	*out = r->cursor;
	return rc;
}

int content_reader_at(struct reader *r, struct tree_at *out, uint64_t off)
{
	struct tree_cursor *cursor = NULL;
	int rc = 0;

	if (off >= r->size)
		return 0;
	rc = reader_kind(r);
	if (rc < 0)
		return rc;
	if (r->kind == READER_PLAIN) {
		*out = (struct tree_at){ .ref = { .len = r->size,
						  .id = r->root } };
		return 1;
	}
	rc = content_reader_cursor(r, &cursor);
	return rc < 0 ? rc : tree_cursor_seek(cursor, out, off);
}

/* The first read of a small version: one look decides and delivers. */
static int first_read(struct reader *r, uint8_t *out, size_t n, uint64_t off,
		      bool *out_done)
{
	uint32_t len = 0;
	int rc = 0;

	/* all of it: the kernel keeps that, and does not ask again */
	if (off == 0 && n == r->size &&
	    store_read_direct(r->pool->store, out, &r->root, (uint32_t)n)) {
		r->kind = READER_PLAIN;
		*out_done = true;
		return 0;
	}
	rc = store_read(r->pool->store, out, &len, &r->root, CHUNK_ANY, off, n,
			false);
	if (rc < 0)
		return rc;
	r->kind = rc == CHUNK_DATA ? READER_PLAIN : READER_TREE;
	rc = 0;
	if (r->kind == READER_PLAIN) {
		*out_done = true;
		if (len != r->size || off + n > len)
			rc = -ERR_CORRUPT;
	}
	return rc;
}

/*
 * A whole chunk that is read in order goes past the cache, for the kernel keeps
 * it; but one that comes again at once, as in a file of one byte over and
 * over, is decoded once.
 */
static bool read_past_cache(struct reader *r, uint8_t *out, size_t n,
			    size_t all, const struct tree_ref *ref)
{
	bool again = digest_eq(&r->last, &ref->id);

	r->last = ref->id;
	return !again && all >= READ_STREAM && n == ref->len &&
	       store_read_direct(r->pool->store, out, &ref->id, (uint32_t)n);
}

int content_reader_read(struct reader *r, uint8_t *out, size_t n, uint64_t off)
{
	size_t all = n;
	bool done = false;
	int rc = 0;

	assert(off + n <= r->size);
	if (n == 0)
		return 0;
	if (r->kind == READER_UNKNOWN && r->size <= LIMIT_CHUNK)
		rc = first_read(r, out, n, off, &done);
	if (rc < 0 || done)
		return rc;
	while (n > 0) {
		struct tree_at at = { .off = 0 };
		size_t part = 0;

		rc = content_reader_at(r, &at, off);
		if (rc <= 0)
			return rc < 0 ? rc : -ERR_CORRUPT;
		part = (size_t)least(n, at.off + at.ref.len - off);
		if (at.ref.hole)
			memset(out, 0, part);
		else if (!read_past_cache(r, out, part, all, &at.ref))
			rc = chunk_copy(r->pool, &at.ref.id, off - at.off,
					at.ref.len, out, part, all);
		if (rc < 0)
			return rc;
		out += part;
		n -= part;
		off += part;
	}
	return 0;
}

int content_piece_read(struct content_pool *p, struct reader *r,
		       const struct piece *piece, uint8_t *out, size_t n,
		       uint64_t off)
{
	uint64_t skip = off - piece->off;

	assert(off >= piece->off && skip + n <= piece->len);
	switch (piece->kind) {
	case PIECE_ZERO:
		memset(out, 0, n);
		return 0;
	case PIECE_MEM:
		memcpy(out, piece->buf->p + piece->at + skip, n);
		return 0;
	case PIECE_CHUNK:
		return chunk_copy(p, &piece->id, piece->at + skip, 0, out, n,
				  n);
	default:
		assert(r != NULL);
		return content_reader_read(r, out, n, off);
	}
}

/* --- windows --- */

static void window_piece(struct window *w, struct piece *out, uint64_t off)
{
	const struct piece *p = NULL;

	if (w->view) {
		content_view_piece(w->view, out, off, w->end);
		return;
	}
	if (w->hint >= w->n_piece || w->piece[w->hint].off > off)
		w->hint = 0;
	p = &w->piece[w->hint];
	while (off >= p->off + p->len) {
		w->hint++;
		assert(w->hint < w->n_piece);
		p = &w->piece[w->hint];
	}
	*out = *p;
	out->len = least(p->off + p->len, w->end) - off;
	out->off = off;
	if (p->kind == PIECE_CHUNK || p->kind == PIECE_MEM)
		out->at = p->at + (uint32_t)(off - p->off);
}

int content_window_get(struct window *w, const uint8_t **out, size_t *out_n,
		       uint64_t off, size_t want)
{
	struct piece piece = { .off = 0 };
	int rc = 0;

	assert(off < w->end && want <= CONTENT_WINDOW);
	want = (size_t)least(want, w->end - off);
	window_piece(w, &piece, off);
	if (piece.kind == PIECE_MEM && piece.len >= want) {
		*out = piece.buf->p + piece.at;
		*out_n = (size_t)piece.len;
		return 0;
	}
	if (off < w->off || off >= w->off + w->n) {
		w->n = 0;
	} else if (off > w->off) {
		w->n -= (size_t)(off - w->off);
		memmove(w->buf, w->buf + (off - w->off), w->n);
	}
	w->off = off;
	while (w->n < want) {
		size_t part = 0;

		window_piece(w, &piece, off + w->n);
		part = (size_t)least(piece.len, want - w->n);
		rc = content_piece_read(w->pool, w->reader, &piece,
					w->buf + w->n, part, off + w->n);
		if (rc < 0)
			return rc;
		w->n += part;
	}
	*out = w->buf;
	*out_n = w->n;
	return 0;
}

int content_window_cut(struct window *w, struct chunker_cut *out,
		       const uint8_t **out_p, uint64_t off)
{
	size_t want = CHUNKER_AVG + CHUNKER_AVG / 2;

	for (;; want += CHUNKER_AVG) {
		struct chunker ck = { .off = 0 };
		size_t n = 0;
		bool last = false;
		int rc = 0;

		if (want > CONTENT_WINDOW)
			want = CONTENT_WINDOW;
		rc = content_window_get(w, out_p, &n, off, want);
		if (rc < 0)
			return rc;
		last = off + n == w->end;
		chunker_init(&ck, off);
		if (chunker_next(&ck, out, *out_p, n, last && w->eof))
			return 1;
		if (last)
			return 0;
		assert(want < CONTENT_WINDOW);
	}
}

/* --- ranges --- */

static void ranges_hull(struct ranges *r, uint64_t lo, uint64_t hi)
{
	for (unsigned i = 0; i < r->n; i++) {
		lo = least(lo, r->v[i].lo);
		hi = r->v[i].hi > hi ? r->v[i].hi : hi;
	}
	r->hull = true;
	r->n = 1;
	r->v[0].lo = lo;
	r->v[0].hi = hi;
}

void content_ranges_add(struct ranges *r, uint64_t lo, uint64_t hi)
{
	unsigned i = 0;
	unsigned j = 0;

	if (lo >= hi)
		return;
	if (r->hull) {
		ranges_hull(r, lo, hi);
		return;
	}
	while (i < r->n && r->v[i].hi < lo)
		i++;
	for (j = i; j < r->n && r->v[j].lo <= hi; j++) {
		lo = least(lo, r->v[j].lo);
		hi = r->v[j].hi > hi ? r->v[j].hi : hi;
	}
	if (i == j && r->n == LIMIT_RANGES) {
		ranges_hull(r, lo, hi);
		return;
	}
	if (i == j) {
		memmove(&r->v[i + 1], &r->v[i], (r->n - i) * sizeof(r->v[0]));
		r->n++;
	} else {
		memmove(&r->v[i + 1], &r->v[j], (r->n - j) * sizeof(r->v[0]));
		r->n = (uint16_t)(r->n - (j - i) + 1);
	}
	r->v[i].lo = lo;
	r->v[i].hi = hi;
}

void content_ranges_merge(struct ranges *r, const struct ranges *from)
{
	for (unsigned i = 0; i < from->n; i++)
		content_ranges_add(r, from->v[i].lo, from->v[i].hi);
	if (from->hull && !r->hull)
		ranges_hull(r, from->v[0].lo, from->v[0].hi);
}
