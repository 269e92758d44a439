/*
 * fsck_want.c - see fsck_want.h.
 *
 * The rules are those of the index (idx_apply.c) and of gc.h: a GC entry
 * releases a version unless it is the newest of an inode that exists then; a
 * save goes with the version that absorbed it.
 */
#include "fs/upkeep/fsck_want.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "ledger/entry.h"

/* What became of an inode, seen from the entry at hand. */
struct fsck_inode {
	uint64_t ino;	   /* 0: free */
	uint64_t next;	   /* the entry of its next version, 0: none */
	uint64_t freed;	   /* the entry that freed it, 0: none */
	uint64_t released; /* the first of its ranges, from 1; 0: none */
};

/* A GC entry's range of versions. */
struct fsck_released {
	uint64_t first, last, no;
	uint64_t more; /* the next one, from 1; 0: none */
};

enum {
	FIRST = 1024,
	/* a table is between a quarter and half full; more while it grows */
	INODE_BYTES = 6 * sizeof(struct fsck_inode),
	NAME_BYTES = 6 * sizeof(uint64_t),
	RELEASED_BYTES = 3 * sizeof(struct fsck_released),
};

static uint64_t mix(uint64_t x)
{
	return XXH64(&x, sizeof(x), 0);
}

static bool is_mine(const struct fsck_wants *w, uint64_t ino)
{
	return w->parts <= 1 || mix(ino) % w->parts == w->part;
}

/* --- tables --- */

/* The hash's low bits chose the part. */
static size_t place(uint64_t key, size_t cap)
{
	return (size_t)(mix(key) >> 20) & (cap - 1);
}

static struct fsck_inode *inode_slot(struct fsck_inode *v, size_t cap,
				     uint64_t ino)
{
	size_t i = place(ino, cap);

	while (v[i].ino && v[i].ino != ino)
		i = (i + 1) & (cap - 1);
	return &v[i];
}

static int inodes_grow(struct fsck_wants *w)
{
	size_t cap = w->cap_inodes ? 2 * w->cap_inodes : FIRST;
	struct fsck_inode *v = calloc(cap, sizeof(*v));

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < w->cap_inodes; i++)
		if (w->inodes[i].ino)
			*inode_slot(v, cap, w->inodes[i].ino) = w->inodes[i];
	free(w->inodes);
	w->inodes = v;
	w->cap_inodes = cap;
	return 0;
}

static const struct fsck_inode *inode_find(const struct fsck_wants *w,
					   uint64_t ino)
{
	static const struct fsck_inode nothing;
	const struct fsck_inode *i =
		w->cap_inodes ? inode_slot(w->inodes, w->cap_inodes, ino) :
				NULL;

	return i && i->ino ? i : &nothing;
}

/* To be changed; NULL: no memory. */
static struct fsck_inode *inode_get(struct fsck_wants *w, uint64_t ino)
{
	struct fsck_inode *i = NULL;

	if (2 * w->n_inodes >= w->cap_inodes && inodes_grow(w) < 0)
		return NULL;
	i = inode_slot(w->inodes, w->cap_inodes, ino);
	w->n_inodes += i->ino == 0;
	i->ino = ino;
	return i;
}

static uint64_t *name_slot(uint64_t *v, size_t cap, uint64_t name)
{
	size_t i = place(name, cap);

	while (v[i] && v[i] != name)
		i = (i + 1) & (cap - 1);
	return &v[i];
}

