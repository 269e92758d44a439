/*
 * fsck_want.c - see fsck_want.h.
 *
 * The rules are those of the index (idx_apply.c) and of gc.h: a GC entry
 * releases a version unless it is the newest of an inode that exists then; a
 * save goes with the version that absorbed it.
 */
#include "fs/fsck_want.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/entry.h"

struct fsck_released {
	uint64_t ino, first, last, no;
};

struct fsck_freed {
	uint64_t ino, no;
};

enum { FIRST = 1024 };

/* Room for one more in a list of items of `size` bytes. */
static void *grown(void *v, size_t n, size_t *cap, size_t size)
{
	size_t more = *cap ? 2 * *cap : FIRST;
	void *p;

	if (n < *cap)
		return v;
	p = realloc(v, more * size);
	if (p)
		*cap = more;
	return p;
}

/* --- noting --- */

static int want(struct fsck_wants *w, const struct fsck_want *one)
{
	struct fsck_want *v = grown(w->v, w->n, &w->cap, sizeof(*v));

	if (!v)
		return -ENOMEM;
	w->v = v;
	v[w->n++] = *one;
	return 0;
}

static int want_saves(struct fsck_wants *w, const struct entry *e, uint64_t no)
{
	const struct entry_extents *b = &e->body.extents;
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < b->n; i++) {
		struct entry_extent x;

		entry_extents_at(&x, b, i);
		if (!digest_is_zero(&x.chunk))
			rc = want(w, &(struct fsck_want){ .id = x.chunk,
							  .no = no,
							  .ino = e->core.inode,
							  .kind = FSCK_SAVE });
	}
	return rc;
}

/* A value that is no chunk, and a removal, replace one that is. */
static int want_xattr(struct fsck_wants *w, const struct entry *e, uint64_t no)
{
	const struct entry_setxattr *b = &e->body.setxattr;
	struct fsck_want one = { .no = no,
				 .ino = e->core.inode,
				 .kind = FSCK_XATTR };
	struct digest name;

	digest_sha256(&name, b->name.p, b->name.n);
	one.name = digest_prefix(&name);
	if (e->core.kind == ENTRY_SETXATTR)
		one.id = b->content;
	return want(w, &one);
}

static int note_freed(struct fsck_wants *w, uint64_t ino, uint64_t no)
{
	struct fsck_freed *v =
		grown(w->freed, w->n_freed, &w->cap_freed, sizeof(*v));

	if (!v)
		return -ENOMEM;
	w->freed = v;
	v[w->n_freed++] = (struct fsck_freed){ ino, no };
	return 0;
}

static int note_released(struct fsck_wants *w, const struct entry_gc *b,
			 uint64_t no)
{
	for (unsigned i = 0; i < b->n; i++) {
		struct entry_release r;
		struct fsck_released *v = grown(w->released, w->n_released,
						&w->cap_released, sizeof(*v));

		if (!v)
			return -ENOMEM;
		w->released = v;
		entry_gc_at(&r, b, i);
		v[w->n_released++] =
			(struct fsck_released){ r.inode, r.first, r.last, no };
	}
	return 0;
}

int fsck_want_entry(struct fsck_wants *w, const struct entry *e, uint64_t no)
{
	const struct entry_body *b = &e->body;

	switch (e->core.kind) {
	case ENTRY_VERSION:
		w->versions++;
		return want(w, &(struct fsck_want){
				       .id = b->version.tree_root,
				       .size = b->version.size,
				       .no = no,
				       .ino = e->core.inode,
				       .version = e->core.version,
				       .kind = FSCK_VERSION,
			       });
	case ENTRY_EXTENTS:
		return want_saves(w, e, no);
	case ENTRY_SETXATTR:
	case ENTRY_RMXATTR:
		return want_xattr(w, e, no);
	case ENTRY_UNLINK:
		return b->link.flags & ENTRY_UNLINK_FREED ?
			       note_freed(w, e->core.inode, no) :
			       0;
	case ENTRY_RENAME:
		return b->rename.flags & ENTRY_RENAME_FREED ?
			       note_freed(w, b->rename.replaced, no) :
			       0;
	case ENTRY_FREE_ORPHAN:
		return note_freed(w, e->core.inode, no);
	case ENTRY_GC:
		return note_released(w, &b->gc, no);
	default:
		return 0;
	}
}

/* --- deciding --- */

#define compare(a, b) ((a) < (b) ? -1 : (a) > (b))

static int by_inode(const void *p, const void *q)
{
	const struct fsck_want *a = p, *b = q;
	int d = compare(a->ino, b->ino);

	return d ? d : compare(a->no, b->no);
}

static int released_order(const void *p, const void *q)
{
	const struct fsck_released *a = p, *b = q;
	int d = compare(a->ino, b->ino);

	return d ? d : compare(a->first, b->first);
}

static int freed_order(const void *p, const void *q)
{
	const struct fsck_freed *a = p, *b = q;

	return compare(a->ino, b->ino);
}

/* The entry that freed ino, 0: it exists. */
static uint64_t freed_at(const struct fsck_wants *w, uint64_t ino)
{
	const struct fsck_freed key = { ino, 0 };
	const struct fsck_freed *v = w->n_freed ?
					     bsearch(&key, w->freed, w->n_freed,
						     sizeof(*v), freed_order) :
					     NULL;

	return v ? v->no : 0;
}

/* Was version `version`, which entry `end` ended (0: none did), released? */
static bool is_released(const struct fsck_wants *w, uint64_t ino,
			uint64_t version, uint64_t end)
{
	size_t lo = 0, hi = w->n_released;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (w->released[mid].ino < ino)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; end && lo < w->n_released; lo++) {
		const struct fsck_released *r = &w->released[lo];

		if (r->ino != ino || r->first > version)
			return false;
		if (version <= r->last && end < r->no)
			return true;
	}
	return false;
}

/* Has a later entry of this group replaced the attribute? */
static bool is_replaced(const struct fsck_want *v, size_t i, size_t end)
{
	for (size_t k = i + 1; k < end; k++)
		if (v[k].kind == FSCK_XATTR && v[k].name == v[i].name)
			return true;
	return false;
}

/* The wants of one inode, from `at` to `end`, which are in order. */
static void settle_inode(struct fsck_wants *w, size_t at, size_t end)
{
	uint64_t freed = freed_at(w, w->v[at].ino), next = 0;

	for (size_t i = end; i-- > at;) {
		struct fsck_want *v = &w->v[i];

		switch (v->kind) {
		case FSCK_VERSION:
			v->optional = is_released(w, v->ino, v->version,
						  next ? next : freed);
			w->gone += v->optional;
			next = v->no;
			break;
		case FSCK_SAVE:
			v->optional = next || freed;
			break;
		default:
			v->optional = freed || is_replaced(w->v, i, end);
		}
	}
}

void fsck_want_settle(struct fsck_wants *w)
{
	size_t at, end;

	if (w->n)
		qsort(w->v, w->n, sizeof(*w->v), by_inode);
	if (w->n_released)
		qsort(w->released, w->n_released, sizeof(*w->released),
		      released_order);
	if (w->n_freed)
		qsort(w->freed, w->n_freed, sizeof(*w->freed), freed_order);
	for (at = 0; at < w->n; at = end) {
		for (end = at; end < w->n && w->v[end].ino == w->v[at].ino;)
			end++;
		settle_inode(w, at, end);
	}
}

void fsck_want_release(struct fsck_wants *w)
{
	free(w->v);
	free(w->released);
	free(w->freed);
	*w = (struct fsck_wants){ .n = 0 };
}
