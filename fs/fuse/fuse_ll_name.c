/*
 * fuse_ll_name.c - names: lookup, forget, make, link, remove, rename.
 *
 * Each function answers exactly once.  What a virtual name would be in the
 * way of is refused here; the core never hears of it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fs/fuse/fuse_ll_impl.h"

struct fuse_entry_param fuse_ll_name_entry(const struct fuse_ll *l,
					   const struct stat *st)
{
	return (struct fuse_entry_param){
		.ino = st->st_ino,
		.attr = *st,
		.attr_timeout = l->o.attr_timeout_s,
		.entry_timeout = l->o.entry_timeout_s,
	};
}

struct fuse_entry_param fuse_ll_name_virtual(const struct stat *st,
					     uint32_t ttl_ms)
{
	return (struct fuse_entry_param){
		.ino = st->st_ino,
		.attr = *st,
		.attr_timeout = ttl_ms / 1000.0,
		.entry_timeout = ttl_ms / 1000.0,
	};
}

static void reply_real(fuse_req_t req, const struct stat *st)
{
	struct fuse_entry_param e = fuse_ll_name_entry(fuse_ll_of(req), st);

	fuse_reply_entry(req, &e);
}

static void reply_virtual(fuse_req_t req, const struct stat *st,
			  uint32_t ttl_ms)
{
	struct fuse_ll *l = fuse_ll_of(req);
	struct fuse_entry_param e = fuse_ll_name_virtual(st, ttl_ms);

	/* An answer that nobody hears is no lookup. */
	if (fuse_reply_entry(req, &e) < 0)
		fuse_ll_vops(l)->forget(l->o.vdir->ctx, st->st_ino, 1);
}

static void reply_negative(fuse_req_t req)
{
	struct fuse_entry_param e = {
		.entry_timeout = fuse_ll_of(req)->o.negative_timeout_s,
	};

	fuse_reply_entry(req, &e);
}

static void ll_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_ll *l = fuse_ll_of(req);
	struct cred cr = fuse_ll_cred(req);
	bool hybrid = l->o.hybrid != 0 && parent == l->o.hybrid;
	uint32_t ttl_ms = 0;
	struct stat st;
	int rc = -ENOENT;

	if (!VDIR_IS_VIRTUAL(parent) &&
	    !fuse_ll_virt_reserved(l, parent, name)) {
		rc = core_lookup(l->o.core, parent, name, &st);
		if (rc == 0) {
			fuse_ll_virt_note(l, parent, st.st_ino);
			reply_real(req, &st);
			return;
		}
		if (rc == -ENOENT && !hybrid) {
			reply_negative(req);
			return;
		}
		if (rc != -ENOENT) {
			fuse_ll_reply(req, rc);
			return;
		}
	}
	rc = fuse_ll_virt_lookup(l, &cr, parent, name, &st, &ttl_ms);
	if (rc < 0)
		fuse_ll_reply(req, rc); /* not remembered: it may come */
	else
		reply_virtual(req, &st, ttl_ms);
}

static void forget(struct fuse_ll *l, uint64_t ino, uint64_t n)
{
	if (VDIR_IS_VIRTUAL(ino) && fuse_ll_vops(l))
		fuse_ll_vops(l)->forget(l->o.vdir->ctx, ino, n);
}

static void ll_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	forget(fuse_ll_of(req), ino, n);
	fuse_reply_none(req);
}

static void ll_forget_multi(fuse_req_t req, size_t count,
			    struct fuse_forget_data *v)
{
	for (size_t i = 0; i < count; i++)
		forget(fuse_ll_of(req), v[i].ino, v[i].nlookup);
	fuse_reply_none(req);
}

/* The end of everything that makes a name. */
static void reply_made(fuse_req_t req, int rc, uint64_t parent,
		       const char *name, const struct stat *st)
{
	if (rc < 0) {
		fuse_ll_reply(req, rc);
		return;
	}
	fuse_ll_virt_renamed(fuse_ll_of(req), parent, st->st_ino, name);
	reply_real(req, st);
}

