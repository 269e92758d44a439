/*
 * buf.h - growable bytes, with an upper bound.
 *
 * A failed allocation or a length beyond `max` sticks in `bad`; appends after
 * that do nothing.  `p` is NUL-terminated whenever n > 0 (the NUL is not
 * counted), so text can be handed on as a C string.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

struct buf {
	uint8_t *p;
	size_t n;
	size_t cap;
	size_t max; /* 0: BUF_MAX_DEFAULT */
	bool bad;
};

#define BUF_INIT          \
	{                 \
		.p = NULL \
	}
enum { BUF_MAX_DEFAULT = 1 << 30 };

/* Frees the bytes; the buf is empty and usable again. */
void buf_release(struct buf *b);
/* Keeps the memory, drops the bytes, clears bad. */
void buf_clear(struct buf *b);
/* Back to its first n bytes (n <= b->n); clears bad. */
void buf_cut(struct buf *b, size_t n);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_addc(struct buf *b, char c);
void buf_adds(struct buf *b, const char *s);
void buf_addf(struct buf *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void buf_u8(struct buf *b, uint8_t v);
void buf_u16(struct buf *b, uint16_t v);
void buf_u32(struct buf *b, uint32_t v);
void buf_u64(struct buf *b, uint64_t v);
/* Adds n bytes and returns where they start, NULL when bad; caller fills. */
uint8_t *buf_grow(struct buf *b, size_t n);
/* Hands the memory to the caller (free() it); the buf is empty again. */
char *buf_take(struct buf *b);

#endif
