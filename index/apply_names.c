/*
 * apply_names.c - CREATE, LINK, UNLINK and RENAME.
 *
 * Invariants of the rows, kept by every function here: (1) the names that
 * point at a non-directory are as many as its nlink; a directory has one name
 * (the root none) and nlink 2 + its subdirectories, or no name and nlink 0.
 * (2) nchild is the number of names inside.  (3) Cookies are never given
 * twice in one directory.  (4) Every directory with a name is reached from
 * the root.
 *
 * Threads: as the keeper.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/limits.h"
#include "index/apply_internal.h"

/* Numbers that mounts give: not the root's, not those of virtual nodes. */
static bool ino_ok(uint64_t ino)
{
	uint64_t mount_no = ino >> 40;

	return mount_no >= 1 && mount_no < (1 << 23) - 1;
}

static bool name_ok(const struct entry_str *s)
{
	return s->n && s->n <= LIMIT_NAME && entry_name_ok(s->p, s->n);
}

/* A directory that may be given names; 1, 0 (rejected) or an error. */
static int get_dir(struct apply_ctx *c, struct inode_row **out, uint64_t ino)
{
	int rc = c->ops->inode_get(c->st, out, ino);

	if (rc < 0)
		return rc;
	if (!rc || !apply_is_dir(*out))
		return apply_reject(c, "parent is no directory");
	if ((*out)->flags & INODE_ORPHAN || !(*out)->nlink)
		return apply_reject(c, "parent directory was removed");
	return 1;
}

static int name_get(struct apply_ctx *c, struct name_row *out, uint64_t parent,
		    const struct entry_str *s)
{
	return c->ops->name_get(c->st, out, parent, s->p, (uint16_t)s->n);
}

static int name_put(struct apply_ctx *c, struct inode_row *dir,
		    const struct inode_row *row, uint64_t cookie,
		    const struct entry_str *s)
{
	struct name_row n = {
		.parent = dir->ino,
		.ino = row->ino,
		.cookie = cookie,
		.since = c->o->entry_no,
		.mode = row->mode & 0170000,
	};

	return c->ops->name_put(c->st, &n, s->p, (uint16_t)s->n);
}

static int name_del(struct apply_ctx *c, uint64_t parent,
		    const struct entry_str *s)
{
	return c->ops->name_del(c->st, parent, s->p, (uint16_t)s->n);
}

/* The directory's content changed. */
static int dir_changed(struct apply_ctx *c, struct inode_row *dir)
{
	dir->mtime_ns = dir->ctime_ns = c->e->core.wall_ns;
	return c->ops->inode_touch(c->st, dir);
}

static int check_create(struct apply_ctx *c)
{
	const struct entry_core *core = &c->e->core;
	const struct entry_create *b = &c->e->body.create;
	bool root = core->inode == STATE_ROOT_INO;
	struct inode_row *row = NULL;
	int rc;

	if (root ? core->parent || b->dtype != DT_DIR : !ino_ok(core->inode))
		return apply_reject(c, "inode number is reserved");
	if (core->version)
		return apply_reject(c, "a new inode has no version");
	if (c->o->leaf && !digest_is_zero(&core->prev))
		return apply_reject(c, "a new inode has no last entry");
	switch (b->dtype) {
	case DT_LNK:
		if (!b->target.n || b->target.n > LIMIT_SYMLINK)
			return apply_reject(c, "symlink without a target");
		break;
	case DT_FIFO:
	case DT_CHR:
	case DT_DIR:
	case DT_BLK:
	case DT_REG:
	case DT_SOCK:
		if (b->target.n)
			return apply_reject(c, "target of what is no symlink");
		break;
	default:
		return apply_reject(c, "unknown type");
	}
	if (b->mode & ~07777)
		return apply_reject(c, "mode holds more than permissions");
	if (!core->parent && (b->name.n || (!root && b->dtype != DT_REG)))
		return apply_reject(c, "name without a parent");
	if (core->parent && !name_ok(&b->name))
		return apply_reject(c, "not a name");
	rc = c->ops->inode_get(c->st, &row, core->inode);
	if (rc)
		return rc < 0 ? rc : apply_reject(c, "inode exists");
	return 1;
}

