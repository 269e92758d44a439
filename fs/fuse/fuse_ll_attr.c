/*
 * fuse_ll_attr.c - attributes, extended attributes, statfs.
 *
 * user.vouch.* is answered by the provider and never listed; what may be set
 * of it is the provider's, too, and stays nowhere.  Virtual nodes have no extended attributes and cannot be changed.
 */
#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

#include "fs/fuse/fuse_ll_impl.h"

#define OURS "user.vouch."

static void ll_getattr(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	struct fuse_ll *l = fuse_ll_of(req);
	struct cred cr = fuse_ll_cred(req);
	double timeout = l->o.attr_timeout_s;
	uint32_t ttl_ms = 0;
	struct stat st;
	int rc;

	(void)fi;
	if (!VDIR_IS_VIRTUAL(ino)) {
		rc = core_getattr_removed(l->o.core, ino, &st);
	} else if (!fuse_ll_vops(l)) {
		rc = -ESTALE;
	} else {
		rc = fuse_ll_vops(l)->getattr(l->o.vdir->ctx, &cr, ino, &st,
					      &ttl_ms);
		timeout = ttl_ms / 1000.0;
	}
	if (rc < 0)
		fuse_ll_reply(req, rc);
	else
		fuse_reply_attr(req, &st, timeout);
}

static uint32_t setattr_mask(int to_set)
{
	static const struct {
		int theirs;
		uint32_t ours;
	} map[] = {
		{ FUSE_SET_ATTR_MODE, CORE_SET_MODE },
		{ FUSE_SET_ATTR_UID, CORE_SET_UID },
		{ FUSE_SET_ATTR_GID, CORE_SET_GID },
		{ FUSE_SET_ATTR_SIZE, CORE_SET_SIZE },
		{ FUSE_SET_ATTR_ATIME, CORE_SET_ATIME },
		{ FUSE_SET_ATTR_MTIME, CORE_SET_MTIME },
		{ FUSE_SET_ATTR_CTIME, CORE_SET_CTIME },
		{ FUSE_SET_ATTR_ATIME_NOW, CORE_SET_ATIME_NOW },
		{ FUSE_SET_ATTR_MTIME_NOW, CORE_SET_MTIME_NOW },
		/* In the protocol this bit is FATTR_KILL_SUIDGID. */
		{ FUSE_SET_ATTR_KILL_SUID, CORE_KILL_SUIDGID },
	};
	uint32_t mask = 0;

	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (to_set & map[i].theirs)
			mask |= map[i].ours;
	/*
	 * Nothing to set: chown(2) to the owner it has, which takes set-id
	 * bits; or a stranger is about to write or fallocate, or calls
	 * chown(2), which may not.  The kernel does not say which, but what
	 * writes takes the bits by itself.
	 */
	return mask ? mask : CORE_KILL_BY_OWNER;
}

static void ll_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *in,
		       int to_set, struct fuse_file_info *fi)
{
	struct fuse_ll *l = fuse_ll_of(req);
	struct cred cr = fuse_ll_cred(req);
	struct stat st;
	int rc = -EROFS;

	(void)fi;
	if (!VDIR_IS_VIRTUAL(ino))
		rc = core_guard_change(l->o.core, &cr, ino,
				       to_set & FUSE_SET_ATTR_SIZE ?
					       ENTRY_DENIED_TRUNCATE :
					       ENTRY_DENIED_SETATTR);
	if (rc == 0)
		rc = core_setattr(l->o.core, &cr, ino, setattr_mask(to_set), in,
				  &st);
	if (rc < 0)
		fuse_ll_reply(req, rc);
	else
		fuse_reply_attr(req, &st, l->o.attr_timeout_s);
}

static bool is_ours(const char *name)
{
	return strncmp(name, OURS, sizeof(OURS) - 1) == 0;
}

/*
 * What the kernel wants to know by itself, to check a permission or before a
 * write: it keeps the answer for others, and it is no more than stat(2) tells.
 */
static bool asked_by_kernel(const char *name)
{
	return strncmp(name, "system.posix_acl_", 17) == 0 ||
	       strncmp(name, "security.", 9) == 0;
}

