/*
 * apply.c - what one entry does to the rows: dispatch, the precondition all
 * kinds share, attributes and content.  Names are in apply_names.c.
 *
 * Invariants: (1) Every check comes before the first change, so a rejected
 * entry leaves the rows as they were.  (2) Nothing but the rows, the entry
 * and the options is looked at: no clock, no random numbers, no order of
 * addresses.  (3) Any entry gets an answer, whatever it holds; only an
 * unknown kind below 0x8000 (-ERR_NEWER) and the keeper's own failures are
 * errors.
 *
 * The root (inode 1) has no name.  A CREATE with parent 0 makes it, or a
 * SETATTR of it while it does not exist (a directory 0755 of user 0 then gets
 * the masked fields).
 *
 * An entry whose body is not in clear (redacted, encrypted) keeps its place:
 * it becomes the inode's last entry, a VERSION counts as one, and nothing
 * else changes; a CREATE like that is rejected.
 *
 * Threads: as the keeper.
 */
#include "index/apply_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/limits.h"

static bool has_body(const struct entry *e)
{
	return e->state == ENTRY_CLEAR && !e->body.opaque;
}

int apply_finish(struct apply_ctx *c, struct inode_row *row)
{
	if (c->o->leaf) {
		row->last = *c->o->leaf;
		row->entry_no = c->o->entry_no;
	}
	return c->ops->inode_touch(c->st, row);
}

/* The precondition of every entry about an inode that exists. */
static int check_row(struct apply_ctx *c)
{
	const struct entry_core *core = &c->e->core;
	uint64_t want = c->row->version;

	if (core->kind == ENTRY_VERSION)
		want++;
	if (core->version != want)
		return apply_reject(c, "not the inode's current version");
	if (c->o->leaf && !digest_eq(&core->prev, &c->row->last))
		return apply_reject(c, "prev is not the inode's last entry");
	return APPLY_APPLIED;
}

static int apply_setattr(struct apply_ctx *c)
{
	const struct entry_setattr *b = &c->e->body.setattr;
	struct inode_row *row = c->row;
	uint32_t type = b->mode & ~07777u;

	if (b->mask & ENTRY_ATTR_MODE) {
		if (type && type != (row->mode & 0170000))
			return apply_reject(c, "the mode changes the type");
		row->mode = (row->mode & 0170000) | (b->mode & 07777);
	}
	if (b->mask & ENTRY_ATTR_UID)
		row->uid = b->uid;
	if (b->mask & ENTRY_ATTR_GID)
		row->gid = b->gid;
	if (b->mask & ENTRY_ATTR_ATIME)
		row->atime_ns = b->atime_ns;
	if (b->mask & ENTRY_ATTR_MTIME)
		row->mtime_ns = b->mtime_ns;
	row->ctime_ns =
		b->mask & ENTRY_ATTR_CTIME ? b->ctime_ns : c->e->core.wall_ns;
	return APPLY_APPLIED;
}

static int apply_setxattr(struct apply_ctx *c)
{
	const struct entry_setxattr *b = &c->e->body.setxattr;
	bool chunk = b->value_n > LIMIT_XATTR_INLINE;
	bool was_there = false;

	if (!b->name.n || b->name.n > LIMIT_XATTR_NAME)
		return apply_reject(c, "attribute name is empty or too long");
	if (b->value_n > LIMIT_XATTR_VALUE)
		return apply_reject(c, "attribute value is too long");
	apply_try(c->ops->xattr_put(c->st, c->row, b->name.p,
				    (uint16_t)b->name.n,
				    chunk ? NULL : b->value, b->value_n,
				    chunk ? &b->content : NULL, &was_there));
	if (!was_there)
		c->row->nxattr++;
	c->row->ctime_ns = c->e->core.wall_ns;
	return APPLY_APPLIED;
}

static int apply_rmxattr(struct apply_ctx *c)
{
	const struct entry_setxattr *b = &c->e->body.setxattr;
	bool was_there = false;

	if (!b->name.n || b->name.n > LIMIT_XATTR_NAME)
		return apply_reject(c, "attribute name is empty or too long");
	apply_try(c->ops->xattr_del(c->st, c->row, b->name.p,
				    (uint16_t)b->name.n, &was_there));
	if (!was_there)
		return apply_reject(c, "no such attribute");
	if (c->row->nxattr)
		c->row->nxattr--;
	c->row->ctime_ns = c->e->core.wall_ns;
	return APPLY_APPLIED;
}

