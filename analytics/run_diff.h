/*
 * run_diff.h - what a run changed in files, as git diff shows it.
 *
 * Only its own changes: where somebody else wrote the same file meanwhile, the
 * run's part before that and after it are shown one after the other.  A file
 * that was replaced by a rename, as editors save, is one changed file.  What
 * the run made and removed again, directories, owners and attributes are not
 * in it (changes.jsonl has them).
 *
 * Any thread, with a reader of its own.
 */
#ifndef ANALYTICS_RUN_DIFF_H
#define ANALYTICS_RUN_DIFF_H

#include "base/auto.h"

struct core;
struct idx_reader;
struct idx_run;
struct spool;

enum run_diff_as {
	RUN_DIFF_PATCH, /* unified; what is no text, or long, by its digest */
	RUN_DIFF_STAT,	/* a line for each file, and the sums */
	RUN_DIFF_NAMES, /* "M\tPATH": A added, D deleted, M, R renamed */
	RUN_DIFF_JSON,	/* an object a line */
};

int must_use run_diff(struct core *c, struct idx_reader *r,
		      const struct idx_run *run, enum run_diff_as as,
		      struct spool *out);
/* The form of a report (run_report.h): RUN_DIFF_PATCH. */
int must_use run_diff_patch(struct core *c, struct idx_reader *r,
			    const struct idx_run *run, struct spool *out);

#endif
