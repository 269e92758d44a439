/*
 * xb.c - fields of an encoding, both directions; see xb.h.
 */
#include "ledger/xb.h"

#include <endian.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "ledger/entry.h"

void xb_fail(struct xb *x, int rc)
{
	if (x->rc == 0)
		x->rc = rc;
}

/* A rule of the format: -ERR_FORMAT unless it holds. */
void xb_rule(struct xb *x, bool holds)
{
	if (!holds)
		xb_fail(x, -ERR_FORMAT);
}

void xb_bytes(struct xb *x, void *p, size_t n)
{
	const uint8_t *have;

	if (x->rc != 0)
		return;
	switch (x->mode) {
	case XB_WRITE:
		buf_add(x->out, p, n);
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

uint64_t xb_uint(struct xb *x, uint64_t v, unsigned size)
{
	uint64_t le = x->mode == XB_READ ? 0 : htole64(v);

	xb_bytes(x, &le, size);
	if (x->mode != XB_READ)
		return v;
	return x->rc == 0 ? le64toh(le) : 0;
}

void xb_u8(struct xb *x, uint8_t *v)
{
	*v = (uint8_t)xb_uint(x, *v, 1);
}

void xb_u16(struct xb *x, uint16_t *v)
{
	*v = (uint16_t)xb_uint(x, *v, 2);
}

void xb_u32(struct xb *x, uint32_t *v)
{
	*v = (uint32_t)xb_uint(x, *v, 4);
}

void xb_u64(struct xb *x, uint64_t *v)
{
	*v = xb_uint(x, *v, 8);
}

void xb_i64(struct xb *x, int64_t *v)
{
	*v = (int64_t)xb_uint(x, (uint64_t)*v, 8);
}

void xb_digest(struct xb *x, struct digest *d)
{
	xb_bytes(x, d->b, sizeof(d->b));
}

/* Borrows n bytes when reading, else gives those at *p. */
void xb_borrow(struct xb *x, const uint8_t **p, size_t n)
{
	if (x->rc != 0)
		return;
	if (x->mode != XB_READ) {
		xb_bytes(x, (void *)(uintptr_t)*p, n);
		return;
	}
	*p = breader_borrow(&x->r, n);
	if (*p == NULL)
		xb_fail(x, -ERR_SHORT);
}

/* A str of min..max bytes without NUL. */
void xb_str(struct xb *x, struct entry_str *s, size_t min, size_t max)
{
	const uint8_t *p = (const uint8_t *)s->p;
	size_t n = s->n;

	if (x->rc != 0)
		return;
	if (x->mode != XB_READ && n > max) {
		xb_fail(x, -ERR_LIMIT);
		return;
	}
	n = (size_t)xb_uint(x, n, 2);
	xb_borrow(x, &p, n);
	if (x->rc != 0)
		return;
	if (n > max)
		xb_fail(x, -ERR_LIMIT);
	xb_rule(x, n >= min && (n == 0 || memchr(p, 0, n) == NULL));
	s->p = (const char *)p;
	s->n = n;
}
