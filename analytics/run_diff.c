/*
 * run_diff.c - which files differ by what a run did, or between two states;
 * run_diff_print.c shows them.
 *
 * Of each inode that was touched meanwhile two states are looked up: those
 * asked for, or before a run's first and after its last change.  All are
 * places in the log, so the answer is the same whenever it is asked.
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
	const struct run_diff_what *what;
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

/* The inode after entry `at`, at a path that it had then. */
static int side_load(struct find *f, struct run_diff_side *out, uint64_t ino,
		     uint64_t at, const char *path)
{
	int rc;

	if (!path)
		return 0;
	rc = past_load(&out->past, f->core, f->r, ino, at);
	if (rc < 0)
		return rc;
	out->path = strdup(*path ? path : ".");
	return out->path ? 0 : -ENOMEM;
}

/* --- the names of an inode --- */

struct paths {
	char **v; /* by their bytes */
	size_t n, cap;
};

static void paths_release(struct paths *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->v[i]);
	free(p->v);
	*p = (struct paths){ .n = 0 };
}

static int add_path(void *ctx, const char *path, size_t n)
{
	struct paths *p = ctx;
	char *own;

	(void)n;
	if (p->n == p->cap) {
		size_t cap = p->cap ? 2 * p->cap : 4;
		char **v = realloc(p->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		p->v = v;
		p->cap = cap;
	}
	own = strdup(path);
	if (!own)
		return -ENOMEM;
	p->v[p->n++] = own;
	return 0;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int paths_load(struct find *f, struct paths *out, uint64_t ino,
		      uint64_t at)
{
	int rc = idx_paths_at(f->r, ino, at, add_path, out);

	if (rc >= 0 && out->n)
		qsort(out->v, out->n, sizeof(*out->v), by_bytes);
	return rc < 0 ? rc : 0;
}

/* Takes out what is in both, and puts it into *both. */
static int paths_split(struct paths *a, struct paths *b, struct paths *both)
{
	size_t i = 0, k = 0, n_a = 0, n_b = 0;
	int rc = 0;

	while (i < a->n || k < b->n) {
		int d = i == a->n ? 1 :
			k == b->n ? -1 :
				    strcmp(a->v[i], b->v[k]);

		if (d < 0) {
			a->v[n_a++] = a->v[i++];
		} else if (d > 0) {
			b->v[n_b++] = b->v[k++];
		} else {
			if (rc >= 0)
				rc = add_path(both, a->v[i], 0);
			free(a->v[i++]);
			free(b->v[k++]);
		}
	}
	a->n = n_a;
	b->n = n_b;
	return rc;
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
	free(i->link);
	i->link = NULL;
	for (size_t k = 0; k < i->n_xattrs; k++)
		free(i->xattrs[k].name);
	free(i->xattrs);
	i->xattrs = NULL;
	i->n_xattrs = 0;
}

void run_diff_list_release(struct run_diff_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		item_release(&l->v[i]);
	free(l->v);
	*l = (struct run_diff_list){ .n = 0 };
}

/* What was done to the inode between two places of the log. */
struct change {
	uint64_t ino, from, until;
	bool attributes;
};

/* One name of it, or two: it was moved; and one it has besides, or NULL. */
struct named {
	const char *before, *after, *link;
};

static int add_item(struct find *f, const struct change *c,
		    const struct named *n)
{
	struct run_diff_item item = { .attributes = c->attributes };
	int rc = side_load(f, &item.before, c->ino, c->from, n->before);

	if (rc >= 0)
		rc = side_load(f, &item.after, c->ino, c->until, n->after);
	if (rc >= 0 && n->link) {
		item.link = strdup(n->link);
		rc = item.link ? 0 : -ENOMEM;
	}
	if (rc >= 0)
		rc = add(f->out, &item);
	item_release(&item);
	return rc == -ENOENT ? 0 : rc;
}

/* Of a name that came or went alone: one that the file has besides. */
static const char *link_of(const struct paths *a, const struct paths *b,
			   const struct paths *both, size_t i)
{
	if (both->n)
		return both->v[0];
	if (i == 0) /* it came, or went, with the first of its names */
		return NULL;
	return b->n ? b->v[0] : a->v[0];
}

static int add_between(struct find *f, const struct change *c)
{
	struct paths a = { .n = 0 }, b = { .n = 0 }, both = { .n = 0 };
	int rc = run_walk_in_time(f->view);

	if (rc >= 0)
		rc = paths_load(f, &a, c->ino, c->from);
	if (rc >= 0)
		rc = paths_load(f, &b, c->ino, c->until);
	if (rc >= 0)
		rc = paths_split(&a, &b, &both);
	for (size_t i = 0; rc >= 0 && i < both.n; i++)
		rc = add_item(f, c,
			      &(struct named){ both.v[i], both.v[i], NULL });
	for (size_t i = 0; rc >= 0 && (i < a.n || i < b.n); i++) {
		struct named n = { .before = i < a.n ? a.v[i] : NULL,
				   .after = i < b.n ? b.v[i] : NULL };

		if (!n.before != !n.after)
			n.link = link_of(&a, &b, &both, i);
		rc = add_item(f, c, &n);
	}
	paths_release(&a);
	paths_release(&b);
	paths_release(&both);
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
	f->mine = memcmp(a.run, f->what->run->id, sizeof(a.run)) == 0 &&
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
		rc = add_between(p->f, &(struct change){ .ino = v->ino,
							 .from = p->from,
							 .until = v->no - 1 });
	if (!mine)
		p->from = v->no;
	p->any = mine;
	return rc < 0 ? rc : 0;
}

static int find_of_run(struct find *f, const struct run_touch *t)
{
	struct parts p = { .f = f, .t = t, .from = t->first - 1 };
	struct change last = { .ino = t->ino,
			       .until = t->last,
			       .attributes = t->attributes };
	struct idx_version v = { .version = 0 };
	int rc = idx_version_at(f->r, &v, t->ino, t->first - 1);

	if (rc >= 0)
		rc = idx_versions(f->r, t->ino, v.version + 1, UINT32_MAX,
				  on_version, &p);
	last.from = p.from;
	return rc < 0 ? rc : add_between(f, &last);
}

static int find_inode(struct find *f, const struct run_touch *t)
{
	const struct change whole = { .ino = t->ino,
				      .from = f->what->from,
				      .until = f->what->until,
				      .attributes = t->attributes };

	return f->what->run ? find_of_run(f, t) : add_between(f, &whole);
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

/*
 * What lost its name to something of its kind that was made meanwhile: that,
 * before.
 */
static void join_replaced(struct run_diff_list *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++) {
		struct run_diff_item *prev = n ? &l->v[n - 1] : NULL;
		struct run_diff_item *v = &l->v[i];

		if (prev && !prev->after.path && !v->before.path &&
		    strcmp(prev->before.path, v->after.path) == 0 &&
		    !((prev->before.past->mode ^ v->after.past->mode) &
		      S_IFMT)) {
			prev->after = v->after;
			free(prev->link);
			prev->link = v->link;
			prev->attributes = true;
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
	    strcmp(i->before.path, i->after.path) != 0 || a->mode != b->mode ||
	    run_diff_other_attributes(i))
		return false;
	if (S_ISLNK(a->mode))
		return strcmp(a->target ? a->target : "",
			      b->target ? b->target : "") == 0;
	if (S_ISREG(a->mode))
		return run_diff_same_bytes(i);
	return a->rdev == b->rdev;
}

static int drop_same(struct find *f, struct run_diff_list *l)
{
	size_t n = 0;
	int rc = 0;

	for (size_t i = 0; i < l->n; i++) {
		struct run_diff_item *v = &l->v[i];

		if (rc >= 0 && v->attributes && v->before.path && v->after.path)
			rc = run_diff_xattrs(f->core, f->r, v);
		if (is_same(v))
			item_release(v);
		else
			l->v[n++] = *v;
	}
	l->n = n;
	return rc;
}

/* --- only some paths --- */

static bool is_wanted(const struct run_diff_what *w, const char *path)
{
	for (size_t i = 0; i < w->n_paths; i++) {
		size_t n = strlen(w->paths[i]);

		if (!n || (strncmp(path, w->paths[i], n) == 0 &&
			   (!path[n] || path[n] == '/')))
			return true;
	}
	return w->n_paths == 0;
}

/* What comes from elsewhere is new, what went elsewhere is gone. */
static void drop_others(struct run_diff_list *l, const struct run_diff_what *w)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++) {
		struct run_diff_item *v = &l->v[i];

		if (v->before.path && !is_wanted(w, v->before.path))
			side_release(&v->before);
		if (v->after.path && !is_wanted(w, v->after.path))
			side_release(&v->after);
		if (v->before.path || v->after.path)
			l->v[n++] = *v;
		else
			item_release(v);
	}
	l->n = n;
}

/* --- all of it --- */

static int find_all(struct find *f)
{
	const struct run_diff_what *w = f->what;
	bool back = !w->run && w->from > w->until;
	const struct run_span span = {
		.run = w->run,
		.from = w->run ? 0 : (back ? w->until : w->from) + 1,
		.until = w->run ? IDX_NOW :
			 back	? w->from :
				  w->until,
	};
	struct run_touches t;
	int rc = run_walk_touches_span(f->core, f->view, f->r, &span, &t);

	if (rc >= 0)
		rc = run_diff_moved(f->view, f->r, w, &t);
	for (size_t i = 0; rc >= 0 && i < t.n; i++)
		rc = find_inode(f, &t.v[i]);
	run_walk_touches_release(&t);
	return rc;
}

int run_diff_find(struct core *c, struct run_view *v, struct idx_reader *r,
		  const struct run_diff_what *what, struct run_diff_list *out)
{
	struct find f = {
		.core = c, .view = v, .r = r, .what = what, .out = out
	};
	int rc;

	*out = (struct run_diff_list){ .n = 0 };
	rc = find_all(&f);
	if (rc >= 0)
		drop_others(out, what);
	if (rc >= 0 && out->n) {
		qsort(out->v, out->n, sizeof(*out->v), by_path);
		join_replaced(out);
		rc = drop_same(&f, out);
	}
	if (rc < 0)
		run_diff_list_release(out);
	return rc < 0 ? rc : 0;
}
