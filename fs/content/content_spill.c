/*
 * content_spill.c - buffered bytes become chunks: the stream while it is
 * written, and for content_save.c and content_press.c whatever they take.
 *
 * The stream.  A worker takes up to CONTENT_BATCH bytes from the last cut on
 * (`cutting`: one at a time, in order), finds the cuts, hashes the plain
 * digest (as long as that keeps up), lets go, and then makes and stores the chunks (`inflight`: several
 * at a time).  At last the chunks take the place of the buffers as CUT
 * extents.  Bytes before the stream's last cut that were saved meanwhile as a
 * short chunk are read back; there are at most CHUNKER_MAX of them.
 *
 * Replacing.  Between taking and replacing, the file may have changed.  When
 * `seq` says that only the stream went on (and `over`, where more than the
 * stream was taken, that it wrote over nothing), the bytes are the same and
 * the chunk replaces all of its range.  Otherwise it replaces those bytes
 * that are still in the very buffers it was made of: pinned buffers do not
 * change.
 *
 * A batch that fails leaves its bytes in their buffers, behind the stream's
 * cut: a save, a version or pressure takes them.
 *
 * Threads: workers; save and pressure when they have entered.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/err.h"
#include "fs/content/content.h"
#include "fs/content/content_internal.h"
#include "fs/store/lease.h"

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t block_up(uint64_t off)
{
	return (off + CHUNKER_BLOCK - 1) / CHUNKER_BLOCK * CHUNKER_BLOCK;
}

static void pin(struct piece *p)
{
	if (p->kind != PIECE_MEM)
		return;
	dirty_ref(p->buf);
	p->buf->pins++;
}

static void unpin(struct piece *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i].kind != PIECE_MEM || !p[i].buf)
			continue;
		p[i].buf->pins--;
		dirty_put(p[i].buf);
		p[i].buf = NULL;
	}
}

/* --- plain digest --- */

/*
 * Lets go of the plain digest when it does not keep up with the writer, the
 * volume's buffers fill, or it costs more than all the rest of a stream does
 * (content_pool.c): it is made later then, when nobody waits.  Where SHA-256
 * runs at 0.4 GB/s it was half the CPU of a stream.
 */
bool content_sha_keeps_up_locked(struct content *c) requires_capability(&c->mu)
{
	uint64_t done = c->sha_pos_no == c->sha_no ? c->sha_pos : 0;
	uint64_t behind = c->sha_len > done ? c->sha_len - done : 0;
	struct dirty *d = &c->pool->dirty;

	if (c->sha_on &&
	    (behind > CONTENT_SHA_BEHIND ||
	     (c->pool->digests_later && c->sha_len > CONTENT_SHA_LATER) ||
	     (behind > CONTENT_SHA_SMALL && dirty_bytes(d) > d->max / 8)))
		c->sha_on = false;
	return c->sha_on;
}

int content_sha_to(struct content *c, uint64_t no, struct window *w,
		   uint64_t to)
{
	if (c->sha_pos_no != no) {
		if (c->sha)
			digest_sha256_reset(c->sha);
		c->sha_pos = 0;
		c->sha_pos_no = no;
	}
	if (!c->sha)
		c->sha = digest_sha256_new();
	if (!c->sha)
		return -ENOMEM;
	if (!w->view && c->sha_pos < w->piece[0].off)
		w->n = 0; /* its buffer is borrowed */
	while (!w->view && c->sha_pos < least(to, w->piece[0].off)) {
		/* a version was made when all was in one buffer */
		uint64_t n = least(w->piece[0].off - c->sha_pos, 64 << 10);
		ssize_t rc = content_read(c, w->buf, (size_t)n, c->sha_pos);

		if (rc <= 0)
			return rc < 0 ? (int)rc : -ERR_SHORT;
		digest_sha256_update(c->sha, w->buf, (size_t)rc);
		c->sha_pos += (uint64_t)rc;
	}
	while (c->sha_pos < to) {
		const uint8_t *p = NULL;
		size_t n = 0;
		int rc = content_window_get(w, &p, &n, c->sha_pos, 64 << 10);

		if (rc < 0)
			return rc;
		n = (size_t)least(n, to - c->sha_pos);
		digest_sha256_update(c->sha, p, n);
		c->sha_pos += n;
	}
	return 0;
}

