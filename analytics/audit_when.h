/*
 * audit_when.h - WHEN as people write it, as a place in the log.
 */
#ifndef ANALYTICS_AUDIT_WHEN_H
#define ANALYTICS_AUDIT_WHEN_H

#include <stdint.h>

#include "base/auto.h"

struct core;
struct errmsg;
struct idx_reader;

/*
 * A snapshot's name, "SEAL", "SEAL.POSITION", or a time that text_time_parse
 * knows: *out is the last entry of that state.  -ENOENT in words: no such
 * snapshot, beyond the end of the log, in the future, before the beginning.
 */
int must_use audit_when(struct core *c, uint64_t *out, const char *when,
			struct errmsg *em);
/*
 * The same in what the index has; times end at `now`.  -ERR_USAGE: this is no
 * snapshot, no position and no time.
 */
int must_use audit_when_find(struct idx_reader *r, uint64_t *out,
			     const char *when, int64_t now, struct errmsg *em);

#endif
