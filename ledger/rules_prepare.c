/*
 * rules_prepare.c - what the entries of one batch say by themselves.
 *
 * Pure; any thread.  Two passes.  The first decodes each entry once, hashes it
 * and checks its body while it is at hand; the second, when all leaf hashes
 * are known, asks whether an entry names one that comes later, and for nearly
 * all of them looks at the core alone.  The error that is reported is the
 * first in the order of the entries, but one that left entries unhashed goes
 * before all.
 */
#include <assert.h>
#include <string.h>

#include "ledger/rules_impl.h"
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

/* Decodes the entry, and hashes it. */
static int hash(struct rules_prepared *out, struct entry_view *view,
		const struct rules_entry *e, unsigned i)
{
	int rc = entry_decode(view, e->p, e->n);

	out->why.text[0] = '\0';
	if (rc != 0)
		return rc;
	entry_view_leaf(&out->leaves[i], view);
	if (view->state == ENTRY_REDACTED)
		out->redacted++;
	return add(out, i) ? 0 :
			     errmsg_set(&out->why, -ERR_REJECTED,
					"the same entry twice");
}

/* What the first pass found. */
struct pass {
	uint32_t bad; /* the first entry whose body is wrong; n: none */
	int rc;
	struct errmsg why;
	bool more[LIMIT_BATCH]; /* the body names entries, too */
};

/* An entry_ref_fn. */
static int stop(void *ctx, const struct digest *leaf)
{
	(void)ctx;
	(void)leaf;
	return 1;
}

static void open_entry(struct pass *pass, const struct entry_view *view,
		       unsigned i)
{
	static const struct entry_core nothing;
	struct entry e;

	pass->rc = entry_open_view(&e, view, &pass->why);
	if (pass->rc != 0)
		pass->bad = i;
	else
		pass->more[i] = entry_refs(&nothing, &e.body, stop, NULL) != 0;
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

/* Does entry i name one that comes later, or itself? */
static bool names_later(const struct rules_prepared *b,
			const struct rules_entry *v, unsigned i, bool more)
{
	struct order order = { .b = b, .pos = (int)i };
	struct entry e;
	struct digest d;
	int rc;

	if (more) {
		rc = entry_open(&e, NULL, v->p, v->n, NULL);
		assert(rc == 0);
		return entry_refs(&e.core, &e.body, order_ref, &order) != 0;
	}
	for (unsigned at = ENTRY_PREV_AT; at <= ENTRY_ACTOR_AT;
	     at += DIGEST_SIZE) {
		memcpy(d.b, v->p + at, DIGEST_SIZE);
		if (!digest_is_zero(&d) && order_ref(&order, &d) != 0)
			return true;
	}
	return false;
}

static int hash_all(struct rules_prepared *out, struct pass *pass,
		    const struct rules_entry *v, uint32_t n)
{
	struct entry_view view;
	int rc = 0;

	for (out->wrong = 0; rc == 0 && out->wrong < n; out->wrong++) {
		rc = hash(out, &view, &v[out->wrong], out->wrong);
		if (rc != 0)
			return rc;
		if (rules_is_control(view.core.kind))
			out->control = true;
		if (pass->bad == n)
			open_entry(pass, &view, out->wrong);
	}
	return 0;
}

void rules_prepare(struct rules_prepared *out, const struct rules_entry *v,
		   uint32_t n)
{
	struct pass pass = { .bad = n };

	assert(n <= LIMIT_BATCH);
	out->redacted = 0;
	out->control = false;
	out->unhashed = true;
	memset(out->slot, 0, sizeof(out->slot));
	out->rc = hash_all(out, &pass, v, n);
	if (out->rc != 0)
		return;
	seal_batch_root(&out->root, out->leaves, n);
	out->unhashed = false;
	for (out->wrong = 0; out->wrong < pass.bad; out->wrong++)
		if (names_later(out, &v[out->wrong], out->wrong,
				pass.more[out->wrong])) {
			out->rc = errmsg_set(
				&out->why, -ERR_REJECTED,
				"it names an entry that comes later");
			return;
		}
	out->rc = pass.rc;
	out->why = pass.why;
}
