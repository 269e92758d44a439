/*
 * verbs_int.h - what the files of verbs.h share.
 */
#ifndef MOUNT_TOOLS_VERBS_INT_H
#define MOUNT_TOOLS_VERBS_INT_H

#include <stdbool.h>

#include "base/auto.h"

struct buf;
struct cred;
struct errmsg;
struct json;
struct spool;

/*
 * Adds what a spool holds to an answer: as "text"; or, where every byte
 * counts, as "base64".  -EFBIG: no answer is that long.
 */
int must_use verbs_spool(const struct spool *s, bool exact, struct buf *out);

/* ctx is the core; in verbs.h is what they take. */
int must_use verbs_diff(void *ctx, const struct json *request,
			const struct cred *peer, struct buf *out,
			struct errmsg *em);

#endif
