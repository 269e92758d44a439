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
 * Of runs that ended, those are known again that may have processes yet
 * (run_alive.h), however old they are, and the newest KNOWN_MAX of the newest
 * LOOK_MAX runs of any kind.  Where not all cgroups can be looked at, all runs
 * that ever were are asked for theirs.
 *
 * Of a run whose RUN_START cannot be read nobody knows what it may not do:
 * where processes of it may go on, it may do nothing.
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
#include "fs/run/run_alive.h"
#include "fs/run/run_guard.h"
#include "fs/run/run_limit.h"
#include "index/idx.h"
#include "index/idx_runs.h"
#include "ledger/entry_run.h"
#include "ledger/ledger.h"

enum { KNOWN_MAX = 128, LOOK_MAX = 2048, NESTED_MAX = 64, PAGE = 512 };

struct found {
	struct idx_run *v;
	size_t n, cap, max;
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
	return f->n == f->max ? 1 : add(f, run);
}

static int look(struct core *c, struct found *open, struct found *ended,
		bool limits)
{
	struct idx_reader *r = NULL;
	int rc = core_reader_take(c, &r);

	/* A limit that was lowered on does not tell whose it was. */
	ended->max = limits ? LOOK_MAX : KNOWN_MAX;
	if (rc >= 0)
		rc = idx_runs_open(r, on_open, open);
	if (rc >= 0)
		rc = idx_runs(r, IDX_NOW, LOOK_MAX, on_run, ended);
	core_reader_give(c, r);
	return rc < 0 ? rc : 0;
}

/* --- those that may have processes ------------------------------------------ */

struct alive {
	struct idx_reader *reader;
	struct found *found;
};

static int on_alive(void *ctx, const uint8_t id[RUN_ID_SIZE])
{
	struct alive *a = ctx;
	struct idx_run run;
	int rc;

	for (size_t i = 0; i < a->found->n; i++)
		if (memcmp(a->found->v[i].id, id, RUN_ID_SIZE) == 0)
			return 0;
	rc = idx_run_by_id(a->reader, &run, id);
	return rc <= 0 || run.implicit || !run.end_no ? rc :
							add(a->found, &run);
}

struct page {
	struct found *found;
	uint64_t last;
	unsigned n;
};

static int on_any(void *ctx, const struct idx_run *run)
{
	struct page *p = ctx;

	p->last = run->no;
	p->n++;
	return run->implicit || !run->end_no ? 0 : add(p->found, run);
}

/* Any that ever ended. */
static int look_at_all(struct idx_reader *r, struct found *out)
{
	struct page p = { .found = out, .last = IDX_NOW };
	int rc;

	log_event(LOG_WARN, "runs_all_looked_up",
		  "why=\"not all cgroups can be looked at\"");
	do {
		p.n = 0;
		rc = idx_runs(r, p.last, PAGE, on_any, &p);
	} while (rc >= 0 && p.n == PAGE);
	return rc;
}

static int on_limit(void *ctx, const struct idx_run *run)
{
	return on_alive(ctx, run->id);
}

/* Those whose limit it is, by the part of the id that is in it. */
static int look_limits(struct alive *a, const struct run_alive_limits *l)
{
	uint8_t first[RUN_LIMIT_ID_BYTES];
	int rc = 0;

	for (size_t i = 0; i < l->n && rc >= 0; i++)
		if (run_limit_id(first, l->v[i].limit))
			rc = idx_runs_beginning(a->reader, first, sizeof(first),
						on_limit, a);
	return rc;
}

