/*
 * serve_retain.c - the verbs about what is kept: rules, holds, and garbage
 * collection, which releases what is due and then takes what nothing needs.
 *
 * gc-stop ends a run at its next safe point; the run's own answer says so.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/glob.h"
#include "base/json.h"
#include "base/text.h"
#include "fs/daemon/control.h"
#include "fs/core/core.h"
#include "fs/upkeep/gc.h"
#include "fs/upkeep/retain.h"
#include "fs/daemon/serve_impl.h"
#include "ledger/entry.h"

static void entry_add(struct buf *out, uint64_t no)
{
	control_add_u64(out, "seal", ENTRY_NO_SEAL(no));
	control_add_u64(out, "position", ENTRY_NO_POS(no));
}

/* --- rules --- */

int serve_retain_set(void *ctx, const struct json *request,
		     const struct cred *peer, struct buf *out,
		     struct errmsg *em)
{
	struct serve *s = ctx;
	const char *pattern = json_get_str(request, "pattern");
	struct entry_rule rule = { .keep = 0 };
	uint64_t versions = 0, position = 0, no = 0;
	int rc;

	if (!pattern)
		return errmsg_set(em, -ERR_USAGE, "retain: no pattern");
	rule.pattern = ENTRY_STR(pattern);
	if (json_get_u64(request, "seconds", &rule.seconds))
		rule.keep |= ENTRY_KEEP_AGE;
	if (json_get_u64(request, "versions", &versions))
		rule.keep |= ENTRY_KEEP_COUNT;
	(void)!json_get_u64(request, "position", &position);
	if (versions > UINT32_MAX || position > LIMIT_RULES)
		return errmsg_set(em, -ERR_LIMIT, "retain: too large a number");
	rule.versions = (uint32_t)versions;
	rc = retain_set(s->core, peer, &rule, (uint32_t)position, &no, em);
	if (rc == 0)
		entry_add(out, no);
	return rc;
}

int serve_retain_remove(void *ctx, const struct json *request,
			const struct cred *peer, struct buf *out,
			struct errmsg *em)
{
	struct serve *s = ctx;
	const char *pattern = json_get_str(request, "pattern");
	uint64_t no = 0;
	int rc;

	if (!pattern)
		return errmsg_set(em, -ERR_USAGE, "retain: no pattern");
	rc = retain_remove(s->core, peer, pattern, &no, em);
	if (rc == 0)
		entry_add(out, no);
	return rc;
}

/* --- holds --- */

int serve_retain_hold(void *ctx, const struct json *request,
		      const struct cred *peer, struct buf *out,
		      struct errmsg *em)
{
	struct serve *s = ctx;
	const char *pattern = json_get_str(request, "pattern");
	const char *reason = json_get_str(request, "reason");
	const char *wrong =
		pattern ? glob_wrong(pattern, strlen(pattern)) : NULL;
	uint64_t ino = 0, no = 0;
	int rc;

	(void)!json_get_u64(request, "inode", &ino);
	if (!reason || (!pattern && !ino))
		return errmsg_set(em, -ERR_USAGE, "hold: no reason or pattern");
	if (wrong)
		return errmsg_set(em, -EINVAL, "the pattern: %s", wrong);
	rc = retain_hold(s->core, peer, pattern, ino, reason, &no, em);
	if (rc == 0)
		entry_add(out, no);
	return rc;
}

int serve_retain_lift(void *ctx, const struct json *request,
		      const struct cred *peer, struct buf *out,
		      struct errmsg *em)
{
	struct serve *s = ctx;
	const char *reason = json_get_str(request, "reason");
	uint64_t hold_no = 0, no = 0;
	int rc;

	if (!reason || !json_get_u64(request, "hold", &hold_no))
		return errmsg_set(em, -ERR_USAGE, "hold: no reason or entry");
	rc = retain_lift(s->core, peer, hold_no, reason, &no, em);
	if (rc == 0)
		entry_add(out, no);
	return rc;
}

/* --- gc --- */

/* Of a dry run: 24 MiB of them; what goes beyond counts as kept. */
enum { GOING_MAX = 1 << 20 };

struct run {
	struct serve *s;
	struct buf found;	     /* JSON strings, commas between */
	struct entry_release *going; /* dry run: what would be released */
	size_t n_going, cap_going;
	bool at_least; /* there are more: more would be freed than is told */
};

static int on_due(void *ctx, const struct entry_release *v, unsigned n)
{
	struct run *x = ctx;

	if (n > GOING_MAX - x->n_going) {
		x->at_least = true;
		n = (unsigned)(GOING_MAX - x->n_going);
	}
	if (n > x->cap_going - x->n_going) {
		size_t cap = 2 * x->cap_going + n;
		void *p;

		if (cap > GOING_MAX)
			cap = GOING_MAX;
		p = reallocarray(x->going, cap, sizeof(*x->going));
		if (!p)
			return -ENOMEM;
		x->going = p;
		x->cap_going = cap;
	}
	if (n > 0)
		memcpy(x->going + x->n_going, v, n * sizeof(*v));
	x->n_going += n;
	return 0;
}

