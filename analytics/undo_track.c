/*
 * undo_track.c - follows one inode through its entries: each thing that has a
 * value as it was before the run first changed it, after it did so last, and
 * now, and who has changed it since.
 *
 * The same rules as apply() (index/state.h) and past.c.  It costs the entries
 * about the inode that are not about its content.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "analytics/entry_page.h"
#include "analytics/line.h"
#include "analytics/run_walk.h"
#include "analytics/undo_int.h"
#include "base/err.h"
#include "fs/core/core.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "index/idx_runs.h"
#include "ledger/entry.h"

int undo_is_mine(struct undo *u, uint64_t no, uint64_t actor_no)
{
	struct idx_actor a;
	int rc;

	if (!u->run)
		return no > u->since;
	if (actor_no == u->actor)
		return u->mine;
	u->actor = actor_no;
	u->mine = false;
	rc = actor_no ? idx_actor(u->r, &a, actor_no) : 0;
	if (rc <= 0)
		return rc;
	u->mine = memcmp(a.run, u->run->id, sizeof(a.run)) == 0 &&
		  (!u->view->cr || a.uid == u->view->cr->uid);
	idx_actor_release(&a);
	return u->mine;
}

bool undo_is_temporary(const struct undo *u, const char *name)
{
	return strncmp(name, u->temporary, strlen(u->temporary)) == 0;
}

/* --- one change --- */

/* An entry, and whose it is. */
struct change {
	struct undo_track *t;
	uint64_t no;
	bool mine;
};

/* True when the value before is to be kept as that before the run. */
static bool note(struct undo_seen *s, const struct change *c)
{
	bool first = c->mine && !s->touched;

	if (!c->mine) {
		s->foreign = s->touched ? c->no : s->foreign;
		s->theirs = s->foreign;
		return false;
	}
	s->mixed = s->mixed || s->foreign;
	s->foreign = 0;
	s->touched = true;
	return first;
}

static void set_number(struct change *c, enum undo_numbers which, int64_t v)
{
	struct undo_number *n = &c->t->number[which];

	if (note(&n->seen, c))
		n->before = n->now;
	n->now = v;
	*(c->mine ? &n->after : &n->theirs) = v;
}

static struct undo_name *name_of(struct undo_track *t, uint64_t parent,
				 const struct entry_str *name)
{
	struct undo_name *v;

	for (size_t i = 0; i < t->n_names; i++)
		if (t->names[i].parent == parent &&
		    strlen(t->names[i].name) == name->n &&
		    memcmp(t->names[i].name, name->p, name->n) == 0)
			return &t->names[i];
	v = reallocarray(t->names, t->n_names + 1, sizeof(*v));
	if (!v)
		return NULL;
	t->names = v;
	v = &v[t->n_names];
	*v = (struct undo_name){ .parent = parent,
				 .name = strndup(name->p, name->n) };
	if (!v->name)
		return NULL;
	t->n_names++;
	return v;
}

static int set_name(struct change *c, uint64_t parent,
		    const struct entry_str *name, bool there)
{
	struct undo_name *n = name_of(c->t, parent, name);
	bool any = false;

	if (!n)
		return -ENOMEM;
	if (note(&n->seen, c))
		n->before = n->now;
	n->now = there;
	if (there)
		n->others = !c->mine && !n->seen.touched && c->t->first;
	if (c->mine)
		n->after = there;
	for (size_t i = 0; i < c->t->n_names; i++)
		any = any || c->t->names[i].now;
	if (!there)
		c->t->last_name = (size_t)(n - c->t->names);
	c->t->death = any ? 0 : c->no;
	c->t->death_mine = !any && c->mine;
	return 0;
}

static struct undo_xattr *xattr_of(struct undo_track *t, const char *name,
				   size_t n)
{
	struct undo_xattr *v;

	for (size_t i = 0; i < t->n_xattrs; i++)
		if (strlen(t->xattrs[i].name) == n &&
		    memcmp(t->xattrs[i].name, name, n) == 0)
			return &t->xattrs[i];
	v = reallocarray(t->xattrs, t->n_xattrs + 1, sizeof(*v));
	if (!v)
		return NULL;
	t->xattrs = v;
	v = &v[t->n_xattrs];
	*v = (struct undo_xattr){ .name = strndup(name, n) };
	if (!v->name)
		return NULL;
	t->n_xattrs++;
	return v;
}

