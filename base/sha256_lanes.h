/*
 * sha256_lanes.h - the compression function of SHA-256 on many messages at
 * once, one in each lane of the processor's vectors; for sha256_many.c.
 */
#ifndef BASE_SHA256_LANES_H
#define BASE_SHA256_LANES_H

#include <stdint.h>

enum { SHA256_LANES_MAX = 16 };

/* Word i of a lane's state and of its block are h[i][lane] and w[i][lane]. */
struct sha256_lanes {
	_Alignas(64) uint32_t h[8][SHA256_LANES_MAX];
	_Alignas(64) uint32_t w[16][SHA256_LANES_MAX];
};

typedef void sha256_lanes_fn(struct sha256_lanes *s);

/* The function with so many lanes; NULL: not on this processor. */
sha256_lanes_fn *sha256_lanes_of(unsigned lanes);
/* The number of lanes that is best here; 0: OpenSSL is better. */
unsigned sha256_lanes_best(void);

#endif
