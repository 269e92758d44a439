/*
 * retain_int.h - for retain*.c: what holds while versions are looked at.
 */
#ifndef FS_RETAIN_INT_H
#define FS_RETAIN_INT_H

#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"
#include "fs/commit/pend.h"
#include "fs/upkeep/retain.h"

struct buf;
struct entry;
struct entry_rule;
struct idx_reader;

struct retain_rule {
	uint8_t keep;
	uint64_t seconds;
	uint32_t versions;
	char *pattern;
};

struct retain_hold_item {
	uint64_t ino;
	char *pattern; /* NULL: the inode */
};

/* Policy, holds and snapshots, as the journal says. */
struct retain_law {
	uint64_t policy_no; /* 0: none */
	struct digest policy;
	struct retain_rule *rules;
	unsigned n_rules;
	struct retain_hold_item *holds;
	unsigned n_holds;
	uint64_t *snapshots; /* entry numbers, ascending */
	unsigned n_snapshots;
	uint64_t floor_no; /* versions up to here are kept; 0: no such */
};

/* *out is released by the caller also after an error. */
int must_use retain_law_load(struct core *c, struct idx_reader *r,
			     struct retain_law *out);
void retain_law_release(struct retain_law *l);

/* Makes the pend anew each time; NULL: no memory. */
typedef struct pend *retain_make_fn(void *ctx);
/* Enters what `make` gives and waits for the index; works on a full disk. */
int must_use retain_enter(struct core *c, const struct cred *cr,
			  retain_make_fn *make, void *ctx, uint64_t *out_no);

/*
 * Enters a POLICY: n rules from now on, all others end.  -ERR_LIMIT: more than
 * LIMIT_RULES, or they do not fit an entry; -ERR_FORMAT: a rule breaks the
 * rules of entry.h.  The caller holds core.retain_mu.
 */
int must_use retain_policy_locked(struct core *c, const struct cred *cr,
				  const struct entry_rule *v, uint16_t n,
				  uint64_t *out_no, struct errmsg *em);

/*
 * An entry from the journal, its signed place checked; `bytes` holds it.
 * kind 0: any.  -ERR_CORRUPT: of another kind.
 */
int must_use retain_read(struct core *c, struct entry *out, struct buf *bytes,
			 struct digest *out_leaf, uint64_t no, uint16_t kind);

#endif
