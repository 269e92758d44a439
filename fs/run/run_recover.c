/*
 * run_recover.c - the runs of earlier mounts: those without an end ended when
 * the daemon did, as lost; what is left of all of them still belongs to them.
 *
 * A guarded run stays guarded: its policy, and those of the runs around it, are
 * read from their RUN_START.  What cannot be read refuses everything.  One that
 * ended is guarded as long as its cgroup is there; one that had none, and that
 * nobody saw end, as long as it is known.
 *
 * A mount that is read-only enters nothing, but guards as well.
 *
 * Bounded: of runs that ended, the newest KNOWN_MAX are known again, found
 * among the newest LOOK_MAX runs of any kind.
 *
 * Threads: while the volume is opened, before the first request.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "fs/commit/leafcell.h"
#include "fs/core/actor_proc.h"
#include "fs/core/core_internal.h"
#include "fs/run/run.h"
#include "fs/run/run_guard.h"
#include "index/idx.h"
#include "index/idx_runs.h"
#include "ledger/entry_run.h"
#include "ledger/ledger.h"

enum { KNOWN_MAX = 128, LOOK_MAX = 2048, NESTED_MAX = 64 };

struct found {
	struct idx_run *v;
	size_t n, cap;
};

static int add(struct found *f, const struct idx_run *run)
{
	if (f->n == f->cap) {
		size_t cap = f->cap ? 2 * f->cap : 64;
		struct idx_run *v = reallocarray(f->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		f->v = v;
		f->cap = cap;
	}
	f->v[f->n++] = *run;
	return 0;
}

static int on_open(void *ctx, const struct idx_run *run)
{
	return add(ctx, run);
}

static int on_run(void *ctx, const struct idx_run *run)
{
	struct found *f = ctx;

	if (run->implicit || !run->end_no)
		return 0;
	return f->n == KNOWN_MAX ? 1 : add(f, run);
}

static int look(struct core *c, struct found *open, struct found *ended)
{
	struct idx_reader *r = NULL;
	int rc = core_reader_take(c, &r);

	if (rc >= 0)
		rc = idx_runs_open(r, on_open, open);
	if (rc >= 0)
		rc = idx_runs(r, IDX_NOW, LOOK_MAX, on_run, ended);
	core_reader_give(c, r);
	return rc < 0 ? rc : 0;
}

/* Its RUN_START as the log has it: fn is called while the bytes are there. */
typedef int start_fn(struct core *c, const struct idx_run *run,
		     const struct entry *e, const struct digest *leaf,
		     void *ctx);

static int with_start(struct core *c, const struct idx_run *run, start_fn *fn,
		      void *ctx)
{
	struct ledger_record rec;
	struct entry_view view;
	struct digest leaf;
	struct entry e;
	const uint8_t *p = NULL;
	uint32_t n = 0;
	int rc = ledger_read(c->ledger, &rec, ENTRY_NO_SEAL(run->no));

	if (rc < 0)
		return rc;
	rc = ledger_record_entry(&rec, ENTRY_NO_POS(run->no), &p, &n);
	if (rc >= 0)
		rc = entry_open(&e, &view, p, n, NULL);
	if (rc >= 0 && e.core.kind != ENTRY_RUN_START)
		rc = -ERR_CORRUPT;
	if (rc >= 0) {
		entry_view_leaf(&leaf, &view);
		rc = fn(c, run, &e, &leaf, ctx);
	}
	ledger_record_release(&rec);
	return rc;
}

/* --- its guard ------------------------------------------------------------- */

struct policy_read {
	bool there;
	struct run_policy *policy; /* NULL: not understood */
};

static int read_policy(struct core *c, const struct idx_run *run,
		       const struct entry *e, const struct digest *leaf,
		       void *ctx)
{
	const struct entry_str *text = &e->body.run_start.policy;
	struct policy_read *a = ctx;
	int rc;

	(void)c, (void)run, (void)leaf;
	a->there = text->n > 0;
	rc = a->there ? run_policy_parse(&a->policy, text->p, text->n, NULL) :
			0;
	return rc == -ENOMEM ? rc : 0;
}

static int parent_of(struct core *c, struct idx_run *out,
		     const struct idx_run *run)
{
	struct idx_reader *r = NULL;
	int rc;

	if (!run->parent_no)
		return 0;
	rc = core_reader_take(c, &r);
	if (rc >= 0)
		rc = idx_run(r, out, run->parent_no);
	core_reader_give(c, r);
	return rc > 0 && out->implicit ? 0 : rc;
}

