/*
 * prng.c - see prng.h.  A struct prng belongs to one thread.
 */
#include "tests/sim/prng.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t splitmix(uint64_t *x)
{
	uint64_t z = (*x += 0x9e3779b97f4a7c15u);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

void prng_init(struct prng *p, uint64_t seed)
{
	uint64_t x = seed;

	p->seed = seed;
	for (int i = 0; i < 4; i++)
		p->s[i] = splitmix(&x);
}

uint64_t prng_seed(const char *name, uint64_t fallback)
{
	const char *env = getenv("SEED");
	uint64_t seed = fallback;

	if (env != NULL && env[0] != '\0') {
		seed = strtoull(env, NULL, 0);
	} else if (seed == 0) {
		struct timespec ts = { 0 };

		clock_gettime(CLOCK_REALTIME, &ts);
		seed = (uint64_t)ts.tv_nsec << 32 ^ (uint64_t)ts.tv_sec ^
		       (uint64_t)getpid() << 16;
		seed = splitmix(&seed);
	}
	fprintf(stderr, "%s: SEED=0x%llx\n", name, (unsigned long long)seed);
	return seed;
}

static uint64_t rotl(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

uint64_t prng_u64(struct prng *p)
{
	uint64_t *s = p->s;
	uint64_t out = rotl(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	return out;
}

uint64_t prng_below(struct prng *p, uint64_t n)
{
	uint64_t limit;
	uint64_t v;

	assert(n > 0);
	limit = UINT64_MAX - UINT64_MAX % n;
	do {
		v = prng_u64(p);
	} while (v >= limit);
	return v % n;
}

uint64_t prng_range(struct prng *p, uint64_t lo, uint64_t hi)
{
	assert(lo <= hi);
	if (lo == 0 && hi == UINT64_MAX)
		return prng_u64(p);
	return lo + prng_below(p, hi - lo + 1);
}

bool prng_chance(struct prng *p, unsigned percent)
{
	return prng_below(p, 100) < percent;
}

void prng_bytes(struct prng *p, void *out, size_t n)
{
	uint8_t *to = out;

	while (n > 0) {
		uint64_t v = prng_u64(p);
		size_t k = n < sizeof(v) ? n : sizeof(v);

		memcpy(to, &v, k);
		to += k;
		n -= k;
	}
}
