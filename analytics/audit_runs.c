/*
 * audit_runs.c - /audit/runs: a directory for each run, NAME.NUMBER, with what
 * it did (run_report.h); and /audit/runs.jsonl, a line for each of them.
 *
 * Who may see the whole ledger sees all runs; anybody else his own, and in
 * them what processes of his own uid did.  Names of other people's runs are
 * not shown to him.
 *
 * A document is made in open(2), on a thread that answers the kernel: it has
 * RENDER_SECONDS, and of those for ordinary users one is made at a time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analytics/provider_internal.h"
#include "analytics/run_denied.h"
#include "analytics/run_diff.h"
#include "analytics/run_report.h"
#include "analytics/run_walk.h"
#include "analytics/undo.h"
#include "base/err.h"
#include "base/log.h"
#include "index/idx.h"
#include "index/idx_runs.h"

enum { PAGE = 128, STAT_ENTRIES = 64, COOKIES = 3, RENDER_SECONDS = 10 };

typedef int report_fn(struct core *c, struct run_view *v, struct idx_reader *r,
		      const struct idx_run *run, struct spool *out);

static int report_diff(struct core *c, struct run_view *v, struct idx_reader *r,
		       const struct idx_run *run, struct spool *out)
{
	const struct run_diff_what what = { .run = run, .as = RUN_DIFF_PATCH };
	struct errmsg em = ERRMSG_INIT;
	int rc = run_diff(c, v, r, &what, out, &em);

	if (rc == -EIO)
		log_event(LOG_ERROR, "no_diff", "why=\"%s\"",
			  errmsg_text(&em, rc));
	return rc;
}

static const struct {
	const char *name;
	report_fn *report;
} documents[] = {
	{ "summary.json", run_report_summary },
	{ "changes.jsonl", run_report_changes },
	{ "opened.jsonl", run_report_opened },
	{ "denied.jsonl", run_denied_report },
	{ "changes.diff", report_diff },
	{ "undo.jsonl", undo_report },
};
enum { DOCUMENTS = sizeof(documents) / sizeof(documents[0]) };

/*
 * A process group that only looked is no run to a person: it is found by its
 * name, and not in the list.
 */
static bool is_listed(const struct idx_run *run)
{
	return run->changed || !run->implicit;
}

/* whole: he may see the whole ledger. */
static bool may_see(bool whole, const struct cred *cr,
		    const struct idx_run *run)
{
	return whole || cr->uid == run->uid;
}

/* --- the list --- */

static int find_run(struct provider *p, const char *name, struct idx_run *out)
{
	struct idx_reader *r = NULL;
	char word[RUN_WORD_MAX];
	int rc = core_reader_take(p->core, &r);

	if (rc >= 0)
		rc = idx_run_find(r, out, name);
	core_reader_give(p->core, r);
	if (rc <= 0)
		return rc < 0 ? rc : -ENOENT;
	idx_run_word(word, out);
	return strcmp(word, name) != 0 ? -ENOENT : 0;
}

static int runs_lookup(struct provider *p, const struct cred *cr,
		       struct node *dir, const char *name, struct node_key *out,
		       char store[KEY_STRING])
{
	struct idx_run run;
	int rc = find_run(p, name, &run);

	(void)dir, (void)store;
	if (rc == -ENOENT) { /* it may have begun a moment ago */
		rc = provider_settle(p);
		rc = rc < 0 ? rc : find_run(p, name, &run);
	}
	if (rc < 0 || !may_see(provider_whole(p, cr) == 0, cr, &run))
		return rc < 0 ? rc : -ENOENT;
	out->kind = NODE_RUN;
	out->a = run.no;
	out->b = run.uid;
	return 0;
}

static int runs_opendir(struct provider *p, const struct cred *cr,
			struct vdir_list *l)
{
	(void)cr, (void)l;
	return provider_settle(p);
}

struct listed {
	struct idx_run v[PAGE];
	unsigned n;
};

static int add_run(void *ctx, const struct idx_run *v)
{
	struct listed *l = ctx;

	l->v[l->n++] = *v;
	return 0;
}

static int runs_page(struct provider *p, uint64_t before, struct listed *out)
{
	struct idx_reader *r = NULL;
	int rc = core_reader_take(p->core, &r);

	out->n = 0;
	if (rc >= 0)
		rc = idx_runs(r, before, PAGE, add_run, out);
	core_reader_give(p->core, r);
	return rc;
}

