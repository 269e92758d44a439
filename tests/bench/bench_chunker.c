/*
 * bench_chunker.c - what a byte costs on its way into the store, as ratios to
 * OpenSSL's SHA-256 of the same bytes in the same run: finding cuts, hashing,
 * compressing, and all of it.
 *
 * One thread; 64 MiB that do not compress and 64 MiB that do, seen from
 * memory.  Medians of five rounds, taken in turns.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/digest.h"
#include "base/err.h"
#include "fs/store/chunk.h"
#include "fs/content/chunker.h"
#include "tests/sim/bench.h"
#include "tests/sim/prng.h"

enum { ROUNDS = 5, BYTES = 64 << 20 };

enum step { SHA256, BLAKE3, CUT, CUT_AND_HASH, MAKE, STEPS };
static const char *const step_name[STEPS] = {
	[SHA256] = "SHA-256 (OpenSSL)",
	[BLAKE3] = "BLAKE3",
	[CUT] = "FastCDC",
	[CUT_AND_HASH] = "FastCDC + BLAKE3",
	[MAKE] = "FastCDC + BLAKE3 + zstd",
};

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void one_chunk(enum step s, struct chunk_maker *m, const uint8_t *p,
		      size_t n)
{
	struct digest d;
	struct chunk c;
	int rc;

	if (s == CUT_AND_HASH) {
		chunk_hash(&d, CHUNK_DATA, p, n);
	} else if (s == MAKE) {
		rc = chunk_make(&c, m, CHUNK_DATA, p, n);
		if (rc) {
			fprintf(stderr, "bench_chunker: %s\n", err_text(rc));
			exit(1);
		}
	}
}

static double run(enum step s, struct chunk_maker *m, const uint8_t *p)
{
	double start = cpu_s();
	struct chunker_cut cut;
	struct chunker c;
	struct digest d;
	size_t at = 0;

	if (s == SHA256) {
		digest_sha256(&d, p, BYTES);
	} else if (s == BLAKE3) {
		digest_blake3(&d, p, BYTES);
	} else {
		chunker_init(&c, 0);
		while (at < BYTES &&
		       chunker_next(&c, &cut, p + at, BYTES - at, true)) {
			if (!cut.hole)
				one_chunk(s, m, p + at, (size_t)cut.len);
			at += (size_t)cut.len;
		}
		if (at != BYTES)
			exit(1);
	}
	return cpu_s() - start;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure(const char *what, const uint8_t *p)
{
	struct chunk_maker *m = chunk_maker_new();
	double took[STEPS][ROUNDS];

	if (!m)
		exit(1);
	for (int i = 0; i < ROUNDS; i++)
		for (int s = 0; s < STEPS; s++)
			took[s][i] = run((enum step)s, m, p);
	for (int s = 0; s < STEPS; s++) {
		qsort(took[s], ROUNDS, sizeof(double), ascending);
		printf("  %-24s %-12s %6.2f GB/s %6.2f x SHA-256\n",
		       step_name[s], what, BYTES / took[s][ROUNDS / 2] / 1e9,
		       took[SHA256][ROUNDS / 2] / took[s][ROUNDS / 2]);
	}
	chunk_maker_free(m);
	if (strcmp(what, "unique"))
		return;
	if (!bench_cpu_has("sha_ni") && !bench_cpu_has("sha2"))
		bench_target(
			"FastCDC: its speed, of SHA-256 without instructions",
			took[SHA256][ROUNDS / 2] / took[CUT][ROUNDS / 2], 4);
	bench_target("FastCDC: GB/s", BYTES / took[CUT][ROUNDS / 2] / 1e9, 3);
}

int main(void)
{
	static const char word[16][8] = {
		"file ", "size ", "when ",  "4096 ",  "root ", "the ",
		"of ",	 "and\n", "chunk ", "entry ", "0x7f ", "a ",
		"seal ", "tree ", "is ",    "node "
	};
	uint8_t *p = malloc(BYTES + 8);
	struct prng r;
	size_t at = 0;

	if (!p)
		return 1;
	prng_init(&r, 1);
	prng_bytes(&r, p, BYTES);
	measure("unique", p);
	while (at < BYTES) {
		const char *w = word[prng_below(&r, 16)];

		memcpy(p + at, w, strlen(w));
		at += strlen(w);
	}
	measure("compressible", p);
	free(p);
	return 0;
}
