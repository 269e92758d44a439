/*
 * git_helper.h - vouch-git, the process in which libgit2 works for us.
 *
 * One helper is asked one thing at a time.  It ends with git_helper_stop, or
 * when we do.
 *
 * A request for a diff is u64 length of the old bytes, u64 of the new ones,
 * and both; the answer u8 binary, u64 lines added, u64 removed, u64 length of
 * the hunks, and those.  One for a merge is u64 lengths of base, ours, theirs,
 * and all three; the answer u8 binary, u64 number of conflicts, u64 length of
 * the result, for each conflict u64 first line and u64 lines, and the result.
 * All little-endian.
 *
 * Of a work tree it is asked once, by its arguments; it answers u8 has a
 * commit, 20 commit, and, which may take longer, u8 0 clean, 1 dirty, 2 not
 * known.
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
enum { GIT_HELPER_MERGE_HEAD = 24, GIT_HELPER_MERGE_ANSWER = 17 };
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

/* Lines of the result, from 1; n 0: in front of that line. */
struct git_merge_conflict {
	uint64_t first, n;
};

struct git_merged {
	bool binary; /* nothing was merged */
	size_t n;    /* conflicts; the result has our side of each */
	struct git_merge_conflict *v; /* the caller frees it */
};

struct git_bytes {
	const void *p;
	size_t n;
};

/* As git_helper_start: one that merges. */
int must_use git_helper_start_merge(struct git_helper **out, struct errmsg *em);
/*
 * Appends to `out` what `ours` becomes when the changes from base to theirs
 * are made in it, where both are texts.  Where both sides changed the same
 * lines, in other ways, ours stays and the place is listed.  -EPIPE as above.
 */
int must_use git_helper_merge(struct git_helper *g, struct buf *out,
			      struct git_merged *merged, struct git_bytes base,
			      struct git_bytes ours, struct git_bytes theirs);

/*
 * Runs it once with these arguments (argv[0] is "vouch-git") and p on its
 * stdin; what it says is appended to out.  -EIO: it failed, with its words,
 * which it says after a NUL.  -ERR_LIMIT: it says more than 64 MiB.
 */
int must_use git_helper_call(struct buf *out, char *const *argv, const void *p,
			     size_t n, struct errmsg *em);

/*
 * The commit of the work tree that path lies in, and whether a file that git
 * tracks is another there.  -ETIMEDOUT: nothing was known after ms; -EPIPE: it
 * cannot be read.  With the rights, and the HOME, of who calls.
 */
struct git_tree {
	bool has_commit;
	uint8_t commit[20];
	bool dirty_known, dirty;
};
enum { GIT_HELPER_TREE = 21 };
int must_use git_helper_tree(struct git_tree *out, const char *path,
			     unsigned ms, struct errmsg *em);

#endif
