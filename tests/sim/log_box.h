/*
 * log_box.h - a ledger for tests: batches whose bytes follow from a counter,
 * so that what was acknowledged can be compared byte for byte.
 */
#ifndef TESTS_SIM_LOG_BOX_H
#define TESTS_SIM_LOG_BOX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "ledger/ledger.h"

enum { LOG_BOX_SEALS = 4096, LOG_BOX_NOTES = 512, LOG_BOX_NOTE = 1024 };

struct buf;
struct vio;

struct log_box {
	struct vio *vio, *guard; /* borrowed; guard may be NULL */
	uint64_t wal_bytes, journal_bytes;
	struct ledger *l;
	struct errmsg em;
	uint64_t counter; /* of entries made so far */
	/* What was acknowledged: seal i holds entries first[i].. count[i]. */
	uint64_t n;
	uint64_t first[LOG_BOX_SEALS];
	uint32_t count[LOG_BOX_SEALS];
	uint32_t chunks_given; /* by ledger_open */
	/* every checkpoint ever seen */
	unsigned n_notes;
	char notes[LOG_BOX_NOTES][LOG_BOX_NOTE];
};

void log_box_init(struct log_box *b, struct vio *vio, struct vio *guard);
int log_box_create(struct log_box *b);
int log_box_open(struct log_box *b);
int log_box_open_read_only(struct log_box *b);
void log_box_close(struct log_box *b);
/* Seals and commits n entries and m small chunks. */
int log_box_commit(struct log_box *b, uint32_t n, uint32_t m);
/* Settles everything; rc of the last call. */
int log_box_settle(struct log_box *b);
/* Makes a checkpoint and keeps its note. */
int log_box_checkpoint(struct log_box *b);
/* Keeps the note on disk, if it is new. */
void log_box_keep_note(struct log_box *b);

/* Stored bytes and leaf of entry `counter`. */
void log_box_entry(struct buf *out, struct digest *leaf, uint64_t counter);
/*
 * Every acknowledged seal is there byte for byte; a seal more may be there.
 * Says what is wrong on stderr.
 */
bool log_box_intact(struct log_box *b);
/* No two notes kept contradict the log as it is now. */
bool log_box_consistent(struct log_box *b);
/* ledger_verify; the number of damaged places, or an error. */
int64_t log_box_verify(struct log_box *b, bool print);

#endif
