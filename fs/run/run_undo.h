/*
 * run_undo.h - undos that were begun and not finished, as the log tells: a run
 * called "undo" that was lost or ended by a signal, and none after it that
 * ended and was to take back as much.
 *
 * Any thread, with a reader of its own.
 */
#ifndef FS_RUN_UNDO_H
#define FS_RUN_UNDO_H

#include "base/auto.h"

struct buf;
struct idx_reader;
struct ledger;

#define RUN_UNDO_NAME "undo"

/*
 * Calls fn with each run (NAME.NUMBER) that is not wholly taken back; nonzero
 * stops and is returned.  The last RUN_UNDO_MAX undos are looked at.
 */
enum { RUN_UNDO_MAX = 64 };
typedef int run_undo_fn(void *ctx, const char *word);
int must_use run_undo_unfinished(struct ledger *l, struct idx_reader *r,
				 run_undo_fn *fn, void *ctx);

#endif