static int apply_extents(struct apply_ctx *c)
{
	const struct entry_extents *b = &c->e->body.extents;
	autofree struct extent_row *v = NULL;
	struct entry_extent x;
	unsigned i;

	if (!apply_is_reg(c->row))
		return apply_reject(c, "extents of what is no regular file");
	if (b->size > LIMIT_FILE_SIZE || b->n > LIMIT_EXTENTS)
		return apply_reject(c, "extents beyond a limit");
	if (b->n) {
		v = calloc(b->n, sizeof(*v));
		if (!v)
			return -ENOMEM;
	}
	for (i = 0; i < b->n; i++) {
		entry_extents_at(&x, b, i);
		if (!x.length || x.offset > LIMIT_FILE_SIZE ||
		    x.length > LIMIT_FILE_SIZE - x.offset)
			return apply_reject(c, "an extent beyond a limit");
		v[i].off = x.offset;
		v[i].len = x.length;
		v[i].chunk_off = x.chunk_offset;
		v[i].chunk = x.chunk;
	}
	if (b->n)
		apply_try(c->ops->extents_add(c->st, c->row, v, b->n,
					      c->o->entry_no));
	c->row->size = b->size;
	c->row->mtime_ns = c->e->core.wall_ns;
	/* saved late: what was changed after the write came into the log first */
	if (c->row->ctime_ns < c->e->core.wall_ns)
		c->row->ctime_ns = c->e->core.wall_ns;
	c->row->flags |= INODE_HAS_EXTENTS;
	return APPLY_APPLIED;
}

/* What VERSION does whether or not its body can be read. */
static void start_version(struct apply_ctx *c)
{
	struct inode_row *row = c->row;

	row->version = c->e->core.version;
	row->flags &= ~(uint32_t)(INODE_HAS_EXTENTS | INODE_HAS_SHA256);
	row->sha256 = digest_zero;
	row->version_no = c->o->entry_no;
	row->version_leaf = c->o->leaf ? *c->o->leaf : digest_zero;
}

static int apply_version(struct apply_ctx *c)
{
	const struct entry_version *b = &c->e->body.version;
	struct inode_row *row = c->row;

	if (!apply_is_reg(row))
		return apply_reject(c, "version of what is no regular file");
	if (b->size > LIMIT_FILE_SIZE)
		return apply_reject(c, "version beyond the largest file");
	if (row->flags & INODE_HAS_EXTENTS)
		apply_try(c->ops->extents_clear(c->st, row));
	if (row->size != b->size || row->mtime_ns != b->mtime_ns ||
	    !digest_eq(&row->tree_root, &b->tree_root))
		row->ctime_ns = c->e->core.wall_ns;
	start_version(c);
	row->size = b->size;
	row->allocated = entry_version_allocated(&c->e->body);
	row->mtime_ns = b->mtime_ns;
	row->tree_root = b->tree_root;
	if (b->flags & ENTRY_VERSION_SHA256) {
		row->flags |= INODE_HAS_SHA256;
		row->sha256 = b->sha256;
	}
	return APPLY_APPLIED;
}

static int apply_digest(struct apply_ctx *c)
{
	const struct entry_digest *b = &c->e->body.digest;

	if (!apply_is_reg(c->row))
		return apply_reject(c, "digest of what is no regular file");
	if (c->row->version && !digest_is_zero(&b->version) &&
	    digest_eq(&b->version, &c->row->version_leaf)) {
		c->row->sha256 = b->sha256;
		c->row->flags |= INODE_HAS_SHA256;
	}
	return APPLY_APPLIED;
}

static int apply_free_orphan(struct apply_ctx *c)
{
	if (!(c->row->flags & INODE_ORPHAN))
		return apply_reject(c, "the inode still has a name");
	apply_try(c->ops->inode_del(c->st, c->row));
	c->row = NULL;
	return APPLY_APPLIED;
}

