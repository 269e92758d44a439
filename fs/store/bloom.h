/*
 * bloom.h - a set of content ids in little memory that may say "in it" of an
 * id that is not, and never the other way round.
 *
 * gc keeps what the set holds: a wrong "in it" costs the room of one chunk
 * until the next run, whose seed is another one.
 *
 * Size: 2 bytes for each expected id, at least 64 KiB and at most
 * BLOOM_BYTES_MAX; then about one id of 400 is wrongly said to be in it, and
 * more where there are more ids than bytes for them.
 *
 * Threads: any, at the same time.
 */
#ifndef FS_BLOOM_H
#define FS_BLOOM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"

struct digest;

#define BLOOM_BYTES_MAX (256ULL << 20)

struct bloom {
	atomic_uint_least64_t *words;
	uint64_t blocks; /* of 64 bytes: one cache line an id */
	uint64_t seed;
};

/* -ENOMEM. */
int must_use bloom_init(struct bloom *b, uint64_t ids, uint64_t seed);
void bloom_release(struct bloom *b);
/* True when it was not in the set before. */
bool bloom_add(struct bloom *b, const struct digest *id);
bool bloom_has(const struct bloom *b, const struct digest *id);

#endif