/* --- replacing --- */

/* Sets the part [lo, hi) of e; same: the bytes around it did not change. */
static int set_part(struct content *c, const struct extent *e, uint64_t lo,
		    uint64_t hi, bool same) requires_capability(&c->mu)
{
	struct extent part = *e;
	int rc = extents_prepare(&c->top->ext);

	if (rc < 0)
		return rc;
	part.off = lo;
	part.len = hi - lo;
	part.at = e->kind == EXTENT_HOLE ? 0 : (uint32_t)(lo - e->off);
	if (!same)
		part.flags &= (uint8_t)~EXTENT_WHOLE;
	extents_set(&c->top->ext, &part);
	return 0;
}

/* The first of n ascending pieces that ends behind off; *n: how many left. */
static const struct piece *piece_at(const struct piece *v, size_t *n,
				    uint64_t off)
{
	size_t lo = 0;
	size_t hi = *n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (v[mid].off + v[mid].len <= off)
			lo = mid + 1;
		else
			hi = mid;
	}
	*n -= lo;
	return v + lo;
}

/* Replaces what is still in the buffers that the pieces name. */
static int replace_same(struct content *c, const struct extent *e,
			const struct piece *v, size_t n)
	requires_capability(&c->mu)
{
	uint64_t end = e->off + e->len;
	uint64_t at = e->off;
	int rc = 0;

	v = piece_at(v, &n, at);
	while (rc == 0 && at < end && at < c->size && n > 0) {
		struct view view = { .top = NULL };
		struct piece now = { .off = 0 };
		uint64_t hi = least(end, v->off + v->len);

		content_view_locked(c, &view);
		content_view_piece(&view, &now, at, least(hi, c->size));
		if (now.kind == PIECE_MEM && v->kind == PIECE_MEM &&
		    now.buf == v->buf && now.at == v->at + (at - v->off))
			rc = set_part(c, e, at, at + now.len, false);
		at += now.len;
		if (at == v->off + v->len) {
			v++;
			n--;
		}
	}
	return rc;
}

static int apply_locked(struct content *c, bool same, const struct extent *done,
			size_t n_done, const struct piece *v, size_t n)
	requires_capability(&c->mu)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n_done; i++) {
		const struct extent *e = &done[i];

		if (same)
			rc = set_part(c, e, e->off, e->off + e->len, true);
		else
			rc = replace_same(c, e, v, n);
	}
	content_list_locked(c);
	return rc;
}

/* --- the stream --- */

struct batch {
	struct reader *reader;
	size_t n_piece;
	size_t n_done;
	uint64_t lo, hi;
	uint64_t seq;
	uint64_t stream_no;
	uint64_t sha_no;
	bool sha;
	bool base;
	bool forget; /* of a long stream */
	struct digest root;
	uint64_t root_size;
};

int content_spill_put(struct put *p, const struct chunk *k, uint8_t *out_flags)
{
	*out_flags = 0;
	return content_bulk_put(p->content, k, p->forget);
}

bool content_stream_due_locked(const struct content *c)
	requires_capability(&c->mu)
{
	return c->streaming && !c->busy && !c->cutting && !c->closing &&
	       c->stream_end - c->stream_cut >= CONTENT_BACKLOG;
}

bool content_spill_due_locked(const struct content *c)
	requires_capability(&c->mu)
{
	return content_stream_due_locked(c) || content_scatter_due_locked(c);
}

