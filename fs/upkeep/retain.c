/*
 * retain.c - POLICY and HOLD entries; what a release acts under is read back
 * from the journal.  See retain.h.
 *
 * Threads: any, under core.retain_mu where an entry is made.
 */
#include "fs/upkeep/retain.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "fs/core/core_internal.h"
#include "fs/commit/leafcell.h"
#include "fs/upkeep/retain_int.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/entry.h"
#include "ledger/ledger.h"

/* --- entering --- */

struct enter_arg {
	struct actor *actor;
	retain_make_fn *make;
	void *ctx;
	struct leafcell *cell;
};

static int enter_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct enter_arg *a = arg;
	struct pend *p = a->make(a->ctx);

	if (!p)
		return -ENOMEM;
	leafcell_drop(a->cell);
	a->cell = leafcell_hold(p->cell);
	return core_submit(c, tx, p, NULL, a->actor);
}

int retain_enter(struct core *c, const struct cred *cr, retain_make_fn *make,
		 void *ctx, uint64_t *out_no)
{
	struct enter_arg a = { .make = make, .ctx = ctx };
	int rc = core_may_change(c, SPACE_COLLECT);

	if (rc < 0)
		return rc;
	a.actor = core_actor(c, cr);
	rc = core_op(c, enter_op, &a);
	actor_drop(c->actors, a.actor);
	if (rc >= 0)
		rc = core_settle_index(c);
	if (rc >= 0)
		*out_no = atomic_load(&a.cell->entry_no);
	leafcell_drop(a.cell);
	return rc < 0 ? rc : 0;
}

/* Would this body be an entry?  Asked before it is queued. */
static int check_body(const struct entry_body *b)
{
	struct buf bytes = BUF_INIT;
	int rc = entry_body_encode(&bytes, b);

	buf_release(&bytes);
	return rc;
}

struct rules {
	const struct entry_rule *v;
	uint16_t n;
};

static struct pend *make_policy(void *ctx)
{
	const struct rules *in = ctx;
	struct entry_rule *v;
	struct pend *p;
	size_t bytes = 0;

	for (unsigned i = 0; i < in->n; i++)
		bytes += in->v[i].pattern.n;
	p = pend_new(ENTRY_POLICY, bytes);
	v = calloc((size_t)in->n + 1, sizeof(*v));
	if (!p || !v) {
		pend_free(p);
		free(v);
		return NULL;
	}
	for (unsigned i = 0; i < in->n; i++) {
		v[i] = in->v[i];
		v[i].pattern = pend_str(p, v[i].pattern.p, v[i].pattern.n);
	}
	p->arrays = v;
	p->e.body.policy.n = in->n;
	p->e.body.policy.v = v;
	return p;
}

int retain_policy_locked(struct core *c, const struct cred *cr,
			 const struct entry_rule *v, uint16_t n,
			 uint64_t *out_no, struct errmsg *em)
{
	struct entry_body b = { .kind = ENTRY_POLICY };
	struct rules in = { v, n };
	int rc;

	if (n > LIMIT_RULES)
		return errmsg_set(em, -ERR_LIMIT, "more than %d rules",
				  (int)LIMIT_RULES);
	b.policy.n = n;
	b.policy.v = v;
	rc = check_body(&b);
	if (rc == -ERR_LIMIT)
		return errmsg_set(em, rc, "the rules do not fit one entry");
	if (rc < 0)
		return errmsg_set(em, rc, "a rule cannot be: %s", err_text(rc));
	rc = retain_enter(c, cr, make_policy, &in, out_no);
	return rc < 0 ? errmsg_set(em, rc, "%s", err_text(rc)) : 0;
}

static struct pend *make_hold(void *ctx)
{
	const struct entry_hold *in = ctx;
	struct pend *p = pend_new(ENTRY_HOLD, in->pattern.n + in->reason.n);
	struct entry_hold *b;

