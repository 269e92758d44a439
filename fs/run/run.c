/*
 * run.c - see run.h.
 *
 * Invariants: (1) The run is in the table before RUN_START is queued, and its
 * processes start after both, so that no entry of theirs comes before it.
 * (2) RUN_END comes after the VERSIONs of what the run wrote, and the READS of
 * what was opened until then.
 */
#include "fs/run/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "fs/commit/leafcell.h"
#include "fs/core/actor_proc.h"
#include "fs/core/core_denied.h"
#include "fs/core/core_internal.h"
#include "fs/core/file.h"
#include "fs/core/trail.h"
#include "fs/run/run_alive.h"
#include "fs/run/run_guard.h"
#include "fs/run/run_peer.h"
#include "index/idx.h"
#include "index/idx_runs.h"
#include "ledger/entry_run.h"

#define KNOWN "a run of this id is known already"

struct run_going {
	uint8_t id[RUN_ID_SIZE];
	struct actor *wrapper; /* a reference; NULL: none is known */
	struct leafcell *start;
	int64_t started_ns;
	bool guarded;
	char *cgroup;	/* NULL: none */
	uint64_t limit; /* run_limit.h; 0: none */
};

static void going_free(struct core *c, struct run_going *r)
{
	actor_drop(c->actors, r->wrapper);
	leafcell_drop(r->start);
	free(r->cgroup);
	free(r);
}

/* --- start --- */

struct start_arg {
	const struct run_said *said;
	struct run_going *r;
	const struct cred *cr;
	struct entry_str cgroup;
	const char *host;
	struct buf tlvs;
	struct run_guard *guard; /* a reference; NULL: none */
};

static void fill_start(struct pend *p, const struct start_arg *a,
		       struct entry_env *env)
{
	const struct run_said *s = a->said;
	struct entry_run_start *b = &p->e.body.run_start;

	memcpy(b->run, s->id, sizeof(b->run));
	b->uid = a->cr->uid;
	b->gid = a->cr->gid;
	memcpy(b->git, s->git, sizeof(b->git));
	b->dirty = s->dirty;
	b->name = pend_str(p, s->name, strlen(s->name));
	b->argv = pend_str(p, s->argv.p, s->argv.n);
	b->cwd = pend_str(p, s->cwd.p, s->cwd.n);
	b->user = pend_str(p, s->user.p, s->user.n);
	b->host = pend_str(p, a->host, strnlen(a->host, LIMIT_HOST));
	b->policy = pend_str(p, s->policy.p, s->policy.n);
	for (unsigned i = 0; i < s->n_env; i++) {
		env[i] = s->env[i];
		env[i].name = pend_str(p, env[i].name.p, env[i].name.n);
	}
	b->n = s->n_env;
	b->v = env;
	p->e.body.extra.n = a->tlvs.n;
	p->e.body.extra.p = pend_bytes(p, a->tlvs.p, a->tlvs.n);
}

static struct pend *start_entry(const struct start_arg *a)
{
	const struct run_said *s = a->said;
	struct entry_env *env = calloc((size_t)s->n_env + 1, sizeof(*env));
	size_t n = strlen(s->name) + s->argv.n + s->cwd.n + s->user.n +
		   s->policy.n + LIMIT_HOST + a->tlvs.n;
	struct pend *p;

	for (unsigned i = 0; i < s->n_env; i++)
		n += s->env[i].name.n;
	p = pend_new(ENTRY_RUN_START, n);
	if (!p || !env) {
		pend_free(p);
		free(env);
		return NULL;
	}
	p->arrays = env;
	fill_start(p, a, env);
	return p;
}

static int start_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct start_arg *a = arg;
	struct pend *p = start_entry(a);

	if (!p)
		return -ENOMEM;
	p->e.core.wall_ns = core_now(c);
	a->r->started_ns = p->e.core.wall_ns;
	leafcell_drop(a->r->start);
	a->r->start = leafcell_hold(p->cell);
	return core_submit(c, tx, p, NULL, a->r->wrapper);
}

/* Would it be an entry?  Asked before anything is changed. */
static int check(const struct start_arg *a, struct errmsg *em)
{
	struct buf bytes = BUF_INIT;
	struct pend *p = start_entry(a);
	int rc = p ? entry_body_encode(&bytes, &p->e.body) : -ENOMEM;

	if (rc == 0 && bytes.n + ENTRY_CLEAR_HEAD > LIMIT_ENTRY)
		rc = -ERR_LIMIT;
	pend_free(p);
	buf_release(&bytes);
	if (rc == -ERR_FORMAT)
		rc = -ERR_USAGE;
	return rc < 0 ? errmsg_set(em, rc, "what is said of the run: %s",
				   err_text(rc)) :
			0;
}

