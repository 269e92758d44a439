/*
 * fuse_ll_dir.c - listings.
 *
 * The offset of an entry is where the next call goes on:
 *     1 .. 2^62 - 1   real names: the core's cookie of the entry
 *     2^62 + n        virtual ones: n-th root name of the container, or the
 *                     provider's offset
 * Real names come first, so that a listing of a changing directory keeps what
 * the core's cookies promise.
 *
 * A directory handle is 0 for a plain real directory, else a struct open_dir.
 *
 * A guarded process's handle (core_guard.h) neither takes from the kernel's
 * cache of listings nor fills it: what it is not shown others are, and the
 * other way round.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/fuse/fuse_ll_impl.h"

#define VIRTUAL_OFF (1ULL << 62)

/* An open directory that is more than its inode number. */
struct open_dir {
	struct vdir_list *list;	       /* the provider's; NULL: none */
	struct core_guard_list *guard; /* NULL: nothing is left out */
};

/* One answer being filled. */
struct fill {
	fuse_req_t req;
	struct fuse_ll *l;
	uint64_t dir;
	struct cred cr;
	char *p;
	size_t n, cap;
	bool plus;
	bool full;
	uint64_t last; /* real name that was put */
	bool more;     /* real names are to come */
	struct core_guard_list *guard;
};

static struct open_dir *dir_of(const struct fuse_file_info *fi)
{
	return (struct open_dir *)(uintptr_t)fi->fh;
}

static bool has_provider_list(const struct fuse_ll *l, uint64_t ino)
{
	return VDIR_IS_VIRTUAL(ino) || (l->o.hybrid != 0 && ino == l->o.hybrid);
}

static void close_dir(struct fuse_ll *l, struct open_dir *d)
{
	if (!d)
		return;
	if (d->list)
		fuse_ll_vops(l)->releasedir(l->o.vdir->ctx, d->list);
	core_guard_closedir(d->guard);
	free(d);
}

static int open_parts(struct fuse_ll *l, const struct cred *cr, uint64_t ino,
		      struct open_dir *d)
{
	int rc = VDIR_IS_VIRTUAL(ino) ?
			 core_guard_virtual(l->o.core, cr, ENTRY_DENIED_LIST) :
			 core_guard_opendir(l->o.core, cr, ino, &d->guard);

	if (rc < 0 || !has_provider_list(l, ino))
		return rc;
	return fuse_ll_vops(l) ? fuse_ll_vops(l)->opendir(l->o.vdir->ctx, cr,
							  ino, &d->list) :
				 -ESTALE;
}

/* *out is NULL for a plain directory. */
static int open_dir(struct fuse_ll *l, const struct cred *cr, uint64_t ino,
		    struct open_dir **out)
{
	struct open_dir *d;
	int rc;

	*out = NULL;
	if (!has_provider_list(l, ino) && !core_guard_any(l->o.core))
		return 0;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	rc = open_parts(l, cr, ino, d);
	if (rc == 0 && (d->list || d->guard))
		*out = take(d);
	close_dir(l, d);
	return rc;
}

static void ll_opendir(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	struct fuse_ll *l = fuse_ll_of(req);
	struct cred cr = fuse_ll_cred(req);
	struct open_dir *d = NULL;
	int rc = open_dir(l, &cr, ino, &d);

	if (rc < 0) {
		fuse_ll_reply(req, rc);
		return;
	}
	fi->fh = (uintptr_t)d;
	fi->cache_readdir = d == NULL;
	fi->keep_cache = !d || !d->list; /* others' listing is as it was */
	if (fuse_reply_open(req, fi) < 0)
		close_dir(l, d);
}

static void ll_releasedir(fuse_req_t req, fuse_ino_t ino,
			  struct fuse_file_info *fi)
{
	(void)ino;
	close_dir(fuse_ll_of(req), dir_of(fi));
	fuse_ll_reply(req, 0);
}

/* One entry takes `need`; 1 when it does not fit any more. */
static int placed(struct fill *f, size_t need)
{
	f->full = need > f->cap - f->n;
	if (f->full)
		return 1;
	f->n += need;
	return 0;
}

static int put_entry(struct fill *f, const char *name,
		     const struct fuse_entry_param *e, uint64_t next)
{
	return placed(f,
		      fuse_add_direntry_plus(f->req, f->p + f->n, f->cap - f->n,
					     name, e, (off_t)next));
}

/* Node 0 in a plus answer: the name only, no lookup is counted. */
static int put_name(struct fill *f, const char *name, const struct stat *st,
		    uint64_t next)
{
	struct fuse_entry_param e;

	if (!f->plus)
		return placed(f, fuse_add_direntry(f->req, f->p + f->n,
						   f->cap - f->n, name, st,
						   (off_t)next));
	e = (struct fuse_entry_param){ .attr = *st };
	return put_entry(f, name, &e, next);
}

