/*
 * audit_when.h - WHEN as people write it, as a place in the log.
 *
 *   NAME                     a snapshot; goes before everything below
 *   SEAL, SEAL.POSITION      after that entry
 *   RUN:start, RUN:end       before the run did anything, after it had ended;
 *                            RUN is NAME.NUMBER, or NAME when there is one.
 *                            A process group without `vouch run` ends with
 *                            what it did last, up to now.
 *   now, 2026-11-21T10:00Z   a time (base/text.h has the forms)
 */
#ifndef ANALYTICS_AUDIT_WHEN_H
#define ANALYTICS_AUDIT_WHEN_H

#include <stdint.h>

#include "base/auto.h"

struct core;
struct cred;
struct errmsg;
struct idx_reader;

/*
 * *out is the last entry of that state.  For cr other people's runs are not
 * there; NULL: he sees all.  -ENOENT in words: no such snapshot or run,
 * several of that name, one that goes on, beyond the end of the log, in the
 * future, before the beginning.
 */
int must_use audit_when(struct core *c, const struct cred *cr, uint64_t *out,
			const char *when, struct errmsg *em);
/*
 * The same in what the index has; times end at `now`.  `meant` is the time that
 * the words are where they were typed, whose zone may be another than ours; 0:
 * it is not known, ours counts.  -ERR_USAGE: this is none of all that.
 */
int must_use audit_when_find(struct idx_reader *r, const struct cred *cr,
			     uint64_t *out, const char *when, int64_t meant,
			     int64_t now, struct errmsg *em);

#endif
