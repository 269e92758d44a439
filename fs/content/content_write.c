/*
 * content_write.c - what changes the bytes: write, truncate, zero.
 *
 * A write copies into a buffer under the lock and sets one or two extents.
 * What it may need (a buffer, memory for extents) it gets beforehand without
 * the lock, then looks again.  Bytes go where the last buffer has room, be
 * they in order or not; buffers grow with the run from the size of the write
 * to DIRTY_STREAM, so that a stream costs one buffer per MiB and no allocation
 * per write.  Bytes that came in a buffer of ours (content_write_spare) are
 * not copied if they nearly fill it, or if they are many and the last buffer
 * has little room that would be lost: that is 90 us a MiB.
 *
 * Three things follow the order of writes: the stream (cut while it is
 * written), the run (the last sequence elsewhere, which becomes the stream
 * when it is long enough), and the plain digest (one stream id, 0..size).
 *
 * Threads: any.
 */
#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "fs/content/content.h"
#include "fs/content/content_internal.h"

/*
 * What a buffer must hold to be taken; the rest of it is filled up later, but
 * by writes that are taken themselves: at most a quarter of each is lost then.
 */
enum {
	TAKEN_MIN = DIRTY_STREAM / 2,
	TAKEN_EVER = DIRTY_STREAM - DIRTY_STREAM / 4,
	LOST_MAX = DIRTY_STREAM / 4 /* of the last buffer, for less than that */
};

/* So much was written here and there: buffers as for a run, not one each. */
enum { SCATTER_MANY = 64 << 10 };

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* --- order of writes --- */

static void sha_note(struct content *c, uint64_t off, size_t n, uint64_t stream)
	requires_capability(&c->mu)
{
	if (!c->sha_on)
		return;
	if (off != c->sha_len || (off > 0 && stream != c->sha_stream)) {
		c->sha_on = false;
		return;
	}
	c->sha_stream = stream;
	c->sha_len += n;
}

/* The first bytes of a new stream. */
static void stream_start(struct content *c, uint64_t lo, uint64_t hi)
{
	c->streaming = true;
	c->stream_no++;
	c->stream_start = lo;
	c->stream_cut = lo;
	c->stream_end = hi;
	c->run_start = hi;
	c->run_end = hi;
}

static void stream_note(struct content *c, uint64_t off, size_t n)
	requires_capability(&c->mu)
{
	uint64_t end = off + n;
	bool goes_on = c->streaming && off == c->stream_end;

	if (off < c->size)
		c->over++;
	if (off < c->size || !goes_on)
		content_uncut_locked(c->top, off);
	if (goes_on) {
		c->stream_end = end;
		return;
	}
	/* not the stream's: cuts near it and batches at work are in doubt */
	c->seq++;
	c->scattered += n;
	if (!c->streaming) {
		stream_start(c, off, end);
		return;
	}
	if (off != c->run_end || c->run_end == c->run_start)
		c->run_start = off;
	c->run_end = end;
	if (c->run_end - c->run_start >= CONTENT_BACKLOG)
		stream_start(c, c->run_start, end);
}

/* --- writing --- */

/* One write. */
struct order {
	const uint8_t *p;
	size_t n;
	uint64_t off;
	bool append;
	bool soon; /* does not wait where there are too many extents */
	uint64_t stream;
	struct dirty_buf **spare; /* p is its start, it may be taken; or NULL */
};

/* The capacity of the buffer that takes `need` bytes written at off. */
static size_t cap_for(const struct content *c, uint64_t off, size_t need)
{
	uint64_t run = 0;
	uint64_t share = c->pool->dirty.max / 8;
	size_t cap = 0;

	if (c->streaming && off == c->stream_end)
		run = c->stream_end - c->stream_start;
	else if (off == c->run_end)
		run = c->run_end - c->run_start;
	else if (c->scattered >= SCATTER_MANY)
		run = c->scattered;
	if (run == 0 && off < c->size)
		cap = (need + 511) & ~(size_t)511;
	else
		cap = (need + 4095) & ~(size_t)4095;
	while (cap < run && cap < DIRTY_STREAM)
		cap = 2 * cap < DIRTY_STREAM ? 2 * cap : DIRTY_STREAM;
	if (cap + run >= DIRTY_STREAM / 4 && cap < DIRTY_STREAM)
		cap = DIRTY_STREAM;
	if (cap > share)
		cap = share > need ? share : need;
	return cap;
}

