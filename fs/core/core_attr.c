/*
 * core_attr.c - attributes: getattr, setattr, readlink, statfs.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/vio.h"
#include "fs/commit/commit.h"
#include "fs/core/core_internal.h"
#include "fs/core/file.h"
#include "fs/core/itable_internal.h"
#include "fs/commit/leafcell.h"
#include "fs/store/store.h"
#include "fs/core/trail.h"
#include "index/idx.h"

struct getattr_arg {
	uint64_t ino;
	struct stat *out;
	bool removed;
};

static int getattr_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct getattr_arg *a = arg;
	struct inode *i;
	int rc = a->removed ? itable_get_removed(tx, &i, a->ino) :
			      itable_get(tx, &i, a->ino);

	if (rc < 0)
		return rc;
	core_fill_stat(c, i, a->out);
	if (i->gone)
		a->out->st_nlink = 0;
	return 0;
}

int core_getattr(struct core *c, uint64_t ino, struct stat *out)
{
	struct getattr_arg a = { ino, out, false };

	return core_op(c, getattr_op, &a);
}

int core_getattr_removed(struct core *c, uint64_t ino, struct stat *out)
{
	struct getattr_arg a = { ino, out, true };

	return core_op(c, getattr_op, &a);
}

struct setattr_arg {
	struct actor *actor;
	uint64_t ino;
	uint32_t mask;
	const struct stat *in;
	struct stat *out;
	bool acl_done;
	uint32_t uid;
	bool asked;   /* `outside` is about gid */
	bool outside; /* who asks is not in the file's group, nor root */
	uint32_t gid;
};

/* Set-gid without execution for the group: only outsiders lose it. */
static bool must_ask(struct setattr_arg *a, const struct inode *i)
{
	if (!(a->mask & CORE_KILL_SUIDGID) || core_is_dir(i) ||
	    (i->row.mode & (S_ISGID | S_IXGRP)) != S_ISGID ||
	    (a->asked && a->gid == i->row.gid))
		return false;
	a->gid = i->row.gid;
	return true;
}

static int64_t to_ns(const struct timespec *t)
{
	int64_t ns;

	if (__builtin_mul_overflow((int64_t)t->tv_sec, 1000000000LL, &ns) ||
	    __builtin_add_overflow(ns, (int64_t)t->tv_nsec, &ns))
		return t->tv_sec < 0 ? INT64_MIN : INT64_MAX;
	return ns;
}

/* What the caller asked for as a SETATTR body. */
static void fill_setattr(struct entry_setattr *b, const struct setattr_arg *a,
			 const struct inode *i, int64_t now)
{
	uint32_t mode = i->row.mode & 07777;

	if (a->mask & CORE_SET_MODE) {
		b->mask |= ENTRY_ATTR_MODE;
		mode = a->in->st_mode & 07777;
	}
	if (a->mask & CORE_SET_UID) {
		b->mask |= ENTRY_ATTR_UID;
		b->uid = a->in->st_uid;
	}
	if (a->mask & CORE_SET_GID) {
		b->mask |= ENTRY_ATTR_GID;
		b->gid = a->in->st_gid;
	}
	if (a->mask & CORE_KILL_SUIDGID && !core_is_dir(i)) {
		uint32_t kill = S_ISUID;

		if (mode & S_IXGRP || a->outside)
			kill |= S_ISGID;
		if (mode & kill) {
			b->mask |= ENTRY_ATTR_MODE;
			mode &= ~kill;
		}
	}
	b->mode = mode;
	if (a->mask & (CORE_SET_ATIME | CORE_SET_ATIME_NOW)) {
		b->mask |= ENTRY_ATTR_ATIME;
		b->atime_ns = a->mask & CORE_SET_ATIME_NOW ?
				      now :
				      to_ns(&a->in->st_atim);
	}
	if (a->mask & (CORE_SET_MTIME | CORE_SET_MTIME_NOW)) {
		b->mask |= ENTRY_ATTR_MTIME;
		b->mtime_ns = a->mask & CORE_SET_MTIME_NOW ?
				      now :
				      to_ns(&a->in->st_mtim);
	}
}

static void merge_setattr(struct entry_setattr *to,
			  const struct entry_setattr *b)
{
	to->mask |= b->mask;
	if (b->mask & ENTRY_ATTR_MODE)
		to->mode = b->mode;
	if (b->mask & ENTRY_ATTR_UID)
		to->uid = b->uid;
	if (b->mask & ENTRY_ATTR_GID)
		to->gid = b->gid;
	if (b->mask & ENTRY_ATTR_ATIME)
		to->atime_ns = b->atime_ns;
	if (b->mask & ENTRY_ATTR_MTIME)
		to->mtime_ns = b->mtime_ns;
}

