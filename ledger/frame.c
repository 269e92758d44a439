/*
 * frame.c - the bytes of one batch: WAL frame and journal record.
 *
 * Invariants:
 *  1. frame_decode accepts exactly what frame_build and frame_record make:
 *     every length is checked against the bytes that are there, lists end
 *     where their byte count says, and both len fields agree.
 *  2. The first len field is covered by its copy at the end, which the
 *     checksum covers.
 * Pure, any thread.
 */
#include "ledger/frame.h"

#include <assert.h>
#include <string.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "ledger/ledger.h"
#include "ledger/seal_format.h"

static uint64_t checksum(const uint8_t *p, uint32_t len, uint64_t epoch)
{
	return XXH64(p + 12, len - 12, epoch);
}

void frame_stamp(uint8_t *p, uint32_t len, uint64_t epoch)
{
	struct bwriter w;

	assert(len >= FRAME_OVERHEAD - 4);
	bwriter_init(&w, p + 4, 8);
	bwriter_u64(&w, checksum(p, len, epoch));
}

static int frame_size(uint64_t *out, uint64_t *out_entries,
		      const struct frame_parts *parts)
{
	uint64_t total = FRAME_OVERHEAD + parts->seal_n;
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < parts->n; i++) {
		if (parts->entries[i].len > LIMIT_ENTRY)
			return -ERR_LIMIT;
		bytes += 4 + (uint64_t)parts->entries[i].len;
	}
	total += bytes;
	for (uint32_t i = 0; i < parts->m; i++)
		total += FRAME_CHUNK_HEAD +
			 (uint64_t)parts->chunks[i].stored_len;
	if (total > LIMIT_FRAME)
		return -ERR_LIMIT;
	*out = total;
	*out_entries = bytes;
	return 0;
}

static void put_chunk(struct bwriter *w, const struct ledger_chunk *c)
{
	bwriter_copy(w, c->id.b, DIGEST_SIZE);
	bwriter_u8(w, c->type);
	bwriter_u8(w, c->codec);
	bwriter_u16(w, 0);
	bwriter_u32(w, c->raw_len);
	bwriter_u32(w, c->stored_len);
	bwriter_copy(w, c->stored, c->stored_len);
}

int frame_build(struct buf *out, uint32_t *out_len,
		const struct frame_parts *parts)
{
	uint64_t total = 0, bytes = 0;
	struct bwriter w;
	size_t padded;
	uint8_t *p;
	int rc;

	assert(parts->seal_n <= SEAL_SIZE_MAX && parts->n > 0);
	rc = frame_size(&total, &bytes, parts);
	if (rc < 0)
		return rc;
	padded = (total + WAL_PAGE - 1) / WAL_PAGE * WAL_PAGE;
	buf_clear(out);
	p = buf_grow(out, padded);
	if (p == NULL)
		return -ENOMEM;
	bwriter_init(&w, p, padded);
	bwriter_u32(&w, (uint32_t)total);
	bwriter_u64(&w, 0);
	bwriter_u64(&w, parts->index);
	bwriter_u16(&w, (uint16_t)parts->seal_n);
	bwriter_copy(&w, parts->seal, parts->seal_n);
	bwriter_u32(&w, (uint32_t)bytes);
	for (uint32_t i = 0; i < parts->n; i++) {
		bwriter_u32(&w, parts->entries[i].len);
		bwriter_copy(&w, parts->entries[i].bytes,
			     parts->entries[i].len);
	}
	bwriter_u32(&w, parts->m);
	for (uint32_t i = 0; i < parts->m; i++)
		put_chunk(&w, &parts->chunks[i]);
	bwriter_u32(&w, (uint32_t)total);
	assert(!w.bad && w.n == total);
	memset(p + total, 0, padded - total);
	*out_len = (uint32_t)total;
	return 0;
}

int frame_record(struct buf *out, const struct frame *f, uint64_t epoch)
{
	uint32_t len = FRAME_OVERHEAD - 4 + f->seal_n + (uint32_t)f->entries_n;
	struct bwriter w;
	uint8_t *p;

	buf_clear(out);
	p = buf_grow(out, len);
	if (p == NULL)
		return -ENOMEM;
	bwriter_init(&w, p, len);
	bwriter_u32(&w, len);
	bwriter_u64(&w, 0);
	bwriter_u64(&w, f->index);
	bwriter_u16(&w, (uint16_t)f->seal_n);
	bwriter_copy(&w, f->seal, f->seal_n);
	bwriter_u32(&w, (uint32_t)f->entries_n);
	bwriter_copy(&w, f->entries, f->entries_n);
	bwriter_u32(&w, len);
	assert(!w.bad && w.n == len);
	frame_stamp(p, len, epoch);
	return 0;
}