/* Overwrites buffered bytes where they are, if nobody reads them. */
static bool write_in_place(struct content *c, const uint8_t *p, size_t n,
			   uint64_t off) requires_capability(&c->mu)
{
	struct extent *e = NULL;

	if (off >= c->size)
		return false;
	e = extents_seek(&c->top->ext, off);
	if (!e || e->kind != EXTENT_MEM || e->off > off ||
	    off + n > e->off + e->len || e->buf->pins > 0)
		return false;
	memcpy(e->buf->p + e->at + (off - e->off), p, n);
	return true;
}

/* Appends to the tail buffer, which has room, and sets the extent. */
static void write_tail(struct content *c, const uint8_t *p, size_t n,
		       uint64_t off) requires_capability(&c->mu)
{
	struct dirty_buf *b = c->tail;
	struct extent e = {
		.off = off,
		.len = n,
		.buf = b,
		.at = b->used,
		.kind = EXTENT_MEM,
		.flags = EXTENT_UNSAVED | EXTENT_BUFFERED,
	};

	assert(n > 0 && b->used + n <= b->cap);
	if (b->p + b->used != p) /* else the bytes came in it */
		memcpy(b->p + b->used, p, n);
	b->used += (uint32_t)n;
	extents_set(&c->top->ext, &e);
	if (b->used == b->cap) {
		dirty_put(b);
		c->tail = NULL;
	}
}

/* A gap between the old end and off reads as zeros, and is reported so. */
int content_grow_locked(struct content *c, uint64_t off)
	requires_capability(&c->mu)
{
	struct extent e = {
		.off = c->size,
		.len = least(off, c->hidden_end) - c->size,
		.kind = EXTENT_HOLE,
		.flags = EXTENT_UNSAVED,
	};
	int rc = 0;

	if (off <= c->size)
		return 0;
	if (c->size < c->hidden_end) {
		rc = extents_prepare(&c->top->ext);
		if (rc < 0)
			return rc;
		extents_set(&c->top->ext, &e);
	}
	content_changed_locked(c, c->size, off);
	c->size = off;
	return 0;
}

/* One write with all it needs at hand: spare has room for what tail has not. */
static int write_locked(struct content *c, const struct order *o,
			struct dirty_buf **spare) requires_capability(&c->mu)
{
	const uint8_t *p = o->p;
	size_t n = o->n;
	uint64_t off = o->off;
	uint64_t end = off + n;
	size_t room = 0;
	size_t first = 0;
	int rc = content_grow_locked(c, off);

	if (rc == 0)
		rc = extents_prepare(&c->top->ext);
	if (rc < 0)
		return rc;
	if (c->tail)
		room = c->tail->cap - c->tail->used;
	first = room < n ? room : n;
	if (*spare && (*spare)->p == p)
		first = 0;
	sha_note(c, off, n, o->stream);
	stream_note(c, off, n);
	if (c->size < end)
		c->size = end;
	if (c->hidden_end < end)
		c->hidden_end = end;
	content_changed_locked(c, off, end);
	if (first > 0)
		write_tail(c, p, first, off);
	if (first == n)
		return 0;
	dirty_put(c->tail);
	c->tail = take(*spare);
	write_tail(c, p + first, n - first, off + first);
	return 0;
}

/* The buffer that the bytes came in counts from now on, and is ours. */
static int adopt(struct content *c, const struct order *o,
		 struct dirty_buf **out, uint64_t held)
{
	struct dirty_buf *b = take(*o->spare);
	int rc = dirty_adopt(&c->pool->dirty, b, held);

	if (rc == 0)
		*out = b;
	return rc;
}