static void ll_mknod(fuse_req_t req, fuse_ino_t parent, const char *name,
		     mode_t mode, dev_t rdev)
{
	struct fuse_ll *l = fuse_ll_of(req);
	struct cred cr = fuse_ll_cred(req);
	struct core_guard_pass pass = { false };
	struct stat st;
	int rc = fuse_ll_virt_may_make(l, parent, name);

	if ((mode & S_IFMT) == 0)
		mode |= S_IFREG;
	if (rc == 0)
		rc = core_guard_make(l->o.core, &cr, &pass, parent, name,
				     S_ISDIR(mode) ? ENTRY_DENIED_MKDIR :
						     ENTRY_DENIED_CREATE);
	if (rc == 0)
		rc = core_mknod(l->o.core, &cr, parent, name, mode, rdev, &st);
	core_guard_end(l->o.core, &pass);
	reply_made(req, rc, parent, name, &st);
}

static void ll_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name,
		     mode_t mode)
{
	ll_mknod(req, parent, name, (mode & ~(mode_t)S_IFMT) | S_IFDIR, 0);
}

static void ll_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
		       const char *name)
{
	struct fuse_ll *l = fuse_ll_of(req);
	struct cred cr = fuse_ll_cred(req);
	struct core_guard_pass pass = { false };
	struct stat st;
	int rc = fuse_ll_virt_may_make(l, parent, name);

	if (rc == 0)
		rc = core_guard_make(l->o.core, &cr, &pass, parent, name,
				     ENTRY_DENIED_SYMLINK);
	if (rc == 0)
		rc = core_symlink(l->o.core, &cr, parent, name, target, &st);
	core_guard_end(l->o.core, &pass);
	reply_made(req, rc, parent, name, &st);
}

static void ll_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent,
		    const char *name)
{
	struct fuse_ll *l = fuse_ll_of(req);
	struct cred cr = fuse_ll_cred(req);
	struct core_guard_pass pass = { false };
	struct stat st;
	int rc = fuse_ll_virt_may_make(l, parent, name);

	if (rc == 0 && VDIR_IS_VIRTUAL(ino))
		rc = -EXDEV; /* so that ln and cp -l say what it is */
	if (rc == 0)
		rc = core_guard_link(l->o.core, &cr, &pass, ino, parent, name);
	if (rc == 0)
		rc = core_link(l->o.core, &cr, ino, parent, name, &st);
	core_guard_end(l->o.core, &pass);
	reply_made(req, rc, parent, name, &st);
}

/* What the hybrid directory's name is before it goes, for the provider. */
static uint64_t hybrid_ino(struct fuse_ll *l, uint64_t parent, const char *name)
{
	struct stat st;

	if (l->o.hybrid == 0 || parent != l->o.hybrid ||
	    core_lookup(l->o.core, parent, name, &st) < 0)
		return 0;
	return st.st_ino;
}

/* ENOENT for a name that the provider shows here would not be understood. */
static int missing_real(struct fuse_ll *l, const struct cred *cr,
			uint64_t parent, const char *name)
{
	uint32_t ttl_ms;
	struct stat st;

	if (l->o.hybrid == 0 || parent != l->o.hybrid ||
	    fuse_ll_virt_lookup(l, cr, parent, name, &st, &ttl_ms) < 0)
		return -ENOENT;
	forget(l, st.st_ino, 1);
	return -EROFS;
}

static bool is_hybrid_name(const struct fuse_ll *l, uint64_t parent,
			   const char *name)
{
	return l->o.hybrid != 0 && parent == l->o.container &&
	       strcmp(name, fuse_ll_vops(l)->hybrid_name) == 0;
}