/* Takes the next bytes of the stream; then this thread is `cutting`. */
static void claim_locked(struct content *c, struct scratch *sc, struct batch *b,
			 uint64_t end, bool hash) requires_capability(&c->mu)
{
	struct view view = { .top = NULL };

	*b = (struct batch){
		.lo = c->stream_cut,
		.hi = c->stream_cut,
		.seq = c->seq,
		.stream_no = c->stream_no,
		.sha_no = c->sha_no,
		.sha = hash && content_sha_keeps_up_locked(c),
		.root = c->root,
		.root_size = c->root_size,
	};
	end = least(end, least(c->stream_end, b->lo + CONTENT_BATCH));
	content_view_locked(c, &view);
	while (b->hi < end && b->n_piece < CONTENT_PIECES) {
		struct piece *p = &sc->piece[b->n_piece++];

		content_view_piece(&view, p, b->hi, end);
		pin(p);
		b->base = b->base || p->kind == PIECE_BASE;
		b->hi += p->len;
	}
	b->forget = b->hi - c->stream_start > CONTENT_LONG;
	c->cutting = true;
}

/* Finds the cuts of a batch and hashes what they cover. */
static int cut_batch(struct content *c, struct scratch *sc, struct batch *b,
		     struct window *w)
{
	uint64_t at = b->lo;
	int rc = 0;

	if (b->base)
		rc = content_reader_open(&b->reader, c->pool, &b->root,
					 b->root_size);
	w->reader = b->reader;
	while (rc == 0 && b->n_done < CONTENT_CUTS && at < b->hi) {
		struct chunker_cut cut = { .off = 0 };
		const uint8_t *p = NULL;

		rc = content_window_cut(w, &cut, &p, at);
		if (rc <= 0)
			break;
		rc = 0;
		at += cut.len;
		sc->done[b->n_done++] = (struct extent){
			.off = cut.off,
			.len = cut.len,
			.kind = cut.hole ? EXTENT_HOLE : EXTENT_CHUNK,
			.flags = cut.hole ? EXTENT_UNSAVED :
					    EXTENT_UNSAVED | EXTENT_CUT,
		};
	}
	b->hi = at;
	if (rc == 0 && b->sha && at > b->lo)
		rc = content_sha_to(c, b->sha_no, w, at);
	if (rc < 0 && b->sha) {
		mutex_lock(&c->mu);
		if (c->sha_no == b->sha_no)
			c->sha_on = false;
		mutex_unlock(&c->mu);
	}
	return rc;
}

/* Makes a chunk of [e->off, + e->len) and fills in its id and flags. */
static int store_one(struct window *w, struct scratch *sc, struct extent *e,
		     struct put *put)
{
	struct chunk k = { .type = 0 };
	const uint8_t *p = NULL;
	uint8_t flags = 0;
	size_t n = 0;
	int rc = content_window_get(w, &p, &n, e->off, (size_t)e->len);

	if (rc == 0)
		rc = chunk_name(&k, sc->maker, CHUNK_DATA, p, (size_t)e->len);
	if (rc == 0)
		rc = put->put(put, &k, &flags);
	e->id = k.id;
	e->flags |= flags;
	return rc;
}

/* Lets go of the stream: the next batch may be cut. */
static void cut_done_locked(struct content *c, const struct batch *b, int rc)
	requires_capability(&c->mu)
{
	c->cutting = false;
	c->inflight++;
	if (c->stream_no == b->stream_no) {
		if (rc == 0 && b->n_done > 0)
			c->stream_cut = b->hi;
		else if (rc < 0 || b->n_piece == CONTENT_PIECES)
			c->streaming = false; /* others take the bytes */
	}
	cond_broadcast(&c->cond);
}

/*
 * One batch of the stream: claimed by the caller, who holds the lock and
 * gets it back.  hash: the plain digest, too, which a save does not wait for.
 * *out_cut: whether there was a cut.
 */
static int batch_locked(struct content *c, struct scratch *sc, uint64_t end,
			bool hash, struct put *put,
			bool *out_cut) no_thread_safety_analysis
{
	struct window w = { .pool = c->pool, .buf = sc->window };
	struct batch b = { .lo = 0 };
	bool due = false;
	int rc = 0;

	claim_locked(c, sc, &b, end, hash);
	mutex_unlock(&c->mu);
	w.piece = sc->piece;
	w.n_piece = b.n_piece;
	w.end = b.hi;
	rc = cut_batch(c, sc, &b, &w);

	mutex_lock(&c->mu);
	cut_done_locked(c, &b, rc);
	due = content_stream_due_locked(c);
	mutex_unlock(&c->mu);
	if (due)
		workers_push(c->pool->workers, &c->work);

	put->forget = b.forget;
	for (size_t i = 0; rc == 0 && i < b.n_done; i++)
		if (sc->done[i].kind == EXTENT_CHUNK)
			rc = store_one(&w, sc, &sc->done[i], put);
	put->forget = false;
	content_reader_close(b.reader);
	*out_cut = b.n_done > 0;

	mutex_lock(&c->mu);
	if (rc == 0)
		rc = apply_locked(c, c->seq == b.seq, sc->done, b.n_done,
				  sc->piece, b.n_piece);
	unpin(sc->piece, b.n_piece);
	c->inflight--;
	cond_broadcast(&c->cond);
	return rc;
}

