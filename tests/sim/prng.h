/*
 * prng.h - reproducible randomness for tests (xoshiro256**, seeded through
 * splitmix64).  Nothing secret comes from here.
 */
#ifndef TESTS_SIM_PRNG_H
#define TESTS_SIM_PRNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct prng {
	uint64_t s[4];
	uint64_t seed;
};

void prng_init(struct prng *p, uint64_t seed);
/*
 * The seed for a test: SEED from the environment, else `fallback`, or fresh
 * when fallback is 0.  Prints it ("name: SEED=...") so that it can be had
 * again.
 */
uint64_t prng_seed(const char *name, uint64_t fallback);
uint64_t prng_u64(struct prng *p);
/* Uniform in [0, n); n > 0. */
uint64_t prng_below(struct prng *p, uint64_t n);
/* Uniform in [lo, hi]. */
uint64_t prng_range(struct prng *p, uint64_t lo, uint64_t hi);
/* True in `percent` of 100 calls. */
bool prng_chance(struct prng *p, unsigned percent);
void prng_bytes(struct prng *p, void *out, size_t n);

#endif
