/*
 * core_name.c - names: lookup, create, link, unlink, rename.
 *
 * Each operation checks what POSIX and the kernel's VFS leave to us, builds
 * one entry and submits it.  A dirty file that is renamed or linked gets its
 * version first, so a crash never leaves a new name with old bytes.
 *
 * Threads: any; the op_ functions run under itable.mu.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/vio.h"
#include "fs/commit/commit.h"
#include "fs/core/core_internal.h"
#include "fs/core/file.h"
#include "fs/core/itable_internal.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE 2
#endif
#ifndef RENAME_WHITEOUT
#define RENAME_WHITEOUT 4
#endif

/* Its name in row.parent: together they tell a version's path. */
static void set_hint(struct inode *i, const char *name)
{
	if (i->hint && !strcmp(i->hint, name))
		return;
	free(i->hint);
	i->hint = strdup(name); /* only a hint: NULL will do */
}

/* A live directory. */
static int get_dir(struct itable_tx *tx, struct inode **out, uint64_t ino)
{
	int rc = itable_get(tx, out, ino);

	if (rc < 0)
		return rc;
	if (!core_is_dir(*out))
		return -ENOTDIR;
	return 0;
}

/* The directory, not removed, and what `name` names in it (NULL: nothing). */
static int get_name(struct itable_tx *tx, struct inode **out_dir,
		    struct inode **out, uint64_t parent, const char *name,
		    size_t len)
{
	struct name *n = NULL;
	int rc = get_dir(tx, out_dir, parent);

	*out = NULL;
	if (rc < 0)
		return rc;
	rc = itable_name(tx, &n, parent, name, len);
	if (rc < 0 || !n->row.ino)
		return rc;
	rc = itable_get(tx, out, n->row.ino);
	return rc == -ENOENT ? -ERR_CORRUPT : rc;
}

/* --- lookup --- */

struct lookup_arg {
	uint64_t parent;
	const char *name;
	size_t len;
	struct stat *out;
};

static int lookup_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct lookup_arg *a = arg;
	struct inode *dir, *i;
	int rc;

	if (!strcmp(a->name, ".") || !strcmp(a->name, "..")) {
		rc = get_dir(tx, &dir, a->parent);
		if (!rc && a->name[1])
			rc = itable_get(tx, &dir, dir->row.parent);
		if (!rc)
			core_fill_stat(c, dir, a->out);
		return rc;
	}
	rc = get_name(tx, &dir, &i, a->parent, a->name, a->len);
	if (rc < 0)
		return rc;
	if (!i)
		return -ENOENT;
	if (i->row.parent == a->parent) /* else by another of its links */
		set_hint(i, a->name);
	core_fill_stat(c, i, a->out);
	return 0;
}

int core_lookup(struct core *c, uint64_t parent, const char *name,
		struct stat *out)
{
	struct lookup_arg a = { parent, name, strlen(name), out };

	if (a.len > LIMIT_NAME)
		return -ENAMETOOLONG;
	return core_op(c, lookup_op, &a);
}

/* --- creating --- */

struct create_arg {
	const struct cred *cr;
	struct actor *actor;
	uint64_t parent;
	const char *name;
	size_t len;
	uint32_t mode; /* with S_IFMT */
	uint64_t rdev;
	const char *target;
	bool tmpfile;
	uint8_t salt[16];
	struct stat *out;
	uint64_t ino; /* out */
};

static struct pend *create_entry(struct core *c, struct create_arg *a,
				 struct inode *dir,
				 const struct core_acl_new *acl)
{
	size_t len = a->tmpfile ? 0 : a->len;
	size_t target = a->target ? strlen(a->target) : 0;
	struct pend *p = pend_new(ENTRY_CREATE,
				  len + target + acl->access_n + acl->dflt_n);
	struct entry_create *b;

	if (!p)
		return NULL;
	b = &p->e.body.create;
	p->e.core.inode = ENTRY_INODE(c->mount_no, c->next_ino);
	p->e.core.parent = a->tmpfile ? 0 : a->parent;
	b->dtype = IFTODT(a->mode & S_IFMT);
	b->mode = acl->mode & 07777;
	b->uid = a->cr->uid;
	b->gid = a->cr->gid;
	if (dir->row.mode & S_ISGID) {
		b->gid = dir->row.gid;
		if (S_ISDIR(a->mode))
			b->mode |= S_ISGID;
	}
	b->rdev = S_ISBLK(a->mode) || S_ISCHR(a->mode) ? a->rdev : 0;
	b->name = pend_str(p, a->name, len);
	if (target)
		b->target = pend_str(p, a->target, target);
	if (acl->access) {
		b->acl = pend_bytes(p, acl->access, acl->access_n);
		b->acl_n = acl->access_n;
	}
	if (S_ISDIR(a->mode)) {
		if (acl->dflt) {
			b->default_acl = pend_bytes(p, acl->dflt, acl->dflt_n);
			b->default_acl_n = acl->dflt_n;
		}
		b->has_dir_salt = true;
		memcpy(b->dir_salt, a->salt, sizeof(b->dir_salt));
	}
	return p;
}