/* Of the run and of those around it; *out gets a reference, NULL: none. */
static int guard_of(struct core *c, struct run_guard **out,
		    const struct idx_run *run, unsigned depth)
{
	struct policy_read own = { .there = false };
	struct run_guard *outer = NULL;
	struct idx_run parent;
	int rc = depth < NESTED_MAX ? parent_of(c, &parent, run) : -ERR_LIMIT;

	if (rc > 0)
		rc = guard_of(c, &outer, &parent, depth + 1);
	if (rc >= 0)
		rc = with_start(c, run, read_policy, &own);
	*out = NULL;
	if (rc == -ENOMEM) {
		run_guard_drop(outer);
		return rc;
	}
	if (rc < 0) /* who knows what it may not do: anything */
		own.there = true;
	*out = own.there ? run_guard_new(own.policy, outer) :
			   run_guard_hold(outer);
	run_guard_drop(outer);
	if (own.there && !*out)
		run_policy_free(own.policy);
	return own.there && !*out ? -ENOMEM : 0;
}

/* --- the table --------------------------------------------------------------- */

/*
 * May processes of it go on?  Where a cgroup does not tell, those of a run that
 * nobody saw end may, for all we know.
 */
static bool may_go_on(const struct idx_run *run, const char *cgroup)
{
	if (run->end_no == 0)
		return true;
	return cgroup ? !actor_proc_cgroup_gone(cgroup) :
			run->how == RUN_END_LOST;
}

/* Puts it in the table, without a wrapper. */
static int know(struct core *c, const struct idx_run *run,
		const struct entry *e, const struct digest *leaf, void *ctx)
{
	struct entry_str cgroup = entry_run_cgroup(&e->body);
	autofree char *path = cgroup.n ? strndup(cgroup.p, cgroup.n) : NULL;
	struct run_table_new new = {
		.id = run->id,
		.uid = run->uid,
		.cgroup = path,
	};
	bool lost = run->end_no == 0;
	int rc = 0;

	(void)leaf, (void)ctx;
	if (cgroup.n && !path)
		return -ENOMEM;
	if (may_go_on(run, path))
		rc = guard_of(c, &new.guard, run, 0);
	if (rc == 0)
		rc = run_table_add(c->runs, &new);
	if (rc == 0)
		run_table_end(c->runs, run->id, lost || new.guard);
	run_guard_drop(new.guard);
	return rc == -EEXIST ? 0 : rc;
}

struct lost {
	const struct idx_run *run;
	struct digest leaf;
};

static int lost_op(struct core *c, struct itable_tx *tx, void *arg)
{
	const struct lost *a = arg;
	struct pend *p = pend_new(ENTRY_RUN_END, 0);
	struct entry_run_end *b;

	if (!p)
		return -ENOMEM;
	b = &p->e.body.run_end;
	memcpy(b->run, a->run->id, sizeof(b->run));
	b->how = RUN_END_LOST;
	b->started_ns = a->run->started_ns;
	p->subject = leafcell_known_new(&a->leaf, a->run->no);
	if (!p->subject) {
		pend_free(p);
		return -ENOMEM;
	}
	return core_submit(c, tx, p, NULL, NULL);
}

static int lose(struct core *c, const struct idx_run *run,
		const struct entry *e, const struct digest *leaf, void *ctx)
{
	struct lost a = { .run = run, .leaf = *leaf };
	int rc = know(c, run, e, leaf, ctx);

	return rc < 0 ? rc : core_op(c, lost_op, &a);
}

int run_recover(struct core *c)
{
	struct found open = { .v = NULL }, ended = { .v = NULL };
	int rc = look(c, &open, &ended);

	/* One that cannot be read does not keep the volume from being used. */
	for (size_t i = ended.n; i-- > 0 && rc != -ENOMEM;)
		rc = with_start(c, &ended.v[i], know, NULL);
	for (size_t i = 0; i < open.n && rc != -ENOMEM; i++) {
		rc = with_start(c, &open.v[i], c->o.read_only ? know : lose,
				NULL);
		if (rc < 0)
			log_event(LOG_ERROR, "run_not_ended", "why=\"%s\"",
				  err_text(rc));
	}
	free(open.v);
	free(ended.v);
	return rc == -ENOMEM ? rc : 0;
}
