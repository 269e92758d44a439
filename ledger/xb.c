/*
 * xb.c - fields of an encoding, both directions; see xb.h.
 */
#include "ledger/xb.h"

#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "ledger/entry.h"

void xb_write(struct xb *x, const void *p, size_t n)
{
	buf_add(x->out, p, n);
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
