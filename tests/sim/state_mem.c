/*
 * state_mem.c - see state_mem.h.
 */
#include "tests/sim/state_mem.h"

#include <stdlib.h>
#include <string.h>

static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

void state_mem_init(struct state_mem *m)
{
	*m = (struct state_mem){ .inodes = NULL };
	m->last_extent = &m->extents;
}

static int get(void *st, struct inode_row **out, uint64_t ino)
{
	struct state_mem *m = st;
	struct mem_inode *i;

	for (i = m->inodes; i; i = i->next) {
		if (i->row.ino == ino) {
			*out = &i->row;
			return 1;
		}
	}
	return 0;
}

static int new (void *st, struct inode_row **out, uint64_t ino)
{
	struct state_mem *m = st;
	struct mem_inode *i = must(calloc(1, sizeof(*i)));

	i->row.ino = ino;
	i->next = m->inodes;
	m->inodes = i;
	m->n_inodes++;
	*out = &i->row;
	return 0;
}

static int touch(void *st, struct inode_row *row)
{
	(void)st;
	(void)row;
	return 0;
}

static int extents_clear(void *st, struct inode_row *row)
{
	struct state_mem *m = st;
	struct mem_extent **at = &m->extents, *x;

	while ((x = *at)) {
		if (x->ino == row->ino) {
			*at = x->next;
			free(x);
			m->n_extents--;
		} else {
			at = &x->next;
		}
	}
	m->last_extent = at;
	return 0;
}

static void xattr_free(struct state_mem *m, struct mem_xattr **at)
{
	struct mem_xattr *x = *at;

	*at = x->next;
	free(x->value);
	free(x);
	m->n_xattrs--;
}

static int del(void *st, struct inode_row *row)
{
	struct state_mem *m = st;
	struct mem_xattr **x = &m->xattrs;
	struct mem_inode **at = &m->inodes, *i;

	(void)extents_clear(m, row);
	while (*x) {
		if ((*x)->ino == row->ino)
			xattr_free(m, x);
		else
			x = &(*x)->next;
	}
	for (; (i = *at); at = &i->next) {
		if (&i->row != row)
			continue;
		*at = i->next;
		free(i->row.target);
		free(i);
		m->n_inodes--;
		return 0;
	}
	abort();
}

static struct mem_name **find_name(struct state_mem *m, uint64_t parent,
				   const char *name, uint16_t len)
{
	struct mem_name **at;

	for (at = &m->names; *at; at = &(*at)->next)
		if ((*at)->row.parent == parent && (*at)->len == len &&
		    !memcmp((*at)->name, name, len))
			break;
	return at;
}

static int name_get(void *st, struct name_row *out, uint64_t parent,
		    const char *name, uint16_t len)
{
	struct mem_name *n = *find_name(st, parent, name, len);

	if (n)
		*out = n->row;
	return n != NULL;
}

static int name_put(void *st, const struct name_row *row, const char *name,
		    uint16_t len)
{
	struct state_mem *m = st;
	struct mem_name *n = *find_name(m, row->parent, name, len);

	if (!n) {
		n = must(calloc(1, sizeof(*n)));
		memcpy(n->name, name, len);
		n->len = len;
		n->next = m->names;
		m->names = n;
		m->n_names++;
	}
	n->row = *row;
	return 0;
}

static int name_del(void *st, uint64_t parent, const char *name, uint16_t len)
{
	struct state_mem *m = st;
	struct mem_name **at = find_name(m, parent, name, len), *n = *at;

	if (!n)
		abort();
	*at = n->next;
	free(n);
	m->n_names--;
	return 0;
}

static struct mem_xattr **find_xattr(struct state_mem *m, uint64_t ino,
				     const char *name, uint16_t len)
{
	struct mem_xattr **at;

	for (at = &m->xattrs; *at; at = &(*at)->next)
		if ((*at)->ino == ino && (*at)->len == len &&
		    !memcmp((*at)->name, name, len))
			break;
	return at;
}

static int xattr_put(void *st, struct inode_row *row, const char *name,
		     uint16_t len, const void *value, uint32_t value_len,
		     const struct digest *chunk, bool *out_was_there)
{
	struct state_mem *m = st;
	struct mem_xattr **at = find_xattr(m, row->ino, name, len), *x;

	*out_was_there = *at != NULL;
	if (*at)
		xattr_free(m, at);
	x = must(calloc(1, sizeof(*x)));
	x->ino = row->ino;
	memcpy(x->name, name, len);
	x->len = len;
	x->size = value_len;
	if (chunk) {
		x->chunk = *chunk;
	} else {
		x->value = must(malloc(value_len + 1));
		memcpy(x->value, value ? value : "", value_len);
	}
	x->next = m->xattrs;
	m->xattrs = x;
	m->n_xattrs++;
	return 0;
}

static int xattr_del(void *st, struct inode_row *row, const char *name,
		     uint16_t len, bool *out_was_there)
{
	struct state_mem *m = st;
	struct mem_xattr **at = find_xattr(m, row->ino, name, len);

	*out_was_there = *at != NULL;
	if (*at)
		xattr_free(m, at);
	return 0;
}