static int look_alive(struct core *c, struct found *out,
		      const struct run_alive_limits *l)
{
	struct alive a = { .found = out };
	int rc;

	if (!c->actors)
		return 0; /* nobody is told apart */
	rc = core_reader_take(c, &a.reader);
	if (rc >= 0)
		rc = run_alive_each(on_alive, &a);
	if (rc == 0)
		rc = look_at_all(a.reader, out);
	if (rc >= 0)
		rc = look_limits(&a, l);
	core_reader_give(c, a.reader);
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
 * May processes of it go on?  Where neither cgroup nor limit tells, those of a
 * run that nobody saw end may, for all we know.
 */
static bool may_go_on(const struct idx_run *run, const char *cgroup,
		      uint64_t limit, const struct run_alive_limits *l)
{
	if (run->end_no == 0)
		return true;
	if (limit && run_alive_under(l, NULL, run->uid, limit))
		return true;
	if (cgroup)
		return !actor_proc_cgroup_gone(cgroup);
	return !limit && run->how == RUN_END_LOST;
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
		.limit = entry_run_limit(&e->body),
		.recovered = true,
	};
	bool lost = run->end_no == 0;
	int rc = 0;

	(void)leaf;
	if (cgroup.n && !path)
		return -ENOMEM;
	if (may_go_on(run, path, new.limit, ctx))
		rc = guard_of(c, &new.guard, run, 0);
	if (rc == 0)
		rc = run_table_add(c->runs, &new);
	if (rc == 0)
		run_table_end(c->runs, run->id, lost || new.guard);
	run_guard_drop(new.guard);
	return rc == -EEXIST ? 0 : rc;
}

/*
 * The same of one whose RUN_START cannot be read.  One that ended and that
 * nobody saw alive (seen false) has no processes.
 */
static int know_unread(struct core *c, const struct idx_run *run, int why,
		       bool seen)
{
	struct run_table_new new = {
		.id = run->id,
		.uid = run->uid,
		.recovered = true,
		.anywhere = true,
	};
	int rc;

	if (why == -ENOMEM)
		return why;
	if (run->end_no && !seen && run->how != RUN_END_LOST)
		return 0;
	log_event(LOG_ERROR, "run_not_read",
		  "run=%llu why=\"%s\" so=\"its processes may do nothing\"",
		  (unsigned long long)run->no, err_text(why));
	new.guard = run_guard_new(NULL, NULL);
	if (!new.guard)
		return -ENOMEM;
	rc = run_table_add(c->runs, &new);
	if (rc == 0)
		run_table_end(c->runs, run->id, true);
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

/* Those that ended, the oldest first. */
static int know_ended(struct core *c, const struct found *f,
		      struct run_alive_limits *l, bool seen)
{
	int rc = 0;

	for (size_t i = f->n; i-- > 0 && rc != -ENOMEM;) {
		rc = with_start(c, &f->v[i], know, l);
		if (rc < 0)
			rc = know_unread(c, &f->v[i], rc, seen);
	}
	return rc == -ENOMEM ? rc : 0;
}

/* Those that did not. */
static int end_open(struct core *c, const struct found *f)
{
	int rc = 0;

	for (size_t i = 0; i < f->n && rc != -ENOMEM; i++) {
		rc = with_start(c, &f->v[i], c->o.read_only ? know : lose,
				NULL);
		if (rc >= 0)
			continue;
		log_event(LOG_ERROR, "run_not_ended", "why=\"%s\"",
			  err_text(rc));
		rc = know_unread(c, &f->v[i], rc, true);
	}
	return rc == -ENOMEM ? rc : 0;
}

int run_recover(struct core *c)
{
	struct found open = { .v = NULL }, ended = { .v = NULL };
	struct found alive = { .v = NULL };
	struct run_alive_limits limits = { .n = 0 };
	int rc;

	if (c->actors)
		run_alive_limits_look(&limits);
	rc = look(c, &open, &ended, limits.n > 0);
	/* One that cannot be read does not keep the volume from being used. */
	if (rc == 0)
		rc = look_alive(c, &alive, &limits);
	if (rc == 0)
		rc = know_ended(c, &alive, &limits, true);
	if (rc == 0)
		rc = know_ended(c, &ended, &limits, false);
	if (rc == 0)
		rc = end_open(c, &open);
	free(open.v);
	free(ended.v);
	free(alive.v);
	run_alive_limits_release(&limits);
	return rc;
}