/* Tells writers who wait for room whether there is hope. */
static void tell(struct content_pool *p, int rc)
{
	if (rc == 0 || rc == -ENOSPC || store_failed(p->store) < 0)
		dirty_fail(&p->dirty, rc);
}

void content_spill_work(struct work *k)
{
	struct content *c =
		(struct content *)((char *)k - offsetof(struct content, work));
	struct lease *lease = store_lease(c->pool->store);
	struct put put = { .put = content_spill_put, .content = c };
	struct scratch *sc = NULL;
	unsigned section = 0;
	bool cut = false;
	bool any = false;
	bool more = false;
	int rc = content_pool_scratch(c->pool, &sc);

	if (rc < 0)
		return;		      /* the bytes stay where they are */
	section = lease_enter(lease); /* from the put to the extent */
	mutex_lock(&c->mu);
	if (content_stream_due_locked(c)) {
		rc = batch_locked(c, sc, ~0ULL, true, &put, &cut);
		any = true;
	} else if (content_scatter_due_locked(c)) {
		rc = content_scatter_locked(c, sc, &any);
		more = content_scatter_due_locked(c);
	}
	mutex_unlock(&c->mu);
	if (more)
		workers_push(c->pool->workers, &c->work);
	if (any)
		tell(c->pool, rc);
	lease_leave(lease, section);
	content_pool_unscratch(c->pool, sc);
}

void content_spill_drain(struct content *c, struct scratch *sc)
{
	struct put put = { .put = content_spill_put, .content = c };
	uint64_t end = 0, no = 0;
	bool cut = true;
	int rc = 0;

	mutex_lock(&c->mu);
	end = c->stream_end;
	no = c->stream_no;
	while (rc == 0 && cut && c->streaming && c->stream_no == no &&
	       !c->busy && !c->closing &&
	       end >= c->stream_cut + CONTENT_BACKLOG) {
		if (content_stream_due_locked(c))
			rc = batch_locked(c, sc, ~0ULL, false, &put, &cut);
		else
			cond_wait(&c->cond, &c->mu); /* another one cuts */
	}
	mutex_unlock(&c->mu);
	tell(c->pool, rc);
}

int content_spill_stream(struct content *c, struct scratch *sc, uint64_t end,
			 struct put *put)
{
	bool cut = true;
	int rc = 0;

	mutex_lock(&c->mu);
	assert(c->busy);
	while (rc == 0 && cut && c->streaming &&
	       least(end, c->stream_end) >= c->stream_cut + CHUNKER_MIN)
		rc = batch_locked(c, sc, end, false, put, &cut);
	mutex_unlock(&c->mu);
	return rc;
}

/* --- everything --- */

static int spill_room(struct spill *s)
{
	size_t cap = s->cap_piece ? 2 * s->cap_piece : 16;
	struct piece *v = NULL;

	if (s->n_piece < s->cap_piece)
		return 0;
	v = realloc(s->piece, cap * sizeof(*v));
	if (!v)
		return -ENOMEM;
	s->piece = v;
	s->cap_piece = cap;
	return 0;
}

/* Is it the stream's, or of a run that may become it, or being taken now? */
static bool others_take(const struct content *c, const struct extent *e)
	requires_capability(&c->mu)
{
	uint64_t end = e->off + e->len;

	return e->buf->pins > 0 ||
	       (c->streaming && e->off < c->stream_end &&
		end > c->stream_cut) ||
	       (e->off < c->run_end && end > c->run_start);
}