/* Its path as we see it: the wrapper makes it below its own. */
static void cgroup_path(struct buf *out, const struct actor *wrapper,
			const uint8_t *id)
{
	char text[2 * LIMIT_PATH];
	char hex[RUN_ID_HEX + 1];
	const char *own =
		wrapper && wrapper->tgid ?
			actor_proc_cgroup(wrapper->tgid, text, sizeof(text)) :
			NULL;

	if (!own || strlen(own) > LIMIT_PATH / 2)
		return;
	digest_hex_bytes(hex, id, RUN_ID_SIZE);
	buf_addf(out, "%s/" RUN_CGROUP_PREFIX "%s",
		 strcmp(own, "/") == 0 ? "" : own, hex);
}

struct run_gone {
	struct run_table *table;
	const struct run_going *ending; /* NULL: none ends just now */
	bool looked;
	struct run_alive_limits limits;
};

static bool is_gone(void *ctx, const struct run_table_left *run)
{
	struct run_gone *g = ctx;
	const struct run_going *r = g->ending;
	bool own = r && memcmp(r->id, run->id, sizeof(r->id)) == 0;

	/* That of one that ends just now is there yet. */
	if (run->cgroup && (own ? actor_proc_cgroup_populated(run->cgroup) :
				  !actor_proc_cgroup_gone(run->cgroup)))
		return false;
	if (run->limit && !g->looked) {
		run_alive_limits_look(&g->limits);
		g->looked = true;
	}
	return run->limit ? !run_alive_under(&g->limits, g->table, run->uid,
					     run->limit) :
			    own || run->cgroup;
}

/*
 * Guards are dear, and let go of when somebody asks, or ends: whether
 * processes are left is not only the word of a wrapper, which they can reach.
 */
static void reap(struct core *c, const struct run_going *ending)
{
	struct run_gone g = { .table = c->runs, .ending = ending };

	run_table_reap(c->runs, is_gone, &g);
	run_alive_limits_release(&g.limits);
}

static int enter_table(struct core *c, const struct start_arg *a,
		       struct errmsg *em)
{
	const struct actor *w = a->r->wrapper;
	const struct run_table_new n = {
		.id = a->said->id,
		.uid = a->cr->uid,
		.wrapper = w ? w->tgid : 0,
		.wrapper_start = w ? w->start_time : 0,
		.cgroup = a->r->cgroup,
		.guard = a->guard,
		.limit = a->r->limit,
	};
	int rc;

	if (a->guard)
		reap(c, NULL);
	rc = run_table_add(c->runs, &n);
	if (rc == -EEXIST)
		return errmsg_set(em, rc, KNOWN);
	if (rc == -EMFILE)
		return errmsg_set(em, rc,
				  "%d guarded runs of this user go on, or have "
				  "left processes: no more",
				  RUN_TABLE_GUARDED_EACH);
	if (rc == -ENFILE)
		return errmsg_set(em, rc,
				  "%d runs are going on, or %d guarded ones "
				  "may: no more",
				  RUN_TABLE_OPEN_MAX, RUN_TABLE_GUARDED_MAX);
	return rc;
}

/* Runs of earlier mounts are in the index. */
static int is_new(struct core *c, const uint8_t *id, struct errmsg *em)
{
	struct idx_reader *r = NULL;
	struct idx_run run;
	int rc = core_reader_take(c, &r);

	if (rc >= 0)
		rc = idx_run_by_id(r, &run, id);
	core_reader_give(c, r);
	return rc > 0 ? errmsg_set(em, -EEXIST, KNOWN) : rc;
}

/* May it be declared at all? */
static int check_id(const uint8_t *id, struct errmsg *em)
{
	static const uint8_t zero[RUN_ID_SIZE];

	if (run_id_implicit(id) || memcmp(id, zero, RUN_ID_SIZE) == 0)
		return errmsg_set(em, -ERR_USAGE,
				  "an id of this kind cannot be declared");
	return 0;
}

/* None of the run's processes would be known as its: that must be said. */
static int check_seen(const struct run_peer *who, struct errmsg *em)
{
	if (!who->unseen)
		return 0;
	return errmsg_set(em, -EPERM,
			  "the volume's daemon does not see processes of this "
			  "pid namespace: mount the volume where they are "
			  "seen, with a /proc of its own");
}

/*
 * Who declares it.  The process is looked at only while it is the one that
 * connected, and believed only if it is still: its children will be the run's.
 */
static struct actor *wrapper_of(struct core *c, const struct run_peer *who)
{
	const struct cred user = {
		.uid = who->cr.uid,
		.gid = who->cr.gid,
		.umask = who->cr.umask,
	};
	const struct cred cr = run_peer_cred(who);
	struct actor *a = core_actor(c, &cr);

	if (a && a->tgid != 0 && !run_peer_is(who, a->tgid, a->start_time)) {
		actor_drop(c->actors, a);
		a = core_actor(c, &user);
	}
	return a;
}

