/*
 * core_guard_path.c - see core_guard_path.h.
 *
 * A directory has one name, a file may have several.  Where a row remembers
 * by which name it was looked up, and that still leads to it, nothing else is
 * asked; else its names are collected: first those in memory that the index
 * may not have, then the index's, each looked up again.  A name that is
 * applied between the two is in both.  One that is changed between the two may
 * be in neither: then there are fewer than the inode says, and they are
 * collected again.
 */
#include "fs/core/core_guard_path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "fs/core/core_internal.h"
#include "index/idx.h"
#include "index/idx_query.h"

/* --- names of one inode --- */

struct one_name {
	uint64_t parent;
	uint16_t len;
	char name[LIMIT_NAME + 1];
};

struct names {
	uint64_t ino;
	struct one_name *v;
	size_t n, cap;
};

static int names_add(struct names *s, uint64_t parent, const char *name,
		     size_t len)
{
	struct one_name *o;

	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].parent == parent && s->v[i].len == len &&
		    memcmp(s->v[i].name, name, len) == 0)
			return 0;
	if (s->n == CORE_GUARD_NAMES_MAX)
		return -EMLINK;
	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 4;
		struct one_name *v = reallocarray(s->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		s->v = v;
		s->cap = cap;
	}
	o = &s->v[s->n++];
	o->parent = parent;
	o->len = (uint16_t)len;
	memcpy(o->name, name, len);
	o->name[len] = '\0';
	return 0;
}

/* Those in memory that the index may not have yet. */
static int names_in_memory(struct core *c, struct itable_tx *tx, void *arg)
{
	struct link *head = &c->t.name_dirty;
	struct names *s = arg;
	int rc = 0;

	(void)tx;
	for (struct link *l = head->next; l != head && rc == 0; l = l->next) {
		const struct name *n = (const struct name *)l;

		if (n->row.ino == s->ino)
			rc = names_add(s, n->row.parent, n->name, n->len);
	}
	return rc;
}

static int names_in_index(void *ctx, const struct name_row *row,
			  const char *name, uint16_t len)
{
	return names_add(ctx, row->parent, name, len);
}

/* Drops the names that lead to it no more. */
static int names_check(struct core *c, struct names *s)
{
	struct stat st;
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++) {
		int rc = core_lookup(c, s->v[i].parent, s->v[i].name, &st);

		if (rc < 0 && rc != -ENOENT && rc != -ENOTDIR)
			return rc;
		if (rc == 0 && st.st_ino == s->ino)
			s->v[n++] = s->v[i];
	}
	s->n = n;
	return 0;
}

static int names_of(struct core *c, struct names *s)
{
	struct idx_reader *r = NULL;
	int rc = core_op(c, names_in_memory, s);

	if (rc >= 0)
		rc = core_reader_take(c, &r);
	if (rc >= 0)
		rc = idx_names_of(r, s->ino, names_in_index, s);
	core_reader_give(c, r);
	return rc < 0 ? rc : names_check(c, s);
}

/* --- the way up --- */

struct up {
	uint64_t ino;
	struct buf path;  /* backwards */
	uint64_t missing; /* whose name is not known here; 0: none */
};

static void prepend(struct buf *b, const char *name, size_t len)
{
	if (b->n > 0)
		buf_addc(b, '/');
	while (len > 0)
		buf_addc(b, name[--len]);
}

/* The one name of i, if memory has it: 1; 0: it has not. */
static int own_name(struct itable_tx *tx, const struct inode *i)
{
	struct name *n;
	int rc;

	if (!i->hint)
		return 0;
	rc = itable_name(tx, &n, i->row.parent, i->hint, strlen(i->hint));
	return rc < 0 ? rc : n->row.ino == i->row.ino;
}

