/*
 * proof_make.h - the .tlog-proof of one version: digest, checkpoint and the
 * entries that say who made it and from what.
 */
#ifndef ANALYTICS_PROOF_MAKE_H
#define ANALYTICS_PROOF_MAKE_H

#include <stdint.h>

#include "base/auto.h"

struct buf;
struct core;
struct errmsg;

/*
 * Appends the proof of the version whose VERSION entry is `no`, of inode
 * `ino`.  Computes and enters the plain digest of the newest version when
 * that is it and the log does not have one.  Signs a checkpoint when the last
 * does not cover the entry.  -ENODATA: an older version without a digest, or
 * none.  May take as long as reading the file.
 */
int must_use proof_make(struct core *c, struct buf *out, uint64_t ino,
			uint64_t no, struct errmsg *em);

#endif