static int create_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct create_arg *a = arg;
	struct core_acl_new acl = { .mode = a->mode };
	struct inode *dir, *i;
	struct pend *p;
	int rc;

	if (a->tmpfile) {
		rc = get_dir(tx, &dir, a->parent);
		i = NULL;
	} else {
		rc = get_name(tx, &dir, &i, a->parent, a->name, a->len);
	}
	if (rc < 0)
		return rc;
	if (i)
		return -EEXIST;
	if (!dir->row.nlink)
		return -ENOENT; /* removed while it is somebody's cwd */
	if (!S_ISLNK(a->mode)) {
		rc = core_acl_inherit(c, tx, dir, a->cr->umask, &acl);
		if (rc < 0)
			return rc;
	}
	p = create_entry(c, a, dir, &acl);
	core_acl_release(&acl);
	if (p)
		a->ino = p->e.core.inode;
	rc = core_submit(c, tx, p, NULL, a->actor);
	if (rc < 0)
		return rc;
	c->next_ino++;
	i = itable_find_inode(&c->t, a->ino);
	if (!a->tmpfile)
		set_hint(i, a->name);
	/* names in it need not be looked for in the index */
	i->all_names = S_ISDIR(a->mode);
	core_fill_stat(c, i, a->out);
	return 0;
}

static int create(struct core *c, struct create_arg *a)
{
	int rc = core_may_change(c, SPACE_ADD);

	if (rc >= 0 && !a->tmpfile)
		rc = core_check_name(a->name, &a->len);
	if (rc >= 0 && S_ISDIR(a->mode))
		rc = vio_random(c->vio, a->salt, sizeof(a->salt));
	if (rc < 0)
		return rc;
	a->actor = core_actor(c, a->cr);
	rc = core_op(c, create_op, a);
	actor_drop(c->actors, a->actor);
	return rc;
}

int core_mknod(struct core *c, const struct cred *cr, uint64_t parent,
	       const char *name, uint32_t mode, uint64_t rdev, struct stat *out)
{
	struct create_arg a = {
		.cr = cr,
		.parent = parent,
		.name = name,
		.mode = mode & S_IFMT ? mode : mode | S_IFREG,
		.rdev = rdev,
		.out = out,
	};

	return create(c, &a);
}

int core_symlink(struct core *c, const struct cred *cr, uint64_t parent,
		 const char *name, const char *target, struct stat *out)
{
	struct create_arg a = {
		.cr = cr,
		.parent = parent,
		.name = name,
		.mode = S_IFLNK | 0777,
		.target = target,
		.out = out,
	};

	if (!target[0])
		return -ENOENT;
	if (strlen(target) > LIMIT_SYMLINK)
		return -ENAMETOOLONG;
	return create(c, &a);
}

static int open_created(struct core *c, struct create_arg *a,
			struct handle **out, int flags)
{
	bool keep;
	int rc = create(c, a);

	if (rc < 0)
		return rc;
	/* O_EXCL and O_TRUNC have been served by making it */
	return core_open_file(c, a->cr, a->ino, flags & ~(O_TRUNC | O_CREAT),
			      false, out, &keep);
}

int core_create(struct core *c, const struct cred *cr, uint64_t parent,
		const char *name, uint32_t mode, int flags, struct handle **out,
		struct stat *out_st)
{
	struct create_arg a = {
		.cr = cr,
		.parent = parent,
		.name = name,
		.mode = (mode & 07777) | S_IFREG,
		.out = out_st,
	};

	return open_created(c, &a, out, flags);
}

int core_tmpfile(struct core *c, const struct cred *cr, uint64_t parent,
		 uint32_t mode, int flags, struct handle **out,
		 struct stat *out_st)
{
	struct create_arg a = {
		.cr = cr,
		.parent = parent,
		.name = "",
		.mode = (mode & 07777) | S_IFREG,
		.tmpfile = true,
		.out = out_st,
	};

