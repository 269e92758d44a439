/*
 * journal.h - where batches settle: append-only segments of records.
 *
 * In memory there is one number per segment, and the offsets of the records
 * of the last one; a record is found by one read of the segment's footer.
 * Segments are copied to replicas as they are, by name and byte range.
 *
 * Threads: one writer (journal_append, journal_sync); any number of readers.
 */
#ifndef LEDGER_JOURNAL_H
#define LEDGER_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"

struct buf;
struct errmsg;
struct frame;
struct journal;
struct vio;

struct journal_options {
	struct vio *vio;	  /* rooted at STORE */
	const uint8_t *volume_id; /* 16 bytes, copied */
	uint64_t segment_bytes;	  /* 0: LIMIT_JOURNAL_SEGMENT */
	bool read_only;
	bool create; /* make the directory */
};

/*
 * Reads the headers of all segments and every record of the last one; writes
 * nothing.  -ERR_CORRUPT, -ERR_NEWER in words.
 */
int must_use journal_open(struct journal **out, const struct journal_options *o,
			  struct errmsg *em);
void journal_close(struct journal *j); /* NULL is a no-op; flushes nothing */

/* Index after the last whole record. */
uint64_t journal_end(struct journal *j);
/* What journal_open found after that: bytes that are no whole record. */
uint64_t journal_torn_bytes(struct journal *j);
/* True when a valid record lies behind them: damage, not a torn tail. */
bool journal_damaged(struct journal *j);

/*
 * Before the first append after journal_open: cuts the torn bytes, makes what
 * was found durable.
 */
int must_use journal_start(struct journal *j);
/*
 * Appends the record of a frame; its index must be journal_end.  -ENOSPC is
 * soft: nothing counts as written.  Not durable before journal_sync.
 */
int must_use journal_append(struct journal *j, const struct frame *f);
int must_use journal_sync(struct journal *j);
/* Index after the last durable record. */
uint64_t journal_durable(struct journal *j);

/*
 * Replaces out by record `index`, checked; f borrows from it.  -ENOENT beyond
 * the end; -ERR_CORRUPT.
 */
int must_use journal_read(struct journal *j, struct buf *out, struct frame *f,
			  uint64_t index);
/*
 * Replaces out by the first bytes of the record and lends its seal, no
 * checksum checked: for callers that check the seal's hash.
 */
int must_use journal_read_seal(struct journal *j, struct buf *out,
			       const uint8_t **out_seal, uint32_t *out_n,
			       uint64_t index);

/* Segments from number `from` on, with the bytes of them that are durable. */
typedef int journal_object_fn(void *ctx, uint32_t number, const char *path,
			      uint64_t size);
int must_use journal_objects(struct journal *j, uint32_t from,
			     journal_object_fn *fn, void *ctx);

/*
 * True when the m bytes of another copy of a segment are a beginning of our n
 * bytes but for the epoch and the checksums that it seeds: the same entries
 * under the same seals, settled twice.  Ours is checked whole.
 */
bool journal_same(const void *ours, size_t n, const void *theirs, size_t m);

/*
 * Reads every segment from its first byte to its last.  record() is given
 * each index in order, with the record, or NULL where it is damaged; nonzero
 * stops and is returned.  found() is told each damaged place.
 */
struct journal_check {
	int (*record)(void *ctx, uint64_t index, const struct frame *f);
	void (*found)(void *ctx, const char *words);
	void *ctx;
};
int must_use journal_check(struct journal *j, const struct journal_check *c);

#endif
