/*
 * ahead.h - batches on their way through a verification: what their
 * entries say by themselves is worked out ahead, by a few threads.
 *
 * Nearly all of a verification is hashing and decoding entries, which needs
 * nothing but the batch.  The rest (rules, tree, tiles) must be in order and
 * is little: with two cores the log is verified about twice as fast.
 *
 * Batches are taken in the order they were added, by the thread that adds.
 * At most AHEAD batches, and 64 MiB of them, are under way.
 */
#ifndef LEDGER_AHEAD_H
#define LEDGER_AHEAD_H

#include <stdint.h>

#include "base/auto.h"

struct ahead;
struct frame;
struct rules_entry;
struct rules_prepared;

/* f NULL: the batch is lost, and so entries and prepared are NULL, too. */
typedef int ahead_take_fn(void *ctx, uint64_t index, const struct frame *f,
			  const struct rules_entry *entries,
			  const struct rules_prepared *prepared);

/* threads 0: as many as there are cores, at most 4. */
int must_use ahead_new(struct ahead **out, unsigned threads,
		       ahead_take_fn *give, void *ctx);
/*
 * Adds a batch (copied; NULL: lost).  Gives out those that are ready, waits
 * for the oldest when there is no room.  Negative: from it, or -ENOMEM.
 */
int must_use ahead_add(struct ahead *a, uint64_t index, const struct frame *f);
/* Gives out all that were added. */
int must_use ahead_drain(struct ahead *a);
void ahead_free(struct ahead *a); /* drops what was not given out; NULL ok */

#endif