static int set_xattr(struct change *c, const char *name, size_t n,
		     const struct undo_value *value)
{
	struct undo_xattr *x = xattr_of(c->t, name, n);

	if (!x)
		return -ENOMEM;
	if (note(&x->seen, c))
		x->before = x->now;
	x->now = *value;
	*(c->mine ? &x->after : &x->theirs) = *value;
	return 0;
}

static int set_acl(struct change *c, const char *name, const uint8_t *p,
		   size_t n)
{
	struct undo_value v = { .no = c->no };

	if (!p)
		return 0;
	digest_sha256(&v.digest, p, n);
	return set_xattr(c, name, strlen(name), &v);
}

/* --- kinds of entries --- */

static int on_create(struct change *c, const struct entry *e)
{
	const struct entry_create *b = &e->body.create;
	struct undo_track *t = c->t;
	int rc = 0;

	t->created = c->mine;
	t->type = (uint32_t)DTTOIF(b->dtype);
	t->rdev = b->rdev;
	t->atime_ns = e->core.wall_ns;
	set_number(c, UNDO_MODE, b->mode & 07777);
	set_number(c, UNDO_UID, b->uid);
	set_number(c, UNDO_GID, b->gid);
	set_number(c, UNDO_MTIME, e->core.wall_ns);
	if (b->dtype == DT_LNK) {
		t->target = strndup(b->target.p, b->target.n);
		rc = t->target ? 0 : -ENOMEM;
	}
	if (rc == 0)
		rc = set_acl(c, STATE_XATTR_ACL, b->acl, b->acl_n);
	if (rc == 0)
		rc = set_acl(c, STATE_XATTR_DEFAULT_ACL, b->default_acl,
			     b->default_acl_n);
	if (rc == 0 && b->name.n)
		rc = set_name(c, e->core.parent, &b->name, true);
	return rc;
}

static int on_rename(struct change *c, const struct entry *e)
{
	const struct entry_rename *b = &e->body.rename;
	bool exchange = b->flags & ENTRY_RENAME_EXCHANGE;
	int rc;

	if (e->core.inode == c->t->ino) { /* the new one first: it lives on */
		rc = set_name(c, b->new_parent, &b->new_name, true);
		return rc < 0 ?
			       rc :
			       set_name(c, e->core.parent, &b->old_name, false);
	}
	rc = exchange ? set_name(c, e->core.parent, &b->old_name, true) : 0;
	return rc < 0 ? rc : set_name(c, b->new_parent, &b->new_name, false);
}

static void on_setattr(struct change *c, const struct entry *e)
{
	const struct entry_setattr *b = &e->body.setattr;

	if (b->mask & ENTRY_ATTR_MODE)
		set_number(c, UNDO_MODE, b->mode & 07777);
	if (b->mask & ENTRY_ATTR_UID)
		set_number(c, UNDO_UID, b->uid);
	if (b->mask & ENTRY_ATTR_GID)
		set_number(c, UNDO_GID, b->gid);
	if (b->mask & ENTRY_ATTR_MTIME)
		set_number(c, UNDO_MTIME, b->mtime_ns);
	if (b->mask & ENTRY_ATTR_ATIME)
		c->t->atime_ns = b->atime_ns;
}

static int on_xattr(struct change *c, const struct entry *e)
{
	const struct entry_setxattr *b = &e->body.setxattr;
	struct undo_value v = { .no = 0 };

	if (e->core.kind == ENTRY_SETXATTR) {
		v.no = c->no;
		v.digest = b->content;
		if (b->value)
			digest_sha256(&v.digest, b->value, b->value_n);
	}
	return set_xattr(c, b->name.p, b->name.n, &v);
}

/*
 * Who has only read, or took one of its names away, and an undo that was broken
 * off, changed nothing.
 */