	if (!p)
		return NULL;
	b = &p->e.body.hold;
	*b = *in;
	b->pattern = pend_str(p, in->pattern.p, in->pattern.n);
	b->reason = pend_str(p, in->reason.p, in->reason.n);
	return p;
}

static int enter_hold(struct core *c, const struct cred *cr,
		      struct entry_hold *in, uint64_t *out_no,
		      struct errmsg *em)
{
	struct entry_body b = { .kind = ENTRY_HOLD };
	int rc;

	b.hold = *in;
	rc = check_body(&b);
	if (rc == 0)
		rc = retain_enter(c, cr, make_hold, in, out_no);
	return rc < 0 ? errmsg_set(em, rc, "%s", err_text(rc)) : 0;
}

int retain_hold(struct core *c, const struct cred *cr, const char *pattern,
		uint64_t ino, const char *reason, uint64_t *out_no,
		struct errmsg *em)
{
	struct entry_hold in = {
		.inode = pattern ? 0 : ino,
		.pattern = ENTRY_STR(pattern ? pattern : ""),
		.reason = ENTRY_STR(reason),
	};
	int rc;

	mutex_lock(&c->retain_mu);
	rc = enter_hold(c, cr, &in, out_no, em);
	mutex_unlock(&c->retain_mu);
	return rc;
}

/* --- reading back --- */

int retain_read(struct core *c, struct entry *out, struct buf *bytes,
		struct digest *out_leaf, uint64_t no, uint16_t kind)
{
	int rc;

	buf_clear(bytes);
	rc = ledger_read_entry(c->ledger, bytes, out_leaf, no);
	if (rc >= 0)
		rc = entry_open(out, NULL, bytes->p, bytes->n, NULL);
	if (rc >= 0 && kind && out->core.kind != kind)
		rc = -ERR_CORRUPT;
	return rc < 0 ? rc : 0;
}

static int on_hold_no(void *ctx, const struct idx_hold *v)
{
	uint64_t *no = ctx;

	return v->no == *no && !v->until_no;
}

static int lift_locked(struct core *c, const struct cred *cr, uint64_t hold_no,
		       const char *reason, uint64_t *out_no, struct errmsg *em)
{
	struct entry_hold in = { .flags = ENTRY_HOLD_LIFTED,
				 .pattern = ENTRY_STR(""),
				 .reason = ENTRY_STR(reason) };
	struct buf bytes = BUF_INIT;
	struct idx_reader *r = NULL;
	struct entry e;
	int rc = core_settle_index(c);

	if (rc >= 0)
		rc = core_reader_take(c, &r);
	if (rc >= 0)
		rc = idx_holds(r, on_hold_no, &hold_no);
	core_reader_give(c, r);
	if (rc == 0)
		return errmsg_set(em, -ENOENT,
				  "no hold in force is entry "
				  "%llu.%u",
				  (unsigned long long)ENTRY_NO_SEAL(hold_no),
				  ENTRY_NO_POS(hold_no));
	if (rc > 0)
		rc = retain_read(c, &e, &bytes, &in.lifted, hold_no,
				 ENTRY_HOLD);
	buf_release(&bytes);
	if (rc < 0)
		return errmsg_set(em, rc, "%s", err_text(rc));
	return enter_hold(c, cr, &in, out_no, em);
}

int retain_lift(struct core *c, const struct cred *cr, uint64_t hold_no,
		const char *reason, uint64_t *out_no, struct errmsg *em)
{
	int rc;

	mutex_lock(&c->retain_mu);
	rc = lift_locked(c, cr, hold_no, reason, out_no, em);
	mutex_unlock(&c->retain_mu);
	return rc;
}

/* --- what holds now --- */

void retain_law_release(struct retain_law *l)
{
	for (unsigned i = 0; i < l->n_rules; i++)
		free(l->rules[i].pattern);
	for (unsigned i = 0; i < l->n_holds; i++)
		free(l->holds[i].pattern);
	free(l->rules);
	free(l->holds);
	free(l->snapshots);
	*l = (struct retain_law){ .policy_no = 0 };
}

