/*
 * trust.h - the trust file: whose word counts.  Text, one per line:
 *   log VKEY        signs checkpoints (retired ones too)
 *   admin VKEY      signs certificates of mount keys
 *   witness VKEY    cosigns checkpoints (vkey type 4)
 * Blank lines and lines starting with '#' are skipped.  Pure.
 */
#ifndef LEDGER_TRUST_H
#define LEDGER_TRUST_H

#include <stddef.h>

#include "base/auto.h"
#include "ledger/note.h"

struct buf;
struct errmsg;

enum { TRUST_KEYS_MAX = 32, TRUST_FILE_MAX = 64 << 10 };

struct trust {
	size_t n_logs;
	size_t n_admins;
	size_t n_witnesses;
	struct note_vkey logs[TRUST_KEYS_MAX];
	struct note_vkey admins[TRUST_KEYS_MAX];
	struct note_vkey witnesses[TRUST_KEYS_MAX];
};

/* At least one log key.  -ERR_FORMAT with the line's number in em. */
int must_use trust_parse(struct trust *out, const void *p, size_t n,
			 struct errmsg *em);
void trust_format(struct buf *out, const struct trust *t);
/* Adds one key; what is "log", "admin" or "witness". */
int must_use trust_add(struct trust *t, const char *what,
		       const struct note_vkey *k);
/* vkey name of an admin key: ORIGIN "/admin". */
int must_use trust_admin_vkey(struct note_vkey *out, const char *origin,
			      const uint8_t pub[32]);

#endif