/* A body that cannot be read: the entry keeps its place, that is all. */
static int apply_unreadable(struct apply_ctx *c)
{
	if (c->e->core.kind == ENTRY_VERSION && apply_is_reg(c->row)) {
		apply_try(c->ops->extents_clear(c->st, c->row));
		start_version(c);
		c->row->allocated = c->row->size;
		c->row->tree_root = digest_zero;
	} else if (c->e->core.kind == ENTRY_VERSION) {
		return apply_reject(c, "version of what is no regular file");
	}
	return APPLY_APPLIED;
}

static int apply_kind(struct apply_ctx *c)
{
	if (!has_body(c->e) && c->e->core.kind != ENTRY_FREE_ORPHAN)
		return apply_unreadable(c);
	switch (c->e->core.kind) {
	case ENTRY_LINK:
		return apply_link(c);
	case ENTRY_UNLINK:
		return apply_unlink(c);
	case ENTRY_RENAME:
		return apply_rename(c);
	case ENTRY_SETATTR:
		return apply_setattr(c);
	case ENTRY_SETXATTR:
		return apply_setxattr(c);
	case ENTRY_RMXATTR:
		return apply_rmxattr(c);
	case ENTRY_FREE_ORPHAN:
		return apply_free_orphan(c);
	case ENTRY_EXTENTS:
		return apply_extents(c);
	case ENTRY_VERSION:
		return apply_version(c);
	case ENTRY_DIGEST:
		return apply_digest(c);
	default:
		return APPLY_APPLIED;
	}
}

/* The first SETATTR of the root makes it. */
static int make_root(struct apply_ctx *c)
{
	int64_t wall = c->e->core.wall_ns;
	struct inode_row *row = NULL;

	if (c->e->core.version)
		return apply_reject(c, "not the inode's current version");
	if (c->o->leaf && !digest_is_zero(&c->e->core.prev))
		return apply_reject(c, "prev is not the inode's last entry");
	if ((c->e->body.setattr.mask & ENTRY_ATTR_MODE) &&
	    c->e->body.setattr.mode & ~07777u & ~0040000u)
		return apply_reject(c, "the mode changes the type");
	apply_try(c->ops->inode_new(c->st, &row, STATE_ROOT_INO));
	row->mode = 0040755;
	row->nlink = 2;
	row->parent = STATE_ROOT_INO;
	row->next_cookie = STATE_COOKIE_FIRST;
	row->atime_ns = row->mtime_ns = row->btime_ns = wall;
	c->row = row;
	apply_try(apply_setattr(c));
	apply_try(apply_finish(c, row));
	return APPLY_APPLIED;
}

/* Kinds that make no sense without an inode. */
static bool needs_inode(uint16_t kind)
{
	switch (kind) {
	case ENTRY_VERSION:
	case ENTRY_DIGEST:
	case ENTRY_EXTENTS:
	case ENTRY_IMPORT:
		return true;
	default:
		return kind >= ENTRY_CREATE && kind <= ENTRY_FREE_ORPHAN;
	}
}

static int apply_one(struct apply_ctx *c)
{
	const struct entry_core *core = &c->e->core;
	int rc;

	if (core->kind < ENTRY_OPTIONAL && !entry_kind_name(core->kind))
		return -ERR_NEWER;
	if (core->kind == ENTRY_CREATE)
		return has_body(c->e) ? apply_create(c) :
					apply_reject(c, "body is not in clear");
	if (!core->inode)
		return needs_inode(core->kind) ? apply_reject(c, "no inode") :
						 APPLY_APPLIED;
	rc = c->ops->inode_get(c->st, &c->row, core->inode);
	if (rc < 0)
		return rc;
	if (!rc && core->inode == STATE_ROOT_INO &&
	    core->kind == ENTRY_SETATTR && has_body(c->e))
		return make_root(c);
	if (!rc)
		return apply_reject(c, "no such inode");
	rc = check_row(c);
	if (rc == APPLY_APPLIED)
		rc = apply_kind(c);
	if (rc != APPLY_APPLIED || !c->row)
		return rc;
	apply_try(apply_finish(c, c->row));
	return APPLY_APPLIED;
}

int apply(void *st, const struct state_ops *ops, const struct entry *e,
	  const struct apply_options *o, const char **why)
{
	struct apply_ctx c = { .st = st, .ops = ops, .e = e, .o = o };
	int rc = apply_one(&c);

	if (why)
		*why = rc == APPLY_REJECTED ? c.why : NULL;
	return rc;
}
