/*
 * wal_mark.h - ledger/wal.mark: is the write-ahead log in use, and what of it
 * must be there.
 *
 * A segment of the WAL is the only copy of what was acknowledged and has not
 * settled.  Were wal/ deleted or zeroed after a crash, an empty log of the
 * last second would look like one that nobody wrote to.  So the mark says,
 * durable before the first frame of a segment is written, that this segment
 * exists; a clean unmount, when all has settled and is signed, puts it at
 * rest.  In between a log without that segment, or without its header, is
 * refused (-ERR_LOST), and nothing is begun over it.
 *
 * Behind each flush, too, and before anybody is told, it notes how far the log
 * goes.  That is not flushed: after a kill it is exact, after a loss of power
 * some seconds old or not there; never ahead of the log.
 *
 * Pages of 4096 bytes, little-endian.  The first two are the same, written one
 * after the other; the valid one with the larger count holds:
 *   0   4  magic "VWM1"
 *   4   1  format 1
 *   5   1  1: in use, 0: at rest
 *   6   2  0
 *   8   8  count of changes
 *   16 16  volume_id
 *   32  8  sequence of the segment (wal_format.h)
 *   40  8  index in the log of its first frame
 *   48  4  number in its file's name
 *   52  4  0
 *   56  8  XXH64 of bytes 0..55
 *   64     zeros to the end of the page
 * The third, valid or of no worth:
 *   0   4  magic "VWME"
 *   4   4  0
 *   8   8  end: index in the log behind the last frame that was flushed
 *   16 16  volume_id
 *   32  8  XXH64 of bytes 0..31
 *   40     zeros to the end of the page
 *
 * Undetectable by it: after a loss of power, frames that are cut away or
 * zeroed at the end of the newest segment just behind a whole one, and that
 * were flushed after the third page was written last.  They look like frames
 * that were never written.  Of those the guard and the checkpoint remember
 * what is older than a second, and the index what it had applied
 * (rebuild.h).  Whoever takes the WAL, the mark, the guard and the index takes
 * what was not signed yet with them.
 */
#ifndef LEDGER_WAL_MARK_H
#define LEDGER_WAL_MARK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"

#define WAL_MARK "ledger/wal.mark"

struct vio;
struct wal;
struct wal_segment;

enum { WAL_MARK_PAGE = 4096, WAL_MARK_SIZE = 3 * WAL_MARK_PAGE };

struct wal_mark {
	bool in_use;
	uint64_t count;
	uint8_t volume_id[16];
	uint64_t sequence, first;
	uint32_t number;
	uint64_t end; /* of the third page; 0: not known */
};

void wal_mark_encode(uint8_t out[WAL_MARK_PAGE], const struct wal_mark *m);
/* One page, strictly: -ERR_FORMAT, -ERR_NEWER. */
int must_use wal_mark_decode(struct wal_mark *out,
			     const uint8_t p[WAL_MARK_PAGE]);

/* The third page, n bytes of it at least: the end, 0 when it is not valid. */
void wal_mark_end_encode(uint8_t out[WAL_MARK_PAGE],
			 const uint8_t volume_id[16], uint64_t end);
uint64_t wal_mark_end_decode(const uint8_t p[WAL_MARK_PAGE],
			     const uint8_t volume_id[16]);

enum wal_mark_state {
	WAL_MARK_NONE,	 /* no file: an older version's volume */
	WAL_MARK_WHOLE,	 /* both of its pages */
	WAL_MARK_HALF,	 /* one of them: a crash may leave that */
	WAL_MARK_DAMAGED /* neither, or another volume's */
};
/* What the file says; -ERR_NEWER and errors of reading. */
int must_use wal_mark_read(struct wal_mark *out, enum wal_mark_state *out_state,
			   struct vio *vio, const uint8_t volume_id[16]);
/* Replaces the file by one at rest: what is lost was accepted. */
int must_use wal_mark_forget(struct vio *vio, const uint8_t volume_id[16]);

/* --- of an open WAL; wal.c only --- */

/* Before the first append, which is `next`: makes the file if need be. */
int must_use wal_mark_start(struct wal *w, uint64_t next);
/* s is about to be written to: its header and then the mark are durable. */
int must_use wal_mark_set(struct wal *w, struct wal_segment *s);
/* The log goes up to `end` now, durably. */
void wal_mark_end(struct wal *w, uint64_t end);

#endif
