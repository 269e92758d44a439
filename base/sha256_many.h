/*
 * sha256_many.h - SHA-256 of many short messages at once.
 *
 * The same digests as digest_sha256_pieces() gives, at several times the
 * speed where the processor has wide vectors (sha256_lanes.h).  Pure; any
 * thread; about 8 KiB of stack.
 */
#ifndef BASE_SHA256_MANY_H
#define BASE_SHA256_MANY_H

#include <stddef.h>

#include "base/digest.h"

enum { SHA256_MANY_PIECES = 3 };

/* *out = SHA-256(v[0] || v[1] || v[2]); an unused piece has n 0. */
struct sha256_message {
	struct digest *out;
	struct digest_piece v[SHA256_MANY_PIECES];
};

/* No out lies in a piece of another message. */
void sha256_many(const struct sha256_message *m, size_t n);

#endif