static int put_real(void *ctx, const char *name, const struct stat *st,
		    uint64_t cookie)
{
	struct fill *f = ctx;
	struct fuse_entry_param e;
	bool dots = name[0] == '.' &&
		    (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
	int rc;

	if (fuse_ll_virt_reserved(f->l, f->dir, name))
		return 0; /* hidden behind the virtual one */
	if (f->guard && !dots &&
	    !core_guard_list_shows(f->guard, name, st->st_mode))
		return 0;
	if (f->plus && !dots) {
		e = fuse_ll_name_entry(f->l, st);
		rc = put_entry(f, name, &e, cookie);
	} else {
		rc = put_name(f, name, st, cookie);
	}
	if (rc)
		return rc;
	f->last = cookie;
	if (!dots)
		fuse_ll_virt_note(f->l, f->dir, st->st_ino);
	return 0;
}

static int put_virtual(void *ctx, const char *name, uint32_t mode, uint64_t ino,
		       uint64_t next)
{
	struct fill *f = ctx;
	struct stat e = { .st_ino = ino, .st_mode = mode };
	struct stat st;

	if (!VDIR_IS_VIRTUAL(f->dir) &&
	    core_lookup(f->l->o.core, f->dir, name, &st) == 0)
		return 0; /* a real name has precedence */
	return put_name(f, name, &e, VIRTUAL_OFF | next);
}

static int put_roots(struct fill *f, uint64_t from)
{
	const struct vdir_ops *v = fuse_ll_vops(f->l);
	uint64_t i = 0;

	for (const char *const *p = v->root_names; *p; p++, i++) {
		struct stat st = { 0 };
		uint32_t ttl_ms;

		if (i < from || fuse_ll_virt_lookup(f->l, &f->cr, f->dir, *p,
						    &st, &ttl_ms) < 0)
			continue;
		v->forget(f->l->o.vdir->ctx, st.st_ino, 1);
		if (put_name(f, *p, &st, VIRTUAL_OFF | (i + 1)))
			break;
	}
	return 0;
}

/* How many names of usual length fit. */
static size_t entries_in(const struct fill *f)
{
	return f->cap / (f->plus ? 160 : 40);
}

static int fill_all(struct fill *f, struct vdir_list *d, uint64_t off)
{
	struct fuse_ll *l = f->l;
	bool in_virtual = (off & VIRTUAL_OFF) != 0;
	uint64_t from = in_virtual ? off & ~VIRTUAL_OFF : 0;
	int rc = 0;

	if (!VDIR_IS_VIRTUAL(f->dir) && !in_virtual)
		rc = core_readdir(l->o.core, f->dir, off, entries_in(f),
				  f->plus, put_real, f);
	f->more = f->full;
	if (rc < 0 || f->full)
		return rc;
	if (fuse_ll_vops(l) && f->dir == l->o.container)
		return put_roots(f, from);
	if (!d)
		return 0;
	rc = fuse_ll_vops(l)->readdir(l->o.vdir->ctx, d, from, put_virtual, f);
	return rc < 0 ? rc : 0;
}

/*
 * The kernel asks for attributes first and goes on so when somebody looked at
 * them: as it did last time, likely.
 */
static void read_ahead(struct fill *f)
{
	f->plus =
		atomic_load_explicit(&f->l->plus_goes_on, memory_order_relaxed);
	core_readdir_ahead(f->l->o.core, f->dir, f->last, entries_in(f),
			   f->plus);
}

static void read_dir(fuse_req_t req, uint64_t ino, size_t size, off_t off,
		     const struct open_dir *d, bool plus)
{
	struct fill f = {
		.req = req,
		.l = fuse_ll_of(req),
		.dir = ino,
		.cr = fuse_ll_cred(req),
		.p = fuse_ll_scratch(size),
		.cap = size,
		.plus = plus,
		.guard = d ? d->guard : NULL,
	};
	int rc = f.p ? 0 : -ENOMEM;

	if (rc == 0 && f.guard)
		rc = core_guard_list_at(f.l->o.core, f.guard, ino);
	if (rc == 0)
		rc = fill_all(&f, d ? d->list : NULL, (uint64_t)off);

	if (off)
		atomic_store_explicit(&f.l->plus_goes_on, plus,
				      memory_order_relaxed);
	if (rc < 0 && f.n == 0)
		fuse_ll_reply(req, rc);
	else
		fuse_reply_buf(req, f.p, f.n);
	if (rc == 0 && f.more && f.last > 2)
		read_ahead(&f);
}

static void ll_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	read_dir(req, ino, size, off, dir_of(fi), false);
}

static void ll_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size,
			   off_t off, struct fuse_file_info *fi)
{
	read_dir(req, ino, size, off, dir_of(fi), true);
}

static void synced(void *ctx, int rc)
{
	fuse_ll_reply(ctx, rc);
}

static void ll_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync,
			struct fuse_file_info *fi)
{
	(void)datasync;
	(void)fi;
	if (VDIR_IS_VIRTUAL(ino))
		fuse_ll_reply(req, 0);
	else
		core_fsync(fuse_ll_of(req)->o.core, NULL, ino, synced, req);
}

void fuse_ll_dir_ops(struct fuse_lowlevel_ops *ops)
{
	ops->opendir = ll_opendir;
	ops->readdir = ll_readdir;
	ops->readdirplus = ll_readdirplus;
	ops->releasedir = ll_releasedir;
	ops->fsyncdir = ll_fsyncdir;
}
