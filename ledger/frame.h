/*
 * frame.h - the bytes of one batch: WAL frame and journal record.
 *
 * Pure; callable from any thread.  Both forms share everything up to the
 * entries; a frame goes on with small chunks (wal_format.h, journal_format.h).
 * A checksum seeded with a random epoch says "written whole, by us, here";
 * that the batch is true its seal says.
 */
#ifndef LEDGER_FRAME_H
#define LEDGER_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "ledger/wal_format.h"

struct buf;
struct ledger_chunk;
struct ledger_entry;

enum frame_form { FRAME_WAL, FRAME_RECORD };

/* A frame taken apart; pointers borrow its bytes. */
struct frame {
	uint64_t index;
	uint32_t len;
	const uint8_t *seal;
	uint32_t seal_n;
	uint32_t count;		/* entries */
	const uint8_t *entries; /* count x (u32 len, stored entry) */
	size_t entries_n;
	uint32_t n_chunks;
	const uint8_t *chunks;
	size_t chunks_n;
};

struct frame_parts {
	uint64_t index;
	const uint8_t *seal;
	size_t seal_n;
	const struct ledger_entry *entries;
	uint32_t n;
	const struct ledger_chunk *chunks;
	uint32_t m;
};

/*
 * Replaces out by a frame, zero-padded to a page, without its checksum;
 * *out_len is its len.  -ERR_LIMIT beyond LIMIT_FRAME; -ENOMEM.
 */
int must_use frame_build(struct buf *out, uint32_t *out_len,
			 const struct frame_parts *parts);
/* Replaces out by the journal record of a frame, checksum included. */
int must_use frame_record(struct buf *out, const struct frame *f,
			  uint64_t epoch);
/* Fills in the checksum of len bytes. */
void frame_stamp(uint8_t *p, uint32_t len, uint64_t epoch);

/*
 * What the first FRAME_HEAD_SIZE bytes claim: 0, or -ERR_FORMAT when len is
 * no possible length.
 */
int must_use frame_head(uint32_t *out_len, uint64_t *out_index,
			const uint8_t p[FRAME_HEAD_SIZE]);
/*
 * Takes apart the frame at the start of n bytes (more may follow): lengths,
 * checksum, structure.  -ERR_CORRUPT.
 */
int must_use frame_decode(struct frame *out, const void *p, size_t n,
			  uint64_t epoch, enum frame_form form);
/*
 * Reads the seal out of the first n bytes of a frame or record without its
 * checksum: for callers that check the seal's hash.  -ERR_CORRUPT.
 */
int must_use frame_peek_seal(const uint8_t **out, uint32_t *out_n,
			     const void *p, size_t n, uint64_t index);

/* Walks entries: 1 and a borrowed entry, 0 at the end, -ERR_CORRUPT. */
int must_use frame_next_entry(const uint8_t **p, size_t *left,
			      const uint8_t **out, uint32_t *out_n);
/* Walks chunks: 1, 0 at the end, -ERR_CORRUPT. */
int must_use frame_next_chunk(const uint8_t **p, size_t *left,
			      struct ledger_chunk *out);

#endif