static void remove_name(fuse_req_t req, uint64_t parent, const char *name,
			bool dir)
{
	struct fuse_ll *l = fuse_ll_of(req);
	struct cred cr = fuse_ll_cred(req);
	struct core_guard_pass pass = { false };
	uint64_t ino = hybrid_ino(l, parent, name);
	int rc = fuse_ll_virt_may_change(l, parent, name);

	/* The hybrid directory is part of the mount. */
	if (rc == 0 && is_hybrid_name(l, parent, name))
		rc = -EBUSY;
	if (rc == 0)
		rc = core_guard_remove(l->o.core, &cr, &pass, parent, name,
				       dir ? ENTRY_DENIED_RMDIR :
					     ENTRY_DENIED_UNLINK);
	if (rc == 0)
		rc = dir ? core_rmdir(l->o.core, &cr, parent, name) :
			   core_unlink(l->o.core, &cr, parent, name);
	core_guard_end(l->o.core, &pass);
	if (rc == -ENOENT)
		rc = missing_real(l, &cr, parent, name);
	if (rc == 0)
		fuse_ll_virt_renamed(l, parent, ino, name);
	fuse_ll_reply(req, rc);
}

static void ll_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_name(req, parent, name, false);
}

static void ll_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_name(req, parent, name, true);
}

static void ll_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
		      fuse_ino_t new_parent, const char *new_name,
		      unsigned int flags)
{
	struct fuse_ll *l = fuse_ll_of(req);
	struct cred cr = fuse_ll_cred(req);
	struct core_guard_pass pass = { false };
	uint64_t ino = hybrid_ino(l, parent, name);
	int rc = fuse_ll_virt_may_change(l, parent, name);

	if (rc == 0)
		rc = fuse_ll_virt_may_change(l, new_parent, new_name);
	if (rc == 0 && (is_hybrid_name(l, parent, name) ||
			is_hybrid_name(l, new_parent, new_name)))
		rc = -EBUSY;
	if (rc == 0 &&
	    (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT)))
		rc = -EINVAL;
	if (rc == 0)
		rc = core_guard_rename(l->o.core, &cr, &pass, parent, name,
				       new_parent, new_name,
				       flags & RENAME_EXCHANGE);
	if (rc == 0)
		rc = core_rename(l->o.core, &cr, parent, name, new_parent,
				 new_name, flags);
	core_guard_end(l->o.core, &pass);
	if (rc == -ENOENT)
		rc = missing_real(l, &cr, parent, name);
	if (rc == 0) {
		fuse_ll_virt_renamed(l, parent, ino, name);
		fuse_ll_virt_renamed(l, new_parent,
				     hybrid_ino(l, new_parent, new_name),
				     new_name);
	}
	fuse_ll_reply(req, rc);
}

static void ll_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct fuse_ll *l = fuse_ll_of(req);
	struct cred cr = fuse_ll_cred(req);
	char target[4096 + 1];
	ssize_t rc;

	if (!VDIR_IS_VIRTUAL(ino)) {
		rc = core_guard_read(l->o.core, &cr, ino,
				     ENTRY_DENIED_READLINK);
		if (rc == 0)
			rc = core_readlink(l->o.core, ino, target,
					   sizeof(target));
	} else if ((rc = core_guard_virtual(l->o.core, &cr,
					    ENTRY_DENIED_READLINK)) < 0) {
		/* refused */
	} else if (!fuse_ll_vops(l)) {
		rc = -ESTALE;
	} else {
		rc = fuse_ll_vops(l)->readlink(l->o.vdir->ctx, &cr, ino, target,
					       sizeof(target) - 1);
		if (rc >= 0)
			target[rc] = '\0';
	}
	if (rc < 0)
		fuse_ll_reply(req, (int)rc);
	else
		fuse_reply_readlink(req, target);
}

void fuse_ll_name_ops(struct fuse_lowlevel_ops *ops)
{
	ops->lookup = ll_lookup;
	ops->forget = ll_forget;
	ops->forget_multi = ll_forget_multi;
	ops->mknod = ll_mknod;
	ops->mkdir = ll_mkdir;
	ops->symlink = ll_symlink;
	ops->link = ll_link;
	ops->unlink = ll_unlink;
	ops->rmdir = ll_rmdir;
	ops->rename = ll_rename;
	ops->readlink = ll_readlink;
}
