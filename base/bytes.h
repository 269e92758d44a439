/*
 * bytes.h - bounded cursors over memory: little-endian reader and writer.
 *
 * Both stick: after the first access out of bounds nothing more is read or
 * written, `bad` is set, and readers return zeros.  Callers check once, at
 * the end.  No cast of a buffer to a struct anywhere.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct breader {
	const uint8_t *p; /* next byte */
	size_t left;
	bool bad; /* read past the end */
};

void breader_init(struct breader *r, const void *p, size_t n);
uint8_t breader_u8(struct breader *r);
uint16_t breader_u16(struct breader *r);
uint32_t breader_u32(struct breader *r);
uint64_t breader_u64(struct breader *r);
int64_t breader_i64(struct breader *r);
uint16_t breader_u16be(struct breader *r);
/* Copies n bytes; zeros `out` when short. */
void breader_copy(struct breader *r, void *out, size_t n);
/* Borrows n bytes of the input, NULL when short (n = 0 gives non-NULL). */
const uint8_t *breader_borrow(struct breader *r, size_t n);
/*
 * Borrows a `str`: u16 length, then that many bytes without NUL.  Sets bad
 * (and gives length 0) when short or when a NUL is inside.
 */
const char *breader_str(struct breader *r, size_t *out_len);
/* True when nothing went wrong and every byte was used. */
bool breader_done(const struct breader *r);

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