int content_spill_take_locked(struct content *c, struct spill *s, uint64_t from,
			      uint64_t to, enum spill_what what, uint64_t max)
	requires_capability(&c->mu)
{
	struct view view = { .top = c->top, .size = c->size };
	uint8_t flag = what == SPILL_UNSAVED ? EXTENT_UNSAVED : EXTENT_BUFFERED;
	const struct extent *e = NULL;
	uint64_t bytes = 0;
	int rc = 0;

	s->seq = c->seq;
	s->over = c->over;
	for (; bytes < max &&
	       (e = extents_seek_flag(&c->top->ext, from, flag)) && e->off < to;
	     from = e->off + e->len) {
		if (what == SPILL_SCATTERED && others_take(c, e))
			continue;
		rc = spill_room(s);
		if (rc < 0)
			break;
		content_view_piece(&view, &s->piece[s->n_piece++], e->off,
				   least(e->off + e->len, to));
		if (e->kind == EXTENT_MEM)
			bytes += e->len;
	}
	/* only now: a pin that was there before is somebody else's */
	for (size_t i = 0; i < s->n_piece; i++)
		pin(&s->piece[i]);
	return rc;
}

static int done_add(struct spill *s, const struct extent *e)
{
	if (s->n_done == s->cap_done) {
		size_t cap = s->cap_done ? 2 * s->cap_done : 16;
		struct extent *v = realloc(s->done, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		s->done = v;
		s->cap_done = cap;
	}
	s->done[s->n_done++] = *e;
	return 0;
}

/* Touching buffers [i, j) are one region: cut it as if it were a file. */
static int store_region(struct content *c, struct scratch *sc, struct spill *s,
			size_t i, size_t j, struct put *put)
{
	struct window w = {
		.pool = c->pool,
		.piece = s->piece + i,
		.n_piece = j - i,
		.end = s->piece[j - 1].off + s->piece[j - 1].len,
		.eof = true,
		.buf = sc->window,
	};
	int rc = 0;

	for (uint64_t at = s->piece[i].off; at < w.end;) {
		struct extent e = { .off = at, .flags = EXTENT_UNSAVED };
		struct chunker_cut cut = { .off = 0 };
		const uint8_t *p = NULL;

		rc = content_window_cut(&w, &cut, &p, at);
		if (rc < 0)
			return rc;
		assert(rc == 1);
		at += cut.len;
		e.len = cut.len;
		e.kind = cut.hole ? EXTENT_HOLE : EXTENT_CHUNK;
		/* the region's end is no reason to cut there */
		if (!cut.hole && at < w.end && block_up(at) <= w.end)
			e.flags |= EXTENT_CUT;
		else if (!cut.hole && at == w.end)
			e.flags |= EXTENT_LAST;
		rc = cut.hole ? 0 : store_one(&w, sc, &e, put);
		if (rc == 0)
			rc = done_add(s, &e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int content_spill_store(struct content *c, struct scratch *sc, struct spill *s,
			size_t i, size_t j, struct put *put)
{
	int rc = 0;

	while (rc == 0 && i < j) {
		size_t k = i + 1;

		while (s->piece[i].kind == PIECE_MEM && k < j &&
		       s->piece[k].kind == PIECE_MEM &&
		       s->piece[k].off ==
			       s->piece[k - 1].off + s->piece[k - 1].len)
			k++;
		if (s->piece[i].kind == PIECE_MEM)
			rc = store_region(c, sc, s, i, k, put);
		i = k;
	}
	return rc;
}

int content_spill_apply_locked(struct content *c, const struct spill *s,
			       size_t i) requires_capability(&c->mu)
{
	bool same = c->seq == s->seq && c->over == s->over;

	return apply_locked(c, same, s->done + i, s->n_done - i, s->piece,
			    s->n_piece);
}

void content_spill_unpin_locked(struct spill *s, size_t i, size_t j)
{
	unpin(s->piece + i, j - i);
}

void content_spill_release(struct spill *s)
{
	free(s->piece);
	free(s->done);
	*s = (struct spill){ .piece = NULL };
}
