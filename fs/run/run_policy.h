/*
 * run_policy.h - what a guarded run may not do, as its RUN_START says it:
 *
 *     vouch-guard-1
 *     hide PATTERN
 *     protect PATTERN
 *     read-only
 *
 * Every line ends with a newline; the first is always there, then patterns
 * to hide, strictly ascending as bytes, those to protect, likewise, and
 * "read-only" or not.  Patterns are base/glob.h's over paths from the root of
 * the volume and hold no control characters.  There is one text for each
 * policy, so that it can be compared and is what was signed.
 *
 * Pure; any thread.
 */
#ifndef FS_RUN_POLICY_H
#define FS_RUN_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/auto.h"

struct buf;
struct errmsg;
struct run_policy;

enum run_policy_bits { RUN_POLICY_HIDDEN = 1, RUN_POLICY_PROTECTED = 2 };

/* What somebody asks for, in any order; borrowed. */
struct run_policy_said {
	const char *const *hide, *const *protect;
	size_t n_hide, n_protect;
	bool read_only;
	bool defaults; /* what the host executes later is protected, too */
};

/*
 * Appends the text.  A pattern without a slash becomes one that matches at
 * any depth.  -ERR_USAGE: a pattern is wrong; -ERR_LIMIT: too much.
 */
int must_use run_policy_make(struct buf *out, const struct run_policy_said *s,
			     struct errmsg *em);

/* Believes nothing: -ERR_FORMAT. */
int must_use run_policy_parse(struct run_policy **out, const char *text,
			      size_t n, struct errmsg *em);
void run_policy_free(struct run_policy *p); /* NULL ok */

bool run_policy_read_only(const struct run_policy *p);
/* Is anything hidden at all? */
bool run_policy_hides(const struct run_policy *p);
/*
 * What is said of a path ("a/b", the root: n 0): bits.  What lies below
 * something hidden or protected is so, too.  What is no directory (dir false)
 * is protected as well where a pattern wants a directory on its way: a link
 * or a file `.git` leads elsewhere who looks for `.git/hooks`.
 */
unsigned run_policy_look(const struct run_policy *p, const char *path, size_t n,
			 bool dir);

/* The default list, NULL-terminated, as run_policy_make takes them. */
extern const char *const run_policy_defaults[];

#endif