static int fill_row(struct apply_ctx *c, struct inode_row *row)
{
	const struct entry_core *core = &c->e->core;
	const struct entry_create *b = &c->e->body.create;

	row->mode = (uint32_t)b->dtype << 12 | b->mode;
	row->uid = b->uid;
	row->gid = b->gid;
	row->rdev = b->rdev;
	row->parent = core->parent;
	row->atime_ns = row->mtime_ns = row->ctime_ns = row->btime_ns =
		core->wall_ns;
	if (b->dtype == DT_DIR) {
		row->nlink = 2;
		row->next_cookie = STATE_COOKIE_FIRST;
		if (b->has_dir_salt) {
			row->flags |= INODE_HAS_DIR_SALT;
			memcpy(row->dir_salt, b->dir_salt, 16);
		}
	} else {
		row->nlink = core->parent ? 1 : 0;
	}
	if (core->inode == STATE_ROOT_INO)
		row->parent = STATE_ROOT_INO;
	else if (!core->parent)
		row->flags |= INODE_ORPHAN;
	if (b->dtype == DT_LNK) {
		row->target = strndup(b->target.p, b->target.n);
		if (!row->target)
			return -ENOMEM;
		row->target_len = (uint16_t)b->target.n;
		row->size = b->target.n;
	}
	return 0;
}

static int put_acl(struct apply_ctx *c, struct inode_row *row, const char *name,
		   const uint8_t *p, size_t n)
{
	bool was_there = false;

	if (!p)
		return 0;
	apply_try(c->ops->xattr_put(c->st, row, name, (uint16_t)strlen(name), p,
				    (uint32_t)n, NULL, &was_there));
	if (!was_there)
		row->nxattr++;
	return 0;
}

int apply_create(struct apply_ctx *c)
{
	const struct entry_create *b = &c->e->body.create;
	struct inode_row *dir = NULL, *row = NULL;
	struct name_row there;
	int rc = check_create(c);

	if (rc <= 0)
		return rc;
	if (c->e->core.parent) {
		rc = get_dir(c, &dir, c->e->core.parent);
		if (rc <= 0)
			return rc;
		rc = name_get(c, &there, dir->ino, &b->name);
		if (rc)
			return rc < 0 ? rc : apply_reject(c, "name exists");
		if (b->dtype == DT_DIR && dir->nlink == UINT32_MAX)
			return apply_reject(c, "too many subdirectories");
	}
	apply_try(c->ops->inode_new(c->st, &row, c->e->core.inode));
	apply_try(fill_row(c, row));
	apply_try(put_acl(c, row, STATE_XATTR_ACL, b->acl, b->acl_n));
	apply_try(put_acl(c, row, STATE_XATTR_DEFAULT_ACL, b->default_acl,
			  b->default_acl_n));
	if (dir) {
		apply_try(name_put(c, dir, row, dir->next_cookie, &b->name));
		dir->next_cookie++;
		dir->nchild++;
		if (b->dtype == DT_DIR)
			dir->nlink++;
		apply_try(dir_changed(c, dir));
	}
	apply_try(apply_finish(c, row));
	return APPLY_APPLIED;
}

int apply_link(struct apply_ctx *c)
{
	const struct entry_str *name = &c->e->body.link.name;
	struct inode_row *dir = NULL, *row = c->row;
	struct name_row there;
	int rc;

	if (apply_is_dir(row))
		return apply_reject(c, "hard link to a directory");
	if (!name_ok(name))
		return apply_reject(c, "not a name");
	if (row->nlink == UINT32_MAX)
		return apply_reject(c, "too many links");
	rc = get_dir(c, &dir, c->e->core.parent);
	if (rc <= 0)
		return rc;
	rc = name_get(c, &there, dir->ino, name);
	if (rc)
		return rc < 0 ? rc : apply_reject(c, "name exists");
	apply_try(name_put(c, dir, row, dir->next_cookie, name));
	dir->next_cookie++;
	dir->nchild++;
	apply_try(dir_changed(c, dir));
	row->nlink++;
	row->flags &= ~(uint32_t)INODE_ORPHAN;
	row->parent = dir->ino;
	row->ctime_ns = c->e->core.wall_ns;
	return APPLY_APPLIED;
}