static int up_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct up *a = arg;
	uint64_t ino = a->ino;

	(void)c;
	buf_clear(&a->path);
	a->missing = 0;
	while (ino != STATE_ROOT_INO) {
		struct inode *i;
		int rc = itable_get(tx, &i, ino);

		if (rc >= 0 && !i->row.nlink)
			rc = -ENOENT;
		if (rc >= 0)
			rc = own_name(tx, i);
		if (rc < 0)
			return rc;
		if (rc == 0) {
			a->missing = ino;
			return 0;
		}
		prepend(&a->path, i->hint, strlen(i->hint));
		if (a->path.bad)
			return -ENOMEM;
		if (a->path.n > CORE_GUARD_PATH_MAX)
			return -ENAMETOOLONG;
		ino = i->row.parent;
	}
	return 0;
}

/* A look-up by its name lets memory have it. */
static int find_name(struct core *c, uint64_t ino)
{
	struct names s = { .ino = ino };
	int rc = names_of(c, &s);

	if (rc >= 0 && s.n == 0)
		rc = -ENOENT;
	free(s.v);
	return rc;
}

static void add_backwards(struct buf *out, const struct buf *path)
{
	for (size_t i = path->n; i > 0; i--)
		buf_addc(out, (char)path->p[i - 1]);
}

int core_guard_path_dir(struct core *c, struct buf *out, uint64_t ino)
{
	struct up a = { .ino = ino, .path = BUF_INIT };
	int rc;

	/* Each round finds the name of one more of those above it. */
	for (unsigned tries = 0;; tries++) {
		rc = core_op(c, up_op, &a);
		if (rc < 0 || !a.missing)
			break;
		rc = tries > CORE_GUARD_PATH_MAX ? -EAGAIN :
						   find_name(c, a.missing);
		if (rc < 0)
			break;
	}
	buf_clear(out);
	if (rc >= 0)
		add_backwards(out, &a.path);
	buf_release(&a.path);
	return rc >= 0 && out->bad ? -ENOMEM : rc;
}

int core_guard_path_name(struct core *c, struct buf *out, uint64_t parent,
			 const char *name)
{
	int rc = core_guard_path_dir(c, out, parent);

	if (rc < 0)
		return rc;
	if (out->n > 0 && *name)
		buf_addc(out, '/');
	buf_adds(out, name);
	return out->bad ? -ENOMEM : 0;
}

/* --- all of them --- */

enum { TRIES = 16 };

struct look {
	uint64_t ino;
	uint32_t n; /* how many names it has */
	bool one;   /* that is known here: */
	struct one_name name;
};

static int look_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct look *a = arg;
	struct inode *i;
	int rc = itable_get(tx, &i, a->ino);

	(void)c;
	if (rc < 0)
		return rc;
	if (!i->row.nlink)
		return -ENOENT;
	a->n = core_is_dir(i) ? 1 : i->row.nlink;
	if (a->n > 1)
		return 0;
	rc = own_name(tx, i);
	if (rc <= 0)
		return rc;
	a->one = true;
	a->name.parent = i->row.parent;
	a->name.len = (uint16_t)strlen(i->hint);
	memcpy(a->name.name, i->hint, a->name.len + 1U);
	return 0;
}

static int each_name(struct core *c, const struct one_name *v, size_t n,
		     core_guard_path_fn *fn, void *ctx)
{
	struct buf path = BUF_INIT;
	int rc = n > 0 ? 0 : -ENOENT;

	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = core_guard_path_name(c, &path, v[i].parent, v[i].name);
		if (rc == 0)
			rc = fn(ctx, path.p ? (const char *)path.p : "",
				path.n);
	}
	buf_release(&path);
	return rc;
}

int core_guard_path_each(struct core *c, uint64_t ino, core_guard_path_fn *fn,
			 void *ctx)
{
	struct look a = { .ino = ino };
	struct names s = { .ino = ino };
	int rc = 0;

	if (ino == STATE_ROOT_INO)
		return fn(ctx, "", 0);
	for (unsigned tries = 0; tries < TRIES; tries++) {
		rc = core_op(c, look_op, &a);
		if (rc >= 0 && a.one)
			return each_name(c, &a.name, 1, fn, ctx);
		s.n = 0;
		if (rc >= 0)
			rc = names_of(c, &s);
		if (rc < 0 || s.n >= a.n)
			break;
		rc = -EAGAIN;
	}
	if (rc >= 0)
		rc = each_name(c, s.v, s.n, fn, ctx);
	free(s.v);
	return rc;
}