/*
 * cp and tar set owner, mode and times one after the other: while the first
 * SETATTR still waits in the queue, the next one by the same actor is merged
 * into it.
 */
static bool try_merge(struct core *c, struct itable_tx *tx, struct inode *i,
		      const struct pend *p, struct actor *actor)
{
	struct apply_options o = { .entry_no = 0 };
	struct pend *q = i->setattr;
	struct leafcell *cell = NULL;
	const char *why = NULL;
	bool same;

	/* what came between (a name made in the directory) stays between */
	if (!q || !actor || i->dirty_seq != q->seq ||
	    trail_actor(c, actor, &cell) < 0)
		return false;
	same = q->actor == cell;
	leafcell_drop(cell);
	if (!same || i->setattr != q)
		return false;
	/* the row is dirty by q already: its seq is the right one */
	c->t.seq = i->dirty_seq;
	if (apply(tx, &itable_state_ops, &p->e, &o, &why) != APPLY_APPLIED)
		return false;
	merge_setattr(&q->e.body.setattr, &p->e.body.setattr);
	q->e.core.wall_ns = p->e.core.wall_ns;
	return true;
}

int core_submit_setattr(struct core *c, struct itable_tx *tx, struct pend *p,
			struct inode *i, struct actor *a)
{
	int rc;

	if (!p)
		return -ENOMEM;
	if (!p->e.core.wall_ns)
		p->e.core.wall_ns = core_now(c);
	p->e.core.inode = i->row.ino;
	p->e.core.version = i->row.version;
	if (try_merge(c, tx, i, p, a)) {
		pend_free(p);
		return 0;
	}
	rc = core_submit(c, tx, p, i, a);
	if (rc >= 0)
		i->setattr = p;
	return rc;
}

/* A fifo that is removed but open, a removed working directory: nothing that a
 * log could tell of. */
static int setattr_gone(struct core *c, struct inode *i, struct setattr_arg *a)
{
	struct entry_setattr b = { .mask = 0 };
	int64_t now = core_now(c);

	fill_setattr(&b, a, i, now);
	if (b.mask)
		i->row.ctime_ns = now;
	if (b.mask & ENTRY_ATTR_MODE)
		i->row.mode = (i->row.mode & S_IFMT) | b.mode;
	if (b.mask & ENTRY_ATTR_UID)
		i->row.uid = b.uid;
	if (b.mask & ENTRY_ATTR_GID)
		i->row.gid = b.gid;
	if (b.mask & ENTRY_ATTR_ATIME)
		i->row.atime_ns = b.atime_ns;
	if (b.mask & ENTRY_ATTR_MTIME)
		i->row.mtime_ns = b.mtime_ns;
	core_fill_stat(c, i, a->out);
	a->out->st_nlink = 0;
	return 0;
}

static int setattr_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct setattr_arg *a = arg;
	struct entry_setattr *b;
	struct inode *i;
	struct pend *p;
	int64_t now;
	int rc = itable_get_removed(tx, &i, a->ino);

	if (rc < 0)
		return rc;
	if (a->mask & CORE_KILL_BY_OWNER &&
	    (a->uid == 0 || a->uid == i->row.uid))
		a->mask |= CORE_KILL_SUIDGID;
	if (must_ask(a, i))
		return -ERR_AGAIN;
	if (a->mask & CORE_SET_MODE && !a->acl_done) {
		rc = core_acl_chmod(c, tx, i, a->in->st_mode, a->actor);
		if (rc < 0)
			return rc;
		a->acl_done = true;
	}
	if (i->gone)
		return setattr_gone(c, i, a);
	p = pend_new(ENTRY_SETATTR, 0);
	if (!p)
		return -ENOMEM;
	now = core_now(c);
	b = &p->e.body.setattr;
	fill_setattr(b, a, i, now);
	p->e.core.wall_ns = now;
	if (!b->mask) {
		pend_free(p);
	} else {
		if (i->file && b->mask & ENTRY_ATTR_MTIME)
			file_set_mtime(i->file, b->mtime_ns);
		rc = core_submit_setattr(c, tx, p, i, a->actor);
		if (rc < 0)
			return rc;
	}
	core_fill_stat(c, i, a->out);
	return 0;
}

/* Truncation; the times move even when the size does not, as on ext4. */
static int set_size(struct core *c, struct actor *actor, uint64_t ino,
		    uint64_t size)
{
	struct file *f = NULL;
	bool idle = false;
	uint64_t seq;
	int rc = file_take(c, &f, ino);

	if (rc < 0)
		return rc;
	rc = file_turn(c, f, actor);
	if (rc == -ENOSPC)
		rc = 0; /* this may make room */
	if (rc >= 0) {
		moment_enter(&c->moment);
		if (size != content_size(f->content))
			rc = content_truncate(f->content, size);
		if (rc >= 0) {
			mutex_lock(&c->t.mu);
			file_dirtied(c, f, actor, ENTRY_EXACT, core_now(c));
			idle = !f->writers;
			mutex_unlock(&c->t.mu);
		}
		moment_leave(&c->moment);
	}
	if (rc >= 0 && idle)
		rc = file_save(c, f, &seq);
	file_give(c, f);
	return rc;
}

