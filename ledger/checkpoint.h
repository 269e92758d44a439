/*
 * checkpoint.h - C2SP tlog-checkpoint: origin, size, root as a signed note.
 * Pure; callable from any thread.
 */
#ifndef LEDGER_CHECKPOINT_H
#define LEDGER_CHECKPOINT_H

#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"
#include "base/limits.h"

struct buf;
struct key;
struct note_vkey;

enum { CHECKPOINT_MAX = 64 << 10 };

struct checkpoint {
	char origin[LIMIT_ORIGIN + 1];
	uint64_t size;
	struct digest root;
};

/* True for a name that can be an origin: a note key name, <= LIMIT_ORIGIN. */
int must_use checkpoint_origin_check(const char *s, size_t n);
/* The three lines. */
void checkpoint_format(struct buf *out, const struct checkpoint *c);
/* The text of a note; extension lines are accepted and ignored. */
int must_use checkpoint_parse(struct checkpoint *out, const char *p, size_t n);
/* Appends the whole note signed by the log's key; key name = origin. */
int must_use checkpoint_sign(struct buf *out, const struct checkpoint *c,
			     const struct key *log);
/*
 * Parses a note and requires a valid signature by one of the log keys whose
 * name is the checkpoint's origin.  -ERR_FORMAT, -ERR_KEY, -ERR_SIGNATURE.
 */
int must_use checkpoint_open(struct checkpoint *out, const void *p, size_t n,
			     const struct note_vkey *keys, size_t n_keys);

#endif