int frame_head(uint32_t *out_len, uint64_t *out_index,
	       const uint8_t p[FRAME_HEAD_SIZE])
{
	struct breader r;

	breader_init(&r, p, FRAME_HEAD_SIZE);
	*out_len = breader_u32(&r);
	(void)breader_u64(&r);
	*out_index = breader_u64(&r);
	if (*out_len < FRAME_OVERHEAD - 4 + SEAL_SIZE_MIN ||
	    *out_len > LIMIT_FRAME)
		return -ERR_FORMAT;
	return 0;
}

int frame_next_entry(const uint8_t **p, size_t *left, const uint8_t **out,
		     uint32_t *out_n)
{
	struct breader r;

	if (*left == 0)
		return 0;
	breader_init(&r, *p, *left);
	*out_n = breader_u32(&r);
	if (*out_n == 0 || *out_n > LIMIT_ENTRY)
		return -ERR_CORRUPT;
	*out = breader_borrow(&r, *out_n);
	if (r.bad)
		return -ERR_CORRUPT;
	*p = r.p;
	*left = r.left;
	return 1;
}

int frame_next_chunk(const uint8_t **p, size_t *left, struct ledger_chunk *out)
{
	struct breader r;

	if (*left == 0)
		return 0;
	breader_init(&r, *p, *left);
	breader_copy(&r, out->id.b, DIGEST_SIZE);
	out->type = breader_u8(&r);
	out->codec = breader_u8(&r);
	if (breader_u16(&r) != 0)
		return -ERR_CORRUPT;
	out->raw_len = breader_u32(&r);
	out->stored_len = breader_u32(&r);
	out->stored = breader_borrow(&r, out->stored_len);
	if (r.bad)
		return -ERR_CORRUPT;
	*p = r.p;
	*left = r.left;
	return 1;
}

static int count_entries(struct frame *f)
{
	const uint8_t *p = f->entries, *e = NULL;
	size_t left = f->entries_n;
	uint32_t n = 0;
	int rc;

	while ((rc = frame_next_entry(&p, &left, &e, &n)) > 0)
		f->count++;
	if (rc < 0 || f->count == 0 || f->count > LIMIT_BATCH)
		return -ERR_CORRUPT;
	return 0;
}

static int check_chunks(const struct frame *f)
{
	const uint8_t *p = f->chunks;
	size_t left = f->chunks_n;
	struct ledger_chunk c;
	uint32_t n = 0;
	int rc;

	while ((rc = frame_next_chunk(&p, &left, &c)) > 0)
		n++;
	return rc == 0 && n == f->n_chunks ? 0 : -ERR_CORRUPT;
}

int frame_decode(struct frame *out, const void *p, size_t n, uint64_t epoch,
		 enum frame_form form)
{
	struct breader r;
	uint64_t sum;

	memset(out, 0, sizeof(*out));
	if (n < FRAME_HEAD_SIZE || frame_head(&out->len, &out->index, p) < 0 ||
	    out->len > n)
		return -ERR_CORRUPT;
	breader_init(&r, p, out->len);
	(void)breader_u32(&r);
	sum = breader_u64(&r);
	if (sum != checksum(p, out->len, epoch))
		return -ERR_CORRUPT;
	(void)breader_u64(&r);
	out->seal_n = breader_u16(&r);
	out->seal = breader_borrow(&r, out->seal_n);
	out->entries_n = breader_u32(&r);
	out->entries = breader_borrow(&r, out->entries_n);
	if (form == FRAME_WAL) {
		out->n_chunks = breader_u32(&r);
		if (r.bad || r.left < 4)
			return -ERR_CORRUPT;
		out->chunks_n = r.left - 4;
		out->chunks = breader_borrow(&r, out->chunks_n);
	}
	if (breader_u32(&r) != out->len || !breader_done(&r))
		return -ERR_CORRUPT;
	if (out->seal_n < SEAL_SIZE_MIN || out->seal_n > SEAL_SIZE_MAX ||
	    count_entries(out) < 0)
		return -ERR_CORRUPT;
	return form == FRAME_WAL ? check_chunks(out) : 0;
}

int frame_peek_seal(const uint8_t **out, uint32_t *out_n, const void *p,
		    size_t n, uint64_t index)
{
	struct breader r;
	uint32_t len = 0;
	uint64_t claimed = 0;

	if (n < FRAME_HEAD_SIZE || frame_head(&len, &claimed, p) < 0 ||
	    claimed != index)
		return -ERR_CORRUPT;
	breader_init(&r, p, n);
	(void)breader_borrow(&r, FRAME_HEAD_SIZE);
	*out_n = breader_u16(&r);
	*out = breader_borrow(&r, *out_n);
	if (r.bad || *out_n < SEAL_SIZE_MIN || *out_n > SEAL_SIZE_MAX)
		return -ERR_CORRUPT;
	return 0;
}
