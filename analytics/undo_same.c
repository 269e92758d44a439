/*
 * undo_same.c - whether something that is there is what an undo would make.
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

int undo_version_now(struct undo *u, uint64_t ino)
{
	int rc;

	undo_look_away(u);
	rc = core_make_version(u->core, ino, ENTRY_REASON_IDLE);
	switch (rc) { /* no file, or no more */
	case -ENOENT:
	case -ESTALE:
	case -EINVAL:
	case -EISDIR:
	case -ENODATA:
		return 0;
	default:
		return rc < 0 ? rc : 0;
	}
}

/* An attribute that it has and had not: with a run, that is somebody's own. */
static bool has_more(const struct undo_track *now, const struct undo_track *t)
{
	bool more = false;

	for (size_t k = 0; k < now->n_xattrs && !more; k++) {
		more = now->xattrs[k].now.no != 0;
		for (size_t j = 0; j < t->n_xattrs && more; j++)
			more = strcmp(now->xattrs[k].name, t->xattrs[j].name) !=
			       0;
	}
	return more;
}

/* Is what is there what was to be made, all but its times? */
int undo_is_same(struct undo *u, const struct undo_track *t, uint64_t ino)
{
	static const struct undo_xattr none;
	struct undo_track now;
	int rc = undo_version_now(u, ino);
	bool same;

	if (rc == 0)
		rc = core_settle_index(u->core);
	if (rc == 0)
		rc = undo_track_load(u, &now, ino, 0);
	if (rc < 0)
		return rc;
	same = now.type == t->type && now.rdev == t->rdev &&
	       !now.target == !t->target &&
	       (!now.target || strcmp(now.target, t->target) == 0);
	for (int k = UNDO_MODE; k <= UNDO_GID; k++) {
		int64_t was = undo_old_number(&t->number[k]);

		same = same && now.number[k].now == was;
	}
	for (size_t k = 0; same && k < t->n_xattrs; k++) {
		const struct undo_xattr *x = &t->xattrs[k], *y = &none;
		const struct undo_value *was;

		for (size_t j = 0; j < now.n_xattrs; j++)
			if (strcmp(now.xattrs[j].name, x->name) == 0)
				y = &now.xattrs[j];
		was = undo_old_value(x);
		same = !y->now.no == !was->no &&
		       digest_eq(&y->now.digest, &was->digest);
	}
	same = same && (u->run || !has_more(&now, t));
	if (same && S_ISREG(t->type)) {
		rc = undo_old_is(u, t, &now);
		same = rc > 0;
	}
	undo_track_release(&now);
	return rc < 0 && rc != -ENODATA ? rc : same;
}

/* What has the first name is what was to be made: it was made again. */
int undo_made_again(struct undo *u, struct undo_item *i, uint64_t ino)
{
	struct inode_row row;
	int rc = idx_inode(u->r, &row, ino);

	if (rc <= 0)
		return rc;
	free(row.target);
	if (S_ISDIR(i->src->type)) {
		i->there = S_ISDIR(row.mode) ? ino : 0;
		return S_ISDIR(row.mode);
	}
	return undo_is_same(u, i->src, ino);
}

/* Is a name of what was made again one that i had?  1, 0 or an error. */
static int is_name_of(struct undo *u, const struct undo_item *i,
		      const struct undo_name *n)
{
	for (size_t k = 0; k < i->src->n_names; k++) {
		const struct undo_name *was = &i->src->names[k];
		uint64_t dir = 0;
		int rc;

		if (!undo_comes_back(was) || strcmp(was->name, n->name) != 0)
			continue;
		rc = undo_directory_for(u, &dir, was->parent);
		if (rc < 0 || dir == n->parent)
			return rc < 0 ? rc : 1;
	}
	return 0;
}

/* Links that it has got since it was made again. */
static int take_names(struct undo *u, const struct undo_item *i,
		      struct undo_item *made)
{
	const struct undo_track *t = made->dst;
	int rc = 1;

	for (size_t k = 0; k < t->n_names && rc >= 0; k++) {
		if (!t->names[k].now)
			continue;
		rc = is_name_of(u, i, &t->names[k]);
		if (rc == 0)
			rc = undo_move_add(made, &t->names[k], NULL);
	}
	return rc < 0 ? rc : 0;
}

static bool has_any(const struct undo_item *i)
{
	bool any = i->n_xattrs > 0 || i->n_moves > 0;

	for (int k = 0; k < UNDO_NUMBERS; k++)
		any = any || i->set[k];
	return any;
}

int undo_stays(struct undo *u, struct undo_item *i, struct undo_item *made)
{
	int rc;

	for (size_t k = 0; k < made->n_conflicts; k++)
		free(made->conflicts[k].detail);
	made->n_conflicts = 0;
	made->n_moves = 0;
	made->what = UNDO_CHANGE;
	made->verdict = UNDO_DONE;
	if (S_ISDIR(i->src->type)) {
		made->src = i->src;
		rc = undo_compare(u, made);
	} else {
		rc = take_names(u, i, made);
	}
	if (has_any(made))
		made->verdict = UNDO_OK;
	return rc < 0 ? rc : 1;
}
