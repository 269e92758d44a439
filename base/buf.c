/*
 * buf.c - growable bytes.  A buf belongs to one thread at a time.
 *
 * Invariants:
 *  1. n < cap whenever p is not NULL, and p[n] is NUL: text can be handed on.
 *  2. n <= max always; what does not fit sets bad and changes nothing else.
 *  3. Once bad, nothing is added until buf_clear or buf_release.
 */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_release(struct buf *b)
{
	if (b == NULL)
		return;
	free(b->p);
	b->p = NULL;
	b->n = 0;
	b->cap = 0;
	b->bad = false;
}

void buf_clear(struct buf *b)
{
	b->n = 0;
	b->bad = false;
	if (b->p != NULL)
		b->p[0] = '\0';
}

void buf_cut(struct buf *b, size_t n)
{
	assert(n <= b->n);
	b->n = n;
	b->bad = false;
	if (b->p != NULL)
		b->p[n] = '\0';
}

/* Makes room for n more bytes and the NUL; false and bad when it cannot. */
static bool reserve(struct buf *b, size_t n)
{
	size_t max = b->max != 0 ? b->max : BUF_MAX_DEFAULT;
	size_t cap = b->cap;
	size_t need;
	uint8_t *p;

	if (b->bad)
		return false;
	if (__builtin_add_overflow(b->n, n, &need) || need > max ||
	    __builtin_add_overflow(need, 1, &need))
		goto bad;
	if (need <= cap)
		return true;
	cap = cap < 64 ? 64 : cap;
	while (cap < need)
		if (__builtin_mul_overflow(cap, 2, &cap))
			goto bad;
	p = realloc(b->p, cap);
	if (p == NULL)
		goto bad;
	b->p = p;
	b->cap = cap;
	return true;
bad:
	b->bad = true;
	return false;
}

uint8_t *buf_grow(struct buf *b, size_t n)
{
	uint8_t *p;

	if (!reserve(b, n))
		return NULL;
	p = b->p + b->n;
	b->n += n;
	b->p[b->n] = '\0';
	return p;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
	uint8_t *to;

	assert(p != NULL || n == 0);
	if (n == 0)
		return;
	to = buf_grow(b, n);
	if (to != NULL)
		memcpy(to, p, n);
}

void buf_addc(struct buf *b, char c)
{
	uint8_t *to = buf_grow(b, 1);

	if (to != NULL)
		*to = (uint8_t)c;
}

void buf_adds(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
	size_t have;
	va_list ap;
	int n;

	if (b->bad)
		return;
	have = b->p != NULL ? b->cap - b->n : 0;
	va_start(ap, fmt);
	n = vsnprintf(have > 0 ? (char *)b->p + b->n : NULL, have, fmt, ap);
	va_end(ap);
	if (n < 0) {
		b->bad = true;
		return;
	}
	if ((size_t)n < have && reserve(b, (size_t)n)) {
		b->n += (size_t)n;
		return;
	}
	if (b->p != NULL)
		b->p[b->n] = '\0';
	if (!reserve(b, (size_t)n))
		return;
	va_start(ap, fmt);
	vsnprintf((char *)b->p + b->n, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->n += (size_t)n;
}

void buf_u8(struct buf *b, uint8_t v)
{
	buf_add(b, &v, 1);
}

static void add_le(struct buf *b, uint64_t v, size_t n)
{
	uint8_t *p = buf_grow(b, n);

	for (size_t i = 0; p != NULL && i < n; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

void buf_u16(struct buf *b, uint16_t v)
{
	add_le(b, v, 2);
}

void buf_u32(struct buf *b, uint32_t v)
{
	add_le(b, v, 4);
}

void buf_u64(struct buf *b, uint64_t v)
{
	add_le(b, v, 8);
}

char *buf_take(struct buf *b)
{
	char *p;

	/* What did not fit is not handed on as if it were whole. */
	if (b->bad || !reserve(b, 0)) {
		buf_release(b);
		return NULL;
	}
	b->p[b->n] = '\0';
	p = (char *)b->p;
	b->p = NULL;
	b->n = 0;
	b->cap = 0;
	return p;
}
