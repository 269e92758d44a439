/*
 * verbs_int.h - what the files of verbs.h share.
 */
#ifndef MOUNT_TOOLS_VERBS_INT_H
#define MOUNT_TOOLS_VERBS_INT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"

struct buf;
struct core;
struct cred;
struct errmsg;
struct idx_reader;
struct json;
struct spool;

/*
 * Adds what a spool holds to an answer: as "text"; or, where every byte
 * counts, as "base64".  -EFBIG: no answer is that long.
 */
int must_use verbs_spool(const struct spool *s, bool exact, struct buf *out);

/*
 * The inode of request.path, or the one that had it last; its newest version
 * is made first.  *out_r is the caller's to give back, in any case.
 */
int must_use verbs_find(struct core *c, struct idx_reader **out_r,
			uint64_t *out, const struct json *request,
			struct errmsg *em);
/* The same as of entry `at` (IDX_NOW: as above), when it had that path. */
int must_use verbs_find_at(struct core *c, struct idx_reader **out_r,
			   uint64_t *out, const struct json *request,
			   uint64_t at, struct errmsg *em);

/* ctx is the core; in verbs.h is what they take. */
int must_use verbs_blame(void *ctx, const struct json *request,
			 const struct cred *peer, struct buf *out,
			 struct errmsg *em);
int must_use verbs_restore_plan(void *ctx, const struct json *request,
				const struct cred *peer, struct buf *out,
				struct errmsg *em);
int must_use verbs_diff(void *ctx, const struct json *request,
			const struct cred *peer, struct buf *out,
			struct errmsg *em);
int must_use verbs_lineage(void *ctx, const struct json *request,
			   const struct cred *peer, struct buf *out,
			   struct errmsg *em);

int must_use verbs_provenance(void *ctx, const struct json *request,
			      const struct cred *peer, struct buf *out,
			      struct errmsg *em);
int must_use verbs_import(void *ctx, const struct json *request,
			  const struct cred *peer, struct buf *out,
			  struct errmsg *em);

#endif