/* The list with room for one more of `size` bytes; lists double. */
static void *grown(void *v, unsigned n, size_t size)
{
	if (n & (n - 1) || (n && n < 8))
		return v;
	return realloc(v, (n ? (size_t)n * 2 : 8) * size);
}

static int load_policy(struct core *c, struct idx_reader *r,
		       struct retain_law *l)
{
	struct buf bytes = BUF_INIT;
	struct idx_policy p;
	struct entry e;
	int rc = idx_policy(r, &p);

	if (rc <= 0)
		return rc;
	rc = retain_read(c, &e, &bytes, &l->policy, p.no, ENTRY_POLICY);
	if (rc == 0 && (e.state != ENTRY_CLEAR || e.body.policy.n != p.count))
		rc = -ERR_CORRUPT;
	if (rc == 0) {
		l->policy_no = p.no;
		l->rules = calloc((size_t)p.count + 1, sizeof(*l->rules));
		rc = l->rules ? 0 : -ENOMEM;
	}
	for (unsigned i = 0; rc == 0 && i < p.count; i++) {
		struct entry_rule v;

		entry_policy_at(&v, &e.body.policy, i);
		l->rules[i].keep = v.keep;
		l->rules[i].seconds = v.seconds;
		l->rules[i].versions = v.versions;
		l->rules[i].pattern = strndup(v.pattern.p, v.pattern.n);
		rc = l->rules[i].pattern ? 0 : -ENOMEM;
		l->n_rules = i + 1;
	}
	buf_release(&bytes);
	return rc;
}

struct load {
	struct core *c;
	struct retain_law *l;
	struct buf bytes;
};

static int load_hold(void *ctx, const struct idx_hold *v)
{
	struct load *x = ctx;
	struct retain_hold_item *item, *list;
	struct digest leaf;
	struct entry e;
	int rc;

	if (v->until_no)
		return 0;
	rc = retain_read(x->c, &e, &x->bytes, &leaf, v->no, ENTRY_HOLD);
	if (rc < 0)
		return rc;
	list = grown(x->l->holds, x->l->n_holds, sizeof(*list));
	if (!list)
		return -ENOMEM;
	x->l->holds = list;
	item = &x->l->holds[x->l->n_holds];
	*item = (struct retain_hold_item){ .ino = v->ino };
	if (e.state == ENTRY_CLEAR)
		item->ino = e.body.hold.inode;
	if (e.state == ENTRY_CLEAR && e.body.hold.pattern.n)
		item->pattern =
			strndup(e.body.hold.pattern.p, e.body.hold.pattern.n);
	else if (e.state != ENTRY_CLEAR && v->pattern)
		item->pattern = strdup(v->pattern);
	if (!item->ino && !item->pattern)
		return -ENOMEM;
	x->l->n_holds++;
	return 0;
}

static int load_snapshot(void *ctx, const struct idx_snapshot *v)
{
	struct load *x = ctx;
	uint64_t *list;

	/* An older place than its own: all before is kept. */
	if (!digest_is_zero(&v->position)) {
		if (v->no > x->l->floor_no)
			x->l->floor_no = v->no;
		return 0;
	}
	list = grown(x->l->snapshots, x->l->n_snapshots, sizeof(*list));
	if (!list)
		return -ENOMEM;
	x->l->snapshots = list;
	list[x->l->n_snapshots++] = v->no;
	return 0;
}

int retain_law_load(struct core *c, struct idx_reader *r,
		    struct retain_law *out)
{
	struct load x = { .c = c, .l = out, .bytes = BUF_INIT };
	int rc = load_policy(c, r, out);

	if (rc >= 0)
		rc = idx_holds(r, load_hold, &x);
	if (rc >= 0)
		rc = idx_snapshots(r, load_snapshot, &x);
	buf_release(&x.bytes);
	return rc < 0 ? rc : 0;
}
