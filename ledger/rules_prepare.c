/*
 * rules_prepare.c - what the entries of one batch say by themselves.
 *
 * Pure; any thread.  Two passes: all leaf hashes first, for an entry may be
 * told to come later only when those behind it are known.
 */
#include <assert.h>
#include <string.h>

#include "ledger/rules.h"
#include "ledger/seal.h"

enum { SLOTS = 2 * LIMIT_BATCH };

/* Where a leaf hash of this batch lies, -1 if it is none. */
static int find(const struct rules_prepared *b, const struct digest *leaf)
{
	size_t at = (size_t)digest_prefix(leaf) % SLOTS;

	for (; b->slot[at] != 0; at = (at + 1) % SLOTS)
		if (digest_eq(&b->leaves[b->slot[at] - 1], leaf))
			return b->slot[at] - 1;
	return -1;
}

static bool add(struct rules_prepared *b, unsigned pos)
{
	size_t at = (size_t)digest_prefix(&b->leaves[pos]) % SLOTS;

	for (; b->slot[at] != 0; at = (at + 1) % SLOTS)
		if (digest_eq(&b->leaves[b->slot[at] - 1], &b->leaves[pos]))
			return false;
	b->slot[at] = (uint16_t)(pos + 1);
	return true;
}

static int hash(struct rules_prepared *out, const struct rules_entry *e,
		unsigned i)
{
	struct entry_view view;
	int rc = entry_decode(&view, e->p, e->n);

	if (rc != 0)
		return rc;
	entry_view_leaf(&out->leaves[i], &view);
	if (view.state == ENTRY_REDACTED)
		out->redacted++;
	return add(out, i) ? 0 :
			     errmsg_set(&out->why, -ERR_REJECTED,
					"the same entry twice");
}

struct order {
	const struct rules_prepared *b;
	int pos;
};

static int order_ref(void *ctx, const struct digest *leaf)
{
	const struct order *o = ctx;

	return find(o->b, leaf) >= o->pos ? -ERR_REJECTED : 0;
}

static int open_entry(struct rules_prepared *out, const struct rules_entry *v,
		      unsigned i)
{
	struct order order = { .b = out, .pos = (int)i };
	struct entry e;
	int rc = entry_open(&e, NULL, v->p, v->n, &out->why);

	if (rc != 0)
		return rc;
	if (entry_refs(&e.core, &e.body, order_ref, &order) != 0)
		return errmsg_set(&out->why, -ERR_REJECTED,
				  "it names an entry that comes later");
	return 0;
}

void rules_prepare(struct rules_prepared *out, const struct rules_entry *v,
		   uint32_t n)
{
	assert(n <= LIMIT_BATCH);
	out->rc = 0;
	out->why.text[0] = '\0';
	out->redacted = 0;
	out->unhashed = true;
	memset(out->slot, 0, sizeof(out->slot));
	for (out->wrong = 0; out->wrong < n; out->wrong++) {
		out->rc = hash(out, &v[out->wrong], out->wrong);
		if (out->rc != 0)
			return;
	}
	seal_batch_root(&out->root, out->leaves, n);
	out->unhashed = false;
	for (out->wrong = 0; out->wrong < n; out->wrong++) {
		out->rc = open_entry(out, &v[out->wrong], out->wrong);
		if (out->rc != 0)
			return;
	}
}
