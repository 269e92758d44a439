/*
 * entry_retain.c - bodies of the entries about what is kept: POLICY, HOLD, GC.
 *
 * As entry_body.c: one function per kind writes, reads or compares it.
 *
 * Invariants: (1) A POLICY is the whole policy: its rules in the order in
 * which they are asked, no pattern twice.  (2) A HOLD names a pattern, an
 * inode, or the HOLD that it lifts, one of the three.  (3) A GC's ranges
 * ascend and do not overlap, so that a version is in one entry once.
 *
 * Pure; any thread.
 */
#include "ledger/entry_retain.h"

#include <string.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "ledger/xb.h"

enum { REASON_MAX = 1024 };

static bool same_str(const struct entry_str *a, const struct entry_str *b)
{
	return a->n == b->n && memcmp(a->p, b->p, a->n) == 0;
}

/* --- POLICY --- */

static void x_rule(struct xb *x, struct entry_rule *r)
{
	xb_u8(x, &r->keep);
	xb_rule(x, r->keep <= (ENTRY_KEEP_AGE | ENTRY_KEEP_COUNT));
	if (r->keep & ENTRY_KEEP_AGE) {
		xb_u64(x, &r->seconds);
		xb_rule(x, r->seconds >= 1 &&
				   r->seconds <= ENTRY_KEEP_SECONDS_MAX);
	}
	if (r->keep & ENTRY_KEEP_COUNT) {
		xb_u32(x, &r->versions);
		xb_rule(x, r->versions >= 1);
	}
	xb_str(x, &r->pattern, 1, LIMIT_PATH);
}

void entry_retain_policy(struct xb *x, struct entry_policy *b)
{
	struct entry_str seen[LIMIT_RULES];

	xb_u16(x, &b->n);
	xb_rule(x, b->n <= LIMIT_RULES);
	if (x->mode == XB_READ) {
		b->v = NULL;
		b->raw = x->r.p;
		b->raw_n = x->r.left;
	}
	for (unsigned i = 0; x->rc == 0 && i < b->n; i++) {
		struct entry_rule r = { .keep = 0 };

		if (x->mode != XB_READ)
			entry_policy_at(&r, b, i);
		x_rule(x, &r);
		seen[i] = r.pattern;
		for (unsigned k = 0; x->rc == 0 && k < i; k++)
			xb_rule(x, !same_str(&seen[k], &seen[i]));
	}
	if (x->mode == XB_READ)
		b->raw_n -= x->r.left;
}

/* --- HOLD --- */

void entry_retain_hold(struct xb *x, struct entry_hold *b)
{
	bool lifts;

	xb_u8(x, &b->flags);
	xb_rule(x, b->flags <= ENTRY_HOLD_LIFTED);
	xb_digest(x, &b->lifted);
	xb_u64(x, &b->inode);
	xb_str(x, &b->pattern, 0, LIMIT_PATH);
	xb_str(x, &b->reason, 1, REASON_MAX);
	lifts = b->flags & ENTRY_HOLD_LIFTED;
	xb_rule(x, lifts == !digest_is_zero(&b->lifted));
	xb_rule(x, lifts ? b->inode == 0 && b->pattern.n == 0 :
			   (b->inode == 0) != (b->pattern.n == 0));
}

/* --- GC --- */

void entry_retain_gc(struct xb *x, struct entry_gc *b)
{
	struct entry_release last = { .inode = 0 };

	xb_digest(x, &b->policy);
	xb_u64(x, &b->bytes);
	xb_u16(x, &b->n);
	xb_rule(x, b->n >= 1 && b->n <= LIMIT_RELEASES);
	if (x->mode == XB_READ) {
		b->v = NULL;
		b->raw = x->r.p;
	}
	for (unsigned i = 0; x->rc == 0 && i < b->n; i++) {
		struct entry_release r = { .inode = 0 };

		if (x->mode != XB_READ)
			entry_gc_at(&r, b, i);
		xb_u64(x, &r.inode);
		xb_u64(x, &r.first);
		xb_u64(x, &r.last);
		xb_rule(x, r.inode != 0 && r.first != 0 && r.first <= r.last);
		xb_rule(x, r.inode > last.inode || (r.inode == last.inode &&
						    r.first > last.last));
		last = r;
	}
}
