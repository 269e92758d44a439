/*
 * rebuild.h - bringing the index up to the log: what is missing is applied, a
 * damaged or foreign index is made anew.  Deleting index.db is always safe.
 */
#ifndef INDEX_REBUILD_H
#define INDEX_REBUILD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"

struct errmsg;
struct idx;
struct ledger;
struct vio;

struct rebuild_options {
	struct vio *vio; /* rooted at STORE */
	const char *dir; /* STORE's absolute path */
	struct ledger *ledger;
	bool read_only;	  /* catch up nothing; an index must be there */
	const char *name; /* NULL: the index itself; a rebuild uses another */
	void (*progress)(void *ctx, uint64_t done, uint64_t all);
	void *ctx;
};

/*
 * Opens the index and applies every durable batch it has not applied.  An
 * index that is damaged, of another format, ahead of the log or of another
 * log (the root at its position differs) is deleted and made anew from the
 * journal.  Fails in words when the journal or the disk does, and with
 * -ERR_LOST when it is ahead of a log that was in use and not unmounted:
 * it is applied behind the flush, so the log has lost what it had.
 */
int must_use rebuild_catch_up(struct idx **out, const struct rebuild_options *o,
			      struct errmsg *em);
/* The same from nothing. */
int must_use rebuild_anew(struct idx **out, const struct rebuild_options *o,
			  struct errmsg *em);

#endif