/* Newest first; a cookie is the run's number. */
static int runs_readdir(struct provider *p, struct vdir_list *l, uint64_t off,
			vdir_fill_fn *fill, void *ctx)
{
	autofree struct listed *g = calloc(1, sizeof(*g));
	uint64_t before = off <= 2 ? IDX_NOW : off - COOKIES;
	bool whole = provider_whole(p, &l->cr) == 0;
	char word[RUN_WORD_MAX];
	int rc;

	if (!g)
		return -ENOMEM;
	do {
		rc = runs_page(p, before, g);
		for (unsigned i = 0; rc >= 0 && i < g->n; i++) {
			struct node_key k = { .kind = NODE_RUN,
					      .a = g->v[i].no,
					      .b = g->v[i].uid };

			before = g->v[i].no;
			idx_run_word(word, &g->v[i]);
			if (is_listed(&g->v[i]) &&
			    may_see(whole, &l->cr, &g->v[i]) &&
			    provider_fill(fill, ctx, word, S_IFDIR, &k,
					  before + COOKIES))
				return 0;
		}
	} while (rc >= 0 && g->n == PAGE);
	return rc < 0 ? rc : 0;
}

static int runs_attr(struct provider *p, struct node *n, struct stat *out,
		     uint32_t *ttl)
{
	provider_open_attr(p, n, out, true);
	*ttl = 1000;
	return 0;
}

/* --- the list as one document: runs.jsonl, newest first --- */

static int list_page(struct provider *p, const struct run_view *v,
		     const struct listed *g, struct spool *out)
{
	struct buf b = BUF_INIT;
	struct idx_reader *r = NULL;
	int rc = core_reader_take(p->core, &r);

	for (unsigned i = 0; rc >= 0 && i < g->n; i++)
		if (is_listed(&g->v[i]) && may_see(!v->cr, v->cr, &g->v[i]))
			rc = run_report_line(v, r, &b, &g->v[i]);
	core_reader_give(p->core, r);
	spool_buf(out, &b);
	buf_release(&b);
	return rc;
}

static int list_render(struct provider *p, const struct cred *cr, bool whole,
		       struct spool *out)
{
	autofree struct listed *g = calloc(1, sizeof(*g));
	struct run_view v = { .cr = whole ? NULL : cr };
	uint64_t before = IDX_NOW;
	int rc = g ? 0 : -ENOMEM;

	run_walk_limit(&v, RENDER_SECONDS);
	while (rc >= 0) {
		rc = runs_page(p, before, g);
		if (rc >= 0)
			rc = list_page(p, &v, g, out);
		if (rc < 0 || g->n < PAGE)
			break;
		before = g->v[PAGE - 1].no;
		rc = run_walk_in_time(&v);
	}
	return rc;
}

const struct view audit_runs_view = {
	.lookup = runs_lookup,
	.attr = runs_attr,
	.opendir = runs_opendir,
	.readdir = runs_readdir,
};

/* --- one run --- */

static void document_key(struct node_key *out, const struct node *dir,
			 unsigned i)
{
	*out = (struct node_key){ .kind = NODE_RUN_SUMMARY,
				  .a = dir->key.a,
				  .b = dir->key.b };
	out->kind = (uint16_t)(NODE_RUN_SUMMARY + i);
}

static int run_lookup(struct provider *p, const struct cred *cr,
		      struct node *dir, const char *name, struct node_key *out,
		      char store[KEY_STRING])
{
	(void)p, (void)cr, (void)store;
	for (unsigned i = 0; i < DOCUMENTS; i++)
		if (!strcmp(documents[i].name, name)) {
			document_key(out, dir, i);
			return 0;
		}
	return -ENOENT;
}

static int run_readdir(struct provider *p, struct vdir_list *l, uint64_t off,
		       vdir_fill_fn *fill, void *ctx)
{
	struct node_key k;

	(void)p;
	for (unsigned i = (unsigned)off - 2; i < DOCUMENTS; i++) {
		document_key(&k, l->node, i);
		if (provider_fill(fill, ctx, documents[i].name, S_IFREG, &k,
				  i + COOKIES))
			return 0;
	}
	return 0;
}

