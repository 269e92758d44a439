/*
 * undo_plan.c - what happens to each inode that an undo is about.
 *
 *   made by the run, still there           REMOVE, if nobody touched it since
 *   there before, removed by the run       MAKE again, where its names are free
 *   both, under one name (how editors
 *     save, mv -f, ln -sf)                 CHANGE: the new file gets back what
 *                                          the old one was, or is replaced
 *   there before, and still                CHANGE
 *
 *   made by the run, written by somebody
 *     else, removed by the run           NOTHING, and that is told
 *
 * Where somebody put another file in the place of one that the run wrote, that
 * one is what its content is compared with: editors do so at each save.
 *
 * Names that come back must be free, or be of something that an undo takes
 * away; directories of the run that hold somebody else's files stay.  Such
 * questions ask about each other: a circle, as of files that changed their
 * names with each other, is no obstacle.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "analytics/undo_int.h"
#include "base/err.h"
#include "fs/core/core.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/entry.h"

int undo_conflict(struct undo_item *i, const char *what, const char *why,
		  uint64_t by, const char *detail)
{
	struct undo_conflict *v =
		reallocarray(i->conflicts, i->n_conflicts + 1, sizeof(*v));
	char *own = detail ? strdup(detail) : NULL;

	if (v)
		i->conflicts = v;
	if (!v || (detail && !own)) {
		free(own);
		return -ENOMEM;
	}
	v[i->n_conflicts++] = (struct undo_conflict){ what, why, by, own };
	return 0;
}

struct undo_track *undo_find(struct undo *u, uint64_t ino)
{
	size_t lo = 0, hi = u->n_tracks;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (u->tracks[mid].ino == ino)
			return &u->tracks[mid];
		if (u->tracks[mid].ino < ino)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* --- what is at a name now --- */

static int name_now(struct undo *u, struct name_row *out, uint64_t parent,
		    const char *name)
{
	return idx_name(u->r, out, parent, name, (uint16_t)strlen(name));
}

/* Somebody's file in the place of one that is no more. */
static int find_holder(struct undo *u, struct undo_item *i)
{
	const struct undo_name *n =
		i->place ? i->place : &i->dst->names[i->dst->last_name];
	struct name_row row;
	int rc = name_now(u, &row, n->parent, n->name);

	if (rc <= 0 || !S_ISREG(row.mode) || !S_ISREG(i->src->type) ||
	    !S_ISREG(i->dst->type)) {
		i->what = UNDO_NOTHING; /* others removed it: so it stays */
		return rc < 0 ? rc : 0;
	}
	i->holder = undo_find(u, row.ino);
	if (i->holder)
		return 0;
	i->foreign = calloc(1, sizeof(*i->foreign));
	rc = i->foreign ? undo_version_now(u, row.ino) : -ENOMEM;
	if (rc == 0)
		rc = core_settle_index(u->core);
	if (rc == 0)
		rc = undo_track_load(u, i->foreign, row.ino, 0);
	i->holder = i->foreign;
	return rc;
}

/* --- may a name come back? --- */

static int judge(struct undo *u, struct undo_item *i);

/* In a circle it is not known yet whether; only what is wanted. */
static bool leaves(const struct undo_item *i, uint64_t parent, const char *name)
{
	const struct undo_track *t = i->dst;

	for (size_t k = 0; i->verdict == UNDO_ASKED && k < t->n_names; k++)
		if (undo_goes(&t->names[k]) && t->names[k].now &&
		    t->names[k].parent == parent &&
		    strcmp(t->names[k].name, name) == 0)
			return true;
	for (size_t k = 0; k < i->n_moves; k++) {
		const struct undo_name *n = i->moves[k].from;

		if (n && n->parent == parent && strcmp(n->name, name) == 0)
			return true;
	}
	return false;
}

/* Will what has the name now be gone from it? 1, 0 or an error. */
static int makes_room(struct undo *u, const struct name_row *row,
		      const char *name)
{
	struct undo_track *t = undo_find(u, row->ino);
	struct undo_item *i = t ? t->item : NULL;
	int rc = i ? judge(u, i) : 0;

	if (!i || rc < 0 || i->verdict == UNDO_NOT)
		return rc;
	if (i->what == UNDO_REMOVE)
		return 1;
	return i->what == UNDO_CHANGE && leaves(i, row->parent, name);
}

