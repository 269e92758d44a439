/*
 * chunker.h - where a byte string is cut.  Pure; no I/O, no allocation.
 *
 * Canonical form (invariant 10): every 4096-aligned block of 4096 zero bytes
 * is a hole (maximal runs; a partial last block is data); the data runs
 * between holes are cut by normalised FastCDC, restarted at the start of each
 * run.  The cuts depend on the bytes and their offsets in the file alone,
 * never on how the bytes arrived.
 */
#ifndef FS_CHUNKER_H
#define FS_CHUNKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CHUNKER_MIN = 16 << 10,
	CHUNKER_AVG = 64 << 10,
	CHUNKER_MAX = 256 << 10, /* = LIMIT_CHUNK */
	CHUNKER_BLOCK = 4096,	 /* unit of holes */
};

/* One piece of a file: a chunk's bytes, or a hole. */
struct chunker_cut {
	uint64_t off; /* in the file */
	uint64_t len;
	bool hole;
};

/*
 * First cut of a data run: length of the first chunk in p[0..n), given that
 * the run starts at p.  `last` says that the run ends at p + n.  Returns 0
 * when more bytes are needed to decide (never when last or n >= MAX).
 */
size_t chunker_cut_run(const uint8_t *p, size_t n, bool last);

/*
 * Incremental cutter for a stream that starts at file offset `off` (0, or a
 * canonical cut, or a 4096-aligned offset right after a hole).
 */
struct chunker {
	uint64_t off; /* file offset of the first byte not yet cut */
};

void chunker_init(struct chunker *c, uint64_t off);

/*
 * Looks at the bytes p[0..n) that lie at c->off and takes the next cut, if
 * it can be decided.  `eof`: the file ends at c->off + n.  Returns true and
 * fills *out (then c->off has moved past it and the caller drops out->len
 * bytes from the front), or false: more bytes needed.  A caller that gives
 * at least CHUNKER_MAX + CHUNKER_BLOCK bytes, or eof with n > 0, always gets
 * an answer.  Long holes come as several cuts; the caller merges them.
 */
bool chunker_next(struct chunker *c, struct chunker_cut *out, const uint8_t *p,
		  size_t n, bool eof);

/* True when p[0..n) are all zero. */
bool chunker_is_zero(const uint8_t *p, size_t n);

#endif
