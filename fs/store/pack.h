/*
 * pack.h - bytes of a pack to values and back (pack_format.h).  Pure.
 *
 * Decoders are strict: what they accept encodes to the same bytes.
 */
#ifndef FS_PACK_H
#define FS_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"
#include "fs/store/pack_format.h"

struct buf;
struct chunk;

struct pack_header {
	uint8_t volume_id[16];
	uint64_t number;
};
void pack_header_encode(uint8_t out[PACK_HEADER_SIZE],
			const struct pack_header *h);
/* -ERR_FORMAT, -ERR_NEWER, -ERR_CORRUPT. */
int must_use pack_header_decode(struct pack_header *out, const void *p,
				size_t n);

struct pack_record {
	uint8_t type; /* enum chunk_type or PACK_CLOSE_MARK */
	uint8_t codec;
	uint32_t raw_len;
	uint32_t stored_len;
	struct digest id;
	uint64_t check; /* of the stored bytes */
	uint32_t durable;
};
/* Computes what pack_record_of needs of the stored bytes, ahead of it. */
void pack_chunk_check(struct chunk *c);
void pack_record_of(struct pack_record *out, const struct chunk *c,
		    uint32_t durable);
void pack_record_encode(uint8_t out[PACK_RECORD_SIZE],
			const struct pack_record *r);
/* -ERR_SHORT, -ERR_FORMAT (no record at all), -ERR_CORRUPT. */
int must_use pack_record_decode(struct pack_record *out, const void *p,
				size_t n);
/* True when these are the stored bytes the record was made for. */
bool pack_record_holds(const struct pack_record *r, const void *stored,
		       size_t n);
/* The chunk of a record; borrows stored. */
void pack_record_chunk(struct chunk *out, const struct pack_record *r,
		       const uint8_t *stored);

struct pack_entry {
	struct digest id;
	uint32_t off;
	uint32_t stored_len;
	uint32_t raw_len;
	uint8_t type;
	uint8_t codec;
};

struct pack_trailer {
	uint32_t count;
	uint64_t entries_off;
	uint64_t raw_bytes;
	uint64_t stored_bytes;
	uint64_t check;
	uint64_t number;
};
/* Sorts the entries and appends entries and trailer to out. */
void pack_footer_encode(struct buf *out, struct pack_entry *v, uint32_t n,
			uint64_t entries_off, uint64_t number);
/* p: the last PACK_TRAILER_SIZE bytes of a file of `size` bytes. */
int must_use pack_trailer_decode(struct pack_trailer *out, const void *p,
				 uint64_t size);
/* p: all entries.  out has room for t->count. */
int must_use pack_footer_decode(struct pack_entry *out,
				const struct pack_trailer *t, const void *p,
				size_t n);

/* "packs/00000007.pack" and NUL. */
enum { PACK_NAME_SIZE = 40 };
void pack_name(char out[PACK_NAME_SIZE], uint64_t number);
/* Number of "00000007.pack", with or without "packs/"; 0: not such a name. */
uint64_t pack_number(const char *name);

/*
 * Looks for the next record header that decodes, at or after p[from].
 * Returns its place, or n when there is none in these bytes (a header that is
 * cut off by their end is not found).
 */
size_t pack_find_record(const uint8_t *p, size_t n, size_t from);

#endif
