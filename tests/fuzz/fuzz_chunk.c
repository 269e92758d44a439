/*
 * fuzz_chunk.c - stored chunks.  First byte: how to read the rest.
 *
 * Unpacking hostile bytes writes exactly what was promised or fails; packing
 * and unpacking any bytes gives them back, with the same id.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "fs/store/chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* byte 1..3: raw length; the rest is a zstd frame, perhaps */
static void hostile(struct chunk_unpacker *u, const uint8_t *data, size_t size)
{
	struct chunk c = { .type = CHUNK_DATA, .codec = CHUNK_ZSTD };
	uint8_t *out = NULL;

	if (size < 4)
		return;
	c.codec = data[0] & 3;
	c.raw_len = (uint32_t)(data[1] | data[2] << 8 | data[3] << 16);
	c.stored = data + 4;
	c.stored_len = (uint32_t)size - 4;
	/* exactly as large as promised: a sanitizer sees one byte more */
	out = malloc(c.raw_len && c.raw_len <= LIMIT_CHUNK ? c.raw_len : 1);
	if (!out)
		abort();
	if (chunk_unpack(out, u, &c) == 0 && c.raw_len > LIMIT_CHUNK)
		abort();
	free(out);
}

static void round_trip(struct chunk_unpacker *u, const uint8_t *data,
		       size_t size)
{
	struct chunk_maker *m = chunk_maker_new();
	struct chunk c = { 0 };
	uint8_t *in = malloc(LIMIT_CHUNK);
	uint8_t *out = malloc(LIMIT_CHUNK);
	size_t n = 0;

	if (!m || !in || !out)
		abort();
	/* repeated, so that packing has something to do */
	while (size > 0 && n + size <= LIMIT_CHUNK && n < 60000) {
		memcpy(in + n, data, size);
		n += size;
	}
	if (n > 0) {
		if (chunk_make(&c, m, CHUNK_DATA, in, n) != 0 ||
		    c.raw_len != n || c.stored_len > n ||
		    chunk_verify(out, u, &c) != 0 || memcmp(in, out, n) != 0)
			abort();
	} else if (chunk_make(&c, m, CHUNK_DATA, in, n) == 0) {
		abort();
	}
	free(in);
	free(out);
	chunk_maker_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct chunk_unpacker *u = chunk_unpacker_new();

	if (!u)
		abort();
	hostile(u, data, size);
	if (size > 0 && data[0] >= 128)
		round_trip(u, data + 1, size - 1);
	chunk_unpacker_free(u);
	return 0;
}
