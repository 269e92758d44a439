/*
 * git_anchors.h - checkpoints of the log that were committed into a repository
 * of git, where its owner cannot take them back unseen.
 */
#ifndef MOUNT_TOOLS_GIT_ANCHORS_H
#define MOUNT_TOOLS_GIT_ANCHORS_H

#include <stddef.h>

#include "base/auto.h"
#include "base/buf.h"
#include "ledger/checkpoint.h"

struct errmsg;
struct idx_reader;
struct ledger;

#define GIT_ANCHORS_REF "refs/heads/vouch-anchors"

struct git_anchor {
	char commit[41];
	bool good; /* what it holds is a checkpoint */
	struct checkpoint c;
};

struct git_anchors {
	struct git_anchor *v; /* the newest first */
	size_t n;
};

/* In words: no repository, not readable. */
int must_use git_anchors_read(struct git_anchors *out, const char *repo,
			      const char *ref, struct errmsg *em);
void git_anchors_release(struct git_anchors *a);

/*
 * Is each a state of this log?  found() gets the words for each that is not;
 * answers how many, or a negative error.
 */
int must_use git_anchors_check(const struct git_anchors *a, struct ledger *l,
			       void (*found)(void *ctx, const char *words),
			       void *ctx);
/*
 * Is each anchor there that the log says was made?  place: the repository's
 * real path.  Of one that was made elsewhere (this may be a clone, which has
 * not got the last ones yet) only those before one that is there.
 */
int must_use git_anchors_missing(const struct git_anchors *a,
				 struct idx_reader *r, struct ledger *l,
				 const char *place, const char *ref,
				 void (*found)(void *ctx, const char *words),
				 void *ctx);

#endif
