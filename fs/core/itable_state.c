/*
 * itable_state.c - the keeper that apply() sees: rows in memory.
 *
 * Everything runs under itable.mu.  A getter that misses answers
 * -ERR_RELOCKED; apply() looks at everything before it changes anything, so
 * the caller may fault and call apply() again.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "fs/core/itable_internal.h"

struct xattr *itable_new_xattr(const char *name, uint16_t len,
			       const void *value, uint32_t value_len,
			       const struct digest *chunk)
{
	struct xattr *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->name = calloc(1, (size_t)len + 1);
	x->value = chunk ? NULL : malloc(value_len ? value_len : 1);
	if (!x->name || (!chunk && !x->value)) {
		itable_free_xattr(x);
		return NULL;
	}
	memcpy(x->name, name, len);
	x->name_len = len;
	x->value_len = value_len;
	if (chunk) {
		x->in_chunk = true;
		x->chunk = *chunk;
	} else if (value_len) {
		memcpy(x->value, value, value_len);
	}
	return x;
}

void itable_free_xattr(struct xattr *x)
{
	if (!x)
		return;
	free(x->name);
	free(x->value);
	free(x);
}

static int inode_get(void *st, struct inode_row **out, uint64_t ino)
{
	struct itable_tx *tx = st;
	struct inode *i = NULL;
	int rc = ino == tx->t->creating ? -ENOENT : itable_get(tx, &i, ino);

	if (rc == -ENOENT)
		return 0;
	if (rc < 0)
		return rc;
	*out = &i->row;
	return 1;
}

static int inode_touch(void *st, struct inode_row *row)
{
	struct itable_tx *tx = st;
	struct inode *i = itable_inode_of(row);

	i->dirty_seq = tx->t->seq;
	itable_place_inode(tx->t, i);
	return 0;
}

/* New numbers are never in the index: no fault. */
static int inode_new(void *st, struct inode_row **out, uint64_t ino)
{
	struct itable_tx *tx = st;
	struct inode *i;

	assert(!itable_find_inode(tx->t, ino));
	i = itable_add_inode(tx->t, ino);
	if (!i)
		return -ENOMEM;
	i->xattrs_loaded = true;
	i->checked = true;
	*out = &i->row;
	return inode_touch(st, &i->row);
}

static int inode_del(void *st, struct inode_row *row)
{
	struct inode *i = itable_inode_of(row);

	i->gone = true;
	return inode_touch(st, row);
}

static int name_get(void *st, struct name_row *out, uint64_t parent,
		    const char *name, uint16_t len)
{
	struct name *n = NULL;
	int rc = itable_name(st, &n, parent, name, len);

	if (rc < 0)
		return rc;
	if (!n->row.ino)
		return 0;
	*out = n->row;
	return 1;
}

static int name_put(void *st, const struct name_row *row, const char *name,
		    uint16_t len)
{
	struct itable_tx *tx = st;
	struct inode *dir = itable_find_inode(tx->t, row->parent);
	struct name *n = itable_find_name(tx->t, row->parent, name, len);

	assert(dir);
	if (!n)
		n = itable_add_name(tx->t, row->parent, name, len);
	if (!n)
		return -ENOMEM;
	n->row = *row;
	itable_name_dirtied(tx->t, dir, n);
	return 0;
}

static int name_del(void *st, uint64_t parent, const char *name, uint16_t len)
{
	struct itable_tx *tx = st;
	struct inode *dir = itable_find_inode(tx->t, parent);
	struct name *n = itable_find_name(tx->t, parent, name, len);

	assert(dir && n);
	n->row.ino = 0;
	itable_name_dirtied(tx->t, dir, n);
	return 0;
}

void itable_each_removed_chunk(struct itable *t,
			       void (*fn)(void *ctx, const struct digest *id),
			       void *ctx)
{
	for (size_t k = 0; k < t->n_inode_buckets; k++)
		for (const struct inode *i = t->inodes[k]; i; i = i->hash_next)
			for (const struct xattr *x = i->gone ? i->xattrs : NULL;
			     x; x = x->next)
				if (x->in_chunk)
					fn(ctx, &x->chunk);
}

static struct xattr **find_xattr(struct inode *i, const char *name,
				 uint16_t len)
{
	struct xattr **at = &i->xattrs;

	while (*at &&
	       ((*at)->name_len != len || memcmp((*at)->name, name, len)))
		at = &(*at)->next;
	return at;
}

static int xattr_put(void *st, struct inode_row *row, const char *name,
		     uint16_t len, const void *value, uint32_t value_len,
		     const struct digest *chunk, bool *out_was_there)
{
	struct inode *i = itable_inode_of(row);
	struct xattr **at, *x;
	int rc = itable_xattrs(st, i);

	if (rc < 0)
		return rc;
	x = itable_new_xattr(name, len, value, value_len, chunk);
	if (!x)
		return -ENOMEM;
	at = find_xattr(i, name, len);
	*out_was_there = *at != NULL;
	if (*at) {
		x->next = (*at)->next;
		itable_free_xattr(*at);
	}
	*at = x;
	return 0;
}

static int xattr_del(void *st, struct inode_row *row, const char *name,
		     uint16_t len, bool *out_was_there)
{
	struct inode *i = itable_inode_of(row);
	struct xattr **at, *x;
	int rc = itable_xattrs(st, i);

	if (rc < 0)
		return rc;
	at = find_xattr(i, name, len);
	x = *at;
	*out_was_there = x != NULL;
	if (x) {
		*at = x->next;
		itable_free_xattr(x);
	}
	return 0;
}

/* The file's content holds its extents; the row only says so. */
static int extents_add(void *st, struct inode_row *row,
		       const struct extent_row *v, uint16_t n,
		       uint64_t entry_no)
{
	(void)st;
	(void)row;
	(void)v;
	(void)n;
	(void)entry_no;
	return 0;
}

static int extents_clear(void *st, struct inode_row *row)
{
	(void)st;
	(void)row;
	return 0;
}

const struct state_ops itable_state_ops = {
	.inode_get = inode_get,
	.inode_new = inode_new,
	.inode_touch = inode_touch,
	.inode_del = inode_del,
	.name_get = name_get,
	.name_put = name_put,
	.name_del = name_del,
	.xattr_put = xattr_put,
	.xattr_del = xattr_del,
	.extents_add = extents_add,
	.extents_clear = extents_clear,
};