static bool is_nothing(const struct undo *u, const struct entry *e)
{
	const struct entry_str *to = &e->body.rename.new_name;
	size_t n = strlen(u->temporary);

	if (e->core.kind == ENTRY_RENAME)
		return to->n > n && memcmp(to->p, u->temporary, n) == 0;
	if (e->core.kind == ENTRY_UNLINK)
		return true;
	return e->core.kind == ENTRY_SETATTR &&
	       !(e->body.setattr.mask & ~(ENTRY_ATTR_ATIME | ENTRY_ATTR_CTIME));
}

static int on_entry(const struct undo *u, struct change *c,
		    const struct entry *e)
{
	if (e->body.opaque)
		return 0;
	if (!c->mine && c->t->first && !is_nothing(u, e))
		c->t->foreign = c->no;
	if (c->mine && !c->t->first)
		c->t->first = c->no;
	switch (e->core.kind) {
	case ENTRY_CREATE:
		return on_create(c, e);
	case ENTRY_LINK:
		return set_name(c, e->core.parent, &e->body.link.name, true);
	case ENTRY_UNLINK:
		return set_name(c, e->core.parent, &e->body.link.name, false);
	case ENTRY_RENAME:
		return on_rename(c, e);
	case ENTRY_SETATTR:
		on_setattr(c, e);
		return 0;
	case ENTRY_SETXATTR:
	case ENTRY_RMXATTR:
		return on_xattr(c, e);
	default:
		return 0;
	}
}

/* --- all of them --- */

static int follow(struct undo *u, struct undo_track *t)
{
	autofree struct entry_page *g = calloc(1, sizeof(*g));
	uint64_t from = 0;
	int rc = g ? 0 : -ENOMEM;

	while (rc >= 0) {
		g->n = 0;
		rc = idx_history(u->r, t->ino, from, IDX_NOW, ENTRY_PAGE, true,
				 entry_page_add, g);
		for (unsigned i = 0; rc >= 0 && i < g->n; i++) {
			struct change c = { .t = t, .no = g->v[i].no };
			struct entry e;

			if (g->v[i].rejected)
				continue;
			rc = undo_is_mine(u, g->v[i].no, g->v[i].actor_no);
			c.mine = rc > 0;
			if (rc >= 0)
				rc = line_load(u->core, &u->stored, &e,
					       g->v[i].no);
			if (rc >= 0)
				rc = on_entry(u, &c, &e);
		}
		if (rc < 0 || g->n < ENTRY_PAGE)
			break;
		from = g->v[ENTRY_PAGE - 1].no + 1;
	}
	return rc < 0 ? rc : 0;
}

int undo_track_load(struct undo *u, struct undo_track *out, uint64_t ino,
		    uint64_t first)
{
	int rc;

	*out = (struct undo_track){ .ino = ino };
	if (ino == STATE_ROOT_INO) {
		out->type = S_IFDIR;
		out->number[UNDO_MODE].now = 0755;
	}
	rc = follow(u, out);
	if (rc >= 0 && (!out->first || (first && first < out->first)))
		out->first = first;
	if (rc >= 0 && S_ISREG(out->type))
		rc = undo_content_track(u, out);
	if (rc < 0)
		undo_track_release(out);
	return rc < 0 ? rc : 0;
}

void undo_track_release(struct undo_track *t)
{
	for (size_t i = 0; i < t->n_names; i++)
		free(t->names[i].name);
	for (size_t i = 0; i < t->n_xattrs; i++)
		free(t->xattrs[i].name);
	free(t->names);
	free(t->xattrs);
	free(t->parts);
	free(t->target);
	*t = (struct undo_track){ .ino = 0 };
}

int undo_track_name_now(const struct undo *u, const struct undo_track *t)
{
	int found = -1;

	for (size_t i = 0; i < t->n_names; i++) {
		if (!t->names[i].now)
			continue;
		if (undo_is_temporary(u, t->names[i].name))
			return (int)i;
		found = found < 0 ? (int)i : found;
	}
	return found;
}