/* Times set on a file with unsaved bytes come after those in the log. */
static int save_first(struct core *c, uint64_t ino)
{
	struct file *f = NULL;
	struct inode *i;
	uint64_t seq;
	int rc = 0;

	mutex_lock(&c->t.mu);
	i = itable_find_inode(&c->t, ino);
	if (i && i->file && i->file->on_dirty)
		f = file_hold(i);
	mutex_unlock(&c->t.mu);
	if (f && file_is_small(f))
		rc = file_version(c, f, ENTRY_REASON_DEMAND);
	else if (f)
		rc = file_save(c, f, &seq);
	file_give(c, f);
	return rc;
}

int core_setattr(struct core *c, const struct cred *cr, uint64_t ino,
		 uint32_t mask, const struct stat *in, struct stat *out)
{
	struct setattr_arg a = {
		.ino = ino,
		.mask = mask,
		.in = in,
		.out = out,
		.uid = cr->uid,
	};
	int rc = core_may_change(c, mask & CORE_SET_SIZE && in->st_size > 0 ?
					    SPACE_ADD :
					    SPACE_CHANGE);

	if (rc < 0)
		return rc;
	if (mask & CORE_SET_SIZE &&
	    (in->st_size < 0 || (uint64_t)in->st_size > LIMIT_FILE_SIZE))
		return in->st_size < 0 ? -EINVAL : -EFBIG;
	a.actor = core_actor(c, cr);
	if (mask & CORE_SET_SIZE) {
		rc = set_size(c, a.actor, ino, (uint64_t)in->st_size);
		a.mask &= ~(uint32_t)(CORE_SET_SIZE | CORE_SET_CTIME);
		/* the kernel's "now" beside a size is what set_size did */
		if (!(mask & CORE_SET_MTIME))
			a.mask &= ~(uint32_t)CORE_SET_MTIME_NOW;
	} else if (mask & (CORE_SET_MTIME | CORE_SET_MTIME_NOW)) {
		rc = save_first(c, ino);
	}
	if (rc >= 0)
		rc = core_op(c, setattr_op, &a);
	while (rc == -ERR_AGAIN) { /* reads /proc: not under the lock */
		a.asked = true;
		a.outside = cr->uid != 0 && !core_in_group(cr, a.gid);
		rc = core_op(c, setattr_op, &a);
	}
	actor_drop(c->actors, a.actor);
	return rc;
}

/* --- symlinks --- */

struct readlink_arg {
	uint64_t ino;
	char *out;
	size_t cap;
};

static int readlink_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct readlink_arg *a = arg;
	struct inode *i;
	int rc = itable_get_removed(tx, &i, a->ino);

	(void)c;
	if (rc < 0)
		return rc;
	if ((i->row.mode & S_IFMT) != S_IFLNK || !i->row.target)
		return -EINVAL;
	if ((size_t)i->row.target_len + 1 > a->cap)
		return -ENAMETOOLONG;
	memcpy(a->out, i->row.target, i->row.target_len);
	a->out[i->row.target_len] = '\0';
	return 0;
}

int core_readlink(struct core *c, uint64_t ino, char *out, size_t cap)
{
	struct readlink_arg a = { ino, out, cap };

	return core_op(c, readlink_op, &a);
}

/* --- statfs --- */

int core_statfs(struct core *c, struct statvfs *out)
{
	struct vio_space space = { 0 };
	uint64_t left = 0, inodes = 0;
	struct idx_reader *r = NULL;
	int rc = vio_space(c->vio, &space);

	if (rc >= 0)
		rc = store_left(c->store, &left);
	if (rc >= 0)
		rc = core_reader_take(c, &r);
	if (rc >= 0)
		rc = idx_inodes(r, &inodes);
	core_reader_give(c, r);
	if (rc < 0)
		return rc;
	if (left > space.free_bytes)
		left = space.free_bytes;
	memset(out, 0, sizeof(*out));
	out->f_bsize = out->f_frsize = 4096;
	out->f_blocks = space.total_bytes / 4096;
	out->f_bfree = space.free_bytes / 4096;
	out->f_bavail = left / 4096; /* what a write would still get */
	out->f_files = 1ULL << 40;   /* inode numbers are not scarce */
	out->f_ffree = out->f_favail = out->f_files - inodes;
	out->f_namemax = LIMIT_NAME;
	return 0;
}