/* 1: it was there; 0: it is now. */
static int name_add(struct fsck_wants *w, uint64_t name)
{
	uint64_t *p = NULL;

	if (2 * w->n_names >= w->cap_names) {
		size_t cap = w->cap_names ? 2 * w->cap_names : FIRST;
		uint64_t *v = calloc(cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		for (size_t i = 0; i < w->cap_names; i++)
			if (w->names[i])
				*name_slot(v, cap, w->names[i]) = w->names[i];
		free(w->names);
		w->names = v;
		w->cap_names = cap;
	}
	p = name_slot(w->names, w->cap_names, name);
	if (*p)
		return 1;
	*p = name;
	w->n_names++;
	return 0;
}

/* --- entries, the newest first --- */

/* Was version `version`, which entry `end` ended (0: none did), released? */
static bool is_released(const struct fsck_wants *w, const struct fsck_inode *i,
			uint64_t version, uint64_t end)
{
	for (uint64_t at = i->released; end && at;) {
		const struct fsck_released *r = &w->released[at - 1];

		if (r->first <= version && version <= r->last && end < r->no)
			return true;
		at = r->more;
	}
	return false;
}

static int on_version(struct fsck_wants *w, const struct entry *e, uint64_t no)
{
	struct fsck_inode *i = inode_get(w, e->core.inode);
	struct fsck_want one = { .id = e->body.version.tree_root,
				 .size = e->body.version.size,
				 .no = no,
				 .kind = FSCK_VERSION };

	if (!i)
		return -ENOMEM;
	one.optional = is_released(w, i, e->core.version,
				   i->next ? i->next : i->freed);
	i->next = no;
	w->versions++;
	w->gone += one.optional;
	return w->fn(w->ctx, &one);
}

static int on_extents(struct fsck_wants *w, const struct entry *e, uint64_t no)
{
	const struct fsck_inode *i = inode_find(w, e->core.inode);
	const struct entry_extents *b = &e->body.extents;
	int rc = 0;

	for (unsigned k = 0; rc == 0 && k < b->n; k++) {
		struct fsck_want one = { .no = no, .kind = FSCK_SAVE };
		struct entry_extent x;

		entry_extents_at(&x, b, k);
		if (digest_is_zero(&x.chunk))
			continue;
		one.id = x.chunk;
		one.optional = i->next || i->freed;
		rc = w->fn(w->ctx, &one);
	}
	return rc;
}

/* A value that is no chunk, and a removal, replace one that is. */
static int on_xattr(struct fsck_wants *w, const struct entry *e, uint64_t no)
{
	const struct entry_setxattr *b = &e->body.setxattr;
	struct fsck_want one = { .no = no, .kind = FSCK_XATTR };
	struct digest hash;
	uint64_t name = 0;
	int later = 0;

	digest_sha256(&hash, b->name.p, b->name.n);
	name = digest_prefix(&hash) + mix(e->core.inode);
	later = name_add(w, name ? name : 1);
	if (later < 0 || e->core.kind != ENTRY_SETXATTR ||
	    digest_is_zero(&b->content))
		return later < 0 ? later : 0;
	one.id = b->content;
	one.optional = later || inode_find(w, e->core.inode)->freed;
	return w->fn(w->ctx, &one);
}

static int on_freed(struct fsck_wants *w, uint64_t ino, uint64_t no)
{
	struct fsck_inode *i = NULL;

	if (!ino || !is_mine(w, ino))
		return 0;
	i = inode_get(w, ino);
	if (!i)
		return -ENOMEM;
	i->freed = no;
	return 0;
}

static int released_room(struct fsck_wants *w)
{
	size_t cap = w->cap_released ? 2 * w->cap_released : FIRST;
	struct fsck_released *v = NULL;

	if (w->n_released < w->cap_released)
		return 0;
	v = reallocarray(w->released, cap, sizeof(*v));
	if (!v)
		return -ENOMEM;
	w->released = v;
	w->cap_released = cap;
	return 0;
}

static int on_gc(struct fsck_wants *w, const struct entry_gc *b, uint64_t no)
{
	for (unsigned k = 0; k < b->n; k++) {
		struct entry_release r;
		struct fsck_inode *i = NULL;

		entry_gc_at(&r, b, k);
		if (!r.inode || !is_mine(w, r.inode))
			continue;
		i = inode_get(w, r.inode);
		if (!i || released_room(w) < 0)
			return -ENOMEM;
		w->released[w->n_released] =
			(struct fsck_released){ r.first, r.last, no,
						i->released };
		i->released = ++w->n_released;
	}
	return 0;
}

bool fsck_want_kind(uint16_t kind)
{
	switch (kind) {
	case ENTRY_VERSION:
	case ENTRY_EXTENTS:
	case ENTRY_SETXATTR:
	case ENTRY_RMXATTR:
	case ENTRY_UNLINK:
	case ENTRY_RENAME:
	case ENTRY_FREE_ORPHAN:
	case ENTRY_GC:
		return true;
	default:
		return false;
	}
}

/*
 * Its body is not there or not understood: nothing is known but its core.  A
 * version ends the one before in any case.
 */
static int on_opaque(struct fsck_wants *w, const struct entry *e, uint64_t no)
{
	struct fsck_inode *i;

	if (e->core.kind != ENTRY_VERSION || !is_mine(w, e->core.inode))
		return 0;
	i = inode_get(w, e->core.inode);
	if (!i)
		return -ENOMEM;
	i->next = no;
	return 0;
}

int fsck_want_entry(struct fsck_wants *w, const struct entry *e, uint64_t no)
{
	const struct entry_body *b = &e->body;
	bool mine = is_mine(w, e->core.inode);

	if (e->state != ENTRY_CLEAR || b->opaque)
		return on_opaque(w, e, no);
	switch (e->core.kind) {
	case ENTRY_VERSION:
		return mine ? on_version(w, e, no) : 0;
	case ENTRY_EXTENTS:
		return mine ? on_extents(w, e, no) : 0;
	case ENTRY_SETXATTR:
	case ENTRY_RMXATTR:
		return mine ? on_xattr(w, e, no) : 0;
	case ENTRY_UNLINK:
		return b->link.flags & ENTRY_UNLINK_FREED ?
			       on_freed(w, e->core.inode, no) :
			       0;
	case ENTRY_RENAME:
		return b->rename.flags & ENTRY_RENAME_FREED ?
			       on_freed(w, b->rename.replaced, no) :
			       0;
	case ENTRY_FREE_ORPHAN:
		return on_freed(w, e->core.inode, no);
	case ENTRY_GC:
		return on_gc(w, &b->gc, no);
	default:
		return 0;
	}
}

/* --- parts --- */

void fsck_want_count(struct fsck_wants *w, const struct entry_core *core,
		     size_t body_n)
{
	switch (core->kind) {
	case ENTRY_VERSION: /* each inode that has some has had a first */
		w->bytes += core->version == 1 ? INODE_BYTES : 0;
		break;
	case ENTRY_SETXATTR:
	case ENTRY_RMXATTR:
		w->bytes += NAME_BYTES;
		break;
	case ENTRY_UNLINK:
	case ENTRY_RENAME:
	case ENTRY_FREE_ORPHAN:
		w->bytes += INODE_BYTES;
		break;
	case ENTRY_GC:
		w->bytes += (body_n / ENTRY_RELEASE_SIZE) *
			    (uint64_t)(INODE_BYTES + RELEASED_BYTES);
		break;
	default:
		break;
	}
}

uint64_t fsck_want_parts(struct fsck_wants *w)
{
	uint64_t max = w->bytes_max ? w->bytes_max : FSCK_WANT_BYTES;

	w->parts = 1 + w->bytes / max;
	return w->parts;
}

void fsck_want_part(struct fsck_wants *w, uint64_t part)
{
	fsck_want_release(w);
	w->part = part;
}

void fsck_want_release(struct fsck_wants *w)
{
	free(w->inodes);
	free(w->names);
	free(w->released);
	w->inodes = NULL;
	w->names = NULL;
	w->released = NULL;
	w->n_inodes = w->cap_inodes = 0;
	w->n_names = w->cap_names = 0;
	w->n_released = w->cap_released = 0;
}
