/*
 * content_read.c - reading: bytes, digests of whole versions.
 *
 * A read looks at the layers once, under the lock: buffered bytes are copied
 * there and then, chunks are only noted and fetched afterwards, since what an
 * id names never changes.  So a read that fits READ_PIECES pieces is a
 * picture of one moment.
 *
 * What an id names must not be taken by gc between the look and the fetch:
 * each call is one section (lease.h).
 *
 * Threads: any.
 */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "fs/content/content.h"
#include "fs/content/content_internal.h"
#include "fs/store/lease.h"

enum { READ_PIECES = 32, SHA_SLICE = 256 << 10 };

/*
 * Copies what is at hand from off on and notes the rest; returns how far it
 * came.  *out_base is set when a piece of the base is among the rest.
 */
static uint64_t look_locked(struct content *c, struct piece *v, size_t *out_n,
			    uint8_t *p, uint64_t off, uint64_t end,
			    bool *out_base) requires_capability(&c->mu)
{
	struct view view = { .top = NULL };
	uint64_t at = off;

	content_view_locked(c, &view);
	*out_n = 0;
	while (at < end && *out_n < READ_PIECES) {
		struct piece *piece = &v[*out_n];
		uint8_t *to = p + (at - off);

		content_view_piece(&view, piece, at, end);
		at += piece->len;
		if (piece->kind == PIECE_ZERO)
			memset(to, 0, piece->len);
		else if (piece->kind == PIECE_MEM)
			memcpy(to, piece->buf->p + piece->at, piece->len);
		else
			(*out_n)++;
		*out_base = *out_base || piece->kind == PIECE_BASE;
	}
	return at;
}

static ssize_t read_pieces(struct content *c, void *p, size_t n, uint64_t off)
{
	struct piece piece[READ_PIECES];
	size_t done = 0;
	int rc = 0;

	atomic_fetch_add_explicit(&c->pool->uses, 1, memory_order_relaxed);
	if (n > SSIZE_MAX)
		n = SSIZE_MAX;
	while (rc == 0 && done < n) {
		struct reader *r = NULL;
		struct digest root = { 0 };
		uint64_t root_size = 0;
		uint64_t from = off + done;
		uint64_t to = from;
		size_t k = 0;
		bool base = false;

		mutex_lock(&c->mu);
		if (from < c->size) {
			if (n - done > c->size - from)
				n = done + (size_t)(c->size - from);
			to = look_locked(c, piece, &k, (uint8_t *)p + done,
					 from, off + n, &base);
		}
		if (base) {
			root = c->root;
			root_size = c->root_size;
		}
		mutex_unlock(&c->mu);
		if (to == from)
			break;
		if (base)
			rc = content_reader_open(&r, c->pool, &root, root_size);
		for (size_t i = 0; rc == 0 && i < k; i++)
			rc = content_piece_read(
				c->pool, r, &piece[i],
				(uint8_t *)p + (piece[i].off - off),
				(size_t)piece[i].len, piece[i].off);
		if (rc < 0)
			content_reader_free(take(r));
		content_reader_close(r);
		done += (size_t)(to - from);
	}
	return rc < 0 ? rc : (ssize_t)done;
}

ssize_t content_read(struct content *c, void *p, size_t n, uint64_t off)
{
	struct lease *lease = store_lease(c->pool->store);
	unsigned section = lease_enter(lease);
	ssize_t got = read_pieces(c, p, n, off);

	lease_leave(lease, section);
	return got;
}

/* --- versions without a content --- */

ssize_t content_read_version(struct content_pool *p, void *buf, size_t n,
			     uint64_t off, const struct digest *root,
			     uint64_t size)
{
	struct lease *lease = store_lease(p->store);
	struct reader *r = NULL;
	unsigned section = 0;
	int rc = 0;

	if (off >= size)
		return 0;
	if (n > size - off)
		n = (size_t)(size - off);
	if (n > SSIZE_MAX)
		n = SSIZE_MAX;
	section = lease_enter(lease);
	rc = content_reader_open(&r, p, root, size);
	if (rc == 0)
		rc = content_reader_read(r, buf, n, off);
	content_reader_close(r);
	lease_leave(lease, section);
	return rc < 0 ? rc : (ssize_t)n;
}

int content_sha256(struct content_pool *p, struct digest *out,
		   const struct digest *root, uint64_t size,
		   bool (*go_on)(void *ctx), void *ctx)
{
	struct reader *r = NULL;
	struct digest_sha256_ctx *sha = digest_sha256_new();
	autofree uint8_t *buf = malloc(SHA_SLICE);
	struct lease *lease = store_lease(p->store);
	unsigned section = lease_enter(lease);
	int rc = content_reader_open(&r, p, root, size);

	if (rc == 0 && (!buf || !sha))
		rc = -ENOMEM;
	for (uint64_t off = 0; rc == 0 && off < size;) {
		size_t n = size - off < SHA_SLICE ? (size_t)(size - off) :
						    SHA_SLICE;

		rc = go_on && !go_on(ctx) ? -ECANCELED : 0;
		if (rc == 0)
			rc = content_reader_read(r, buf, n, off);
		if (rc == 0)
			digest_sha256_update(sha, buf, n);
		off += n;
	}
	if (rc == 0)
		digest_sha256_final(sha, out);
	digest_sha256_free(sha);
	content_reader_close(r);
	lease_leave(lease, section);
	return rc;
}
