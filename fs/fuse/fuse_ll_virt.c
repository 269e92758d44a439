/*
 * fuse_ll_virt.c - where real and virtual names meet.
 *
 * The container shows the provider's root names beside its own: nobody can
 * make, remove or rename those.  In the hybrid directory real names come
 * first, and what is not there is asked from the provider, who is told when
 * a file there was written and closed or changed its name.
 *
 * Invariant: `seen` holds every inode that the kernel learned through the
 * hybrid directory, so a close of it is never missed; more than SEEN_MAX are
 * not expected there (they are queries), beyond that every close is told.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/fuse/fuse_ll_impl.h"

enum { SEEN_MAX = 1 << 16, SEEN_START = 64 };

bool fuse_ll_virt_reserved(const struct fuse_ll *l, uint64_t parent,
			   const char *name)
{
	const struct vdir_ops *v = fuse_ll_vops(l);

	if (!v || parent != l->o.container)
		return false;
	for (const char *const *p = v->root_names; *p; p++)
		if (strcmp(*p, name) == 0)
			return true;
	return false;
}

int fuse_ll_virt_may_make(const struct fuse_ll *l, uint64_t parent,
			  const char *name)
{
	if (VDIR_IS_VIRTUAL(parent))
		return -EROFS;
	return fuse_ll_virt_reserved(l, parent, name) ? -EEXIST : 0;
}

int fuse_ll_virt_may_change(const struct fuse_ll *l, uint64_t parent,
			    const char *name)
{
	if (VDIR_IS_VIRTUAL(parent))
		return -EROFS;
	return fuse_ll_virt_reserved(l, parent, name) ? -EPERM : 0;
}

int fuse_ll_virt_lookup(struct fuse_ll *l, const struct cred *cr,
			uint64_t parent, const char *name, struct stat *out,
			uint32_t *out_ttl_ms)
{
	const struct vdir_ops *v = fuse_ll_vops(l);

	if (!v)
		return -ENOENT;
	if (parent == l->o.container)
		parent = 0;
	*out_ttl_ms = 0;
	return v->lookup(l->o.vdir->ctx, cr, parent, name, out, out_ttl_ms);
}

void fuse_ll_virt_init(struct fuse_ll *l)
{
	mutex_init(&l->seen.mu);
}

void fuse_ll_virt_release(struct fuse_ll *l)
{
	free(l->seen.v);
	mutex_destroy(&l->seen.mu);
}

/* Where ino is or would be. */
static uint32_t seen_place(const struct fuse_ll_seen *s, uint64_t ino)
{
	uint32_t i = (uint32_t)((ino * 0x9e3779b97f4a7c15ULL) >> 32);

	for (i &= s->cap - 1; s->v[i] && s->v[i] != ino;)
		i = (i + 1) & (s->cap - 1);
	return i;
}

static bool seen_grow(struct fuse_ll_seen *s)
{
	struct fuse_ll_seen old = *s;
	uint32_t cap = s->cap ? s->cap * 2 : (uint32_t)SEEN_START;
	uint64_t *v = calloc(cap, sizeof(*v));

	if (!v)
		return false;
	s->v = v;
	s->cap = cap;
	for (uint32_t i = 0; i < old.cap; i++)
		if (old.v[i])
			s->v[seen_place(s, old.v[i])] = old.v[i];
	free(old.v);
	return true;
}

void fuse_ll_virt_note(struct fuse_ll *l, uint64_t parent, uint64_t ino)
{
	struct fuse_ll_seen *s = &l->seen;

	if (l->o.hybrid == 0 || parent != l->o.hybrid)
		return;
	mutex_lock(&s->mu);
	if (s->n < SEEN_MAX && (s->n * 2 < s->cap || seen_grow(s))) {
		uint32_t i = seen_place(s, ino);
		s->n += s->v[i] == 0;
		s->v[i] = ino;
	} else {
		s->n = SEEN_MAX;
	}
	mutex_unlock(&s->mu);
}

bool fuse_ll_virt_known(struct fuse_ll *l, uint64_t ino)
{
	struct fuse_ll_seen *s = &l->seen;

	if (l->o.hybrid == 0)
		return false;
	mutex_lock(&s->mu);
	bool known = s->n == SEEN_MAX ||
		     (s->n > 0 && s->v[seen_place(s, ino)] == ino);
	mutex_unlock(&s->mu);
	return known;
}

void fuse_ll_virt_closed(struct fuse_ll *l, uint64_t ino)
{
	if (fuse_ll_virt_known(l, ino) && fuse_ll_vops(l)->changed)
		fuse_ll_vops(l)->changed(l->o.vdir->ctx, ino, NULL);
}

void fuse_ll_virt_renamed(struct fuse_ll *l, uint64_t parent, uint64_t ino,
			  const char *name)
{
	const struct vdir_ops *v = fuse_ll_vops(l);

	if (l->o.hybrid == 0 || parent != l->o.hybrid)
		return;
	if (ino)
		fuse_ll_virt_note(l, parent, ino);
	if (v->changed)
		v->changed(l->o.vdir->ctx, ino, name);
}