static ssize_t get_xattr(struct fuse_ll *l, const struct cred *cr, uint64_t ino,
			 const char *name, void *p, size_t cap)
{
	const struct vdir_ops *v = fuse_ll_vops(l);

	if (VDIR_IS_VIRTUAL(ino))
		return -ENODATA;
	if (!asked_by_kernel(name)) {
		int rc = core_guard_read(l->o.core, cr, ino,
					 ENTRY_DENIED_GETXATTR);

		/* ours tell of versions that it may not see */
		if (rc == 0 && is_ours(name))
			rc = core_guard_virtual(l->o.core, cr,
						ENTRY_DENIED_GETXATTR);
		if (rc < 0)
			return rc;
	}
	if (is_ours(name))
		return v && v->getxattr ? v->getxattr(l->o.vdir->ctx, cr, ino,
						      name, p, cap) :
					  -ENODATA;
	return core_getxattr(l->o.core, ino, name, p, cap);
}

/* Answers with a length (cap 0) or with bytes. */
static void reply_xattr(fuse_req_t req, ssize_t n, const void *p, size_t cap)
{
	if (n < 0)
		fuse_ll_reply(req, (int)n);
	else if (cap == 0)
		fuse_reply_xattr(req, (size_t)n);
	else
		fuse_reply_buf(req, p, (size_t)n);
}

static void ll_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
			size_t size)
{
	struct cred cr = fuse_ll_cred(req);
	void *p = size ? fuse_ll_scratch(size) : NULL;
	ssize_t n = size && !p ?
			    -ENOMEM :
			    get_xattr(fuse_ll_of(req), &cr, ino, name, p, size);

	reply_xattr(req, n, p, size);
}

static void ll_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct fuse_ll *l = fuse_ll_of(req);
	struct cred cr = fuse_ll_cred(req);
	void *p = size ? fuse_ll_scratch(size) : NULL;
	ssize_t n = 0;

	if (size && !p)
		n = -ENOMEM;
	else if (!VDIR_IS_VIRTUAL(ino))
		n = core_guard_read(l->o.core, &cr, ino,
				    ENTRY_DENIED_LISTXATTR);
	if (n == 0 && !VDIR_IS_VIRTUAL(ino))
		n = core_listxattr(l->o.core, &cr, ino, p, size);
	reply_xattr(req, n, p, size);
}

static int may_set(uint64_t ino, const char *name)
{
	if (VDIR_IS_VIRTUAL(ino))
		return -EROFS;
	return is_ours(name) ? -EPERM : 0;
}

/* What it asks for may change the file, by what the file held once. */
static int may_ask(struct fuse_ll *l, const struct cred *cr, uint64_t ino)
{
	int rc = core_guard_change(l->o.core, cr, ino, ENTRY_DENIED_SETXATTR);

	return rc < 0 ?
		       rc :
		       core_guard_virtual(l->o.core, cr, ENTRY_DENIED_SETXATTR);
}

static void ll_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
			const char *value, size_t size, int flags)
{
	const struct vdir_ops *v = fuse_ll_vops(fuse_ll_of(req));
	struct cred cr = fuse_ll_cred(req);
	int rc = may_set(ino, name);

	if (rc == -EPERM && v && v->setxattr) {
		rc = may_ask(fuse_ll_of(req), &cr, ino);
		if (rc == 0)
			rc = v->setxattr(fuse_ll_of(req)->o.vdir->ctx, &cr, ino,
					 name, value, size);
		fuse_ll_reply(req, rc);
		return;
	}
	if (rc == 0)
		rc = core_guard_change(fuse_ll_of(req)->o.core, &cr, ino,
				       ENTRY_DENIED_SETXATTR);
	if (rc == 0)
		rc = core_setxattr(fuse_ll_of(req)->o.core, &cr, ino, name,
				   value, size, flags, fuse_ll_kill());
	fuse_ll_reply(req, rc);
}

static void ll_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct cred cr = fuse_ll_cred(req);
	int rc = may_set(ino, name);

	if (rc == 0)
		rc = core_guard_change(fuse_ll_of(req)->o.core, &cr, ino,
				       ENTRY_DENIED_REMOVEXATTR);
	if (rc == 0)
		rc = core_removexattr(fuse_ll_of(req)->o.core, &cr, ino, name);
	fuse_ll_reply(req, rc);
}

static void ll_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st = { 0 };
	int rc = core_statfs(fuse_ll_of(req)->o.core, &st);

	(void)ino;
	if (rc < 0)
		fuse_ll_reply(req, rc);
	else
		fuse_reply_statfs(req, &st);
}

void fuse_ll_attr_ops(struct fuse_lowlevel_ops *ops)
{
	ops->getattr = ll_getattr;
	ops->setattr = ll_setattr;
	ops->getxattr = ll_getxattr;
	ops->listxattr = ll_listxattr;
	ops->setxattr = ll_setxattr;
	ops->removexattr = ll_removexattr;
	ops->statfs = ll_statfs;
}
