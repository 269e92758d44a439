/*
 * xb.h - one function per record that writes, reads or compares it, field by
 * field, so that an encoder and its decoder cannot disagree.
 *
 * Integers are little-endian.  The first error sticks in rc and nothing moves
 * after it.  Pure; a cursor belongs to one thread.
 */
#ifndef LEDGER_XB_H
#define LEDGER_XB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/err.h"

struct buf;
struct entry_str;

enum xb_mode { XB_WRITE, XB_READ, XB_COMPARE };

struct xb {
	enum xb_mode mode;
	struct buf *out;  /* XB_WRITE */
	struct breader r; /* XB_READ; XB_COMPARE: bytes still to match */
	int rc;		  /* first error, sticks */
};

/* XB_WRITE's part of xb_bytes. */
void xb_write(struct xb *x, const void *p, size_t n);

/*
 * Inline, with the cursors of bytes.h: verifying a log reads and compares
 * every field of every entry, and the calls took as long as the work.
 */
static inline void xb_fail(struct xb *x, int rc)
{
	if (x->rc == 0)
		x->rc = rc;
}

/* A rule of the format: -ERR_FORMAT unless it holds. */
static inline void xb_rule(struct xb *x, bool holds)
{
	if (!holds)
		xb_fail(x, -ERR_FORMAT);
}

static inline void xb_bytes(struct xb *x, void *p, size_t n)
{
	const uint8_t *have;

	if (x->rc != 0)
		return;
	switch (x->mode) {
	case XB_WRITE:
		xb_write(x, p, n);
		return;
	case XB_READ:
		breader_copy(&x->r, p, n);
		if (x->r.bad)
			xb_fail(x, -ERR_SHORT);
		return;
	case XB_COMPARE:
		have = breader_borrow(&x->r, n);
		if (have == NULL || (n != 0 && memcmp(have, p, n) != 0))
			xb_fail(x, -ERR_NONCANON);
		return;
	}
}

/* Writes v in `size` bytes, or reads and returns it. */
static inline uint64_t xb_uint(struct xb *x, uint64_t v, unsigned size)
{
	uint64_t le = x->mode == XB_READ ? 0 : htole64(v);

	xb_bytes(x, &le, size);
	if (x->mode != XB_READ)
		return v;
	return x->rc == 0 ? le64toh(le) : 0;
}

static inline void xb_u8(struct xb *x, uint8_t *v)
{
	*v = (uint8_t)xb_uint(x, *v, 1);
}

static inline void xb_u16(struct xb *x, uint16_t *v)
{
	*v = (uint16_t)xb_uint(x, *v, 2);
}

static inline void xb_u32(struct xb *x, uint32_t *v)
{
	*v = (uint32_t)xb_uint(x, *v, 4);
}

static inline void xb_u64(struct xb *x, uint64_t *v)
{
	*v = xb_uint(x, *v, 8);
}

static inline void xb_i64(struct xb *x, int64_t *v)
{
	*v = (int64_t)xb_uint(x, (uint64_t)*v, 8);
}

static inline void xb_digest(struct xb *x, struct digest *d)
{
	xb_bytes(x, d->b, sizeof(d->b));
}

/* Borrows n bytes when reading, else gives those at *p. */
void xb_borrow(struct xb *x, const uint8_t **p, size_t n);
/* A str of min..max bytes without NUL. */
void xb_str(struct xb *x, struct entry_str *s, size_t min, size_t max);

#endif
