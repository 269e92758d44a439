/*
 * wal_impl.h - what wal.c and wal_scan.c share; nobody else includes it.
 */
#ifndef LEDGER_WAL_IMPL_H
#define LEDGER_WAL_IMPL_H

#include "base/thread.h"
#include "ledger/wal.h"
#include "ledger/wal_format.h"
#include "ledger/wal_mark.h"

#define WAL_DIR "wal"
#define WAL_SUFFIX ".wal"

enum {
	WAL_SEGMENTS_MAX = 1024,
	WAL_SPARE_MAX = 2, /* kept for use again */
};

struct wal_segment {
	struct vio_file *file;
	uint32_t number;   /* in the file's name */
	uint64_t sequence; /* order of use; 0: never used */
	uint64_t epoch;
	uint64_t bytes;	     /* size of the file */
	uint64_t told_bytes; /* ... when its header was written */
	uint64_t first;	     /* index of frame 0 */
	uint64_t end_at;     /* where the next frame goes */
	uint32_t n;	     /* frames */
	uint32_t cap;
	uint32_t *pages;  /* page where frame i starts */
	unsigned readers; /* guarded by wal.mu: not to be used again now */
	bool bad_header;  /* one of the two was unreadable */
};

struct wal {
	struct vio *vio;
	uint8_t volume_id[16];
	uint64_t segment_bytes;
	bool read_only;
	struct mutex mu; /* all below; held for memory only, never for I/O */
	/* By sequence; the last one is written to. */
	struct wal_segment *used[WAL_SEGMENTS_MAX];
	size_t n_used;
	struct wal_segment *spare[WAL_SEGMENTS_MAX];
	size_t n_spare;
	uint64_t released; /* frames below are durable elsewhere */
	uint32_t next_number;
	uint64_t next_sequence;
	bool started;
	struct wal_mark mark;		/* as the file has it */
	struct vio_file *mark_file;	/* NULL: there is none; read-only */
	enum wal_mark_state mark_state; /* ... at wal_open */
	bool was_in_use;
	uint64_t newest; /* largest sequence of a header found at wal_open */
};

/* Reads headers and frames of every file in wal/ into w. */
int must_use wal_scan(struct wal *w, struct errmsg *em);
void wal_segment_free(struct wal_segment *s);
/* Room in memory for one frame more: then noting it cannot fail. */
int must_use wal_segment_room(struct wal_segment *s);
/* Notes a frame of s at s->end_at. */
int must_use wal_segment_add(struct wal_segment *s, uint32_t len);
/* A new file of zeros.  -ENOSPC leaves nothing behind. */
int must_use wal_segment_make(struct wal *w, struct wal_segment **out);
int must_use wal_segment_write_headers(struct wal *w, struct wal_segment *s);

static inline uint64_t wal_pad(uint64_t n)
{
	return (n + WAL_PAGE - 1) / WAL_PAGE * WAL_PAGE;
}

#endif