/* The run's user owns it; who sees the whole ledger may look, too. */
static int run_attr(struct provider *p, struct node *n, struct stat *out,
		    uint32_t *ttl)
{
	provider_open_attr(p, n, out, n->key.kind == NODE_RUN);
	out->st_uid = (uint32_t)n->key.b;
	*ttl = n->key.kind == NODE_RUN ? 1000 : 0;
	return 0;
}

const struct view audit_run_view = {
	.lookup = run_lookup,
	.attr = run_attr,
	.readdir = run_readdir,
};

/* --- a document --- */

static int render_for(struct provider *p, const struct cred *cr, bool whole,
		      struct node *n, struct spool *out)
{
	struct run_view v = { .cr = whole ? NULL : cr };
	struct idx_reader *r = NULL;
	struct idx_run run;
	int rc = core_reader_take(p->core, &r);

	run_walk_limit(&v, RENDER_SECONDS);
	if (rc >= 0)
		rc = idx_run(r, &run, n->key.a);
	if (rc == 0)
		rc = -ESTALE;
	if (rc > 0 && !may_see(whole, cr, &run))
		rc = -EACCES;
	if (rc > 0)
		rc = documents[n->key.kind - NODE_RUN_SUMMARY].report(
			p->core, &v, r, &run, out);
	core_reader_give(p->core, r);
	return rc < 0 ? rc : 0;
}

static int render(struct provider *p, const struct cred *cr, struct node *n,
		  struct spool *out)
{
	bool whole = provider_whole(p, cr) == 0;
	int rc;

	if (!whole &&
	    __atomic_exchange_n(&p->run_rendered, true, __ATOMIC_ACQUIRE))
		return -EAGAIN;
	if (n->key.kind == NODE_RUN_LIST)
		rc = list_render(p, cr, whole, out);
	else
		rc = render_for(p, cr, whole, n, out);
	if (!whole)
		__atomic_store_n(&p->run_rendered, false, __ATOMIC_RELEASE);
	return rc;
}

static int count_one(void *ctx, const struct idx_entry *e)
{
	(void)e;
	++*(unsigned *)ctx;
	return 0;
}

/*
 * A short run is rendered for stat(2), so that tar(1) sees a size; but not
 * what has to read and compare files.
 */
static bool is_short(struct provider *p, const struct node *n)
{
	struct idx_reader *r = NULL;
	struct idx_run run;
	unsigned entries = 0;
	int rc = core_reader_take(p->core, &r);

	if (rc >= 0)
		rc = idx_run(r, &run, n->key.a);
	if (rc > 0)
		rc = idx_run_entries(r, &run, 0, IDX_NOW, STAT_ENTRIES + 1,
				     count_one, &entries);
	core_reader_give(p->core, r);
	return rc >= 0 && entries <= STAT_ENTRIES;
}

static void document_measure(struct provider *p, const struct cred *cr,
			     struct node *n)
{
	struct spool s;
	uint64_t size;

	node_lock(&p->nodes);
	size = n->size;
	node_unlock(&p->nodes);
	if (size || n->key.kind >= NODE_RUN_DIFF || !is_short(p, n))
		return;
	spool_init(&s, core_store_dir(p->core), 0);
	if (render(p, cr, n, &s) >= 0 && spool_end(&s) >= 0)
		node_publish(&p->nodes, n, s.size, provider_now(p), 0);
	spool_release(&s);
}

static int document_open(struct provider *p, const struct cred *cr,
			 struct vdir_file *f, struct vdir_opened *how)
{
	int rc = provider_settle(p);

	how->direct_io = true;
	if (rc >= 0)
		rc = render(p, cr, f->node, &f->body);
	return rc < 0 ? rc : provider_rendered(p, f, 0);
}

const struct view audit_run_document_view = {
	.attr = run_attr,
	.measure = document_measure,
	.open = document_open,
};

/* What its size was for somebody else is not told. */
static int list_attr(struct provider *p, struct node *n, struct stat *out,
		     uint32_t *ttl)
{
	provider_open_attr(p, n, out, false);
	out->st_size = 0;
	out->st_blocks = 0;
	provider_set_time(out, p->start_ns);
	*ttl = 0;
	return 0;
}

const struct view audit_run_list_view = {
	.attr = list_attr,
	.open = document_open,
};
