/*
 * fuzz_frame.c - WAL frames and journal records.  The input is tried as it
 * is, and with lengths and checksum made right so that the structure behind
 * them is reached.  What decodes is built again to the same bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "ledger/frame.h"
#include "ledger/ledger.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIST_MAX = LIMIT_BATCH };
static struct ledger_entry entries[LIST_MAX];
static struct ledger_chunk chunks[LIST_MAX];

static void build_again(const struct frame *f, const uint8_t *p)
{
	struct frame_parts parts = {
		.index = f->index,
		.seal = f->seal,
		.seal_n = f->seal_n,
		.entries = entries,
		.chunks = chunks,
	};
	const uint8_t *at = f->entries;
	size_t left = f->entries_n;
	struct buf out = BUF_INIT;
	uint32_t len = 0;

	while (parts.n < LIST_MAX &&
	       frame_next_entry(&at, &left, &entries[parts.n].bytes,
				&entries[parts.n].len) > 0)
		parts.n++;
	at = f->chunks;
	left = f->chunks_n;
	while (parts.m < LIST_MAX &&
	       frame_next_chunk(&at, &left, &chunks[parts.m]) > 0)
		parts.m++;
	if (parts.n != f->count ||
	    (f->n_chunks < LIST_MAX && parts.m != f->n_chunks))
		abort();
	if (parts.m == f->n_chunks) {
		if (frame_build(&out, &len, &parts) < 0 || len != f->len)
			abort();
		frame_stamp(out.p, len, 7);
		if (memcmp(out.p, p, len) != 0)
			abort();
	}
	buf_release(&out);
}

static void record_again(const struct frame *f, const uint8_t *p)
{
	struct buf out = BUF_INIT;

	if (frame_record(&out, f, 7) < 0 || out.n != f->len ||
	    memcmp(out.p, p, out.n) != 0)
		abort();
	buf_release(&out);
}

static void put_len(uint8_t *p, uint32_t len)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(len >> 8 * i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *seal = NULL;
	uint32_t n = 0, len = 0;
	uint64_t index = 0;
	struct frame f;
	uint8_t *p;

	(void)!frame_decode(&f, data, size, 7, FRAME_WAL);
	if (size < FRAME_OVERHEAD || size > (1 << 20))
		return 0;
	p = malloc(size);
	if (p == NULL)
		return 0;
	memcpy(p, data, size);
	put_len(p, (uint32_t)size);
	put_len(p + size - 4, (uint32_t)size);
	frame_stamp(p, (uint32_t)size, 7);
	if (frame_decode(&f, p, size, 7, FRAME_WAL) == 0)
		build_again(&f, p);
	if (frame_decode(&f, p, size, 7, FRAME_RECORD) == 0)
		record_again(&f, p);
	if (frame_decode(&f, p, size, 8, FRAME_RECORD) == 0)
		abort(); /* another epoch */
	if (frame_head(&len, &index, p) == 0)
		(void)!frame_peek_seal(&seal, &n, p, size, index);
	free(p);
	return 0;
}