	return open_created(c, &a, out, flags);
}

/* --- link --- */

/* A file's unsaved bytes become a version before it gets a new name. */
static int version_first(struct core *c, uint64_t ino)
{
	struct file *f = NULL;
	struct inode *i;
	int rc = 0;

	mutex_lock(&c->t.mu);
	i = itable_find_inode(&c->t, ino);
	if (i && i->file && i->file->on_dirty)
		f = file_hold(i);
	mutex_unlock(&c->t.mu);
	if (f)
		rc = file_version(c, f, ENTRY_REASON_DEMAND);
	file_give(c, f);
	return rc;
}

struct link_arg {
	struct actor *actor;
	uint64_t ino, parent;
	const char *name;
	size_t len;
	struct stat *out;
};

static int link_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct link_arg *a = arg;
	struct inode *dir, *there, *i;
	struct pend *p;
	int rc = itable_get(tx, &i, a->ino);

	if (rc < 0)
		return rc;
	if (core_is_dir(i))
		return -EPERM;
	rc = get_name(tx, &dir, &there, a->parent, a->name, a->len);
	if (rc < 0)
		return rc;
	if (there)
		return -EEXIST;
	if (!dir->row.nlink)
		return -ENOENT;
	if (i->row.nlink >= 65000)
		return -EMLINK;
	p = pend_new(ENTRY_LINK, a->len);
	if (!p)
		return -ENOMEM;
	p->e.core.parent = a->parent;
	p->e.body.link.name = pend_str(p, a->name, a->len);
	rc = core_submit(c, tx, p, i, a->actor);
	if (rc < 0)
		return rc;
	set_hint(i, a->name);
	core_fill_stat(c, i, a->out);
	return 0;
}

int core_link(struct core *c, const struct cred *cr, uint64_t ino,
	      uint64_t parent, const char *name, struct stat *out)
{
	struct link_arg a = { NULL, ino, parent, name, 0, out };
	int rc = core_may_change(c, SPACE_ADD);

	if (rc >= 0)
		rc = core_check_name(name, &a.len);
	if (rc >= 0)
		rc = version_first(c, ino);
	if (rc < 0)
		return rc;
	a.actor = core_actor(c, cr);
	rc = core_op(c, link_op, &a);
	actor_drop(c->actors, a.actor);
	return rc;
}

/* --- unlink, rmdir --- */

/*
 * The last name of a file is gone.  Unsaved bytes of one that nobody has open
 * must not keep it until the unmount.
 */
static void drop_unnamed(struct core *c, uint64_t ino)
{
	struct file *f = NULL;
	struct inode *i;

	mutex_lock(&c->t.mu);
	i = itable_find_inode(&c->t, ino);
	if (i && i->row.flags & INODE_ORPHAN)
		f = file_hold(i);
	mutex_unlock(&c->t.mu);
	file_give(c, f);
}

struct unlink_arg {
	struct actor *actor;
	uint64_t parent;
	const char *name;
	size_t len;
	bool dir;
	uint64_t ino; /* out */
};

static int unlink_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct unlink_arg *a = arg;
	struct inode *dir, *i;
	struct pend *p;
	int rc = get_name(tx, &dir, &i, a->parent, a->name, a->len);

	if (rc < 0)
		return rc;
	if (!i)
		return -ENOENT;
	if (a->dir && !core_is_dir(i))
		return -ENOTDIR;
	if (!a->dir && core_is_dir(i))
		return -EISDIR;
	if (a->dir && i->row.nchild)
		return -ENOTEMPTY;
	rc = core_expect_check(c, a->actor, i);
	if (rc < 0)
		return rc;
	if (!core_is_reg(i)) { /* whoever has it open may still ask */
		rc = itable_xattrs(tx, i);
		if (rc < 0)
			return rc;
	}
	p = pend_new(ENTRY_UNLINK, a->len);
	if (!p)
		return -ENOMEM;
	p->e.core.parent = a->parent;
	p->e.body.link.name = pend_str(p, a->name, a->len);
	if (a->dir)
		p->e.body.link.flags |= ENTRY_UNLINK_RMDIR;
	/* an open file waits for its last close */
	if (a->dir || (i->row.nlink == 1 && !i->opens && !i->file))
		p->e.body.link.flags |= ENTRY_UNLINK_FREED;
	a->ino = i->row.ino;
	rc = core_submit(c, tx, p, i, a->actor);
	if (rc >= 0 && i->row.parent == a->parent && i->hint &&
	    !strcmp(i->hint, a->name)) {
		free(i->hint);
		i->hint = NULL; /* another link's is not known */
	}
	return rc;
}

