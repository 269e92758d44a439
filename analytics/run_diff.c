/*
 * run_diff.c - which files differ by what a run did; run_diff_print.c shows
 * them.
 *
 * Of each inode that the run touched the state before its first and after its
 * last change are looked up; both are places in the log, so the answer is the
 * same whenever it is asked.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "analytics/past.h"
#include "analytics/run_diff_int.h"
#include "analytics/run_walk.h"
#include "base/buf.h"
#include "base/err.h"
#include "fs/core/core.h"
#include "index/idx.h"
#include "index/idx_runs.h"

struct find {
	struct core *core;
	struct run_view *view;
	struct idx_reader *r;
	const struct idx_run *run;
	struct run_diff_list *out;
	uint64_t actor; /* asked last, and whether it is the run's */
	bool mine;
};

/* --- one side --- */

static void side_release(struct run_diff_side *s)
{
	free(s->path);
	past_free(s->past);
	*s = (struct run_diff_side){ .path = NULL };
}

/* Only what a diff shows: files and symbolic links that have a name. */
static bool is_shown(const struct past *p)
{
	return S_ISREG(p->mode) || S_ISLNK(p->mode);
}

/* The inode after entry `at`; no path: it was not there. */
static int side_load(struct find *f, struct run_diff_side *out, uint64_t ino,
		     uint64_t at)
{
	struct buf path = BUF_INIT;
	int rc = past_load(&out->past, f->core, f->r, ino, at);

	if (rc == -ENOENT)
		return 0;
	if (rc == 0 && is_shown(out->past))
		rc = idx_path(f->r, &path, ino, at);
	if (rc > 0 && !path.bad)
		out->path = buf_take(&path);
	buf_release(&path);
	if (rc > 0 && !out->path)
		rc = -ENOMEM;
	if (rc < 0 || !out->path)
		side_release(out);
	return rc < 0 ? rc : 0;
}

/* --- the list --- */