static int extents_add(void *st, struct inode_row *row,
		       const struct extent_row *v, uint16_t n,
		       uint64_t entry_no)
{
	struct state_mem *m = st;
	struct mem_extent *x;
	unsigned i;

	for (i = 0; i < n; i++) {
		x = must(calloc(1, sizeof(*x)));
		x->ino = row->ino;
		x->no = entry_no;
		x->row = v[i];
		*m->last_extent = x;
		m->last_extent = &x->next;
		m->n_extents++;
	}
	return 0;
}

const struct state_ops state_mem_ops = {
	.inode_get = get,
	.inode_new = new,
	.inode_touch = touch,
	.inode_del = del,
	.name_get = name_get,
	.name_put = name_put,
	.name_del = name_del,
	.xattr_put = xattr_put,
	.xattr_del = xattr_del,
	.extents_add = extents_add,
	.extents_clear = extents_clear,
};

void state_mem_release(struct state_mem *m)
{
	struct mem_name *n;

	while (m->inodes)
		(void)del(m, &m->inodes->row);
	while ((n = m->names)) {
		m->names = n->next;
		free(n);
	}
	state_mem_init(m);
}

static uint64_t fnv(uint64_t h, const void *p, size_t n)
{
	const uint8_t *b = p;

	while (n--)
		h = (h ^ *b++) * 0x100000001b3ULL;
	return h;
}

uint64_t state_mem_sum(const struct state_mem *m)
{
	const uint64_t start = 0xcbf29ce484222325ULL;
	const struct mem_inode *i;
	const struct mem_name *n;
	const struct mem_xattr *x;
	const struct mem_extent *e;
	struct inode_row r;
	uint64_t sum = 0, h;

	for (i = m->inodes; i; i = i->next) {
		r = i->row;
		h = fnv(start, r.target ? r.target : "", r.target_len);
		r.target = NULL;
		sum += fnv(h, &r, sizeof(r));
	}
	for (n = m->names; n; n = n->next)
		sum += fnv(fnv(start, &n->row, sizeof(n->row)), n->name,
			   n->len);
	for (x = m->xattrs; x; x = x->next) {
		h = fnv(fnv(start, &x->ino, sizeof(x->ino)), x->name, x->len);
		h = fnv(h, &x->chunk, sizeof(x->chunk));
		sum += x->value ? fnv(h, x->value, x->size) : h;
	}
	for (e = m->extents, h = start; e; e = e->next)
		h = fnv(fnv(h, &e->ino, 16), &e->row, sizeof(e->row));
	return sum + h;
}

static bool is_dir(const struct inode_row *r)
{
	return (r->mode & 0170000) == 0040000;
}

/* Names that point at it, names inside, subdirectories. */
static void count(const struct state_mem *m, uint64_t ino, uint64_t out[3])
{
	const struct mem_name *n;

	out[0] = out[1] = out[2] = 0;
	for (n = m->names; n; n = n->next) {
		out[0] += n->row.ino == ino;
		out[1] += n->row.parent == ino;
		out[2] += n->row.parent == ino && n->row.mode == 0040000;
	}
}

static const char *check_inode(const struct state_mem *m,
			       const struct inode_row *r)
{
	struct inode_row *up = NULL;
	struct state_mem *w = (struct state_mem *)(uintptr_t)m;
	uint64_t c[3], ino = r->ino;
	size_t depth;

	count(m, r->ino, c);
	if (r->nchild != c[1])
		return "nchild is the number of names inside";
	if (!is_dir(r))
		return r->nlink != c[0] ? "nlink is the number of names" :
		       !r->nlink != !!(r->flags & INODE_ORPHAN) ?
					  "an orphan has no name" :
					  NULL;
	if (r->flags & INODE_ORPHAN)
		return r->nlink || c[0] || c[1] ? "removed directory" : NULL;
	if (r->nlink != 2 + c[2])
		return "nlink is 2 and the subdirectories";
	if (c[0] != (r->ino != STATE_ROOT_INO))
		return "a directory has one name";
	for (depth = 0; ino != STATE_ROOT_INO; depth++) {
		if (depth > m->n_inodes || !get(w, &up, ino))
			return "every directory is reached from the root";
		ino = up->parent;
	}
	return NULL;
}

const char *state_mem_check(const struct state_mem *m)
{
	struct state_mem *w = (struct state_mem *)(uintptr_t)m;
	const struct mem_name *n, *o;
	const struct mem_inode *i;
	struct inode_row *row;
	const char *why;

	for (i = m->inodes; i; i = i->next) {
		why = check_inode(m, &i->row);
		if (why)
			return why;
	}
	for (n = m->names; n; n = n->next) {
		if (!get(w, &row, n->row.ino) ||
		    n->row.mode != (row->mode & 0170000))
			return "a name points at an inode of its type";
		if (!get(w, &row, n->row.parent) || !is_dir(row))
			return "a name lies in a directory";
		if (n->row.cookie < STATE_COOKIE_FIRST ||
		    n->row.cookie >= row->next_cookie)
			return "a cookie is one that was given";
		for (o = n->next; o; o = o->next)
			if (o->row.parent == n->row.parent &&
			    o->row.cookie == n->row.cookie)
				return "cookies are unique in a directory";
	}
	return NULL;
}
