/*
 * undo_items.c - which inodes an undo is about: what the run touched, and what
 * of it belongs together because it had one name after the other.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "analytics/run_walk.h"
#include "analytics/undo_int.h"
#include "base/err.h"
#include "fs/core/core.h"
#include "index/idx_query.h"
#include "ledger/entry.h"

/* --- what the run touched --- */

/*
 * What is dirty gets its version.  The times are of before: who writes while we
 * look leaves another one, and what is removed by this plan is not that.
 */
static int make_versions(struct undo *u, const struct run_touches *t)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < t->n; i++) {
		struct undo_track *to = &u->tracks[i];
		struct stat st;

		if (core_getattr(u->core, t->v[i].ino, &st) >= 0)
			to->written_ns = st.st_mtim.tv_sec * 1000000000LL +
					 st.st_mtim.tv_nsec;
		rc = undo_version_now(u, t->v[i].ino);
	}
	return rc < 0 ? rc : core_settle_index(u->core);
}

static int load_tracks(struct undo *u)
{
	struct run_touches t;
	const struct run_span span = { .run = u->run,
				       .from = u->run ? 0 : u->since + 1,
				       .until = IDX_NOW };
	int rc = run_walk_touches_span(u->core, u->view, u->r, &span, &t);

	if (rc == 0 && t.n > UNDO_MAX)
		rc = -ERR_LIMIT;
	u->tracks = rc == 0 ? calloc(t.n + 1, sizeof(*u->tracks)) : NULL;
	u->items = rc == 0 ? calloc(t.n + 1, sizeof(*u->items)) : NULL;
	if (rc == 0 && (!u->tracks || !u->items))
		rc = -ENOMEM;
	if (rc == 0)
		rc = make_versions(u, &t);
	for (size_t i = 0; rc == 0 && i < t.n; i++) {
		int64_t written = u->tracks[i].written_ns;

		rc = run_walk_in_time(u->view);
		if (rc == 0)
			rc = undo_look(u);
		if (rc == 0)
			rc = undo_track_load(u, &u->tracks[i], t.v[i].ino,
					     t.v[i].first);
		u->tracks[i].written_ns = written;
		u->n_tracks += rc == 0;
	}
	run_walk_touches_release(&t);
	return rc;
}

bool undo_comes_back(const struct undo_name *n)
{
	return n->seen.touched && n->before && !n->after;
}

bool undo_goes(const struct undo_name *n)
{
	return n->seen.touched && !n->before && n->after;
}

/* --- an old file and the new one in its place --- */

struct old_name {
	struct undo_track *track;
	struct undo_name *name;
};

static int by_name(const void *a, const void *b)
{
	const struct old_name *x = a, *y = b;

	if (x->name->parent != y->name->parent)
		return x->name->parent < y->name->parent ? -1 : 1;
	return strcmp(x->name->name, y->name->name);
}

static bool was_removed(const struct undo_track *t)
{
	return !t->created && t->death && t->death_mine;
}

static int old_names(struct undo *u, struct old_name **out, size_t *out_n)
{
	size_t n = 0;

	for (size_t i = 0; i < u->n_tracks; i++)
		if (was_removed(&u->tracks[i]))
			n += u->tracks[i].n_names;
	*out = calloc(n + 1, sizeof(**out));
	*out_n = 0;
	if (!*out)
		return -ENOMEM;
	for (size_t i = 0; i < u->n_tracks; i++) {
		struct undo_track *t = &u->tracks[i];

		for (size_t k = 0; was_removed(t) && k < t->n_names; k++)
			if (undo_comes_back(&t->names[k]))
				(*out)[(*out_n)++] =
					(struct old_name){ t, &t->names[k] };
	}
	qsort(*out, *out_n, sizeof(**out), by_name);
	return 0;
}

static struct undo_item *item_of(struct undo *u, enum undo_what what,
				 struct undo_track *src, struct undo_track *dst)
{
	struct undo_item *i = &u->items[u->n_items++];

	i->what = what;
	i->src = src;
	i->dst = dst;
	i->holder = dst;
	src->item = src->item ? src->item : i;
	dst->item = dst->item ? dst->item : i;
	return i;
}

/* What is no file is made in the other's place, which has no other name then. */
static bool fits(const struct undo_track *old, const struct undo_track *new)
{
	size_t n = 0;

	for (size_t k = 0; k < new->n_names; k++)
		n += undo_goes(&new->names[k]);
	if (S_ISDIR(old->type))
		return false;
	return n == 1 || (S_ISREG(old->type) && S_ISREG(new->type));
}

/* New files in the places of old ones, where neither is a directory. */
static void join(struct undo *u, const struct old_name *old, size_t n)
{
	for (size_t i = 0; i < u->n_tracks; i++) {
		struct undo_track *t = &u->tracks[i];

		if (!t->created || S_ISDIR(t->type))
			continue;
		for (size_t k = 0; k < t->n_names && !t->item; k++) {
			struct old_name key = { t, &t->names[k] };
			const struct old_name *o =
				undo_goes(key.name) && n ?
					bsearch(&key, old, n, sizeof(key),
						by_name) :
					NULL;

			if (!o || o->track->item || !fits(o->track, t))
				continue;
			item_of(u, UNDO_CHANGE, o->track, t)->place = o->name;
		}
	}
}

static bool any_name(const struct undo_track *t,
		     bool (*is)(const struct undo_name *n))
{
	for (size_t k = 0; k < t->n_names; k++)
		if (is(&t->names[k]))
			return true;
	return false;
}

static void make_items(struct undo *u)
{
	for (size_t i = 0; i < u->n_tracks; i++) {
		struct undo_track *t = &u->tracks[i];

		if (t->item)
			continue;
		if (t->created && t->death) {
			/* nothing is left of it; what others wrote is told */
			if (t->death_mine && t->content_theirs)
				item_of(u, UNDO_NOTHING, t, t);
		} else if (t->created)
			item_of(u, UNDO_REMOVE, t, t);
		else if (!was_removed(t))
			item_of(u, UNDO_CHANGE, t, t);
		else if (any_name(t, undo_comes_back))
			item_of(u, UNDO_MAKE, t, t);
	}
}

int undo_items_find(struct undo *u)
{
	struct old_name *old = NULL;
	size_t n = 0;
	int rc = load_tracks(u);

	if (rc == 0)
		rc = old_names(u, &old, &n);
	if (rc == 0) {
		join(u, old, n);
		make_items(u);
	}
	free(old);
	return rc;
}
