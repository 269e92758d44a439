/*
 * fsck_repair.h - `vouch fsck --repair`, for the files that do it.
 *
 * Every step looks again at what is there and puts one thing in its place by
 * rename, so it may be killed anywhere and be run again.  One thread.
 */
#ifndef MOUNT_TOOLS_FSCK_REPAIR_H
#define MOUNT_TOOLS_FSCK_REPAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "ledger/volume.h"
#include "mount-tools/opt.h"

struct errmsg;
struct vio;

enum { FSCK_REPLICAS_MAX = 64 };
/* Where a journal is put together before it is believed. */
#define FSCK_STAGE "repair.tmp"

struct fsck_repair {
	const char *store; /* absolute */
	struct vio *vio;   /* rooted there */
	struct volume volume;
	bool text;	  /* print as it goes */
	bool accept_loss; /* of what was synced and is gone */
	char *replica[FSCK_REPLICAS_MAX];
	uint16_t number[FSCK_REPLICAS_MAX]; /* 0: not known to the log */
	unsigned n_replicas;
	struct buf json;     /* what was repaired: strings, commas between */
	struct buf segments; /* journal segments put back, for the log */
	/* what opening the volume puts right, lines; told once it has */
	struct buf mends;
	unsigned n_mends;
	uint64_t repaired, left;
};

/* Told as done, or (left) as what cannot be. */
void fsck_repair_did(struct fsck_repair *x, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void fsck_repair_left(struct fsck_repair *x, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Removes FSCK_STAGE. */
int must_use fsck_journal_clear(struct fsck_repair *x);
/*
 * The journal: when it does not give the signed root, segments are fetched
 * again from a replica, and put in place only if with them it does.  0 also
 * when it could not be put right (told).
 */
int must_use fsck_journal(struct fsck_repair *x, struct errmsg *em);

/*
 * All steps; afterwards the caller checks as ever.  `from` may name
 * directories of replicas that the log does not know, or cannot tell.
 */
int must_use fsck_repair_run(struct fsck_repair *x, const char *store,
			     const struct opt_texts *from, struct errmsg *em);
void fsck_repair_release(struct fsck_repair *x);

#endif