/* Is the buffer that the bytes came in taken?  The last one's room is lost. */
static bool taken(const struct order *o, size_t room, size_t cap)
{
	return o->spare && *o->spare && cap == DIRTY_STREAM &&
	       (o->n >= TAKEN_EVER || (o->n >= TAKEN_MIN && room <= LOST_MAX));
}

/* Makes sure that there is room; may let go of the lock: -ERR_RELOCKED. */
static int room_locked(struct content *c, struct dirty_buf **spare,
		       const struct order *o) no_thread_safety_analysis
{
	size_t room = 0;
	size_t cap = 0;
	uint64_t held = c->top->ext.mem;
	int rc = 0;

	if (c->tail)
		room = c->tail->cap - c->tail->used;
	if (room >= o->n || (*spare && (*spare)->cap >= o->n - room))
		return 0;
	cap = cap_for(c, o->off, o->n - room);
	mutex_unlock(&c->mu);
	dirty_put(*spare);
	*spare = NULL;
	if (taken(o, room, cap))
		rc = adopt(c, o, spare, held);
	else
		rc = dirty_get(&c->pool->dirty, spare, cap, held);
	mutex_lock(&c->mu);
	return rc < 0 ? rc : -ERR_RELOCKED;
}

/* At most CONTENT_SLICE bytes, as one step. */
static int write_slice(struct content *c, const struct order *order,
		       uint64_t *out_off)
{
	struct order o = *order;
	struct dirty_buf *spare = NULL;
	bool due = false;
	bool scattered = false;
	uint64_t extents = 0;
	int rc = 0;

	mutex_lock(&c->mu);
	do {
		while (o.append && c->appending)
			cond_wait(&c->cond, &c->mu);
		extents = c->counted;
		if (o.append)
			o.off = c->size;
		if (o.n > LIMIT_FILE_SIZE - o.off) {
			rc = -EFBIG;
			break;
		}
		if (write_in_place(c, o.p, o.n, o.off)) {
			c->sha_on = false;
			c->seq++;
			content_uncut_locked(c->top, o.off);
			content_changed_locked(c, o.off, o.off + o.n);
			rc = 0;
			break;
		}
		rc = room_locked(c, &spare, &o);
		if (rc == 0)
			rc = write_locked(c, &o, &spare);
	} while (rc == -ERR_RELOCKED);
	*out_off = o.off;
	if (rc == 0) {
		due = content_spill_due_locked(c);
		content_list_locked(c);
		scattered =
			c->counted > extents && c->stream_end != o.off + o.n;
	}
	mutex_unlock(&c->mu);
	dirty_put(spare);
	if (due)
		workers_push(c->pool->workers, &c->work);
	if (scattered && !o.soon)
		content_pool_thin(c->pool);
	return rc;
}

/* More than a slice: other appends wait, so that the bytes stay together. */
static int write_huge(struct content *c, const struct order *order,
		      uint64_t *out_off)
{
	struct order part = *order;
	size_t left = order->n;
	uint64_t at = 0;
	int rc = 0;

	part.append = false;
	if (order->append) {
		mutex_lock(&c->mu);
		while (c->appending)
			cond_wait(&c->cond, &c->mu);
		c->appending = true;
		part.off = c->size;
		mutex_unlock(&c->mu);
	}
	*out_off = part.off;
	if (left > LIMIT_FILE_SIZE - part.off)
		rc = -EFBIG;
	while (rc == 0 && left > 0) {
		part.n = left < CONTENT_SLICE ? left : CONTENT_SLICE;
		rc = write_slice(c, &part, &at);
		part.p += part.n;
		part.off += part.n;
		left -= part.n;
	}
	if (order->append) {
		mutex_lock(&c->mu);
		c->appending = false;
		cond_broadcast(&c->cond);
		mutex_unlock(&c->mu);
	}
	return rc;
}

