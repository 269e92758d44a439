/*
 * bytes.c - bounded little-endian cursors.  Pure; a cursor belongs to one
 * thread at a time.
 *
 * Invariants:
 *  1. No byte outside [p, p + left) (reader) or [p, p + cap) (writer) is
 *     touched.
 *  2. Once bad, a cursor stays bad and does not move.
 */
#include "base/bytes.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

const uint8_t breader_nothing[1];

const char *breader_str(struct breader *r, size_t *out_len)
{
	size_t n = breader_u16(r);
	const uint8_t *p = breader_borrow(r, n);

	*out_len = 0;
	if (p == NULL)
		return (const char *)breader_nothing;
	if (n > 0 && memchr(p, 0, n) != NULL) {
		r->bad = true;
		return (const char *)breader_nothing;
	}
	*out_len = n;
	return (const char *)p;
}

void bwriter_init(struct bwriter *w, void *p, size_t cap)
{
	assert(w != NULL && (p != NULL || cap == 0));
	w->p = p;
	w->n = 0;
	w->cap = cap;
	w->bad = false;
}

/* Room for n bytes, or NULL and bad. */
static uint8_t *room(struct bwriter *w, size_t n)
{
	uint8_t *p;

	if (w->bad || n > w->cap - w->n) {
		w->bad = true;
		return NULL;
	}
	p = w->p + w->n;
	w->n += n;
	return p;
}

void bwriter_u8(struct bwriter *w, uint8_t v)
{
	uint8_t *p = room(w, 1);

	if (p != NULL)
		p[0] = v;
}

void bwriter_u16(struct bwriter *w, uint16_t v)
{
	uint8_t *p = room(w, 2);

	if (p == NULL)
		return;
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

void bwriter_u16be(struct bwriter *w, uint16_t v)
{
	uint8_t *p = room(w, 2);

	if (p == NULL)
		return;
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

void bwriter_u32(struct bwriter *w, uint32_t v)
{
	uint8_t *p = room(w, 4);

	if (p == NULL)
		return;
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

void bwriter_u64(struct bwriter *w, uint64_t v)
{
	uint8_t *p = room(w, 8);

	v = htole64(v);
	if (p != NULL)
		memcpy(p, &v, sizeof(v));
}

void bwriter_i64(struct bwriter *w, int64_t v)
{
	bwriter_u64(w, (uint64_t)v);
}

void bwriter_copy(struct bwriter *w, const void *p, size_t n)
{
	uint8_t *to = room(w, n);

	if (to != NULL && n > 0)
		memcpy(to, p, n);
}

void bwriter_str(struct bwriter *w, const char *s, size_t n)
{
	if (n > UINT16_MAX || (n > 0 && memchr(s, 0, n) != NULL)) {
		w->bad = true;
		return;
	}
	/* All or nothing: a length without its bytes helps nobody. */
	if (w->bad || n + 2 > w->cap - w->n) {
		w->bad = true;
		return;
	}
	bwriter_u16(w, (uint16_t)n);
	bwriter_copy(w, s, n);
}
