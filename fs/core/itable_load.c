/*
 * itable_load.c - rows that will be needed come into memory together.
 *
 * Whoever looks at one name of a directory after the other, or opens one file
 * after the other, would ask SQLite for each, with locks each time.  The names
 * that follow are read with their inodes, the inodes that follow, in one
 * statement: to look up a file costs 9 us of CPU in all instead of 16, to open
 * and read one 51 instead of 62.
 *
 * Invariant (2) of itable.h holds as it does for one row: itable_look comes
 * before the index is read, and what was evicted since is not believed.
 *
 * Threads: as itable.h; itable.mu is taken here.
 */
#include <stdlib.h>

#include <string.h>

#include "fs/core/itable_internal.h"
#include "index/idx.h"

enum {
	SLICE = 64, /* rows that are put while the lock is held */
	AHEAD_MIN = 16,
	AHEAD_MAX = 256,
	AHEAD_GAP = 64, /* numbers between one and the next, removed ones */
};

void itable_look(struct itable *t, struct itable_look *out)
{
	mutex_lock(&t->mu);
	memcpy(out->gens, t->gens, sizeof(out->gens));
	mutex_unlock(&t->mu);
}

bool itable_unseen(const struct itable *t, const struct itable_look *look,
		   uint64_t ino)
{
	size_t gen = itable_ino_gen(ino);

	return t->gens[gen] == look->gens[gen];
}

/* --- learning --- */

struct listed {
	struct name_row row; /* ino 0: the inode alone was read */
	struct inode_row inode;
	uint8_t len;
	char name[LIMIT_NAME];
};

/* What is being read, a slice at a time. */
struct ahead {
	struct itable *t;
	struct itable_look look;
	uint64_t last; /* cookie or number of the last */
	size_t n;
	struct listed v[SLICE];
};

/* Without memory it is read when it is needed. */
static void learn_name(struct itable *t, const struct itable_look *look,
		       const struct listed *v)
{
	size_t gen = itable_name_gen(v->row.parent, v->name, v->len);
	struct name *n;

	if (t->gens[gen] != look->gens[gen] ||
	    itable_find_name(t, v->row.parent, v->name, v->len))
		return;
	n = itable_add_name(t, v->row.parent, v->name, v->len);
	if (!n)
		return;
	n->row = v->row;
	itable_name_clean(t, n);
}

void itable_learn_inode(struct itable *t, const struct itable_look *look,
			struct inode_row *row)
{
	struct inode *i = NULL;

	if (row->ino && itable_unseen(t, look, row->ino) &&
	    !itable_find_inode(t, row->ino))
		i = itable_add_inode(t, row->ino);
	if (!i) {
		free(row->target);
		return;
	}
	i->row = *row;
	itable_place_inode(t, i);
}

static void learn(struct ahead *a)
{
	mutex_lock(&a->t->mu);
	for (size_t i = 0; i < a->n; i++) {
		if (a->v[i].row.ino)
			learn_name(a->t, &a->look, &a->v[i]);
		itable_learn_inode(a->t, &a->look, &a->v[i].inode);
	}
	itable_trim(a->t);
	mutex_unlock(&a->t->mu);
	a->n = 0;
}

static int add_listed(void *ctx, const struct name_row *row, const char *name,
		      uint16_t len, struct inode_row *inode)
{
	struct ahead *a = ctx;
	struct listed *v = &a->v[a->n++];

	v->row = *row;
	v->inode = *inode;
	v->len = (uint8_t)len;
	memcpy(v->name, name, len);
	a->last = row->cookie;
	if (a->n == SLICE)
		learn(a);
	return 0;
}

static int add_inode(void *ctx, struct inode_row *inode)
{
	struct ahead *a = ctx;
	struct listed *v = &a->v[a->n++];

	v->row.ino = 0;
	v->inode = *inode;
	a->last = inode->ino;
	if (a->n == SLICE)
		learn(a);
	return 0;
}

/* How much to read, `gap` after what was read before, which was `before`. */
static uint32_t how_many(uint64_t gap, uint32_t before)
{
	if (gap == 0 || gap > AHEAD_GAP)
		return 0;
	return before == 0	  ? AHEAD_MIN :
	       before < AHEAD_MAX ? before * 2 :
				    AHEAD_MAX;
}

/* --- names, in the order of their cookies --- */

/*
 * Was the name the next one, by cookie, of those read before?  Then how many
 * to read, from *out on.
 */
static uint32_t next_names(struct itable *t, uint64_t *out, uint64_t parent,
			   const char *name, size_t len)
{
	struct inode *dir;
	struct name *n;
	uint32_t want = 0;

	mutex_lock(&t->mu);
	dir = itable_find_inode(t, parent);
	n = itable_find_name(t, parent, name, len);
	if (dir && n && n->row.ino) {
		*out = n->row.cookie;
		want = how_many(*out - dir->ahead_cookie, dir->ahead);
		dir->ahead_cookie = *out;
		dir->ahead = (uint16_t)want;
	}
	mutex_unlock(&t->mu);
	return want;
}

void itable_read_ahead(struct itable *t, struct idx_reader *r, uint64_t parent,
		       const char *name, size_t len)
{
	struct ahead a; /* large: not cleared when nothing is to be read */
	struct inode *dir;
	uint64_t from = 0;
	uint32_t want = next_names(t, &from, parent, name, len);

	if (!want)
		return;
	a.t = t;
	a.n = 0;
	a.last = from;
	itable_look(t, &a.look);
	/*
	 * With the name itself, for its inode.  An error: what is needed is
	 * read when it is needed.
	 */
	(void)!idx_list(r, parent, from - 1, want + 1, true, add_listed, &a);
	learn(&a);
	mutex_lock(&t->mu);
	dir = itable_find_inode(t, parent);
	if (dir && dir->ahead_cookie == from)
		dir->ahead_cookie = a.last;
	mutex_unlock(&t->mu);
}

/* --- inodes, in the order of their numbers --- */

static uint32_t next_inodes(struct itable *t, uint64_t ino)
{
	uint32_t want;

	mutex_lock(&t->mu);
	want = how_many(ino - t->ahead_ino, t->ahead);
	t->ahead_ino = ino;
	t->ahead = want;
	mutex_unlock(&t->mu);
	return want;
}

void itable_read_ahead_inodes(struct itable *t, struct idx_reader *r,
			      uint64_t ino)
{
	struct ahead a;
	uint32_t want = next_inodes(t, ino);

	if (!want)
		return;
	a.t = t;
	a.n = 0;
	a.last = ino;
	itable_look(t, &a.look);
	(void)!idx_inodes_from(r, ino + 1, want, add_inode, &a);
	learn(&a);
	mutex_lock(&t->mu);
	if (t->ahead_ino == ino)
		t->ahead_ino = a.last;
	mutex_unlock(&t->mu);
}