static int write_order(struct content *c, const struct order *o,
		       uint64_t *out_off)
{
	int rc = store_failed(c->pool->store);

	atomic_fetch_add_explicit(&c->pool->uses, 1, memory_order_relaxed);
	*out_off = o->off;
	if (rc < 0)
		return rc;
	if (o->off > LIMIT_FILE_SIZE)
		return -EFBIG;
	if (o->n == 0) {
		if (o->append)
			*out_off = content_size(c);
		return 0;
	}
	if (o->n > CONTENT_SLICE)
		return write_huge(c, o, out_off);
	return write_slice(c, o, out_off);
}

int content_write(struct content *c, const void *p, size_t n, uint64_t off,
		  bool append, uint64_t stream, uint64_t *out_off)
{
	struct order o = {
		.p = p,
		.n = n,
		.off = off,
		.append = append,
		.stream = stream,
	};

	return write_order(c, &o, out_off);
}

int content_write_soon(struct content *c, const void *p, size_t n, uint64_t off)
{
	struct order o = { .p = p, .n = n, .off = off, .soon = true };
	uint64_t at = 0;

	return write_order(c, &o, &at);
}

int content_write_spare(struct content *c, struct dirty_buf **spare, size_t n,
			uint64_t off, bool append, uint64_t stream,
			uint64_t *out_off)
{
	struct order o = {
		.p = (*spare)->p,
		.n = n,
		.off = off,
		.append = append,
		.stream = stream,
		.spare = spare,
	};

	assert(n <= (*spare)->cap);
	return write_order(c, &o, out_off);
}

/* --- truncate, zero --- */

static int shrink_locked(struct content *c, uint64_t size)
	requires_capability(&c->mu)
{
	int rc = extents_prepare(&c->top->ext);

	if (rc < 0)
		return rc;
	content_changed_locked(c, size, c->size);
	extents_cut(&c->top->ext, size, ~0ULL);
	content_uncut_locked(c->top, size);
	if (c->top->limit > size)
		c->top->limit = size;
	c->size = size;
	c->seq++;
	if (c->stream_end > size || c->run_end > size) {
		c->streaming = false;
		c->stream_no++;
	}
	c->sha_on = size == 0;
	c->sha_len = 0;
	c->sha_no++;
	return 0;
}

int content_truncate(struct content *c, uint64_t size)
{
	int rc = store_failed(c->pool->store);

	if (rc < 0)
		return rc;
	if (size > LIMIT_FILE_SIZE)
		return -EFBIG;
	mutex_lock(&c->mu);
	if (size < c->size) {
		rc = shrink_locked(c, size);
	} else if (size > c->size) {
		rc = content_grow_locked(c, size);
		if (c->hidden_end < size)
			c->hidden_end = size;
		c->seq++;
		c->sha_on = false;
	}
	content_list_locked(c);
	mutex_unlock(&c->mu);
	return rc;
}

static int zero_locked(struct content *c, uint64_t off, uint64_t end)
	requires_capability(&c->mu)
{
	struct extent e = {
		.off = off,
		.len = end - off,
		.kind = EXTENT_HOLE,
		.flags = EXTENT_UNSAVED,
	};
	int rc = content_grow_locked(c, end);

	if (rc < 0)
		return rc;
	if (c->hidden_end < end)
		c->hidden_end = end;
	rc = extents_prepare(&c->top->ext);
	if (rc < 0)
		return rc;
	content_changed_locked(c, off, end);
	content_uncut_locked(c->top, off);
	extents_set(&c->top->ext, &e);
	c->seq++;
	c->sha_on = false;
	return 0;
}

int content_zero(struct content *c, uint64_t off, uint64_t len, bool keep_size)
{
	uint64_t end = 0;
	int rc = store_failed(c->pool->store);

	if (rc < 0)
		return rc;
	if (__builtin_add_overflow(off, len, &end) || end > LIMIT_FILE_SIZE)
		return -EFBIG;
	mutex_lock(&c->mu);
	if (keep_size)
		end = least(end, c->size);
	if (off < end)
		rc = zero_locked(c, off, end);
	content_list_locked(c);
	mutex_unlock(&c->mu);
	return rc;
}
