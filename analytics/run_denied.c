/*
 * run_denied.c - see run_denied.h.
 */
#include "analytics/run_denied.h"

#include "analytics/line.h"
#include "analytics/run_walk.h"
#include "analytics/spool.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"
#include "fs/core/core.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "index/idx_runs.h"
#include "ledger/entry.h"

/* 1: out is filled, and borrows from stored; 0: the entry is about others. */
static int load(struct core *c, struct buf *stored, struct entry_denied *out,
		const struct idx_entry *e)
{
	struct entry entry;
	int rc;

	if (e->kind != ENTRY_ALERT || e->rejected)
		return 0;
	rc = line_load(c, stored, &entry, e->no);
	return rc < 0 ? rc : entry_denied_get(out, &entry.body);
}

/* --- denied.jsonl --- */

struct lines {
	struct core *core;
	struct run_view *view;
	struct idx_reader *r;
	struct spool *out;
	struct buf line, stored;
};

/*
 * May he be told where it is?  The guard looks at all links of what is asked
 * for, and at all below a directory that is moved, be it his to list or not.
 */
static int shows_path(struct lines *w, const struct idx_entry *e,
		      const struct entry_str *path)
{
	const struct cred *cr = w->view->cr;
	size_t n = path->n;
	uint64_t dir = 0;
	int rc;

	if (n == 0 || !cr)
		return n > 0;
	while (n > 0 && path->p[n - 1] != '/')
		n--;
	rc = idx_resolve(w->r, &dir, path->p, n, e->no);
	return rc > 0 ? core_may_read(w->core, cr, dir) == 0 : rc;
}

static int one_line(void *ctx, const struct idx_entry *e)
{
	struct lines *w = ctx;
	struct buf *b = &w->line;
	struct entry_denied d;
	int rc = load(w->core, &w->stored, &d, e), shows;

	if (rc <= 0)
		return rc;
	shows = shows_path(w, e, &d.path);
	if (shows < 0)
		return shows;
	buf_addf(b, "{\"call\":\"%s\"", entry_denied_call_word(d.call));
	if (d.why)
		buf_addf(b, ",\"why\":\"%s\"", entry_denied_why_word(d.why));
	buf_addc(b, ',');
	if (shows) {
		line_text(b, "path", d.path.p, d.path.n);
		buf_addc(b, ',');
	}
	if (d.inode)
		buf_addf(b, "\"inode\":%llu,", (unsigned long long)d.inode);
	buf_addf(b, "\"times\":%llu,\"time\":", (unsigned long long)d.count);
	line_time(b, e->wall_ns);
	buf_adds(b, ",\"entry\":");
	line_no(b, e->no);
	buf_adds(b, ",\"by\":");
	rc = line_actor(w->r, b, e->actor_no);
	buf_adds(b, "}\n");
	spool_buf(w->out, b);
	return rc < 0 ? rc : 0;
}

int run_denied_report(struct core *c, struct run_view *v, struct idx_reader *r,
		      const struct idx_run *run, struct spool *out)
{
	struct lines w = { .core = c, .view = v, .r = r, .out = out };
	int rc = run_walk(v, r, run, one_line, &w);

	buf_release(&w.line);
	buf_release(&w.stored);
	return rc;
}

/* --- summary.json --- */

int run_denied_count(struct core *c, struct buf *stored,
		     struct run_denied_counts *counts,
		     const struct idx_entry *e)
{
	struct entry_denied d;
	int rc = load(c, stored, &d, e);

	if (rc > 0 && d.why < ENTRY_DENIED_WHYS)
		counts->why[d.why] += d.count;
	return rc < 0 ? rc : 0;
}

void run_denied_put(struct buf *out, const struct run_denied_counts *counts)
{
	uint64_t all = 0;

	for (unsigned i = 0; i < ENTRY_DENIED_WHYS; i++)
		all += counts->why[i];
	buf_addf(out, " \"denied\": {\"all\": %llu", (unsigned long long)all);
	for (unsigned i = 1; i < ENTRY_DENIED_WHYS; i++)
		buf_addf(out, ", \"%s\": %llu", entry_denied_why_word(i),
			 (unsigned long long)counts->why[i]);
	buf_addf(out, ", \"of more kinds\": %llu},\n",
		 (unsigned long long)counts->why[0]);
}
