/*
 * offline.h - checking files against proofs, and copies of the log, by paths:
 * what vouch-check and `vouch check` do.  Reads files, talks to nobody.
 */
#ifndef LEDGER_OFFLINE_H
#define LEDGER_OFFLINE_H

#include <stdbool.h>

#include "base/auto.h"

struct buf;
struct errmsg;

struct offline_options {
	/*
	 * Trust file; NULL: $VOUCH_TRUST, else vouchfs/trust below
	 * $XDG_CONFIG_HOME or ~/.config.  -ERR_USAGE when there is none.
	 */
	const char *trust;
	bool json;
};

/* Appends what was established to out; else the reason is in em. */
int must_use offline_check_file(struct buf *out, const char *file,
				const char *proof,
				const struct offline_options *o,
				struct errmsg *em);
/* A directory with checkpoint and tile/. */
int must_use offline_check_log(struct buf *out, const char *dir,
			       const struct offline_options *o,
			       struct errmsg *em);

#endif
