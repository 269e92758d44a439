/*
 * chunk.c - hashing, packing and unpacking of one chunk.  See chunk.h.
 *
 * Packing: zstd level 1, kept when it saves a sixteenth.  Chunks of a few KiB
 * stay raw (the frame and the page they travel in cost more than they save),
 * nodes too (digests do not compress), and so does what looks random: a
 * sample's byte counts are tried first, at a hundredth of the cost.
 */
#include "fs/store/chunk.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/err.h"
#include "base/limits.h"
#include "fs/content/tree.h"
#include "ledger/ledger.h"

enum {
	CHUNK_PACK_MIN = 8 << 10, /* raw below this */
	CHUNK_SAVE_SHIFT = 4,	  /* a sixteenth */
	PROBE_PIECES = 8,
	PROBE_PIECE = 512,
	PROBE_BYTES = PROBE_PIECES * PROBE_PIECE,
};

struct chunk_maker {
	ZSTD_CCtx *zstd;
	uint8_t scratch[LIMIT_CHUNK];
};

struct chunk_unpacker {
	ZSTD_DCtx *zstd;
};

struct chunk chunk_of_frame(const struct ledger_chunk *k)
{
	return (struct chunk){
		.id = k->id,
		.type = k->type,
		.codec = k->codec,
		.raw_len = k->raw_len,
		.stored_len = k->stored_len,
		.stored = k->stored,
	};
}

struct ledger_chunk chunk_to_frame(const struct chunk *c)
{
	return (struct ledger_chunk){
		.id = c->id,
		.type = c->type,
		.codec = c->codec,
		.raw_len = c->raw_len,
		.stored_len = c->stored_len,
		.stored = c->stored,
	};
}

struct chunk_maker *chunk_maker_new(void)
{
	struct chunk_maker *m = malloc(sizeof(*m));

	if (!m)
		return NULL;
	m->zstd = ZSTD_createCCtx();
	if (!m->zstd) {
		free(m);
		return NULL;
	}
	return m;
}

void chunk_maker_free(struct chunk_maker *m)
{
	if (!m)
		return;
	ZSTD_freeCCtx(m->zstd);
	free(m);
}

void chunk_hash(struct digest *out, enum chunk_type type, const void *p,
		size_t n)
{
	assert(type == CHUNK_DATA || type == CHUNK_NODE);
	if (type == CHUNK_NODE)
		tree_node_id(out, p, n);
	else
		digest_blake3(out, p, n);
}

/*
 * Sum of squared byte counts of a sample: n + n(n-1)/256 on the average for
 * random bytes, several times that for text, code and tables.
 */
static bool looks_random(const uint8_t *p, size_t n)
{
	uint16_t counts[256] = { 0 };
	uint64_t squares = 0;
	size_t step = (n - PROBE_PIECE) / (PROBE_PIECES - 1);

	for (size_t i = 0; i < PROBE_PIECES; i++)
		for (size_t k = 0; k < PROBE_PIECE; k++)
			counts[p[i * step + k]]++;
	for (size_t i = 0; i < 256; i++)
		squares += (uint64_t)counts[i] * counts[i];
	return squares <
	       (PROBE_BYTES + PROBE_BYTES * PROBE_BYTES / 256) * 9 / 8;
}

int chunk_name(struct chunk *out, struct chunk_maker *m, enum chunk_type type,
	       const void *p, size_t n)
{
	if (n == 0 || n > LIMIT_CHUNK)
		return -EINVAL;
	*out = (struct chunk){
		.type = type,
		.codec = CHUNK_RAW,
		.raw_len = (uint32_t)n,
		.stored_len = (uint32_t)n,
		.stored = p,
		.maker = m,
	};
	chunk_hash(&out->id, type, p, n);
	return 0;
}

void chunk_pack(struct chunk *c)
{
	struct chunk_maker *m = c->maker;
	size_t n = c->raw_len;
	size_t packed = 0;

	c->maker = NULL;
	if (!m || c->type == CHUNK_NODE || n < CHUNK_PACK_MIN ||
	    looks_random(c->stored, n))
		return;
	/* no room for what does not pay: zstd gives up early */
	packed =
		ZSTD_compressCCtx(m->zstd, m->scratch,
				  n - (n >> CHUNK_SAVE_SHIFT), c->stored, n, 1);
	if (ZSTD_isError(packed))
		return;
	c->codec = CHUNK_ZSTD;
	c->checked = false;
	c->stored_len = (uint32_t)packed;
	c->stored = m->scratch;
}

int chunk_make(struct chunk *out, struct chunk_maker *m, enum chunk_type type,
	       const void *p, size_t n)
{
	int rc = chunk_name(out, m, type, p, n);

	if (rc == 0)
		chunk_pack(out);
	return rc;
}

struct chunk_unpacker *chunk_unpacker_new(void)
{
	struct chunk_unpacker *u = malloc(sizeof(*u));

	if (!u)
		return NULL;
	u->zstd = ZSTD_createDCtx();
	if (!u->zstd) {
		free(u);
		return NULL;
	}
	return u;
}

void chunk_unpacker_free(struct chunk_unpacker *u)
{
	if (!u)
		return;
	ZSTD_freeDCtx(u->zstd);
	free(u);
}

int chunk_unpack(uint8_t *out, struct chunk_unpacker *u, const struct chunk *c)
{
	size_t n = 0;

	if (c->raw_len == 0 || c->raw_len > LIMIT_CHUNK)
		return -ERR_CORRUPT;
	switch (c->codec) {
	case CHUNK_RAW:
		if (c->stored_len != c->raw_len)
			return -ERR_CORRUPT;
		memcpy(out, c->stored, c->raw_len);
		return 0;
	case CHUNK_ZSTD:
		n = ZSTD_decompressDCtx(u->zstd, out, c->raw_len, c->stored,
					c->stored_len);
		return !ZSTD_isError(n) && n == c->raw_len ? 0 : -ERR_CORRUPT;
	default:
		return -ERR_CORRUPT;
	}
}

int chunk_verify(uint8_t *out, struct chunk_unpacker *u, const struct chunk *c)
{
	struct digest id = { 0 };
	int rc = chunk_unpack(out, u, c);

	if (rc < 0)
		return rc;
	if (c->type != CHUNK_DATA && c->type != CHUNK_NODE)
		return -ERR_CORRUPT;
	chunk_hash(&id, c->type, out, c->raw_len);
	return digest_eq(&id, &c->id) ? 0 : -ERR_HASH;
}

int chunk_check(uint8_t *scratch, struct chunk_unpacker *u,
		const struct chunk *c)
{
	struct digest id = { 0 };

	/* what is not packed needs no copy to be hashed */
	if (c->codec != CHUNK_RAW)
		return chunk_verify(scratch, u, c);
	if (c->raw_len == 0 || c->raw_len > LIMIT_CHUNK ||
	    c->stored_len != c->raw_len ||
	    (c->type != CHUNK_DATA && c->type != CHUNK_NODE))
		return -ERR_CORRUPT;
	chunk_hash(&id, c->type, c->stored, c->raw_len);
	return digest_eq(&id, &c->id) ? 0 : -ERR_HASH;
}
