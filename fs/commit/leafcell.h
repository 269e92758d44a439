/*
 * leafcell.h - the leaf hash of an entry that is perhaps not hashed yet.
 *
 * Entries refer to each other by leaf hash, and leaf hashes are computed by
 * the commit thread, long after the request that made the entry was answered.
 * A cell stands for the hash meanwhile.  The queue is strictly first in, first
 * out, so the commit thread finds every cell that it reads filled already.
 *
 * Threads: hold and drop from any; leafcell_set by the commit thread alone,
 * before anybody may see leafcell_known() answer true.
 */
#ifndef FS_LEAFCELL_H
#define FS_LEAFCELL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"

struct leafcell {
	atomic_uint refs;
	atomic_bool known;
	struct digest leaf;
	_Atomic uint64_t entry_no; /* 0 until committed */
};

/* A cell with one reference; NULL: no memory. */
struct leafcell *leafcell_new(void);
/* A cell for an entry that is in the log; entry_no 0 if not known. */
struct leafcell *leafcell_known_new(const struct digest *leaf,
				    uint64_t entry_no);
struct leafcell *leafcell_hold(struct leafcell *c); /* NULL gives NULL */
void leafcell_drop(struct leafcell *c);		    /* NULL ok */
void leafcell_set(struct leafcell *c, const struct digest *leaf);
bool leafcell_known(const struct leafcell *c);

#endif
