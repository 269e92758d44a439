/*
 * run_diff.h - what a run changed, or what changed between two states, as git
 * diff shows it.
 *
 * It costs what was entered meanwhile, not what the tree holds; only below a
 * directory that was moved every file is looked at.
 *
 * Of a run its own changes alone: where somebody else wrote the same file
 * meanwhile, the run's part before that and after it are shown one after the
 * other.  A file that was replaced by a rename, as editors save, is one
 * changed file.  What was made and removed again is not in it.  Each name of
 * a file is a file.  What git does not know of (owners, extended attributes,
 * directories, devices) comes as lines that begin with "# ", which git apply
 * skips, and in JSON.
 *
 * Who may not see the whole ledger sees no bytes and no digests of what he may
 * not read, then or now: a run may remove or replace what it could not open.
 *
 * Any thread, with a reader of its own.
 */
#ifndef ANALYTICS_RUN_DIFF_H
#define ANALYTICS_RUN_DIFF_H

#include <stddef.h>
#include <stdint.h>

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
	RUN_DIFF_ONLY,	/* the paths alone */
	RUN_DIFF_JSON,	/* an object a line */
};

struct run_diff_what {
	const struct idx_run *run; /* what it did; NULL: */
	uint64_t from, until;	   /* between the states after these entries */
	enum run_diff_as as;
	/* only these and below, as idx_path() writes them; none: everything */
	const char *const *paths;
	size_t n_paths;
};

/*
 * -ERR_LIMIT: more than RUN_DIFF_MAX files, or the spool is full; -EIO in
 * words: there is no vouch-git.
 */
enum { RUN_DIFF_MAX = 1 << 18 };
int must_use run_diff(struct core *c, struct run_view *v, struct idx_reader *r,
		      const struct run_diff_what *what, struct spool *out,
		      struct errmsg *em);

#endif
