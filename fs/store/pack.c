/*
 * pack.c - bytes of a pack to values and back.  See pack.h; pure, any thread.
 */
#include "fs/store/pack.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "fs/store/chunk.h"

_Static_assert(PACK_HEADER_SIZE == 8 + 4 + 4 + 16 + 8 + 16 + 8, "header");
_Static_assert(PACK_RECORD_SIZE == 4 + 4 + 4 + 4 + 32 + 8 + 4 + 4 + 8,
	       "record");
_Static_assert(PACK_ENTRY_SIZE == 32 + 4 + 4 + 4 + 1 + 1 + 2, "entry");
_Static_assert(PACK_TRAILER_SIZE == 8 + 4 + 4 + 5 * 8 + 8, "trailer");

static bool all_zero(const uint8_t *p, size_t n)
{
	uint8_t acc = 0;

	for (size_t i = 0; i < n; i++)
		acc |= p[i];
	return acc == 0;
}

/* --- header --- */

void pack_header_encode(uint8_t out[PACK_HEADER_SIZE],
			const struct pack_header *h)
{
	static const uint8_t zeros[16];
	struct bwriter w = { 0 };

	bwriter_init(&w, out, PACK_HEADER_SIZE);
	bwriter_copy(&w, PACK_MAGIC, 8);
	bwriter_u32(&w, PACK_FORMAT);
	bwriter_u32(&w, 0);
	bwriter_copy(&w, h->volume_id, 16);
	bwriter_u64(&w, h->number);
	bwriter_copy(&w, zeros, 16);
	bwriter_u64(&w, XXH64(out, w.n, 0));
	assert(!w.bad && w.n == PACK_HEADER_SIZE);
}

int pack_header_decode(struct pack_header *out, const void *p, size_t n)
{
	struct breader r = { 0 };
	const uint8_t *magic = NULL;
	const uint8_t *zeros = NULL;
	uint32_t format = 0;
	uint32_t zero = 0;

	if (n < PACK_HEADER_SIZE)
		return -ERR_SHORT;
	breader_init(&r, p, PACK_HEADER_SIZE);
	magic = breader_borrow(&r, 8);
	format = breader_u32(&r);
	zero = breader_u32(&r);
	breader_copy(&r, out->volume_id, 16);
	out->number = breader_u64(&r);
	zeros = breader_borrow(&r, 16);
	if (memcmp(magic, PACK_MAGIC, 8) != 0 || format == 0)
		return -ERR_FORMAT;
	if (format > PACK_FORMAT)
		return -ERR_NEWER;
	if (breader_u64(&r) != XXH64(p, PACK_HEADER_SIZE - 8, 0) || zero != 0 ||
	    !all_zero(zeros, 16))
		return -ERR_CORRUPT;
	return 0;
}

/* --- record --- */

void pack_chunk_check(struct chunk *c)
{
	c->check = XXH64(c->stored, c->stored_len, 0);
	c->checked = true;
}

void pack_record_of(struct pack_record *out, const struct chunk *c,
		    uint32_t durable)
{
	*out = (struct pack_record){
		.type = c->type,
		.codec = c->codec,
		.raw_len = c->raw_len,
		.stored_len = c->stored_len,
		.id = c->id,
		.check = c->checked ? c->check :
				      XXH64(c->stored, c->stored_len, 0),
		.durable = durable,
	};
}

static bool record_ok(const struct pack_record *r)
{
	if (r->type == PACK_CLOSE_MARK)
		return r->codec == CHUNK_RAW && r->raw_len == 0 &&
		       r->stored_len == 0 && digest_is_zero(&r->id) &&
		       r->check == XXH64("", 0, 0);
	if ((r->type != CHUNK_DATA && r->type != CHUNK_NODE) ||
	    r->raw_len == 0 || r->raw_len > LIMIT_CHUNK || r->stored_len == 0)
		return false;
	if (r->codec == CHUNK_RAW)
		return r->stored_len == r->raw_len;
	return r->codec == CHUNK_ZSTD && r->stored_len < r->raw_len;
}

