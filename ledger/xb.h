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

struct buf;
struct entry_str;

enum xb_mode { XB_WRITE, XB_READ, XB_COMPARE };

struct xb {
	enum xb_mode mode;
	struct buf *out;  /* XB_WRITE */
	struct breader r; /* XB_READ; XB_COMPARE: bytes still to match */
	int rc;		  /* first error, sticks */
};

void xb_fail(struct xb *x, int rc);
/* A rule of the format: -ERR_FORMAT unless it holds. */
void xb_rule(struct xb *x, bool holds);
void xb_bytes(struct xb *x, void *p, size_t n);
/* Writes v in `size` bytes, or reads and returns it. */
uint64_t xb_uint(struct xb *x, uint64_t v, unsigned size);
void xb_u8(struct xb *x, uint8_t *v);
void xb_u16(struct xb *x, uint16_t *v);
void xb_u32(struct xb *x, uint32_t *v);
void xb_u64(struct xb *x, uint64_t *v);
void xb_i64(struct xb *x, int64_t *v);
void xb_digest(struct xb *x, struct digest *d);
/* Borrows n bytes when reading, else gives those at *p. */
void xb_borrow(struct xb *x, const uint8_t **p, size_t n);
/* A str of min..max bytes without NUL. */
void xb_str(struct xb *x, struct entry_str *s, size_t min, size_t max);

#endif
