/*
 * sha256_many.c - see sha256_many.h.
 *
 * Each lane has a message of its own and takes the next one as soon as it is
 * through, so messages of different lengths keep all lanes busy.  Long ones,
 * and the few when there are few, are left to OpenSSL.
 *
 * Verification stands on this: a wrong digest here would be taken for damage
 * and never for the right one (that would be a collision).  Before it is used
 * all lanes are tried once against OpenSSL, and left alone if they differ.
 *
 * It buys, where there is AVX-512 and no instruction for SHA-256: `vouch
 * verify` spends 0.9 us of CPU on an entry, not 2.4, and on two cores is 2.0
 * times as fast as SHA-256 alone on one (bench_ledger), not 1.0 to 1.3.
 */
#include "base/sha256_many.h"

#include <endian.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/sha256_lanes.h"

/* FEW: what OpenSSL does in the time of one lane. */
enum { BLOCK = 64, TAIL = 9, BLOCKS_MAX = 6, FEW = 4 };

static const uint32_t initial[8] = {
	0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
	0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static unsigned n_lanes; /* after once; 0: OpenSSL is better */
static sha256_lanes_fn *compress;

struct lane {
	struct digest *out; /* NULL: nothing to do */
	unsigned at, blocks;
	uint8_t bytes[BLOCKS_MAX * BLOCK];
};

struct many {
	const struct sha256_message *m;
	size_t next, n;
	struct sha256_lanes s;
	struct lane lane[SHA256_LANES_MAX];
};

/* The message, padded.  False: it is too long. */
static bool fill(struct lane *l, const struct sha256_message *m)
{
	size_t len = 0, end;

	for (size_t i = 0; i < SHA256_MANY_PIECES; i++) {
		const struct digest_piece *v = &m->v[i];

		if (v->n > sizeof(l->bytes) - TAIL - len)
			return false;
		if (v->n > 0)
			memcpy(l->bytes + len, v->p, v->n);
		len += v->n;
	}
	end = (len + TAIL + BLOCK - 1) / BLOCK * BLOCK;
	memset(l->bytes + len, 0, end - len);
	l->bytes[len] = 0x80;
	l->bytes[end - 2] = (uint8_t)(len >> 5);
	l->bytes[end - 1] = (uint8_t)(len << 3);
	l->out = m->out;
	l->at = 0;
	l->blocks = (unsigned)(end / BLOCK);
	return true;
}

/* Gives lane i the next message.  False: there is none. */
static bool start(struct many *x, unsigned i)
{
	struct lane *l = &x->lane[i];

	l->out = NULL;
	while (x->next < x->n) {
		const struct sha256_message *m = &x->m[x->next++];

		if (fill(l, m)) {
			for (int k = 0; k < 8; k++)
				x->s.h[k][i] = initial[k];
			return true;
		}
		digest_sha256_pieces(m->out, m->v, SHA256_MANY_PIECES);
	}
	return false;
}

static void load(struct many *x, unsigned i)
{
	struct lane *l = &x->lane[i];
	const uint8_t *p = l->bytes + (size_t)l->at++ * BLOCK;

	for (int t = 0; t < 16; t++) {
		uint32_t be;

		memcpy(&be, p + (size_t)4 * t, 4);
		x->s.w[t][i] = be32toh(be);
	}
}

static void finish(struct many *x, unsigned i)
{
	for (int k = 0; k < 8; k++) {
		uint32_t be = htobe32(x->s.h[k][i]);

		memcpy(x->lane[i].out->b + (size_t)4 * k, &be, 4);
	}
}

static void run(struct many *x)
{
	unsigned busy = 0;

	for (unsigned i = 0; i < n_lanes; i++)
		busy += start(x, i);
	while (busy > 0) {
		for (unsigned i = 0; i < n_lanes; i++)
			if (x->lane[i].out)
				load(x, i);
		compress(&x->s);
		for (unsigned i = 0; i < n_lanes; i++) {
			struct lane *l = &x->lane[i];

			if (!l->out || l->at < l->blocks)
				continue;
			finish(x, i);
			busy -= !start(x, i);
		}
	}
}

static void lanes(const struct sha256_message *m, size_t n)
{
	struct many x;

	x.m = m;
	x.n = n;
	x.next = 0;
	memset(&x.s, 0, sizeof(x.s)); /* idle lanes compute, too */
	run(&x);
}

static void choose(void)
{
	uint8_t bytes[SHA256_LANES_MAX * 8];
	struct digest got[SHA256_LANES_MAX], want;
	struct sha256_message m[SHA256_LANES_MAX];

	n_lanes = sha256_lanes_best();
	compress = sha256_lanes_of(n_lanes);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 41 + 7);
	memset(m, 0, sizeof(m));
	for (unsigned i = 0; i < n_lanes; i++) {
		m[i].out = &got[i];
		m[i].v[0] = (struct digest_piece){ bytes, (size_t)i * 8 + 1 };
	}
	lanes(m, n_lanes);
	for (unsigned i = 0; i < n_lanes; i++) {
		digest_sha256_pieces(&want, m[i].v, 1);
		if (!digest_eq(&got[i], &want)) {
			n_lanes = 0;
			return;
		}
	}
}

void sha256_many(const struct sha256_message *m, size_t n)
{
	(void)pthread_once(&once, choose);
	if (n_lanes > 0 && n >= FEW) {
		lanes(m, n);
		return;
	}
	for (size_t i = 0; i < n; i++)
		digest_sha256_pieces(m[i].out, m[i].v, SHA256_MANY_PIECES);
}