/*
 * One name of `row` in `dir` is gone: takes a link away; at the last one the
 * inode is freed or becomes an orphan.  *out_gone: row is no more.
 */
static int drop_link(struct apply_ctx *c, struct inode_row *dir,
		     struct inode_row *row, bool freed, bool *out_gone)
{
	*out_gone = false;
	if (apply_is_dir(row)) {
		row->nlink = 0;
		if (dir->nlink)
			dir->nlink--;
	} else if (row->nlink) {
		row->nlink--;
	}
	row->ctime_ns = c->e->core.wall_ns;
	if (row->nlink)
		return c->ops->inode_touch(c->st, row);
	if (freed) {
		*out_gone = true;
		return c->ops->inode_del(c->st, row);
	}
	row->flags |= INODE_ORPHAN;
	return c->ops->inode_touch(c->st, row);
}

int apply_unlink(struct apply_ctx *c)
{
	const struct entry_link *b = &c->e->body.link;
	struct inode_row *dir = NULL, *row = c->row;
	struct name_row there;
	bool gone = false;
	int rc;

	if (!name_ok(&b->name))
		return apply_reject(c, "not a name");
	if (b->flags & ~(ENTRY_UNLINK_RMDIR | ENTRY_UNLINK_FREED))
		return apply_reject(c, "unknown flags");
	rc = get_dir(c, &dir, c->e->core.parent);
	if (rc <= 0)
		return rc;
	rc = name_get(c, &there, dir->ino, &b->name);
	if (rc < 0)
		return rc;
	if (!rc || there.ino != row->ino)
		return apply_reject(c, "the name is not this inode's");
	if (apply_is_dir(row) != !!(b->flags & ENTRY_UNLINK_RMDIR))
		return apply_reject(c, "rmdir is for directories alone");
	if (apply_is_dir(row) && row->nchild)
		return apply_reject(c, "directory is not empty");
	apply_try(name_del(c, dir->ino, &b->name));
	if (dir->nchild)
		dir->nchild--;
	apply_try(drop_link(c, dir, row, b->flags & ENTRY_UNLINK_FREED, &gone));
	apply_try(dir_changed(c, dir));
	if (gone)
		c->row = NULL;
	return APPLY_APPLIED;
}

/* Is `ino` the directory `top` or below it?  1, 0 or an error. */
static int is_below(struct apply_ctx *c, uint64_t ino, uint64_t top)
{
	struct inode_row *row = NULL;
	unsigned depth;
	int rc;

	for (depth = 0; depth < STATE_DEPTH_MAX; depth++) {
		if (ino == top)
			return 1;
		if (ino == STATE_ROOT_INO)
			return 0;
		rc = c->ops->inode_get(c->st, &row, ino);
		if (rc <= 0)
			return rc < 0 ? rc : 1;
		ino = row->parent;
	}
	return 1; /* deeper than anything may be moved */
}

/* Everything that RENAME looks at. */
struct rename {
	const struct entry_rename *b;
	struct inode_row *dir1, *dir2; /* may be the same row */
	struct inode_row *other;       /* replaced or exchanged; NULL: none */
	struct name_row name1, name2;
	bool exchange;
};

static int rename_load(struct apply_ctx *c, struct rename *m)
{
	const struct entry_rename *b = m->b;
	int rc;

	if (!name_ok(&b->old_name) || !name_ok(&b->new_name))
		return apply_reject(c, "not a name");
	if (b->flags & ~(ENTRY_RENAME_EXCHANGE | ENTRY_RENAME_FREED))
		return apply_reject(c, "unknown flags");
	rc = get_dir(c, &m->dir1, c->e->core.parent);
	if (rc > 0)
		rc = get_dir(c, &m->dir2, b->new_parent);
	if (rc <= 0)
		return rc;
	rc = name_get(c, &m->name1, m->dir1->ino, &b->old_name);
	if (rc < 0)
		return rc;
	if (!rc || m->name1.ino != c->row->ino)
		return apply_reject(c, "the name is not this inode's");
	rc = name_get(c, &m->name2, m->dir2->ino, &b->new_name);
	if (rc < 0)
		return rc;
	if ((rc ? m->name2.ino : 0) != b->replaced)
		return apply_reject(c, "the new name is another inode's");
	if (!rc)
		return 1;
	if (m->name2.ino == c->row->ino)
		return apply_reject(c, "both names are the same file's");
	rc = c->ops->inode_get(c->st, &m->other, m->name2.ino);
	if (rc <= 0)
		return rc < 0 ? rc : -ERR_CORRUPT;
	return 1;
}

