/*
 * undo_old.c - what the run removed, as it was without the run.
 *
 * Where nobody else was at work that is what was there before the run.  Else it
 * is what they left last, and in that are the run's edits of before: a text is
 * freed of them; of other bytes it is told that they are in it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "analytics/run_walk.h"
#include "analytics/undo_int.h"
#include "base/err.h"
#include "index/idx_query.h"

int64_t undo_old_number(const struct undo_number *n)
{
	if (!n->seen.touched)
		return n->now;
	return n->seen.theirs ? n->theirs : n->before;
}

const struct undo_value *undo_old_value(const struct undo_xattr *x)
{
	if (!x->seen.touched)
		return &x->now;
	return x->seen.theirs ? &x->theirs : &x->before;
}

struct undo_ref undo_old_content(const struct undo_track *t)
{
	if (t->n_parts && !t->content_foreign)
		return t->parts[t->n_parts - 1].before;
	return (struct undo_ref){ t->ino, t->death - 1 };
}

size_t undo_old_parts(const struct undo_track *t)
{
	if (t->content_foreign)
		return t->n_parts;
	return t->n_parts ? t->n_parts - 1 : 0;
}

/* 1: a text without the run's parts; 0: no text. */
static int merge(struct undo *u, const struct undo_track *t, struct buf *out,
		 struct buf *places)
{
	const struct undo_merge m = {
		.core = u->core, .r = u->r, .cr = u->view->cr, .git = &u->git
	};
	int rc;

	undo_look_away(u); /* git may take its time */
	rc = undo_bytes(&m, out, undo_old_content(t));
	if (rc > 0)
		rc = undo_merge(&m, out, t->parts, undo_old_parts(t), places);
	return rc < 0 || !(out->bad || places->bad) ? rc : -ENOMEM;
}

static int judge_parts(struct undo *u, struct undo_item *i)
{
	const struct undo_track *t = i->src;
	struct buf text = BUF_INIT, places = BUF_INIT;
	size_t n = undo_old_parts(t);
	int rc = merge(u, t, &text, &places);
	bool known = rc > 0;

	i->merge = known;
	i->parts = known ? calloc(n, sizeof(*i->parts)) : NULL;
	if (i->parts) {
		memcpy(i->parts, t->parts, n * sizeof(*i->parts));
		i->n_parts = n;
	} else if (known) {
		rc = -ENOMEM;
	}
	if (rc >= 0 && (!known || places.n)) {
		rc = undo_conflict(i, known ? "lines" : "content",
				   known ? "the same lines were changed" :
					   undo_changed_between,
				   t->content_theirs, (char *)places.p);
		i->n_told += rc == 0;
	}
	buf_release(&text);
	buf_release(&places);
	return rc < 0 ? rc : 0;
}

int undo_old_judge(struct undo *u, struct undo_item *i)
{
	struct digest root;
	uint64_t size;
	int rc;

	if (!S_ISREG(i->src->type))
		return 0;
	if (undo_old_parts(i->src))
		return judge_parts(u, i);
	rc = undo_content_root(u, &root, &size, undo_old_content(i->src));
	return rc < 0 ? rc : 0;
}

/* Freed of the run's parts it is no version: the bytes themselves tell. */
static int is_merged(struct undo *u, const struct undo_track *t,
		     const struct undo_track *now)
{
	const struct undo_merge m = { .core = u->core, .r = u->r };
	struct buf want = BUF_INIT, have = BUF_INIT, places = BUF_INIT;
	int rc = merge(u, t, &want, &places);
	bool known = rc > 0;

	if (known)
		rc = undo_bytes(&m, &have,
				(struct undo_ref){ now->ino, IDX_NOW });
	if (known && rc > 0)
		rc = have.n == want.n &&
		     (have.n == 0 || memcmp(have.p, want.p, have.n) == 0);
	else if (rc >= 0)
		rc = known ? 0 : -ERR_LIMIT;
	buf_release(&want);
	buf_release(&have);
	buf_release(&places);
	return rc;
}

int undo_old_is(struct undo *u, const struct undo_track *t,
		const struct undo_track *now)
{
	struct digest root;
	uint64_t size;
	int rc = undo_old_parts(t) ? is_merged(u, t, now) : -ERR_LIMIT;

	if (rc != -ERR_LIMIT) /* else no text: as they left it */
		return rc;
	rc = undo_content_root(u, &root, &size, undo_old_content(t));
	if (rc <= 0)
		return rc;
	return size == now->size && (size == 0 || digest_eq(&root, &now->root));
}
