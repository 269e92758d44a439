/*
 * bytes.h - bounded cursors over memory: little-endian reader and writer.
 *
 * Both stick: after the first access out of bounds nothing more is read or
 * written, `bad` is set, and readers return zeros.  Callers check once, at
 * the end.  No cast of a buffer to a struct anywhere.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <assert.h>
#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct breader {
	const uint8_t *p; /* next byte */
	size_t left;
	bool bad; /* read past the end */
};

extern const uint8_t breader_nothing[1]; /* what a cursor of NULL points to */

/* Inline: a log is read field by field, some thirty for an entry. */
static inline void breader_init(struct breader *r, const void *p, size_t n)
{
	assert(r != NULL && (p != NULL || n == 0));
	r->p = p != NULL ? p : breader_nothing;
	r->left = n;
	r->bad = false;
}

/* Borrows n bytes of the input, NULL when short (n = 0 gives non-NULL). */
static inline const uint8_t *breader_borrow(struct breader *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->bad || n > r->left) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	r->left -= n;
	return p;
}

static inline uint8_t breader_u8(struct breader *r)
{
	const uint8_t *p = breader_borrow(r, 1);

	return p != NULL ? p[0] : 0;
}

static inline uint16_t breader_u16(struct breader *r)
{
	const uint8_t *p = breader_borrow(r, 2);

	return p != NULL ? (uint16_t)(p[0] | p[1] << 8) : 0;
}

static inline uint16_t breader_u16be(struct breader *r)
{
	const uint8_t *p = breader_borrow(r, 2);

	return p != NULL ? (uint16_t)(p[0] << 8 | p[1]) : 0;
}

static inline uint32_t breader_u32(struct breader *r)
{
	const uint8_t *p = breader_borrow(r, 4);

	if (p == NULL)
		return 0;
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

static inline uint64_t breader_u64(struct breader *r)
{
	const uint8_t *p = breader_borrow(r, 8);
	uint64_t v;

	if (p == NULL)
		return 0;
	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

static inline int64_t breader_i64(struct breader *r)
{
	uint64_t u = breader_u64(r);
	int64_t v;

	memcpy(&v, &u, sizeof(v));
	return v;
}

static inline void breader_copy(struct breader *r, void *out, size_t n)
{
	const uint8_t *p = breader_borrow(r, n);

	if (n == 0)
		return;
	if (p != NULL)
		memcpy(out, p, n);
	else
		memset(out, 0, n);
}

/* True when nothing went wrong and every byte was used. */
static inline bool breader_done(const struct breader *r)
{
	return !r->bad && r->left == 0;
}

/*
 * Borrows a `str`: u16 length, then that many bytes without NUL.  Sets bad
 * (and gives length 0) when short or when a NUL is inside.
 */
const char *breader_str(struct breader *r, size_t *out_len);

struct bwriter {
	uint8_t *p; /* start of the buffer */
	size_t n;   /* bytes written */
	size_t cap;
	bool bad; /* did not fit; n keeps its last good value */
};

void bwriter_init(struct bwriter *w, void *p, size_t cap);
void bwriter_u8(struct bwriter *w, uint8_t v);
void bwriter_u16(struct bwriter *w, uint16_t v);
void bwriter_u32(struct bwriter *w, uint32_t v);
void bwriter_u64(struct bwriter *w, uint64_t v);
void bwriter_i64(struct bwriter *w, int64_t v);
void bwriter_u16be(struct bwriter *w, uint16_t v);
void bwriter_copy(struct bwriter *w, const void *p, size_t n);
/* u16 length and bytes; sets bad when n > 65535 or a NUL is inside. */
void bwriter_str(struct bwriter *w, const char *s, size_t n);

#endif
