/*
 * content_holes.c - where a file has no bytes: lseek's holes, and how many
 * bytes are allocated.
 *
 * A hole is a block of 4096 that reads as zeros and takes no space, or what
 * the file has of its last block.  Versions have holes in whole blocks
 * (chunker.h); writes of any size and offset lie above them.  So that a
 * program gets the same answer before and after a version, zeros of layers
 * count only where they fill a block, blocks of zeros that wait in memory
 * count as what they are about to be, and the last, partial block, which
 * versions keep as bytes, is looked at.
 *
 * Threads: any.
 */
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "fs/store/chunk.h"
#include "fs/content/content.h"
#include "fs/content/content_internal.h"
#include "fs/store/lease.h"

enum { COUNT_EXTENTS = 512 };

static uint64_t block_down(uint64_t off)
{
	return off - off % CHUNKER_BLOCK;
}

static uint64_t block_up(uint64_t off)
{
	return block_down(off + CHUNKER_BLOCK - 1);
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* --- counting --- */

bool content_zero_tail(uint64_t off, uint64_t len, const struct digest *id)
{
	static const uint8_t zeros[CHUNKER_BLOCK];
	struct digest d;

	/* only the last reference can be like this */
	if (off % CHUNKER_BLOCK || len >= CHUNKER_BLOCK)
		return false;
	chunk_hash(&d, CHUNK_DATA, zeros, (size_t)len);
	return digest_eq(&d, id);
}

int content_reader_count(struct reader *r, uint64_t *out, uint64_t lo,
			 uint64_t hi)
{
	struct tree_at at = { .off = 0 };

	*out = 0;
	while (lo < hi) {
		int rc = content_reader_at(r, &at, lo);

		if (rc <= 0)
			return rc < 0 ? rc : -ERR_CORRUPT;
		lo = at.off + at.ref.len;
		if (!at.ref.hole &&
		    !content_zero_tail(at.off, at.ref.len, &at.ref.id))
			*out += at.ref.len;
	}
	return 0;
}

/* The base as it was at one moment, kept from garbage collection. */
struct base {
	struct lease *lease;
	unsigned section;
	struct reader *r;
	struct digest root;
	uint64_t size;
};

static int base_open(struct base *out, struct content *c)
{
	out->lease = store_lease(c->pool->store);
	out->section = lease_enter(out->lease); /* root to reader */
	out->r = NULL;
	mutex_lock(&c->mu);
	out->root = c->root;
	out->size = c->root_size;
	mutex_unlock(&c->mu);
	return content_reader_open(&out->r, c->pool, &out->root, out->size);
}

/* Also after an error of base_open(). */
static void base_close(struct base *b)
{
	content_reader_close(b->r);
	lease_leave(b->lease, b->section);
}

/* Of the base, when its version did not say. */
static int base_count(struct content *c, uint64_t *out)
{
	struct base b;
	int rc = base_open(&b, c);

	if (rc == 0)
		rc = content_reader_count(b.r, out, 0, b.size);
	base_close(&b);
	if (rc < 0)
		return rc;
	mutex_lock(&c->mu);
	if (c->root_size == b.size && digest_eq(&c->root, &b.root))
		c->base_data = *out;
	mutex_unlock(&c->mu);
	return 0;
}

/*
 * Blocks that hold bytes of the layers; *out_base: of the base, which may be
 * holes there.  A block of both counts twice: rather too much than too little.
 */
static uint64_t count_locked(struct content *c, uint64_t *out_base)
	requires_capability(&c->mu)
{
	uint64_t sum[2] = { 0, 0 }, end[2] = { 0, 0 };
	struct view view = { .top = NULL };
	struct piece p = { .off = 0 };

	content_view_locked(c, &view);
	for (uint64_t off = 0; off < view.size; off += p.len) {
		uint64_t lo = block_down(off), hi = 0;
		int base = 0;

		content_view_piece(&view, &p, off, view.size);
		base = p.kind == PIECE_BASE;
		hi = least(block_up(off + p.len), view.size);
		if (lo < end[base])
			lo = end[base];
		if (p.kind == PIECE_ZERO || lo >= hi)
			continue;
		end[base] = hi;
		sum[base] += hi - lo;
	}
	*out_base = sum[1];
	return sum[0];
}

uint64_t content_allocated(struct content *c)
{
	uint64_t base = 0, sum = 0, shown = 0, size = 0;
	bool count = false;

	mutex_lock(&c->mu);
	base = c->base_data;
	count = base == ~0ULL;
	mutex_unlock(&c->mu);
	if (count && base_count(c, &base) < 0)
		base = ~0ULL; /* told by read, not by stat */

	mutex_lock(&c->mu);
	size = c->size;
	if (c->top->ext.n + (c->low ? c->low->ext.n : 0) <= COUNT_EXTENTS) {
		sum = count_locked(c, &shown);
	} else {
		sum = c->top->ext.data + (c->low ? c->low->ext.data : 0);
		shown = c->low ? c->low->limit : c->top->limit;
	}
	base = least(base, c->root_size);
	mutex_unlock(&c->mu);
	return least(sum + least(shown, base), size);
}

/* --- seeking --- */

/* Where the reference of the base that covers off ends, and what it is. */
static int base_at(struct content *c, struct tree_at *out, uint64_t off)
{
	struct base b;
	int rc = base_open(&b, c);

	if (rc == 0)
		rc = content_reader_at(b.r, out, off);
	base_close(&b);
	return rc;
}

/* Blocks from off on that are of one kind. */
struct run {
	uint64_t end;
	uint64_t size; /* of the file, when it was looked at */
	bool zero;
	bool base;  /* the base's references decide */
	bool bytes; /* the bytes decide: chunks that may end in zeros */
};

/* One block of several pieces, or one that the file ends in. */
static void look_block(const struct view *v, struct run *out, uint64_t off)
{
	bool chunks = false, zeros = false, data = false;
	struct piece p = { .off = 0 };

	out->end = least(off + CHUNKER_BLOCK, v->size);
	for (uint64_t at = off; at < out->end; at += p.len) {
		content_view_piece(v, &p, at, out->end);
		if (p.kind == PIECE_ZERO ||
		    (p.kind == PIECE_MEM &&
		     chunker_is_zero(p.buf->p + p.at, (size_t)p.len)))
			zeros = true;
		else if (p.kind == PIECE_MEM)
			data = true;
		else
			chunks = true;
	}
	out->bytes =
		chunks && !data && (zeros || out->end - off < CHUNKER_BLOCK);
	out->zero = zeros && !chunks && !data;
}

static void look_locked(struct content *c, struct run *out, uint64_t off)
	requires_capability(&c->mu)
{
	struct view view = { .top = NULL };
	struct piece p = { .off = 0 };

	content_view_locked(c, &view);
	*out = (struct run){ .end = off, .size = view.size };
	if (off >= view.size)
		return;
	content_view_piece(&view, &p, off, view.size);
	if (p.len < CHUNKER_BLOCK) {
		look_block(&view, out, off);
		return;
	}
	out->zero = p.kind == PIECE_ZERO;
	out->base = p.kind == PIECE_BASE;
	out->end = block_down(off + p.len);
	if (p.kind == PIECE_ZERO && off + p.len == view.size)
		out->end = view.size;
	if (p.kind == PIECE_MEM) {
		out->zero = chunker_is_zero(p.buf->p + p.at, CHUNKER_BLOCK);
		out->end = off + CHUNKER_BLOCK;
	}
}

static int look_bytes(struct content *c, struct run *out, uint64_t off)
{
	uint8_t buf[CHUNKER_BLOCK];
	ssize_t n = content_read(c, buf, (size_t)(out->end - off), off);

	if (n < 0)
		return (int)n;
	out->zero = chunker_is_zero(buf, (size_t)n);
	return 0;
}

/* The run that begins at off, a block's begin; it is empty at the end. */
static int run_at(struct content *c, struct run *out, uint64_t off)
{
	struct tree_at at = { .off = 0 };
	int rc = 0;

	do {
		mutex_lock(&c->mu);
		look_locked(c, out, off);
		mutex_unlock(&c->mu);
		if (out->bytes)
			return look_bytes(c, out, off);
		if (!out->base)
			return 0;
		rc = base_at(c, &at, off);
	} while (rc == 0); /* the base was changed meanwhile */
	if (rc < 0)
		return rc;
	/* holes of a version begin and end with a block */
	out->zero = at.ref.hole;
	out->end = least(out->end, block_up(at.off + at.ref.len));
	return 0;
}

int content_seek(struct content *c, uint64_t off, bool hole, uint64_t *out_off)
{
	struct run run = { .end = 0 };

	if (off >= content_size(c))
		return -ENXIO;
	for (uint64_t at = block_down(off);; at = run.end) {
		int rc = run_at(c, &run, at);

		if (rc < 0)
			return rc;
		if (run.end > at && run.zero != hole)
			continue;
		if (run.end > at)
			*out_off = at > off ? at : off;
		else if (!hole || run.size <= off)
			return -ENXIO;
		else
			*out_off = run.size;
		return 0;
	}
}
