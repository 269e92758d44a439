/*
 * rules_impl.h - the state of the append rules; for rules.c and rules_save.c.
 */
#ifndef LEDGER_RULES_IMPL_H
#define LEDGER_RULES_IMPL_H

#include "ledger/rules.h"

enum { RULES_RECENT = 16 };
enum { RULES_KEYS_MAX = 1 << 16, RULES_MOUNTS_MAX = 1 << 16 };

/* Entries about keys; all others are nothing to the append rules. */
static inline bool rules_is_control(uint16_t kind)
{
	return kind == ENTRY_GENESIS || kind == ENTRY_KEY_ADD ||
	       kind == ENTRY_ROTATE || kind == ENTRY_REVOKE ||
	       kind == ENTRY_NEW_ORIGIN;
}

struct rules_recent {
	struct digest leaf;
	uint64_t index;
};

struct rules_place {
	struct rules_mount m;
	struct rules_recent
		recent[RULES_RECENT]; /* slot batch_seq % RULES_RECENT */
};

struct rules_keys {
	struct rules_key *v;
	size_t n;
};

struct rules {
	rules_root_fn *root;
	void *ctx;
	uint64_t size; /* 0: not started */
	uint8_t volume_id[16];
	uint8_t origin_n;
	char origin[LIMIT_ORIGIN + 1];
	uint8_t n_admin;
	uint8_t admin[ENTRY_ADMIN_MAX][KEY_SIZE];
	struct rules_keys keys;
	struct rules_place *mounts;
	size_t n_mounts;
	struct rules_prepared own; /* scratch of one call */
};

#endif