static int add(struct run_diff_list *l, struct run_diff_item *item)
{
	if (l->n == RUN_DIFF_MAX)
		return -ERR_LIMIT;
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 64;
		struct run_diff_item *v = realloc(l->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = *item;
	*item = (struct run_diff_item){ .before = { .path = NULL } };
	return 0;
}

static void item_release(struct run_diff_item *i)
{
	side_release(&i->before);
	side_release(&i->after);
}

void run_diff_list_release(struct run_diff_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		item_release(&l->v[i]);
	free(l->v);
	*l = (struct run_diff_list){ .n = 0 };
}

/* What the run did to the inode between two places of the log. */
static int add_between(struct find *f, uint64_t ino, uint64_t from,
		       uint64_t until)
{
	struct run_diff_item item = { .before = { .path = NULL } };
	int rc = run_walk_in_time(f->view);

	if (rc >= 0)
		rc = side_load(f, &item.before, ino, from);
	if (rc >= 0)
		rc = side_load(f, &item.after, ino, until);
	if (rc >= 0 && (item.before.path || item.after.path))
		rc = add(f->out, &item);
	item_release(&item);
	return rc;
}

static int is_mine(struct find *f, uint64_t actor_no)
{
	struct idx_actor a;
	int rc;

	if (actor_no == f->actor)
		return f->mine;
	f->actor = actor_no;
	f->mine = false;
	rc = actor_no ? idx_actor(f->r, &a, actor_no) : 0;
	if (rc <= 0)
		return rc;
	f->mine = memcmp(a.run, f->run->id, sizeof(a.run)) == 0 &&
		  (!f->view->cr || a.uid == f->view->cr->uid);
	idx_actor_release(&a);
	return f->mine;
}

/* Versions in between, each the run's or somebody else's. */
struct parts {
	struct find *f;
	const struct run_touch *t;
	uint64_t from; /* where the part begins that is being looked at */
	bool any;      /* the run changed something in it */
};

static int on_version(void *ctx, const struct idx_version *v)
{
	struct parts *p = ctx;
	int mine, rc = 0;

	if (v->no > p->t->last)
		return 1;
	mine = is_mine(p->f, v->actor_no);
	if (mine < 0)
		return mine;
	if (p->from < p->t->first && v->no > p->t->first)
		p->any = true; /* its first change, whatever it was */
	if (!mine && p->any)
		rc = add_between(p->f, v->ino, p->from, v->no - 1);
	if (!mine)
		p->from = v->no;
	p->any = mine;
	return rc < 0 ? rc : 0;
}

static int find_inode(struct find *f, const struct run_touch *t)
{
	struct parts p = { .f = f, .t = t, .from = t->first - 1 };
	struct idx_version v = { .version = 0 };
	int rc = idx_version_at(f->r, &v, t->ino, t->first - 1);

	if (rc >= 0)
		rc = idx_versions(f->r, t->ino, v.version + 1, UINT32_MAX,
				  on_version, &p);
	return rc < 0 ? rc : add_between(f, t->ino, p.from, t->last);
}

/* --- order --- */

static const char *name_of(const struct run_diff_item *i)
{
	return i->after.path ? i->after.path : i->before.path;
}

/* By path; of one path what is gone before what came, parts in their order. */
static int by_path(const void *a, const void *b)
{
	const struct run_diff_item *x = a, *y = b;
	int d = strcmp(name_of(x), name_of(y));
	uint64_t ax, ay;

	if (d)
		return d;
	if (!x->after.path != !y->after.path)
		return x->after.path ? 1 : -1;
	ax = x->after.path ? x->after.past->at : x->before.past->at;
	ay = y->after.path ? y->after.past->at : y->before.past->at;
	return ax < ay ? -1 : ax > ay;
}

/* What lost its name to a file that was made meanwhile: that file, before. */
static void join_replaced(struct run_diff_list *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++) {
		struct run_diff_item *prev = n ? &l->v[n - 1] : NULL;
		struct run_diff_item *v = &l->v[i];

		if (prev && !prev->after.path && !v->before.path &&
		    strcmp(prev->before.path, v->after.path) == 0) {
			prev->after = v->after;
			continue;
		}
		if (n != i)
			l->v[n] = *v;
		n++;
	}
	l->n = n;
}

bool run_diff_same_bytes(const struct run_diff_item *i)
{
	const struct past *a = i->before.past, *b = i->after.past;

	return i->before.path && i->after.path && S_ISREG(a->mode) &&
	       S_ISREG(b->mode) && digest_eq(&a->root, &b->root) &&
	       a->size == b->size && a->extents_from == b->extents_from;
}

static bool is_same(const struct run_diff_item *i)
{
	const struct past *a = i->before.past, *b = i->after.past;

	if (!i->before.path || !i->after.path ||
	    strcmp(i->before.path, i->after.path) != 0 || a->mode != b->mode)
		return false;
	if (S_ISLNK(a->mode))
		return strcmp(a->target ? a->target : "",
			      b->target ? b->target : "") == 0;
	return run_diff_same_bytes(i);
}

static void drop_same(struct run_diff_list *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++) {
		if (is_same(&l->v[i]))
			item_release(&l->v[i]);
		else
			l->v[n++] = l->v[i];
	}
	l->n = n;
}

int run_diff_find(struct core *c, struct run_view *v, struct idx_reader *r,
		  const struct idx_run *run, struct run_diff_list *out)
{
	struct find f = {
		.core = c, .view = v, .r = r, .run = run, .out = out
	};
	struct run_touches t;
	int rc = run_walk_touches(c, v, r, run, &t);

	*out = (struct run_diff_list){ .n = 0 };
	for (size_t i = 0; rc >= 0 && i < t.n; i++)
		rc = find_inode(&f, &t.v[i]);
	if (rc >= 0 && out->n) {
		qsort(out->v, out->n, sizeof(*out->v), by_path);
		join_replaced(out);
		drop_same(out);
	}
	run_walk_touches_release(&t);
	if (rc < 0)
		run_diff_list_release(out);
	return rc < 0 ? rc : 0;
}
