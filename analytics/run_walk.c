/*
 * run_walk.c - see run_walk.h.
 */
#include "analytics/run_walk.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "analytics/entry_page.h"
#include "analytics/line.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "fs/core/core.h"
#include "index/idx.h"
#include "index/idx_runs.h"
#include "ledger/entry.h"

void run_walk_limit(struct run_view *v, unsigned seconds)
{
	v->until_ns = clock_mono_ns() + seconds * 1000000000LL;
}

int run_walk_in_time(const struct run_view *v)
{
	return v->until_ns && clock_mono_ns() > v->until_ns ? -ETIMEDOUT : 0;
}

int run_walk_shows(struct run_view *v, struct idx_reader *r, uint64_t actor_no)
{
	struct idx_actor a;
	int rc;

	if (!v->cr)
		return 1;
	if (actor_no == v->actor)
		return v->shown;
	v->actor = actor_no;
	v->shown = false;
	rc = actor_no ? idx_actor(r, &a, actor_no) : 0;
	if (rc <= 0)
		return rc;
	v->shown = a.uid == v->cr->uid;
	idx_actor_release(&a);
	return v->shown;
}

static int next_page(struct idx_reader *r, const struct run_span *span,
		     uint64_t from, struct entry_page *out)
{
	out->n = 0;
	if (!span->run)
		return idx_entries(r, from, span->until, ENTRY_PAGE,
				   entry_page_add, out);
	return idx_run_entries(r, span->run, from, span->until, ENTRY_PAGE,
			       entry_page_add, out);
}

int run_walk_span(struct run_view *v, struct idx_reader *r,
		  const struct run_span *span, idx_entry_fn *fn, void *ctx)
{
	autofree struct entry_page *g = calloc(1, sizeof(*g));
	uint64_t from = span->from;
	int rc = g ? 0 : -ENOMEM;

	while (rc >= 0) {
		rc = next_page(r, span, from, g);
		for (unsigned i = 0; rc >= 0 && i < g->n; i++) {
			rc = span->run ?
				     run_walk_shows(v, r, g->v[i].actor_no) :
				     1;
			if (rc > 0)
				rc = run_walk_in_time(v);
			else if (rc == 0)
				continue;
			if (rc >= 0)
				rc = fn(ctx, &g->v[i]);
		}
		if (rc < 0 || g->n < ENTRY_PAGE)
			break;
		from = g->v[ENTRY_PAGE - 1].no + 1;
	}
	return rc < 0 ? rc : 0;
}

int run_walk(struct run_view *v, struct idx_reader *r,
	     const struct idx_run *run, idx_entry_fn *fn, void *ctx)
{
	const struct run_span all = { .run = run, .until = IDX_NOW };

	return run_walk_span(v, r, &all, fn, ctx);
}

bool run_walk_is_change(uint16_t kind)
{
	switch (kind) {
	case ENTRY_CREATE:
	case ENTRY_LINK:
	case ENTRY_UNLINK:
	case ENTRY_RENAME:
	case ENTRY_SETATTR:
	case ENTRY_SETXATTR:
	case ENTRY_RMXATTR:
	case ENTRY_VERSION:
	case ENTRY_RESTORE:
	case ENTRY_CLONE:
	case ENTRY_SNAPSHOT:
		return true;
	default: /* of EXTENTS the version tells that absorbs them */
		return false;
	}
}

/* --- inodes --- */

struct gather {
	struct core *core;
	struct run_touches *out;
	struct buf stored;
};

int run_walk_touches_add(struct run_touches *t, const struct run_touch *one)
{
	struct run_touch *last = t->n ? &t->v[t->n - 1] : NULL;

	if (last && last->ino == one->ino && last->last <= one->first) {
		last->last = one->last;
		last->moved = last->moved || one->moved;
		last->attributes = last->attributes || one->attributes;
		return 0;
	}
	if (t->n == RUN_TOUCHES_MAX)
		return -ERR_LIMIT;
	if (t->n == t->cap) {
		size_t cap = t->cap ? 2 * t->cap : 64;
		struct run_touch *v = realloc(t->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		t->v = v;
		t->cap = cap;
	}
	t->v[t->n++] = *one;
	return 0;
}

static int touch(struct gather *g, uint64_t ino, const struct idx_entry *e)
{
	const struct run_touch one = {
		.ino = ino,
		.first = e->no,
		.last = e->no,
		.moved = e->kind == ENTRY_RENAME,
		.attributes =
			e->kind == ENTRY_SETXATTR || e->kind == ENTRY_RMXATTR,
	};

	return run_walk_touches_add(g->out, &one);
}

/* The inode whose name the RENAME took. */
static int touch_replaced(struct gather *g, const struct idx_entry *e)
{
	struct entry entry;
	int rc = line_load(g->core, &g->stored, &entry, e->no);

	if (rc < 0 || entry.body.opaque || !entry.body.rename.replaced)
		return rc;
	return touch(g, entry.body.rename.replaced, e);
}

static int gather_one(void *ctx, const struct idx_entry *e)
{
	struct gather *g = ctx;
	int rc = 0;

	if (e->rejected || !e->inode ||
	    !(run_walk_is_change(e->kind) || e->kind == ENTRY_EXTENTS))
		return 0;
	if (e->kind == ENTRY_RENAME)
		rc = touch_replaced(g, e);
	return rc < 0 ? rc : touch(g, e->inode, e);
}

static int by_inode(const void *a, const void *b)
{
	const struct run_touch *x = a, *y = b;

	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

/* One for each inode. */
void run_walk_touches_merge(struct run_touches *t)
{
	size_t n = 0;

	if (t->n)
		qsort(t->v, t->n, sizeof(*t->v), by_inode);
	for (size_t i = 0; i < t->n; i++) {
		const struct run_touch *one = &t->v[i];
		struct run_touch *last = n ? &t->v[n - 1] : NULL;

		if (!last || last->ino != one->ino) {
			t->v[n++] = *one;
			continue;
		}
		if (last->last < one->last)
			last->last = one->last;
		last->moved = last->moved || one->moved;
		last->attributes = last->attributes || one->attributes;
	}
	t->n = n;
}

int run_walk_touches_span(struct core *c, struct run_view *v,
			  struct idx_reader *r, const struct run_span *span,
			  struct run_touches *out)
{
	struct gather g = { .core = c, .out = out };
	int rc;

	*out = (struct run_touches){ .n = 0 };
	rc = run_walk_span(v, r, span, gather_one, &g);
	buf_release(&g.stored);
	if (rc < 0)
		run_walk_touches_release(out);
	else
		run_walk_touches_merge(out);
	return rc;
}

void run_walk_touches_release(struct run_touches *t)
{
	free(t->v);
	*t = (struct run_touches){ .n = 0 };
}
