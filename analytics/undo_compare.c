/*
 * undo_compare.c - of something that was there before the run and still is:
 * what of it is other than it was, and may be put back.
 *
 * One rule for everything that has a value: as it was: nothing to do.  As the
 * run left it: it is put back.  Neither: somebody has changed it since, it
 * stays, and is told.  Texts are merged.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "analytics/undo_int.h"
#include "analytics/run_walk.h"
#include "base/err.h"
#include "index/idx_query.h"

static const char changed_since[] = "changed since";
const char undo_changed_between[] =
	"changed by somebody else while the run went on";

/* --- numbers --- */

static int64_t number_before(const struct undo_item *i, int k)
{
	const struct undo_number *n = &i->src->number[k];

	if (i->src != i->dst)
		return undo_old_number(n);
	return n->seen.touched ? n->before : n->now;
}

static int64_t number_after(const struct undo_item *i, int k)
{
	const struct undo_number *n = &i->dst->number[k];

	return n->seen.touched ? n->after : n->now;
}

static int compare_number(struct undo_item *i, int k, const char *what)
{
	const struct undo_seen *s = &i->dst->number[k].seen;
	int64_t before = number_before(i, k), after = number_after(i, k);
	int64_t now = i->holder->number[k].now;
	uint64_t by = i->holder != i->dst ? i->dst->death :
		      s->foreign	  ? s->foreign :
					    s->theirs;

	/* what is written gets a time, too, and no entry says so */
	if (k == UNDO_MTIME && S_ISREG(i->holder->type))
		now = i->holder->written_ns;
	if (before == after || now == before ||
	    (i->src == i->dst && !s->touched))
		return 0;
	i->set[k] = now == after && !s->mixed;
	if (i->set[k] || k == UNDO_MTIME)
		return 0;
	return undo_conflict(i, what,
			     s->mixed ? undo_changed_between : changed_since,
			     by, NULL);
}

static int compare_numbers(struct undo_item *i)
{
	static const char *const words[] = { "mode", "owner", "group", "time" };
	int rc = 0;

	for (int k = 0; k < UNDO_NUMBERS && rc == 0; k++) {
		if (k == UNDO_MODE && S_ISLNK(i->src->type))
			continue;
		/* with the bytes comes the time; a new one, for make(1) */
		if (k == UNDO_MTIME && (i->src != i->dst || i->dst->n_parts ||
					S_ISDIR(i->src->type)))
			continue;
		rc = compare_number(i, k, words[k]);
	}
	return rc;
}

/* --- attributes --- */

static const struct undo_xattr *find_xattr(const struct undo_track *t,
					   const char *name)
{
	for (size_t i = 0; i < t->n_xattrs; i++)
		if (strcmp(t->xattrs[i].name, name) == 0)
			return &t->xattrs[i];
	return NULL;
}

static bool same_value(const struct undo_value *a, const struct undo_value *b)
{
	return !a->no == !b->no && digest_eq(&a->digest, &b->digest);
}

