/*
 * git_helper.h - vouch-git, the process in which libgit2 works for us.
 *
 * One helper is asked one thing at a time.  It ends with git_helper_stop, or
 * when we do.
 *
 * A request for a diff is u64 length of the old bytes, u64 of the new ones,
 * and both; the answer u8 binary, u64 lines added, u64 removed, u64 length of
 * the hunks, and those.  All little-endian.
 */
#ifndef BASE_GIT_HELPER_H
#define BASE_GIT_HELPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"

struct buf;
struct errmsg;
struct git_helper;

enum { GIT_HELPER_HEAD = 16, GIT_HELPER_ANSWER = 25 };
/* Longest file that is compared line by line. */
enum { GIT_HELPER_MAX = 16 << 20 };

struct git_diff_counts {
	bool binary; /* there are no hunks then */
	uint64_t added, removed;
};

/*
 * Starts it: the program vouch-git beside the one that runs.  In words: where
 * it was looked for.
 */
int must_use git_helper_start(struct git_helper **out, struct errmsg *em);
void git_helper_stop(struct git_helper *g); /* NULL ok */
/*
 * Appends the hunks ("@@ ... ") between two texts of at most GIT_HELPER_MAX
 * bytes.  -EPIPE: it died; only git_helper_stop is of use then.
 */
int must_use git_helper_diff(struct git_helper *g, struct buf *out,
			     struct git_diff_counts *counts, const void *a,
			     size_t n_a, const void *b, size_t n_b);

#endif
