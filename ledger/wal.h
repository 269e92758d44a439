/*
 * wal.h - the write-ahead log: preallocated segments of frames.
 *
 * A frame is appended with one write and one flush, and that flush is the
 * commit point of its batch.  The WAL holds a contiguous run of frames
 * [wal_first, wal_end); those that settled into the journal are released, and
 * a segment whose frames are all released is used again.
 *
 * Threads: one appender (wal_append); one releaser (wal_release,
 * wal_prepare); any number of readers.  Never blocks readers while writing.
 */
#ifndef LEDGER_WAL_H
#define LEDGER_WAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"

struct buf;
struct errmsg;
struct frame;
struct vio;
struct wal;

struct wal_options {
	struct vio *vio;	  /* rooted at STORE */
	const uint8_t *volume_id; /* 16 bytes, copied */
	uint64_t segment_bytes;	  /* 0: LIMIT_WAL_SEGMENT */
	bool read_only;
	bool create; /* make the directory */
};

/*
 * Reads every segment and keeps the last contiguous run of frames.  Writes
 * nothing.  -ERR_CORRUPT, -ERR_NEWER in words.
 */
int must_use wal_open(struct wal **out, const struct wal_options *o,
		      struct errmsg *em);
void wal_close(struct wal *w); /* NULL is a no-op; flushes nothing */

/* Indices held: [first, end).  Both 0 when there is no frame at all. */
uint64_t wal_first(struct wal *w);
uint64_t wal_end(struct wal *w);
/* Bytes of frames from index `from` on, padding included. */
uint64_t wal_bytes(struct wal *w, uint64_t from);
/*
 * Segments one of whose two headers was unreadable at wal_open, and which hold
 * frames from `from` on that prove it was whole once: damage.  (A crash can
 * tear a header that is being written, with at most one frame behind it.)
 */
unsigned wal_bad_headers(struct wal *w, uint64_t from);

/*
 * Before the first append after wal_open: the log goes on at `next`.  Frames
 * found at open are made durable, damaged headers are written again.  When
 * the frames held do not end at `next` a new segment is begun.
 */
int must_use wal_start(struct wal *w, uint64_t next);
/*
 * Writes the frame (len bytes, padded in `frame`; its checksum is filled in
 * here) at the end and flushes.  `index` must be the next one.  -ENOSPC: no
 * room for a new segment, nothing was written.
 */
int must_use wal_append(struct wal *w, struct buf *frame, uint32_t len,
			uint64_t index);
/*
 * Replaces out by frame `index`, checked; f borrows from it.  -ENOENT when it
 * is not held; -ERR_CORRUPT also when the segment was used again meanwhile.
 */
int must_use wal_read(struct wal *w, struct buf *out, struct frame *f,
		      uint64_t index);
/* Frames below `upto` are durable elsewhere: their segments are free. */
void wal_release(struct wal *w, uint64_t upto);
/* True when wal_release(upto) would free a segment. */
bool wal_would_release(struct wal *w, uint64_t upto);
/* Makes a spare segment when the current one is half full.  -ENOSPC soft. */
int must_use wal_prepare(struct wal *w);

/*
 * The mark (wal_mark.h) as wal_open found it: was the log in use and not put
 * at rest; if so, does something of it lack that must be there (in words),
 * with a log that ends at log_end, journal included.
 */
bool wal_was_in_use(const struct wal *w);
bool wal_lost(struct wal *w, uint64_t log_end, char *words, size_t cap);
/* The largest sequence of a segment found at wal_open, 0: none. */
uint64_t wal_newest(const struct wal *w);
/* The sequence that must be there now; 0: nothing must. */
uint64_t wal_marked(struct wal *w);
/*
 * Every frame has settled, durably: nothing of the WAL is needed any more.
 * Nobody appends meanwhile; an append after it marks the log again.
 */
int must_use wal_rest(struct wal *w);

/* Reads every frame held again; found() is told each damaged place. */
int must_use wal_check(struct wal *w,
		       void (*found)(void *ctx, const char *words), void *ctx);

#endif
