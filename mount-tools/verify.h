/*
 * verify.h - one verification and what it found; shared by verify, scrub and
 * fsck.  One thread.
 */
#ifndef MOUNT_TOOLS_VERIFY_H
#define MOUNT_TOOLS_VERIFY_H

#include <stdbool.h>

#include "base/buf.h"
#include "fs/upkeep/fsck.h"
#include "mount-tools/opt.h"
#include "mount-tools/progress.h"

struct errmsg;
struct ledger;
struct store;

struct verify {
	bool deep, repair;
	enum opt_format format;
	struct buf note; /* an old checkpoint to be consistent with */
	struct fsck_report report;
	struct buf found;   /* JSON strings, commas between */
	struct buf lines;   /* the same as text */
	struct buf repairs; /* fsck --repair: JSON strings */
	struct progress bar;
	bool fsck;	   /* these were looked at, too: */
	bool index_same;   /* row for row as one made anew */
	uint64_t packs;	   /* names, headers, footers */
	uint64_t replicas; /* that could be reached */
};

void verify_found(struct verify *v, const char *words);
/* Fills report and findings; s may be NULL unless deep. */
int must_use verify_offline(struct verify *v, struct ledger *l, struct store *s,
			    struct errmsg *em);
/* Prints all of it; the exit status. */
int verify_print(struct verify *v);
void verify_release(struct verify *v);

#endif
