/*
 * run_diff.h - what a run changed in files, as git diff shows it.
 *
 * Only its own changes: where somebody else wrote the same file meanwhile, the
 * run's part before that and after it are shown one after the other.  A file
 * that was replaced by a rename, as editors save, is one changed file.  What
 * the run made and removed again, directories, owners and attributes are not
 * in it (changes.jsonl has them).
 *
 * Who may not see the whole ledger sees no bytes and no digests of what he may
 * not read, then or now: a run may remove or replace what it could not open.
 *
 * Any thread, with a reader of its own.
 */
#ifndef ANALYTICS_RUN_DIFF_H
#define ANALYTICS_RUN_DIFF_H

#include "base/auto.h"

struct core;
struct errmsg;
struct idx_reader;
struct idx_run;
struct run_view;
struct spool;

enum run_diff_as {
	RUN_DIFF_PATCH, /* unified; what is no text, or long, by its digest */
	RUN_DIFF_STAT,	/* a line for each file, and the sums */
	RUN_DIFF_NAMES, /* "M\tPATH": A added, D deleted, M, R renamed */
	RUN_DIFF_JSON,	/* an object a line */
};

/*
 * -ERR_LIMIT: more than RUN_DIFF_MAX files, or the spool is full; -EIO in
 * words: there is no vouch-git.
 */
enum { RUN_DIFF_MAX = 1 << 18 };
int must_use run_diff(struct core *c, struct run_view *v, struct idx_reader *r,
		      const struct idx_run *run, enum run_diff_as as,
		      struct spool *out, struct errmsg *em);

#endif
