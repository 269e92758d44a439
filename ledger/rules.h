/*
 * rules.h - the append rules: what every follower checks of every batch.
 *
 * A state machine fed with the leaves of a log in order; pure but for the
 * callback.  It keeps the keys and where each mount stands; its size is that
 * of the keys, never of the log.  One thread at a time.
 */
#ifndef LEDGER_RULES_H
#define LEDGER_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/limits.h"
#include "ledger/entry.h"
#include "ledger/key.h"
#include "ledger/seal.h"

struct buf;
struct rules;

/* Root of this log at a size <= the leaves given so far. */
typedef int rules_root_fn(void *ctx, struct digest *out, uint64_t size);

int must_use rules_new(struct rules **out, rules_root_fn *root, void *ctx);
void rules_free(struct rules *r); /* NULL is a no-op */

/* One stored entry. */
struct rules_entry {
	const uint8_t *p;
	uint32_t n;
};

/*
 * What the entries of a batch say by themselves: their encodings, leaf hashes
 * and root, and that none names one that comes later.  It is nearly all the
 * work of a check, and pure, so that others may do it ahead.
 */
struct rules_prepared {
	int rc;		/* 0, or what is wrong with entry `wrong` */
	uint32_t wrong; /* n when rc is 0 */
	struct errmsg why;
	bool unhashed; /* leaves from `wrong` on and root are not known */
	uint32_t redacted;
	bool control; /* some are about keys */
	struct digest root;
	struct digest leaves[LIMIT_BATCH];
	uint16_t slot[2 * LIMIT_BATCH]; /* by leaf: position + 1, 0: free */
};
/* n <= LIMIT_BATCH. */
void rules_prepare(struct rules_prepared *out, const struct rules_entry *v,
		   uint32_t n);

/* first_seq of a mount's first seal. */
enum { RULES_FIRST_SEQ = 1 };

enum rules_answer { RULES_OK = 0, RULES_KNOWN = 1 };

struct rules_batch {
	uint64_t leaf_index; /* must be the next one, rules_size() */
	const uint8_t *seal;
	size_t seal_n;
	const struct rules_entry *entries;
	uint32_t n;
	const struct rules_prepared *prepared; /* of these entries, or NULL */
	struct digest *out_leaves;	       /* n leaf hashes, or NULL */
	struct digest *out_seal_leaf;	       /* or NULL */
	bool skip_signature; /* the caller knows it: made here, or checked */
};

/*
 * Checks a batch and, when it is good, moves on.  RULES_OK; RULES_KNOWN: a
 * resubmission of a recent batch, *out_index is where it lies, nothing
 * changed.  Negative: the seal is invalid, nothing changed: -ERR_SIGNATURE,
 * -ERR_KEY (not active), -ERR_REJECTED (a rule), or a decoder's code.
 */
int must_use rules_check(struct rules *r, const struct rules_batch *b,
			 uint64_t *out_index, struct errmsg *em);

uint64_t rules_size(const struct rules *r); /* leaves accepted */

/* --- what was learned --- */

const uint8_t *rules_volume_id(const struct rules *r); /* NULL before leaf 0 */
/* Borrowed, not terminated. */
struct entry_str rules_origin(const struct rules *r);
unsigned rules_admins(const struct rules *r, const uint8_t (**out)[KEY_SIZE]);

struct rules_key {
	uint8_t id[KEY_ID_SIZE];
	uint8_t pub[KEY_SIZE];
	uint8_t cert[128];
	uint8_t role; /* enum key_role */
	uint32_t mount_no;
	uint64_t from;	 /* first leaf it may sign */
	uint64_t until;	 /* last leaf it may sign, UINT64_MAX: active */
	uint8_t revoked; /* 0, or REVOKE's reason, 255: rotated */
	int64_t suspect_since_ns;
	char name[64];
};
size_t rules_key_count(const struct rules *r);
const struct rules_key *rules_key_at(const struct rules *r, size_t i);
const struct rules_key *rules_key_find(const struct rules *r,
				       const uint8_t id[KEY_ID_SIZE]);

/* Where a mount stands: what its next seal must carry on from. */
struct rules_mount {
	uint32_t mount_no;
	uint64_t batch_seq; /* of its last seal; 0: none */
	uint64_t next_first_seq;
	struct digest last_seal;
	uint64_t last_index;
	int64_t last_wall_ns;
	uint64_t seen_size;
	uint8_t incarnation[16];
};
const struct rules_mount *rules_mount_find(const struct rules *r,
					   uint32_t mount_no);
/* Largest mount number given out. */
uint32_t rules_mount_last(const struct rules *r);

/*
 * Saves the state, and takes it up again, so that a start need not replay
 * history.  The bytes end in a SHA-256 of the rest; the caller keeps them
 * with the log size they belong to (rules_size) and checks the root there.
 */
int must_use rules_save(const struct rules *r, struct buf *out);
int must_use rules_load(struct rules **out, const void *p, size_t n,
			rules_root_fn *root, void *ctx);

#endif