/* rename(2)'s own rules.  1, 0 or an error. */
static int rename_check(struct apply_ctx *c, const struct rename *m)
{
	bool dir = apply_is_dir(c->row);
	bool other_dir = m->other && apply_is_dir(m->other);
	int rc;

	if (m->exchange && !m->other)
		return apply_reject(c, "nothing to exchange with");
	if (dir) {
		rc = is_below(c, m->dir2->ino, c->row->ino);
		if (rc)
			return rc < 0 ? rc :
					apply_reject(c, "moved below itself");
	}
	if (m->exchange && other_dir) {
		rc = is_below(c, m->dir1->ino, m->other->ino);
		if (rc)
			return rc < 0 ? rc :
					apply_reject(c, "moved below itself");
	}
	if (m->dir2->nlink == UINT32_MAX || m->dir1->nlink == UINT32_MAX)
		return apply_reject(c, "too many subdirectories");
	if (m->exchange || !m->other)
		return 1;
	if (dir != other_dir)
		return apply_reject(c, "directory and file cannot replace");
	if (other_dir && m->other->nchild)
		return apply_reject(c, "directory is not empty");
	return 1;
}

static int rename_exchange(struct apply_ctx *c, struct rename *m)
{
	struct inode_row *row = c->row, *other = m->other;
	bool dir = apply_is_dir(row), other_dir = apply_is_dir(other);

	apply_try(
		name_put(c, m->dir1, other, m->name1.cookie, &m->b->old_name));
	apply_try(name_put(c, m->dir2, row, m->name2.cookie, &m->b->new_name));
	row->parent = m->dir2->ino;
	other->parent = m->dir1->ino;
	if (dir && !other_dir) {
		m->dir1->nlink--;
		m->dir2->nlink++;
	} else if (!dir && other_dir) {
		m->dir1->nlink++;
		m->dir2->nlink--;
	}
	other->ctime_ns = c->e->core.wall_ns;
	return c->ops->inode_touch(c->st, other);
}

static int rename_move(struct apply_ctx *c, struct rename *m)
{
	struct inode_row *row = c->row;
	uint64_t cookie = m->name2.cookie;
	bool gone = false;

	if (m->other) {
		apply_try(name_del(c, m->dir2->ino, &m->b->new_name));
		m->dir2->nchild--;
		apply_try(drop_link(c, m->dir2, m->other,
				    m->b->flags & ENTRY_RENAME_FREED, &gone));
	}
	apply_try(name_del(c, m->dir1->ino, &m->b->old_name));
	m->dir1->nchild--;
	/*
	 * A name that is replaced stays where it is in a listing.  So does one
	 * that changes: who renames what is listed would never come to an end.
	 */
	if (!m->other)
		cookie = m->dir1 == m->dir2 ? m->name1.cookie :
					      m->dir2->next_cookie++;
	apply_try(name_put(c, m->dir2, row, cookie, &m->b->new_name));
	m->dir2->nchild++;
	if (apply_is_dir(row)) {
		m->dir1->nlink--;
		m->dir2->nlink++;
	}
	row->parent = m->dir2->ino;
	return 0;
}

int apply_rename(struct apply_ctx *c)
{
	struct rename m = { .b = &c->e->body.rename };
	int rc;

	m.exchange = m.b->flags & ENTRY_RENAME_EXCHANGE;
	rc = rename_load(c, &m);
	if (rc > 0)
		rc = rename_check(c, &m);
	if (rc <= 0)
		return rc;
	apply_try(m.exchange ? rename_exchange(c, &m) : rename_move(c, &m));
	c->row->ctime_ns = c->e->core.wall_ns;
	apply_try(dir_changed(c, m.dir1));
	apply_try(dir_changed(c, m.dir2));
	return APPLY_APPLIED;
}