int undo_directory_for(struct undo *u, uint64_t *out, uint64_t parent)
{
	struct undo_track *t = undo_find(u, parent);
	struct inode_row row;
	int rc = idx_inode(u->r, &row, parent);

	*out = parent;
	if (rc != 0) {
		if (rc > 0)
			free(row.target);
		return rc < 0 ? rc : 0;
	}
	if (!t || !t->item || t->item->what != UNDO_MAKE)
		return -ENOENT;
	rc = judge(u, t->item);
	*out = t->item->there;
	return rc < 0 ? rc : t->item->verdict == UNDO_NOT ? -ENOENT : 0;
}

/* 1: free, or will be; 0: a conflict was noted.  *there: what has it. */
static int may_come_back(struct undo *u, struct undo_item *i,
			 const struct undo_name *n, uint64_t *there)
{
	struct name_row row;
	uint64_t dir = 0;
	int rc = undo_directory_for(u, &dir, n->parent);

	*there = 0;
	if (rc == -ENOENT)
		return undo_conflict(i, "name", "its directory is gone", 0,
				     n->name);
	if (rc < 0 || dir == 0)
		return rc < 0 ? rc : 1;
	rc = name_now(u, &row, dir, n->name);
	if (rc <= 0)
		return rc < 0 ? rc : 1;
	*there = row.ino;
	rc = makes_room(u, &row, n->name);
	if (rc != 0)
		return rc;
	return undo_conflict(i, "name", "the name is taken", row.since,
			     n->name);
}

/* --- each kind --- */

