/*
 * bloom.c - see bloom.h.  An id sets six bits, all in the one block of 512
 * that its hash chooses.
 */
#include "fs/store/bloom.h"

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#include "base/digest.h"

enum { BLOCK_BYTES = 64, BLOCK_WORDS = 8, BITS = 6, BITS_SHIFT = 9 };
enum { BYTES_MIN = 64 << 10, BYTES_PER_ID = 2 };

int bloom_init(struct bloom *b, uint64_t ids, uint64_t seed)
{
	uint64_t bytes = BLOOM_BYTES_MAX;

	if (ids < BLOOM_BYTES_MAX / BYTES_PER_ID)
		bytes = ids * BYTES_PER_ID;
	if (bytes < BYTES_MIN)
		bytes = BYTES_MIN;
	*b = (struct bloom){ .blocks = bytes / BLOCK_BYTES, .seed = seed };
	b->words = calloc(b->blocks, BLOCK_BYTES);
	return b->words ? 0 : -ENOMEM;
}

void bloom_release(struct bloom *b)
{
	free(b->words);
	*b = (struct bloom){ 0 };
}

/* The block of an id; *out_bits is where in it. */
static atomic_uint_least64_t *
block_of(const struct bloom *b, const struct digest *id, uint64_t *out_bits)
{
	uint64_t h = XXH64(id->b, DIGEST_SIZE, b->seed);

	*out_bits = XXH64(id->b, DIGEST_SIZE, ~b->seed);
	return b->words + h % b->blocks * BLOCK_WORDS;
}

static uint64_t take_bit(uint64_t *bits, unsigned *out_word)
{
	unsigned at = (unsigned)(*bits & ((1u << BITS_SHIFT) - 1));

	*bits >>= BITS_SHIFT;
	*out_word = at / 64;
	return 1ULL << at % 64;
}

bool bloom_add(struct bloom *b, const struct digest *id)
{
	uint64_t bits = 0;
	atomic_uint_least64_t *block = block_of(b, id, &bits);
	bool fresh = false;

	for (int i = 0; i < BITS; i++) {
		unsigned w = 0;
		uint64_t bit = take_bit(&bits, &w);

		/* a look first: most are there, and a write takes the line */
		if (atomic_load(&block[w]) & bit)
			continue;
		fresh = !(atomic_fetch_or(&block[w], bit) & bit) || fresh;
	}
	return fresh;
}

bool bloom_has(const struct bloom *b, const struct digest *id)
{
	uint64_t bits = 0;
	const atomic_uint_least64_t *block = block_of(b, id, &bits);

	for (int i = 0; i < BITS; i++) {
		unsigned w = 0;
		uint64_t bit = take_bit(&bits, &w);

		if (!(atomic_load(&block[w]) & bit))
			return false;
	}
	return true;
}