void pack_record_encode(uint8_t out[PACK_RECORD_SIZE],
			const struct pack_record *r)
{
	struct bwriter w = { 0 };

	assert(record_ok(r));
	bwriter_init(&w, out, PACK_RECORD_SIZE);
	bwriter_copy(&w, PACK_RECORD_MAGIC, 4);
	bwriter_u8(&w, r->type);
	bwriter_u8(&w, r->codec);
	bwriter_u16(&w, 0);
	bwriter_u32(&w, r->raw_len);
	bwriter_u32(&w, r->stored_len);
	bwriter_copy(&w, r->id.b, DIGEST_SIZE);
	bwriter_u64(&w, r->check);
	bwriter_u32(&w, r->durable);
	bwriter_u32(&w, 0);
	bwriter_u64(&w, XXH64(out, w.n, 0));
	assert(!w.bad && w.n == PACK_RECORD_SIZE);
}

int pack_record_decode(struct pack_record *out, const void *p, size_t n)
{
	struct breader r = { 0 };
	uint32_t zeros = 0;

	if (n < PACK_RECORD_SIZE)
		return -ERR_SHORT;
	if (memcmp(p, PACK_RECORD_MAGIC, 4) != 0)
		return -ERR_FORMAT;
	breader_init(&r, p, PACK_RECORD_SIZE);
	breader_u32(&r);
	out->type = breader_u8(&r);
	out->codec = breader_u8(&r);
	zeros = breader_u16(&r);
	out->raw_len = breader_u32(&r);
	out->stored_len = breader_u32(&r);
	breader_copy(&r, out->id.b, DIGEST_SIZE);
	out->check = breader_u64(&r);
	out->durable = breader_u32(&r);
	zeros |= breader_u32(&r);
	if (breader_u64(&r) != XXH64(p, PACK_RECORD_SIZE - 8, 0) ||
	    zeros != 0 || !record_ok(out))
		return -ERR_CORRUPT;
	return 0;
}

bool pack_record_holds(const struct pack_record *r, const void *stored,
		       size_t n)
{
	return n == r->stored_len && XXH64(stored, n, 0) == r->check;
}

void pack_record_chunk(struct chunk *out, const struct pack_record *r,
		       const uint8_t *stored)
{
	*out = (struct chunk){
		.id = r->id,
		.type = r->type,
		.codec = r->codec,
		.raw_len = r->raw_len,
		.stored_len = r->stored_len,
		.stored = stored,
	};
}

size_t pack_find_record(const uint8_t *p, size_t n, size_t from)
{
	struct pack_record r = { 0 };

	while (from < n && n - from >= PACK_RECORD_SIZE) {
		const uint8_t *hit =
			memmem(p + from, n - from, PACK_RECORD_MAGIC, 4);

		if (!hit)
			return n;
		from = (size_t)(hit - p);
		if (pack_record_decode(&r, hit, n - from) == 0)
			return from;
		from++;
	}
	return n;
}

/* --- footer --- */

static int entry_order(const struct pack_entry *a, const struct pack_entry *b)
{
	int c = memcmp(a->id.b, b->id.b, DIGEST_SIZE);

	if (c != 0)
		return c;
	return a->off < b->off ? -1 : a->off > b->off;
}

static int entry_compare(const void *a, const void *b)
{
	return entry_order(a, b);
}

void pack_footer_encode(struct buf *out, struct pack_entry *v, uint32_t n,
			uint64_t entries_off, uint64_t number)
{
	uint64_t raw = 0;
	uint64_t stored = 0;
	uint64_t check = 0;
	size_t start = out->n;
	size_t trailer = 0;

	if (n > 0)
		qsort(v, n, sizeof(*v), entry_compare);
	for (uint32_t i = 0; i < n; i++) {
		buf_add(out, v[i].id.b, DIGEST_SIZE);
		buf_u32(out, v[i].off);
		buf_u32(out, v[i].stored_len);
		buf_u32(out, v[i].raw_len);
		buf_u8(out, v[i].type);
		buf_u8(out, v[i].codec);
		buf_u16(out, 0);
		raw += v[i].raw_len;
		stored += v[i].stored_len;
	}
	if (out->bad)
		return;
	trailer = out->n;
	check = XXH64(n ? out->p + start : (const uint8_t *)"", trailer - start,
		      0);
	buf_add(out, PACK_END_MAGIC, 8);
	buf_u32(out, PACK_FORMAT);
	buf_u32(out, n);
	buf_u64(out, entries_off);
	buf_u64(out, raw);
	buf_u64(out, stored);
	buf_u64(out, check);
	buf_u64(out, number);
	if (!out->bad)
		buf_u64(out, XXH64(out->p + trailer, out->n - trailer, 0));
}