int undo_move_add(struct undo_item *i, const struct undo_name *from,
		  const struct undo_name *to)
{
	struct undo_move *v =
		reallocarray(i->moves, i->n_moves + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	i->moves = v;
	v[i->n_moves++] = (struct undo_move){ .from = from, .to = to };
	return 0;
}

/* Does anybody's change to it count against removing it? */
static int is_untouched(struct undo_item *i)
{
	const struct undo_track *t = i->dst;
	uint64_t by = t->foreign > t->content_foreign ? t->foreign :
							t->content_foreign;

	if (!by)
		return 1;
	return undo_conflict(i, S_ISDIR(t->type) ? "directory" : "file",
			     "changed since", by, NULL);
}

static int judge_child(struct undo *u, struct undo_item *dir,
		       const struct name_row *row, const char *name)
{
	int rc = makes_room(u, row, name);

	if (rc != 0 || undo_is_temporary(u, name))
		return rc < 0 ? rc : 0;
	return undo_conflict(dir, "directory", "it holds something that stays",
			     row->since, name);
}

struct child {
	struct name_row row;
	char name[LIMIT_NAME + 1];
	bool any;
};

static int one_child(void *ctx, const struct name_row *row, const char *name,
		     uint16_t len)
{
	struct child *c = ctx;

	c->row = *row;
	memcpy(c->name, name, len);
	c->name[len] = '\0';
	c->any = true;
	return 0;
}

/* Its names one by one: the first that stays is told. */
static int judge_children(struct undo *u, struct undo_item *dir)
{
	struct child c = { .any = true };
	uint64_t after = 0;
	int rc = 0;

	while (rc == 0 && c.any && dir->n_conflicts == 0) {
		c.any = false;
		rc = idx_names(u->r, dir->dst->ino, after, 1, one_child, &c);
		rc = rc < 0 ? rc : 0;
		after = c.row.cookie;
		if (rc == 0 && c.any)
			rc = judge_child(u, dir, &c.row, c.name);
	}
	return rc;
}

static int judge_remove(struct undo *u, struct undo_item *i)
{
	int rc = is_untouched(i), now = undo_track_name_now(u, i->dst);
	bool temporary =
		now >= 0 && undo_is_temporary(u, i->dst->names[now].name);

	if (rc > 0 && temporary &&
	    undo_move_add(i, &i->dst->names[now], NULL) < 0)
		rc = -ENOMEM;
	for (size_t k = 0; rc > 0 && k < i->dst->n_names; k++)
		if (undo_goes(&i->dst->names[k]) && i->dst->names[k].now &&
		    undo_move_add(i, &i->dst->names[k], NULL) < 0)
			rc = -ENOMEM;
	if (rc > 0 && S_ISDIR(i->dst->type))
		rc = judge_children(u, i);
	return rc < 0 ? rc : 0;
}

static int judge_made(struct undo *u, struct undo_item *i,
		      const struct undo_name *n, bool *done)
{
	struct name_row row;
	uint64_t dir = 0, there = 0;
	int rc = undo_directory_for(u, &dir, n->parent);

	*done = false;
	if (rc == 0 && dir) {
		rc = name_now(u, &row, dir, n->name);
		if (rc > 0 && u->run && !undo_find(u, row.ino))
			rc = undo_made_again(u, i, row.ino);
		else if (rc > 0)
			rc = 0;
		*done = rc > 0;
	}
	if (rc == -ENOENT)
		rc = 0; /* told by the next */
	if (rc < 0 || *done)
		return rc < 0 ? rc : 0;
	rc = may_come_back(u, i, n, &there);
	return rc <= 0 ? rc : undo_move_add(i, NULL, n);
}

/*
 * Of all that came since: what has all its names, and is one, was made again.
 * So it does not go.  (In a plan of a run that is nobody's that it knows.)
 */
static int all_there(struct undo *u, struct undo_item *i)
{
	struct name_row row = { .ino = 0 };
	struct undo_track *t;
	uint64_t ino = 0, dir;
	int rc = 1;

	for (size_t k = 0; rc > 0 && k < i->src->n_names; k++) {
		const struct undo_name *n = &i->src->names[k];

		if (!undo_comes_back(n))
			continue;
		rc = undo_directory_for(u, &dir, n->parent);
		if (rc == 0 && dir)
			rc = name_now(u, &row, dir, n->name);
		if (rc > 0 && ino && row.ino != ino)
			rc = 0;
		ino = row.ino;
	}
	t = ino ? undo_find(u, ino) : NULL;
	if (rc > 0)
		rc = t && t->created ? undo_made_again(u, i, ino) : 0;
	if (rc > 0 && t->item && t->item->what == UNDO_REMOVE)
		rc = undo_stays(u, i, t->item);
	return rc == -ENOENT ? 0 : rc;
}

static int judge_old(struct undo *u, struct undo_item *i)
{
	int rc = undo_old_judge(u, i);

	if (rc != -ENODATA && rc != -EACCES)
		return rc;
	return undo_conflict(i, "content",
			     rc == -EACCES ?
				     "you may not read it" :
				     "its bytes before the run were released",
			     0, NULL);
}

/*
 * The run gave it another name, and from there somebody moved it on, to where
 * the run removed it: it is theirs, and the name of before stays away.
 */
static uint64_t moved_on_by(const struct undo_track *t)
{
	bool theirs = false;
	uint64_t by = 0;

	for (size_t k = 0; k < t->n_names; k++) {
		const struct undo_name *n = &t->names[k];

		theirs = theirs || (n->others && undo_comes_back(n));
		if (undo_goes(n) && n->seen.foreign)
			by = n->seen.foreign;
	}
	return theirs ? by : 0;
}

static int judge_make(struct undo *u, struct undo_item *i)
{
	bool done, all = true;
	uint64_t moved = moved_on_by(i->src);
	int rc = u->run ? 0 : all_there(u, i);

	if (rc > 0)
		i->verdict = UNDO_DONE;
	if (rc != 0)
		return rc < 0 ? rc : 0;
	for (size_t k = 0; rc >= 0 && k < i->src->n_names; k++) {
		const struct undo_name *n = &i->src->names[k];

		if (!undo_comes_back(n))
			continue;
		if (moved && !n->others) {
			rc = undo_conflict(i, "name", "moved since", moved,
					   n->name);
			i->n_told += rc == 0;
			continue;
		}
		rc = judge_made(u, i, n, &done);
		all = all && done;
	}
	if (rc >= 0 && all)
		i->verdict = UNDO_DONE;
	return rc < 0 || (all && !undo_old_parts(i->src)) ? rc :
							    judge_old(u, i);
}

/* In a directory that was made again it has that name already? */
static int has_come(struct undo *u, const struct undo_item *i,
		    const struct undo_name *n)
{
	struct name_row row;
	uint64_t dir = 0;
	int rc = undo_directory_for(u, &dir, n->parent);

	if (rc < 0 || dir == 0)
		return rc == -ENOENT ? 0 : rc;
	rc = name_now(u, &row, dir, n->name);
	return rc <= 0 ? rc : row.ino == i->dst->ino;
}

static const struct undo_name *same_name(const struct undo_track *t,
					 const struct undo_name *n)
{
	for (size_t k = 0; k < t->n_names; k++)
		if (t->names[k].parent == n->parent &&
		    strcmp(t->names[k].name, n->name) == 0)
			return &t->names[k];
	return NULL;
}

/* A name of the new file that the old one had, too: a hard link. */
static bool wanted(const struct undo_item *i, const struct undo_name *n)
{
	const struct undo_name *old =
		i->src != i->dst ? same_name(i->src, n) : NULL;

	return old && undo_comes_back(old);
}

/* The next name that the run gave it and that it still has; NULL. */
static const struct undo_name *next_from(const struct undo_item *i, size_t *at)
{
	const struct undo_track *t = i->dst;

	while (*at < t->n_names) {
		const struct undo_name *n = &t->names[(*at)++];
		bool place = i->place && n->parent == i->place->parent &&
			     strcmp(n->name, i->place->name) == 0;

		if (undo_goes(n) && n->now && !place && !wanted(i, n))
			return n;
	}
	return NULL;
}

/*
 * Somebody gave it another name in the place of one that the run gave it: the
 * entry; 0: nobody did.
 */
static uint64_t moved_by(const struct undo_track *t)
{
	bool others = false;
	uint64_t by = 0;

	for (size_t k = 0; k < t->n_names; k++) {
		const struct undo_name *n = &t->names[k];

		others = others || (n->others && n->now);
		if (undo_goes(n) && !n->now)
			by = n->seen.foreign;
	}
	return others ? by : 0;
}

/* Names that it has and keeps, or gets. */
static size_t names_kept(const struct undo_item *i)
{
	const struct undo_track *t = i->dst;
	size_t n = 0;

	for (size_t k = 0; k < t->n_names; k++)
		n += t->names[k].now && !undo_goes(&t->names[k]);
	for (size_t k = 0; k < i->n_moves; k++)
		n += i->moves[k].to != NULL;
	return n + (i->place != NULL);
}

/* One name that comes back: from one that goes, else as a link. */
static int judge_name(struct undo *u, struct undo_item *i,
		      const struct undo_name *to, size_t *next)
{
	size_t was = *next;
	uint64_t there;
	const struct undo_name *from;
	int rc = has_come(u, i, to);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	from = next_from(i, next);
	if (!from && moved_by(i->dst))
		return undo_conflict(i, "name", "moved since", moved_by(i->dst),
				     to->name);
	rc = may_come_back(u, i, to, &there);
	if (rc > 0)
		return undo_move_add(i, from, to);
	*next = was; /* it may be that of another one */
	return rc;
}

/*
 * Its names before the run, from those that the run gave it; what is left of
 * these goes, if another stays.
 */
static int judge_moves(struct undo *u, struct undo_item *i)
{
	const struct undo_track *t = i->dst;
	const struct undo_name *from;
	size_t next = 0;
	int rc = 0, now = undo_track_name_now(u, t);
	bool temporary = now >= 0 && undo_is_temporary(u, t->names[now].name);

	for (size_t k = 0; rc >= 0 && k < t->n_names; k++) {
		const struct undo_name *to = &t->names[k];

		if (!undo_comes_back(to) || to->now || to == i->place)
			continue;
		if (!temporary) {
			rc = judge_name(u, i, to, &next);
			continue;
		}
		rc = has_come(u, i, to);
		if (rc == 0)
			rc = undo_move_add(i, &t->names[now], to);
		temporary = false;
	}
	while (rc >= 0 && names_kept(i) && (from = next_from(i, &next)))
		rc = undo_move_add(i, from, NULL);
	return rc < 0 ? rc : 0;
}

/* The run gave it another name, and there somebody put a file of his. */
static int judge_holder_name(struct undo *u, struct undo_item *i)
{
	const struct undo_track *t = i->dst;
	const struct undo_name *to = NULL;
	uint64_t there;
	size_t n = 0;
	int rc;

	for (size_t k = 0; k < t->n_names; k++)
		if (undo_comes_back(&t->names[k])) {
			to = &t->names[k];
			n++;
		}
	if (n != 1 || i->src != i->dst || !undo_goes(&t->names[t->last_name]))
		return 0;
	rc = has_come(u, i, to);
	if (rc == 0)
		rc = may_come_back(u, i, to, &there);
	return rc <= 0 ? rc : undo_move_add(i, &t->names[t->last_name], to);
}

/* Something else in the place of what was a link, say. */
static int judge_over(struct undo *u, struct undo_item *i)
{
	int rc;

	rc = S_ISREG(i->src->type) ? 0 : undo_is_same(u, i->src, i->dst->ino);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = is_untouched(i);
	if (rc <= 0)
		return rc;
	i->over = true;
	rc = judge_old(u, i);
	return rc < 0 ? rc : undo_move_add(i, NULL, i->place);
}

/* The other names of the old file: links to what is in its place. */
static int judge_links(struct undo *u, struct undo_item *i)
{
	int rc = 0;

	for (size_t k = 0; rc >= 0 && k < i->src->n_names; k++) {
		const struct undo_name *n = &i->src->names[k], *new;
		uint64_t there;

		new = same_name(i->dst, n);
		if (!undo_comes_back(n) || n == i->place ||
		    i->holder != i->dst || (new &&new->now && !i->over))
			continue;
		rc = i->over ? 0 : has_come(u, i, n);
		if (rc != 0)
			continue;
		rc = may_come_back(u, i, n, &there);
		if (rc > 0)
			rc = undo_move_add(i, NULL, n);
	}
	return rc;
}

static int judge_change(struct undo *u, struct undo_item *i)
{
	bool joined = i->src != i->dst;
	int rc = 0;

	if (joined && (!S_ISREG(i->src->type) || !S_ISREG(i->dst->type))) {
		if (i->dst->death)
			i->what = UNDO_NOTHING;
		rc = i->dst->death ? 0 : judge_over(u, i);
		return rc == 0 && i->over ? judge_links(u, i) : rc;
	}
	if (i->dst->death)
		rc = find_holder(u, i);
	if (rc >= 0 && i->what == UNDO_CHANGE)
		rc = undo_compare(u, i);
	if (rc >= 0 && i->what == UNDO_CHANGE && i->holder == i->dst)
		rc = judge_moves(u, i);
	else if (rc >= 0 && i->what == UNDO_CHANGE)
		rc = judge_holder_name(u, i);
	if (joined && rc >= 0)
		rc = judge_links(u, i);
	return rc < 0 ? rc : 0;
}

static bool has_work(const struct undo_item *i)
{
	bool any = i->put || i->merge || i->over || i->n_xattrs || i->n_moves;

	for (int k = 0; k < UNDO_NUMBERS; k++)
		any = any || i->set[k];
	return any;
}

/* In spite of its conflicts. */
static bool is_possible(const struct undo_item *i)
{
	if (i->verdict == UNDO_DONE)
		return false;
	if (i->what == UNDO_MAKE || i->over)
		return i->n_conflicts == i->n_told;
	return i->what == UNDO_CHANGE && has_work(i);
}

static int judge(struct undo *u, struct undo_item *i)
{
	int rc = 0;

	if (i->verdict != UNDO_UNKNOWN)
		return 0;
	i->verdict = UNDO_ASKED; /* a circle finds it well */
	if (i->what == UNDO_REMOVE)
		rc = judge_remove(u, i);
	else if (i->what == UNDO_MAKE)
		rc = judge_make(u, i);
	else if (i->what == UNDO_CHANGE)
		rc = judge_change(u, i);
	else
		rc = undo_conflict(i, "file", undo_changed_between,
				   i->dst->content_theirs, NULL);
	if (rc < 0)
		return rc;
	if (i->n_conflicts && !is_possible(i))
		i->verdict = UNDO_NOT;
	else if (i->verdict == UNDO_ASKED)
		i->verdict =
			i->what == UNDO_NOTHING || (i->what == UNDO_CHANGE &&
						    !has_work(i)) ?
				UNDO_DONE :
				UNDO_OK;
	return 0;
}

int undo_plan(struct undo *u)
{
	int rc = undo_items_find(u);

	for (size_t i = 0; rc == 0 && i < u->n_items; i++) {
		rc = undo_look(u);
		if (rc == 0)
			rc = judge(u, &u->items[i]);
	}
	return rc;
}

static void item_release(struct undo_item *i)
{
	for (size_t k = 0; k < i->n_conflicts; k++)
		free(i->conflicts[k].detail);
	free(i->conflicts);
	free(i->moves);
	free(i->xattrs);
	free(i->parts);
	if (i->foreign)
		undo_track_release(i->foreign);
	free(i->foreign);
}

void undo_plan_release(struct undo *u)
{
	for (size_t i = 0; i < u->n_items; i++)
		item_release(&u->items[i]);
	for (size_t i = 0; i < u->n_tracks; i++)
		undo_track_release(&u->tracks[i]);
	undo_look_away(u);
	buf_release(&u->dir);
	free(u->items);
	free(u->tracks);
	git_helper_stop(u->git);
	buf_release(&u->stored);
}
