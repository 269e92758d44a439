/*
 * run_report.h - what one run did, as documents: a summary, each thing it
 * changed, each thing it opened.
 *
 * All of it comes from the ledger by way of the index, so it costs what went
 * on while the run did something, not the length of the log.  A run that goes
 * on gets longer documents, never shorter ones.
 *
 * Any thread, with a reader of its own.
 */
#ifndef ANALYTICS_RUN_REPORT_H
#define ANALYTICS_RUN_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"

struct buf;
struct core;
struct idx_reader;
struct idx_run;
struct run_view;
struct spool;

/* One JSON object, for people and programs. */
int must_use run_report_summary(struct core *c, struct run_view *v,
				struct idx_reader *r, const struct idx_run *run,
				struct spool *out);
/* The summary's first members, up to how it ended, as one line. */
int must_use run_report_line(const struct run_view *v, struct idx_reader *r,
			     struct buf *out, const struct idx_run *run);
/*
 * A line for each entry that changed something, as in /audit/history.  What
 * is durable of a file still being written comes with its version.
 */
int must_use run_report_changes(struct core *c, struct run_view *v,
				struct idx_reader *r, const struct idx_run *run,
				struct spool *out);
/*
 * A line for each version that a process of the run opened before it wrote
 * something, or before the run ended, with the path that it had then.
 */
int must_use run_report_opened(struct core *c, struct run_view *v,
			       struct idx_reader *r, const struct idx_run *run,
			       struct spool *out);

#endif