static int unlink_any(struct core *c, const struct cred *cr, uint64_t parent,
		      const char *name, bool dir)
{
	struct unlink_arg a = {
		.parent = parent,
		.name = name,
		.dir = dir,
	};
	int rc = core_may_change(c, SPACE_REMOVE);

	if (rc >= 0 && dir && !strcmp(name, "."))
		return -EINVAL;
	if (rc >= 0 && dir && !strcmp(name, ".."))
		return -ENOTEMPTY;
	if (rc >= 0)
		rc = core_check_name(name, &a.len);
	if (rc < 0)
		return rc;
	a.actor = core_actor(c, cr);
	rc = core_op(c, unlink_op, &a);
	if (rc >= 0)
		drop_unnamed(c, a.ino);
	actor_drop(c->actors, a.actor);
	return rc;
}

int core_unlink(struct core *c, const struct cred *cr, uint64_t parent,
		const char *name)
{
	return unlink_any(c, cr, parent, name, false);
}

int core_rmdir(struct core *c, const struct cred *cr, uint64_t parent,
	       const char *name)
{
	return unlink_any(c, cr, parent, name, true);
}

/* --- rename --- */

struct rename_arg {
	const struct cred *cr;
	struct actor *actor;
	uint64_t parent, new_parent;
	const char *name, *new_name;
	size_t len, new_len;
	uint32_t flags;
	uint64_t dirty_ino; /* out: a version is owed first */
	uint64_t replaced;  /* out */
	bool anyway;	    /* it is written to all the time: go on */
};

/* Is `ino` the directory top, or below it?  1, 0, or -ERR_RELOCKED. */
static int is_below(struct itable_tx *tx, uint64_t ino, uint64_t top)
{
	while (ino != STATE_ROOT_INO) {
		struct inode *i;
		int rc;

		if (ino == top)
			return 1;
		rc = itable_get(tx, &i, ino);
		if (rc < 0)
			return rc == -ENOENT ? 0 : rc;
		ino = i->row.parent;
	}
	return ino == top;
}

/* What rename(2) refuses; i and there are the two inodes. */
static int rename_check(struct itable_tx *tx, const struct rename_arg *a,
			struct inode *i, struct inode *there)
{
	bool exchange = a->flags & RENAME_EXCHANGE;
	int rc;

	if (exchange && !there)
		return -ENOENT;
	if (there && a->flags & RENAME_NOREPLACE)
		return -EEXIST;
	if (core_is_dir(i)) {
		rc = is_below(tx, a->new_parent, i->row.ino);
		if (rc)
			return rc < 0 ? rc : -EINVAL;
	}
	if (there && core_is_dir(there)) {
		rc = is_below(tx, a->parent, there->row.ino);
		if (rc < 0)
			return rc;
		if (rc)
			return exchange ? -EINVAL : -ENOTEMPTY;
	}
	if (!there || exchange || there == i)
		return 0;
	if (core_is_dir(i) && !core_is_dir(there))
		return -ENOTDIR;
	if (!core_is_dir(i) && core_is_dir(there))
		return -EISDIR;
	if (core_is_dir(there) && there->row.nchild)
		return -ENOTEMPTY;
	/* as for unlink */
	return core_is_reg(there) ? 0 : itable_xattrs(tx, there);
}

static struct pend *rename_entry(const struct rename_arg *a,
				 const struct inode *there)
{
	struct pend *p = pend_new(ENTRY_RENAME, a->len + a->new_len);
	struct entry_rename *b;

	if (!p)
		return NULL;
	b = &p->e.body.rename;
	p->e.core.parent = a->parent;
	b->new_parent = a->new_parent;
	b->old_name = pend_str(p, a->name, a->len);
	b->new_name = pend_str(p, a->new_name, a->new_len);
	if (!there)
		return p;
	b->replaced = there->row.ino;
	if (a->flags & RENAME_EXCHANGE)
		b->flags |= ENTRY_RENAME_EXCHANGE;
	else if (core_is_dir(there) ||
		 (there->row.nlink == 1 && !there->opens && !there->file))
		b->flags |= ENTRY_RENAME_FREED;
	return p;
}

/*
 * What stays under the old name for an overlay: a device 0/0 that nobody may
 * open.  All that its making takes is had before the name moves, so that it
 * cannot fail then; that is why it has no ACL of the directory's.
 */
