/*
 * journal_impl.h - what journal.c, journal_scan.c and journal_check.c share;
 * nobody else includes it.
 */
#ifndef LEDGER_JOURNAL_IMPL_H
#define LEDGER_JOURNAL_IMPL_H

#include "base/buf.h"
#include "base/thread.h"
#include "ledger/journal.h"
#include "ledger/journal_format.h"

#define JOURNAL_DIR "ledger/journal"
#define JOURNAL_SUFFIX ".vj"

enum { JOURNAL_OPEN_MAX = 8 }; /* sealed segments kept open */

/* An open segment. */
struct journal_file {
	struct vio_file *file;
	uint32_t number;
	uint64_t epoch;
	uint64_t first;
	uint64_t size;	  /* sealed ones: of the whole file */
	unsigned readers; /* guarded by journal.mu */
	uint64_t used;	  /* guarded by journal.mu: for the LRU */
};

struct journal {
	struct vio *vio;
	uint8_t volume_id[16];
	uint64_t segment_bytes;
	bool read_only;
	bool damaged;
	uint64_t torn_bytes;
	struct buf record; /* the writer's scratch */

	struct mutex mu;  /* all below; held for memory only, never for I/O */
	uint64_t *firsts; /* of segment i + 1 */
	uint32_t n, cap;
	/* The last segment; NULL: none yet, or it is sealed. */
	struct journal_file *active;
	uint32_t *offsets; /* of its records */
	uint32_t n_offsets, cap_offsets;
	uint64_t end_at;     /* where its next record goes */
	uint64_t end;	     /* index after the last record */
	uint64_t durable;    /* index after the last durable one */
	uint64_t durable_at; /* durable bytes of the active segment */
	struct journal_file *open[JOURNAL_OPEN_MAX];
	uint64_t clock;
};

/* Fills in everything from the disk; journal_scan.c. */
int must_use journal_scan(struct journal *j, struct errmsg *em);
/*
 * Opens segment `number` and reads its header.  -ERR_CORRUPT, -ERR_NEWER;
 * -ERR_SHORT: not even a header.
 */
int must_use journal_scan_header(struct journal *j, struct journal_file **out,
				 uint32_t number, int flags, struct errmsg *em);
void journal_file_free(struct journal_file *f);
int must_use journal_add_offset(struct journal *j, uint32_t at);
int must_use journal_add_segment(struct journal *j, uint64_t first);

/* Where in n bytes a valid record with a larger index lies; 0: nowhere. */
size_t journal_find_later(const uint8_t *p, size_t n, uint64_t epoch,
			  uint64_t expected);
/* The footer for these offsets. */
int must_use journal_footer(struct buf *out, const uint32_t *offsets,
			    uint32_t n, uint64_t epoch);
static inline uint64_t journal_footer_size(uint64_t n)
{
	return JOURNAL_FOOTER_MIN + 4 * n;
}

/* Records of segment `number`; the caller holds mu or is alone. */
static inline uint64_t journal_count_locked(const struct journal *j,
					    uint32_t number)
{
	uint64_t next = number < j->n ? j->firsts[number] : j->end;

	return next - j->firsts[number - 1];
}

/* Keeps the segment that holds `index` open; *out_at: its place, 0 unknown. */
int must_use journal_pin(struct journal *j, struct journal_file **out,
			 uint64_t index, uint64_t *out_at, uint64_t *out_end);
/* Puts a sealed segment among those kept open; false: no room. */
bool journal_cache_locked(struct journal *j, struct journal_file *f);
void journal_unpin(struct journal *j, struct journal_file *f);

#endif