int pack_trailer_decode(struct pack_trailer *out, const void *p, uint64_t size)
{
	struct breader r = { 0 };
	const uint8_t *magic = NULL;
	uint32_t format = 0;

	if (size < PACK_HEADER_SIZE + PACK_TRAILER_SIZE)
		return -ERR_SHORT;
	breader_init(&r, p, PACK_TRAILER_SIZE);
	magic = breader_borrow(&r, 8);
	format = breader_u32(&r);
	out->count = breader_u32(&r);
	out->entries_off = breader_u64(&r);
	out->raw_bytes = breader_u64(&r);
	out->stored_bytes = breader_u64(&r);
	out->check = breader_u64(&r);
	out->number = breader_u64(&r);
	if (memcmp(magic, PACK_END_MAGIC, 8) != 0 || format == 0)
		return -ERR_FORMAT;
	if (format > PACK_FORMAT)
		return -ERR_NEWER;
	if (breader_u64(&r) != XXH64(p, PACK_TRAILER_SIZE - 8, 0) ||
	    out->count > PACK_ENTRIES_MAX || size > LIMIT_PACK ||
	    out->entries_off < PACK_HEADER_SIZE || out->entries_off > size ||
	    out->entries_off + (uint64_t)out->count * PACK_ENTRY_SIZE +
			    PACK_TRAILER_SIZE !=
		    size)
		return -ERR_CORRUPT;
	return 0;
}

static bool entry_ok(const struct pack_entry *e, const struct pack_trailer *t)
{
	struct pack_record r = {
		.type = e->type,
		.codec = e->codec,
		.raw_len = e->raw_len,
		.stored_len = e->stored_len,
	};

	return e->type != PACK_CLOSE_MARK && record_ok(&r) &&
	       e->off >= PACK_HEADER_SIZE &&
	       (uint64_t)e->off + PACK_RECORD_SIZE + e->stored_len <=
		       t->entries_off;
}

int pack_footer_decode(struct pack_entry *out, const struct pack_trailer *t,
		       const void *p, size_t n)
{
	struct breader r = { 0 };
	uint64_t raw = 0;
	uint64_t stored = 0;

	if (n != (size_t)t->count * PACK_ENTRY_SIZE)
		return -ERR_SHORT;
	if (XXH64(p, n, 0) != t->check)
		return -ERR_CORRUPT;
	breader_init(&r, p, n);
	for (uint32_t i = 0; i < t->count; i++) {
		struct pack_entry *e = &out[i];

		breader_copy(&r, e->id.b, DIGEST_SIZE);
		e->off = breader_u32(&r);
		e->stored_len = breader_u32(&r);
		e->raw_len = breader_u32(&r);
		e->type = breader_u8(&r);
		e->codec = breader_u8(&r);
		if (breader_u16(&r) != 0 || !entry_ok(e, t) ||
		    (i > 0 && entry_order(e - 1, e) >= 0))
			return -ERR_NONCANON;
		raw += e->raw_len;
		stored += e->stored_len;
	}
	return raw == t->raw_bytes && stored == t->stored_bytes ? 0 :
								  -ERR_NONCANON;
}

/* --- names --- */

void pack_name(char out[PACK_NAME_SIZE], uint64_t number)
{
	snprintf(out, PACK_NAME_SIZE, "packs/%08" PRIu64 ".pack", number);
}

uint64_t pack_number(const char *name)
{
	char again[PACK_NAME_SIZE] = "";
	uint64_t n = 0;
	const char *p = name;

	if (strncmp(p, "packs/", 6) == 0)
		p += 6;
	for (const char *q = p; *q >= '0' && *q <= '9' && q - p < 15; q++)
		n = n * 10 + (uint64_t)(*q - '0');
	if (n == 0)
		return 0;
	pack_name(again, n);
	return strcmp(again + 6, p) == 0 ? n : 0;
}