/* What it may not do: its own policy, and that of whoever starts it. */
static int make_guard(struct start_arg *a, struct errmsg *em)
{
	struct run_guard *outer = a->r->wrapper ? a->r->wrapper->guard : NULL;
	const struct entry_str *text = &a->said->policy;
	struct run_policy *p = NULL;
	int rc;

	if (text->n == 0) {
		a->guard = run_guard_hold(outer);
		return 0;
	}
	if (!a->r->wrapper || a->r->wrapper->tgid == 0)
		return errmsg_set(em, -EPERM,
				  "the daemon cannot tell this process: nobody "
				  "would be guarded");
	rc = run_policy_parse(&p, text->p, text->n, em);
	if (rc < 0)
		return rc == -ERR_FORMAT ? -ERR_USAGE : rc;
	a->guard = run_guard_new(p, outer);
	if (!a->guard)
		run_policy_free(p);
	a->r->limit = a->said->limit;
	return a->guard ? 0 : -ENOMEM;
}

int run_start(struct core *c, const struct run_peer *who,
	      struct run_going **out, const struct run_said *said,
	      struct errmsg *em)
{
	struct buf autocall(buf_release) path = BUF_INIT;
	struct run_going *r = calloc(1, sizeof(*r));
	struct start_arg a = { .said = said, .r = r, .cr = &who->cr };
	int rc = r ? check_id(said->id, em) : -ENOMEM;

	if (rc == 0)
		rc = check_seen(who, em);
	/* It adds to the log: the space that deleting needs is not for it. */
	if (rc == 0)
		rc = core_may_change(c, SPACE_ADD);
	if (rc < 0)
		goto fail;
	memcpy(r->id, said->id, sizeof(r->id));
	r->wrapper = wrapper_of(c, who);
	rc = make_guard(&a, em);
	if (rc < 0)
		goto fail;
	r->guarded = a.guard != NULL;
	if (said->own_cgroup)
		cgroup_path(&path, r->wrapper, said->id);
	a.cgroup = (struct entry_str){ (char *)path.p, path.n };
	r->cgroup = path.n ? strdup((char *)path.p) : NULL;
	a.host = c->actors ? actor_host(c->actors) : "";
	entry_run_start_put(&a.tlvs, a.cgroup, said->env_left);
	entry_run_git_put(&a.tlvs, said->git_of);
	entry_run_limit_put(&a.tlvs, r->limit);
	rc = path.bad || a.tlvs.bad || (path.n && !r->cgroup) ? -ENOMEM : 0;
	if (rc == 0 && !idx_run_name_ok(said->name, strlen(said->name)))
		rc = errmsg_set(em, -ERR_USAGE,
				"a run's name is 1 to %d of A-Z a-z 0-9 . _ -, "
				"the first a letter or a digit",
				RUN_NAME_MAX);
	if (rc == 0)
		rc = check(&a, em);
	if (rc == 0)
		rc = is_new(c, said->id, em);
	if (rc == 0)
		rc = enter_table(c, &a, em);
	if (rc < 0)
		goto fail;
	rc = core_op(c, start_op, &a);
	if (rc < 0) {
		run_table_end(c->runs, r->id, false);
		goto fail;
	}
	buf_release(&a.tlvs);
	run_guard_drop(a.guard);
	*out = r;
	return 0;
fail:
	buf_release(&a.tlvs);
	run_guard_drop(a.guard);
	if (r)
		going_free(c, r);
	return errmsg_set(em, rc, "%s", err_text(rc));
}

/* --- end --- */

struct end_arg {
	struct run_going *r;
	const struct run_ended *e;
	uint64_t processes;
};

static int end_op(struct core *c, struct itable_tx *tx, void *arg)
{
	const struct end_arg *a = arg;
	struct entry_run_end *b;
	struct pend *p;
	int rc;

	if (c->closing)
		return -EROFS;
	rc = trail_end_run(c, tx, a->r->id);
	if (rc < 0)
		return rc;
	p = pend_new(ENTRY_RUN_END, 0);
	if (!p)
		return -ENOMEM;
	b = &p->e.body.run_end;
	memcpy(b->run, a->r->id, sizeof(b->run));
	b->how = (uint8_t)a->e->how;
	b->status = a->e->status;
	b->started_ns = a->r->started_ns;
	b->processes = a->processes;
	p->subject = leafcell_hold(a->r->start);
	return core_submit(c, tx, p, NULL,
			   a->e->how == RUN_END_LOST ? NULL : a->r->wrapper);
}

bool run_unsaved(struct core *c, const struct run_going *r)
{
	return file_unsaved_of(c, r->id) > 0;
}

int run_end(struct core *c, struct run_going *r, const struct run_ended *e,
	    uint64_t *out_processes)
{
	struct end_arg a = { .r = r, .e = e };
	bool left = e->left || e->how == RUN_END_LOST;
	int rc = file_version_of(c, r->id, ENTRY_REASON_CLOSE);

	if (rc < 0)
		log_event(LOG_WARN, "run_not_saved", "why=\"%s\"",
			  err_text(rc));
	a.processes = run_table_processes(c->runs, r->id);
	core_denied_end(c, r->id);
	rc = core_op(c, end_op, &a);
	run_table_end(c->runs, r->id, left || r->guarded);
	if (r->guarded)
		reap(c, left ? NULL : r);
	if (out_processes)
		*out_processes = a.processes;
	going_free(c, r);
	return rc < 0 ? rc : 0;
}
