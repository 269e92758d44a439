/*
 * run_denied.h - what a run was denied by its guard: denied.jsonl, and the
 * counts of summary.json.  Any thread, with a reader of its own.
 */
#ifndef ANALYTICS_RUN_DENIED_H
#define ANALYTICS_RUN_DENIED_H

#include <stdint.h>

#include "base/auto.h"
#include "ledger/entry_denied.h"

struct buf;
struct core;
struct idx_entry;
struct idx_reader;
struct idx_run;
struct run_view;
struct spool;

/*
 * A line for each entry that tells of denials: who, which call, what path, why
 * and how often.
 */
int must_use run_denied_report(struct core *c, struct run_view *v,
			       struct idx_reader *r, const struct idx_run *run,
			       struct spool *out);

struct run_denied_counts {
	uint64_t why[ENTRY_DENIED_WHYS]; /* 0: of more kinds than are told */
};
/* Adds what the entry tells, if it is about denials; stored is a buffer. */
int must_use run_denied_count(struct core *c, struct buf *stored,
			      struct run_denied_counts *counts,
			      const struct idx_entry *e);
/* The member "denied" and its comma. */
void run_denied_put(struct buf *out, const struct run_denied_counts *counts);

#endif