static int add_xattr(struct undo_item *i, const char *name, uint64_t no)
{
	struct undo_value_set *v =
		reallocarray(i->xattrs, i->n_xattrs + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	i->xattrs = v;
	v[i->n_xattrs++] = (struct undo_value_set){ name, no };
	return 0;
}

static int compare_xattr(struct undo_item *i, const char *name)
{
	static const struct undo_xattr none;
	const struct undo_xattr *src = find_xattr(i->src, name);
	const struct undo_xattr *dst = find_xattr(i->dst, name);
	const struct undo_xattr *now = find_xattr(i->holder, name);
	const struct undo_value *before, *after;

	src = src ? src : &none;
	dst = dst ? dst : &none;
	now = now ? now : &none;
	before = i->src != i->dst  ? undo_old_value(src) :
		 src->seen.touched ? &src->before :
				     &src->now;
	after = dst->seen.touched ? &dst->after : &dst->now;
	if ((i->src == i->dst && !dst->seen.touched) ||
	    same_value(before, after) || same_value(&now->now, before))
		return 0;
	if (same_value(&now->now, after) && !dst->seen.mixed)
		return add_xattr(i, name, before->no);
	return undo_conflict(i, "attribute",
			     dst->seen.mixed ? undo_changed_between :
					       changed_since,
			     i->holder != i->dst ? i->dst->death :
			     dst->seen.foreign	 ? dst->seen.foreign :
						   dst->seen.theirs,
			     name);
}

static int compare_xattrs(struct undo_item *i)
{
	int rc = 0;

	for (size_t k = 0; k < i->src->n_xattrs && rc == 0; k++)
		rc = compare_xattr(i, i->src->xattrs[k].name);
	for (size_t k = 0; k < i->dst->n_xattrs && rc == 0; k++)
		if (i->src != i->dst &&
		    !find_xattr(i->src, i->dst->xattrs[k].name))
			rc = compare_xattr(i, i->dst->xattrs[k].name);
	return rc;
}

/* --- content --- */

/*
 * What the run wrote, from what was there to what it left; of an old file in
 * whose place a new one came, first what the run had written to the old one.
 */
static int find_parts(struct undo_item *i)
{
	const struct undo_track *d = i->dst;
	size_t old = i->src != d ? undo_old_parts(i->src) : 0;
	size_t n = d->n_parts ? d->n_parts : i->src != d;

	i->parts = calloc(old + n + 1, sizeof(*i->parts));
	if (!i->parts)
		return -ENOMEM;
	i->n_parts = old + n;
	for (size_t k = 0; k < old; k++)
		i->parts[k] = i->src->parts[k];
	for (size_t k = 0; k < d->n_parts; k++)
		i->parts[old + k] = d->parts[k];
	if (i->src == d)
		return 0;
	i->parts[old].before = undo_old_content(i->src);
	if (!d->n_parts)
		i->parts[old].after = (struct undo_ref){ d->ino, d->first };
	return 0;
}

static int content_words(struct undo_item *i, int rc, uint64_t by)
{
	switch (rc) {
	case -ENODATA:
		return undo_conflict(i, "content",
				     "its bytes before the run were released",
				     by, NULL);
	case -EACCES:
		return undo_conflict(i, "content", "you may not read it", 0,
				     NULL);
	default:
		return rc;
	}
}

static uint64_t content_by(const struct undo_item *i)
{
	if (i->holder != i->dst)
		return i->holder->version_no ? i->holder->version_no :
					       i->dst->death;
	if (i->dst->content_foreign)
		return i->dst->content_foreign;
	return i->dst->content_theirs ? i->dst->content_theirs :
					i->src->content_theirs;
}

static int merge(struct undo *u, struct undo_item *i)
{
	struct undo_merge m = {
		.core = u->core, .r = u->r, .cr = u->view->cr, .git = &u->git
	};
	struct undo_ref now = { i->holder->ino, IDX_NOW };
	struct buf ours = BUF_INIT, was = BUF_INIT, places = BUF_INIT;
	int rc;

	undo_look_away(u); /* git may take its time */
	rc = undo_bytes(&m, &ours, now);

	if (rc > 0)
		buf_add(&was, ours.p, ours.n);
	if (rc > 0)
		rc = undo_merge(&m, &ours, i->parts, i->n_parts, &places);
	if (was.bad || places.bad)
		rc = -ENOMEM;
	if (rc == 0)
		rc = undo_conflict(i, "content",
				   i->n_parts > 1 ? undo_changed_between :
						    changed_since,
				   content_by(i), NULL);
	else if (rc > 0)
		i->merge = ours.n != was.n ||
			   (was.n && memcmp(ours.p, was.p, was.n) != 0);
	if (rc > 0 && places.n)
		rc = undo_conflict(i, "lines", "the same lines were changed",
				   content_by(i), (char *)places.p);
	buf_release(&ours);
	buf_release(&was);
	buf_release(&places);
	return rc < 0 ? content_words(i, rc, content_by(i)) : 0;
}

static int compare_content(struct undo *u, struct undo_item *i)
{
	const struct undo_track *h = i->holder;
	struct digest before, after;
	uint64_t size_before = 0, size_after = 0;
	int known, rc;

	if (i->n_parts == 0)
		return 0;
	known = undo_content_root(u, &before, &size_before, i->parts[0].before);
	if (known < 0)
		return content_words(i, known, 0);
	if (known > 0 && i->n_parts == 1 && size_before == h->size &&
	    (h->size == 0 || digest_eq(&before, &h->root)))
		return 0;
	rc = undo_content_root(u, &after, &size_after,
			       i->parts[i->n_parts - 1].after);
	if (rc < 0)
		return content_words(i, rc, 0);
	if (i->n_parts == 1 && rc > 0 && size_after == h->size &&
	    (h->size == 0 || digest_eq(&after, &h->root))) {
		i->put = true;
		return 0;
	}
	return merge(u, i);
}

int undo_compare(struct undo *u, struct undo_item *i)
{
	int rc = compare_numbers(i);

	if (rc == 0)
		rc = compare_xattrs(i);
	if (rc == 0 && S_ISREG(i->src->type))
		rc = find_parts(i);
	if (rc == 0 && S_ISREG(i->src->type))
		rc = compare_content(u, i);
	if (rc == 0 && i->verdict != UNDO_NOT)
		rc = run_walk_in_time(u->view);
	return rc;
}
