/*
 * fsck.h - everything a log names is there: for `vouch verify` and `fsck`,
 * on a mounted volume or beside it.
 *
 * Damage is told in words to found() and counted; an error is returned only
 * when looking itself was not possible.  Any thread; reads only, unless
 * `repair`.
 */
#ifndef FS_FSCK_H
#define FS_FSCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "fs/store/store.h"
#include "ledger/ledger.h"

struct errmsg;

struct fsck_options {
	bool deep; /* every byte of every chunk; else the log alone */
	bool repair;
	const char *consistent_with; /* an old checkpoint note, or NULL */
	void (*found)(void *ctx, const char *words);
	/* part: "log", "chunks", "versions" */
	void (*progress)(void *ctx, const char *part, uint64_t done,
			 uint64_t all);
	/* True: give up, with -ECANCELED; asked now and then.  NULL: never. */
	bool (*stop)(void *ctx);
	void *ctx;
};

struct fsck_report {
	struct ledger_verify_report log;
	struct store_check_report store;
	uint64_t versions; /* whose chunks were looked for */
	uint64_t released; /* of them those whose bytes were given up */
	uint64_t taken;	   /* chunks of saves and old attributes, by gc */
	uint64_t missing;  /* chunks that are in no pack */
	uint64_t unneeded; /* chunks that no entry names */
	uint64_t damaged;  /* places in all */
	uint64_t left;	   /* of them those that were not repaired */
};

/* The log; with `deep` (store not NULL) the store and that both agree. */
int must_use fsck_verify(struct ledger *l, struct store *s,
			 struct fsck_report *out, const struct fsck_options *o,
			 struct errmsg *em);

#endif
