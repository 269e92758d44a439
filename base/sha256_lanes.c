/*
 * sha256_lanes.c - see sha256_lanes.h.
 *
 * A message of SHA-256 is one long chain, of which a processor without
 * instructions for it does 0.40 GB/s at 2.5 GHz; but sixteen messages are
 * sixteen chains.  There sixteen lanes of AVX-512 do 3.0 GB/s in all, eight of
 * AVX2 1.2; instructions for SHA-256 do 1.8, so they go before AVX2.
 */
#include "base/sha256_lanes.h"

#include <stddef.h>

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>
#include <stdbool.h>

static const uint32_t constants[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
	0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
	0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
	0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
	0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
	0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

typedef uint32_t words_16 __attribute__((vector_size(64)));
typedef uint32_t words_8 __attribute__((vector_size(32)));

/* One instruction for any function of three bits. */
#define BITS(x, y, z, table)                                             \
	((words_16)_mm512_ternarylogic_epi32((__m512i)(x), (__m512i)(y), \
					     (__m512i)(z), table))
#define XOR3(x, y, z) BITS(x, y, z, 0x96)
#define CHOOSE(x, y, z) BITS(x, y, z, 0xca)
#define MAJORITY(x, y, z) BITS(x, y, z, 0xe8)
#define TARGET static __attribute__((target("avx512f")))
#define VEC words_16
#define ROUNDS rounds_avx512
#include "base/sha256_rounds.h"

#define XOR3(x, y, z) ((x) ^ (y) ^ (z))
#define CHOOSE(x, y, z) (((x) & ((y) ^ (z))) ^ (z))
#define MAJORITY(x, y, z) (((x) & (y)) | (((x) | (y)) & (z)))
#define TARGET static __attribute__((target("avx2")))
#define VEC words_8
#define ROUNDS rounds_avx2
#include "base/sha256_rounds.h"

/* Bit 29 of EBX of leaf 7: instructions for SHA-1 and SHA-256. */
static bool has_sha(void)
{
	unsigned a = 0, b = 0, c = 0, d = 0;

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 29 & 1);
}

sha256_lanes_fn *sha256_lanes_of(unsigned lanes)
{
	__builtin_cpu_init();
	if (lanes == 16 && __builtin_cpu_supports("avx512f"))
		return rounds_avx512;
	if (lanes == 8 && __builtin_cpu_supports("avx2"))
		return rounds_avx2;
	return NULL;
}

unsigned sha256_lanes_best(void)
{
	if (sha256_lanes_of(16))
		return 16;
	return sha256_lanes_of(8) && !has_sha() ? 8 : 0;
}

#else

sha256_lanes_fn *sha256_lanes_of(unsigned lanes)
{
	(void)lanes;
	return NULL;
}

unsigned sha256_lanes_best(void)
{
	return 0;
}

#endif