static int on_progress(void *ctx, const char *part, uint64_t done, uint64_t all)
{
	struct run *x = ctx;
	int stop;

	mutex_lock(&x->s->mu);
	snprintf(x->s->part, sizeof(x->s->part), "%s", part);
	x->s->done = done;
	x->s->all = all;
	stop = x->s->gc_stop;
	mutex_unlock(&x->s->mu);
	return stop;
}

static int on_release(void *ctx, uint64_t done, uint64_t all)
{
	return on_progress(ctx, "release", done, all);
}

static void on_found(void *ctx, const char *words)
{
	struct run *x = ctx;

	if (x->found.n)
		buf_addc(&x->found, ',');
	text_json_string(&x->found, words, strlen(words));
}

static void report_add(struct buf *out, const struct retain_report *r,
		       const struct core_gc_report *g, const struct run *x)
{
	const struct {
		const char *key;
		uint64_t v;
	} v[] = {
		{ "policy", r->policy_no },
		{ "candidates", r->candidates },
		{ "released", r->released },
		{ "released_bytes", r->released_bytes },
		{ "files", r->files },
		{ "entries", r->entries },
		{ "held", r->held },
		{ "snapshots", r->snapshots },
		{ "wrong", r->wrong },
		{ "digests", r->digests },
		{ "undigested", r->undigested },
		{ "packs_before", g->packs_before },
		{ "packs_after", g->packs_after },
		{ "bytes_before", g->bytes_before },
		{ "bytes_after", g->bytes_after },
		{ "packs_deleted", g->packs_deleted },
		{ "packs_rewritten", g->packs_rewritten },
		{ "packs_kept", g->packs_kept },
		{ "chunks_freed", g->chunks_freed },
		{ "bytes_freed", g->bytes_freed },
		{ "chunks_copied", g->chunks_copied },
		{ "bytes_copied", g->bytes_copied },
		{ "chunks_leased", g->chunks_leased },
	};

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		control_add_u64(out, v[i].key, v[i].v);
	if (x->at_least)
		buf_adds(out, ",\"at_least\":true");
	buf_addf(out, ",\"found\":[%s]",
		 x->found.n ? (const char *)x->found.p : "");
}

int serve_retain_gc(void *ctx, const struct json *request,
		    const struct cred *peer, struct buf *out, struct errmsg *em)
{
	struct serve *s = ctx;
	struct run x = { .s = s, .found = BUF_INIT };
	struct retain_options ro = { .due = on_due,
				     .progress = on_release,
				     .found = on_found,
				     .ctx = &x };
	struct core_gc_options go = { .progress = on_progress,
				      .found = on_found,
				      .ctx = &x };
	struct core_gc_report g = { .packs_before = 0 };
	struct retain_report r;
	uint64_t percent = 0, rate = 0;
	int rc;

	(void)!json_get_u64(request, "threshold", &percent);
	(void)!json_get_u64(request, "rate", &rate);
	if (percent > 100 || rate > UINT32_MAX)
		return errmsg_set(em, -ERR_USAGE, "gc: too large a number");
	ro.dry_run = go.dry_run = json_get_bool(request, "dry_run", false);
	go.drop_saves = json_get_bool(request, "drop_saves", false);
	go.live_percent = (uint32_t)percent;
	go.mib_per_second = (uint32_t)rate;
	mutex_lock(&s->busy_mu);
	mutex_lock(&s->mu);
	s->gc_stop = false;
	mutex_unlock(&s->mu);
	rc = retain_release(s->core, peer, &r, &ro, em);
	go.going = x.going;
	go.n_going = x.n_going;
	if (rc == 0)
		rc = core_gc(s->core, &g, &go, em);
	mutex_unlock(&s->busy_mu);
	if (rc == 0 && x.found.bad)
		rc = -ENOMEM;
	if (rc == 0)
		report_add(out, &r, &g, &x);
	buf_release(&x.found);
	free(x.going);
	if (rc == -ECANCELED)
		return errmsg_set(em, rc,
				  "stopped; what was done stays done, the next "
				  "run goes on from there");
	return rc < 0 ? errmsg_set(em, rc, "%s", err_text(rc)) : 0;
}

int serve_retain_gc_stop(void *ctx, const struct json *request,
			 const struct cred *peer, struct buf *out,
			 struct errmsg *em)
{
	struct serve *s = ctx;

	(void)request;
	(void)peer;
	(void)out;
	(void)em;
	mutex_lock(&s->mu);
	s->gc_stop = true;
	mutex_unlock(&s->mu);
	return 0;
}
