/*
 * fuzz_journal.c - whole files: the input stands where a journal segment's
 * records and footer are, and where a WAL segment's frames are, on a disk in
 * memory.  Opening either reads nothing that is not there, and what counts as
 * a record can be read.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/vio.h"
#include "ledger/frame.h"
#include "ledger/journal.h"
#include "ledger/journal_format.h"
#include "ledger/wal.h"
#include "tests/sim/vio_sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t volume_id[16] = { 1, 2, 3 };

/* A valid header of either kind with epoch 0; see the formats. */
static void header(uint8_t *p, const char *magic, uint64_t number,
		   uint64_t bytes)
{
	uint64_t sum;

	memset(p, 0, 64);
	memcpy(p, magic, 4);
	p[4] = 1;
	memcpy(p + 8, &number, 8);
	memcpy(p + 16, volume_id, 16);
	memcpy(p + 48, &bytes, 8);
	sum = XXH64(p, 56, 0);
	memcpy(p + 56, &sum, 8);
}

static void put(struct vio *v, const char *path, const struct buf *b)
{
	struct vio_file *f = NULL;

	if (vio_open(v, &f, path, VIO_WRITE | VIO_CREATE) < 0 ||
	    vio_pwrite(f, b->p, b->n, 0) < 0)
		abort();
	vio_close(f);
}

static int on_record(void *ctx, uint64_t index, const struct frame *f)
{
	(void)ctx;
	(void)index;
	(void)f;
	return 0;
}

static void found(void *ctx, const char *words)
{
	(void)ctx;
	if (words[0] == '\0')
		abort();
}

static void try_journal(struct vio *v, const uint8_t *data, size_t size)
{
	struct journal_options o = { .vio = v, .volume_id = volume_id };
	struct journal_check c = { on_record, found, NULL };
	struct buf b = BUF_INIT;
	struct journal *j = NULL;
	struct frame f;

	header(buf_grow(&b, 64), JOURNAL_MAGIC, 1, 0);
	buf_add(&b, data, size);
	put(v, "ledger/journal/00000001.vj", &b);
	if (journal_open(&j, &o, NULL) == 0) {
		for (uint64_t i = 0; i < journal_end(j); i++)
			if (journal_read(j, &b, &f, i) < 0)
				abort();
		if (journal_check(j, &c) < 0)
			abort();
		if (journal_start(j) < 0)
			abort();
	}
	journal_close(j);
	buf_release(&b);
}

static void try_wal(struct vio *v, const uint8_t *data, size_t size)
{
	struct wal_options o = { .vio = v, .volume_id = volume_id };
	size_t total =
		WAL_FRAMES_AT + (size + WAL_PAGE - 1) / WAL_PAGE * WAL_PAGE;
	struct buf b = BUF_INIT;
	struct wal *w = NULL;
	struct frame f;
	uint8_t *p = buf_grow(&b, total);

	memset(p, 0, total);
	header(p, WAL_MAGIC, 1, total);
	memcpy(p + WAL_PAGE, p, WAL_PAGE);
	memcpy(p + WAL_FRAMES_AT, data, size);
	put(v, "wal/00000001.wal", &b);
	if (wal_open(&w, &o, NULL) == 0)
		for (uint64_t i = wal_first(w); i < wal_end(w); i++)
			if (wal_read(w, &b, &f, i) < 0)
				abort();
	wal_close(w);
	buf_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vio_sim *s;
	struct vio *v;

	if (size > (256 << 10))
		return 0;
	s = vio_sim_new(NULL);
	v = vio_sim_vio(s);
	if (vio_mkdirs(v, "ledger/journal") < 0 || vio_mkdirs(v, "wal") < 0)
		abort();
	try_journal(v, data, size);
	try_wal(v, data, size);
	vio_sim_free(s);
	return 0;
}