static int whiteout_entry(struct core *c, struct pend **out,
			  const struct rename_arg *a, struct inode *dir)
{
	const struct core_acl_new none = { .mode = S_IFCHR };
	struct create_arg w = {
		.cr = a->cr,
		.parent = a->parent,
		.name = a->name,
		.len = a->len,
		.mode = S_IFCHR,
	};
	int rc = itable_reserve(&c->t);

	if (rc < 0)
		return rc;
	*out = create_entry(c, &w, dir, &none);
	return *out ? 0 : -ENOMEM;
}

/* Right after the RENAME, in one frame with it. */
static int submit_whiteout(struct core *c, struct itable_tx *tx, struct pend *p,
			   const struct rename_arg *a)
{
	uint64_t ino = p->e.core.inode;
	int rc = core_submit(c, tx, p, NULL, a->actor);

	if (rc < 0)
		return rc;
	c->next_ino++;
	set_hint(itable_find_inode(&c->t, ino), a->name);
	return 0;
}

static bool is_dirty(const struct inode *i)
{
	return i->file && i->file->on_dirty;
}

static int rename_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct rename_arg *a = arg;
	struct inode *dir, *new_dir, *i, *there;
	struct pend *p, *whiteout = NULL;
	int rc = get_name(tx, &dir, &i, a->parent, a->name, a->len);

	if (rc < 0)
		return rc;
	rc = get_name(tx, &new_dir, &there, a->new_parent, a->new_name,
		      a->new_len);
	if (rc < 0)
		return rc;
	if (!i)
		return -ENOENT;
	rc = rename_check(tx, a, i, there);
	if (rc < 0)
		return rc;
	if (!new_dir->row.nlink)
		return -ENOENT;
	if (there == i)
		return 0; /* two names of one file: nothing to do */
	rc = core_expect_check(c, a->actor, there ? there : i);
	if (rc < 0)
		return rc;
	a->dirty_ino = is_dirty(i) ? i->row.ino : 0;
	if (!a->dirty_ino && there && a->flags & RENAME_EXCHANGE)
		a->dirty_ino = is_dirty(there) ? there->row.ino : 0;
	if (a->dirty_ino && !a->anyway)
		return -ERR_AGAIN;
	a->replaced = there ? there->row.ino : 0;
	p = rename_entry(a, there);
	if (!p)
		return -ENOMEM;
	if (a->flags & RENAME_WHITEOUT)
		rc = whiteout_entry(c, &whiteout, a, dir);
	if (rc < 0) {
		pend_free(p);
		return rc;
	}
	p->with_next = whiteout;
	rc = core_submit(c, tx, p, i, a->actor);
	if (rc < 0) {
		if (whiteout)
			pend_free(whiteout);
		return rc;
	}
	set_hint(i, a->new_name);
	if (there && a->flags & RENAME_EXCHANGE)
		set_hint(there, a->name);
	return whiteout ? submit_whiteout(c, tx, whiteout, a) : 0;
}

int core_rename(struct core *c, const struct cred *cr, uint64_t parent,
		const char *name, uint64_t new_parent, const char *new_name,
		uint32_t flags)
{
	const uint32_t one_way = RENAME_NOREPLACE | RENAME_WHITEOUT;
	struct rename_arg a = {
		.cr = cr,
		.parent = parent,
		.new_parent = new_parent,
		.name = name,
		.new_name = new_name,
		.flags = flags,
	};
	int rc = core_may_change(c, flags & RENAME_WHITEOUT ? SPACE_ADD :
							      SPACE_CHANGE);

	if (flags & ~(one_way | RENAME_EXCHANGE) ||
	    (flags & RENAME_EXCHANGE && flags & one_way))
		return -EINVAL;
	if (rc >= 0)
		rc = core_check_name(name, &a.len);
	if (rc >= 0)
		rc = core_check_name(new_name, &a.new_len);
	if (rc < 0)
		return rc == -EINVAL ? -EBUSY : rc; /* . and .. */
	a.actor = core_actor(c, cr);
	for (unsigned tries = 0;; tries++) {
		a.anyway = tries > 3;
		rc = core_op(c, rename_op, &a);
		if (rc != -ERR_AGAIN)
			break;
		rc = version_first(c, a.dirty_ino);
		if (rc < 0)
			break;
	}
	if (rc >= 0 && a.replaced)
		drop_unnamed(c, a.replaced);
	actor_drop(c->actors, a.actor);
	return rc;
}
