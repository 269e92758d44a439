/*
 * core_xattr.c - extended attributes: user, trusted, security and the POSIX
 * ACLs.  Values up to 1 KiB live in the entry, longer ones are chunks.  What
 * is removed but open keeps them in memory, where they can still be changed.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/err.h"
#include "fs/core/core_internal.h"
#include "fs/core/file.h"
#include "fs/core/itable_internal.h"
#include "fs/store/lease.h"
#include "fs/store/store.h"
#include "index/state.h"

static struct xattr *find(struct inode *i, const char *name)
{
	struct xattr *x = i->xattrs;

	while (x && strcmp(x->name, name))
		x = x->next;
	return x;
}

/*
 * Who may use which namespace is the kernel's to say; others mean nothing, and
 * a namespace alone is no name.
 */
static int check_name(const char *name)
{
	static const char *const prefixes[] = {
		"user.",
		"trusted.",
		"security.",
	};

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
		if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
			return name[strlen(prefixes[i])] ? 0 : -EINVAL;
	return strcmp(name, STATE_XATTR_ACL) &&
			       strcmp(name, STATE_XATTR_DEFAULT_ACL) ?
		       -EOPNOTSUPP :
		       0;
}

struct get_arg {
	uint64_t ino;
	const char *name;
	void *p;
	size_t cap;
	struct digest chunk;
	uint32_t len;
	bool in_chunk;
};

static int get_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct get_arg *a = arg;
	struct inode *i;
	struct xattr *x;
	int rc = itable_get_removed(tx, &i, a->ino);

	(void)c;
	if (rc >= 0)
		rc = itable_xattrs(tx, i);
	if (rc < 0)
		return rc;
	x = find(i, a->name);
	if (!x)
		return -ENODATA;
	a->len = x->value_len;
	a->in_chunk = x->in_chunk;
	a->chunk = x->chunk;
	if (a->cap == 0)
		return 0;
	if (a->cap < x->value_len)
		return -ERANGE;
	if (!x->in_chunk && x->value_len)
		memcpy(a->p, x->value, x->value_len);
	return 0;
}

ssize_t core_getxattr(struct core *c, uint64_t ino, const char *name, void *p,
		      size_t cap)
{
	struct get_arg a = { .ino = ino, .name = name, .p = p, .cap = cap };
	unsigned section = lease_enter(store_lease(c->store));
	struct store_ref ref;
	int rc = check_name(name);
	bool in_chunk;

	if (rc >= 0)
		rc = core_op(c, get_op, &a);
	in_chunk = rc >= 0 && cap > 0 && a.in_chunk;

	if (in_chunk)
		rc = store_get(c->store, &ref, &a.chunk, CHUNK_DATA);
	lease_leave(store_lease(c->store), section);
	if (rc < 0 || !in_chunk)
		return rc < 0 ? rc : (ssize_t)a.len;
	rc = ref.n == a.len ? 0 : -ERR_CORRUPT;
	if (rc == 0)
		memcpy(p, ref.p, ref.n);
	store_release(&ref); /* and `ref` is empty */
	return rc < 0 ? rc : (ssize_t)a.len;
}

struct list_arg {
	uint64_t ino;
	bool trusted; /* show what only root may read */
	char *p;
	size_t cap, n;
};

static int list_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct list_arg *a = arg;
	struct inode *i;
	int rc = itable_get_removed(tx, &i, a->ino);

	(void)c;
	a->n = 0;
	if (rc >= 0)
		rc = itable_xattrs(tx, i);
	if (rc < 0)
		return rc;
	for (const struct xattr *x = i->xattrs; x; x = x->next) {
		size_t n = (size_t)x->name_len + 1;

		if (!a->trusted && !strncmp(x->name, "trusted.", 8))
			continue;
		if (a->cap && a->n + n > a->cap)
			return -ERANGE;
		if (a->cap)
			memcpy(a->p + a->n, x->name, n);
		a->n += n;
	}
	return 0;
}

ssize_t core_listxattr(struct core *c, const struct cred *cr, uint64_t ino,
		       char *p, size_t cap)
{
	struct list_arg a = { ino, cr->uid == 0, p, cap, 0 };
	int rc = core_op(c, list_op, &a);

	return rc < 0 ? rc : (ssize_t)a.n;
}

struct set_arg {
	struct actor *actor;
	uint64_t ino;
	const char *name;
	const void *p;
	size_t n;
	int flags;
	bool kill_sgid;
	bool remove;
	struct digest chunk; /* of a long value, staged */
	bool staged;
	bool mode_done;
};

/* An access ACL also sets the mode; *out_drop: it is no more than that. */
static int acl_sets_mode(struct core *c, struct itable_tx *tx,
			 struct set_arg *a, struct inode *i, bool *out_drop)
{
	struct pend *p;
	uint32_t mode;
	int rc;

	*out_drop = false;
	if (a->remove || strcmp(a->name, STATE_XATTR_ACL))
		return 0;
	rc = core_acl_mode(a->p, a->n, i->row.mode, &mode, out_drop);
	if (rc < 0)
		return rc;
	if (a->kill_sgid)
		mode &= ~(uint32_t)S_ISGID;
	if (mode == i->row.mode || a->mode_done)
		return 0;
	if (i->gone) {
		i->row.mode = mode;
		i->row.ctime_ns = core_now(c);
		return 0;
	}
	p = pend_new(ENTRY_SETATTR, 0);
	if (!p)
		return -ENOMEM;
	p->e.body.setattr.mask = ENTRY_ATTR_MODE;
	p->e.body.setattr.mode = mode & 07777;
	rc = core_submit_setattr(c, tx, p, i, a->actor);
	if (rc >= 0)
		a->mode_done = true;
	return rc;
}

static struct pend *set_entry(struct set_arg *a)
{
	size_t name = strlen(a->name);
	bool chunk = a->n > LIMIT_XATTR_INLINE;
	struct pend *p = pend_new(a->remove ? ENTRY_RMXATTR : ENTRY_SETXATTR,
				  name + (chunk || a->remove ? 0 : a->n));
	struct entry_setxattr *b;

	if (!p)
		return NULL;
	b = &p->e.body.setxattr;
	b->name = pend_str(p, a->name, name);
	if (a->remove)
		return p;
	b->value_n = (uint32_t)a->n;
	if (!chunk) {
		b->value = pend_bytes(p, a->p, a->n);
		return p;
	}
	b->content = a->chunk;
	if (a->staged) {
		p->staged = malloc(sizeof(*p->staged));
		if (!p->staged) {
			pend_free(p);
			return NULL;
		}
		p->staged[0] = a->chunk;
		p->n_staged = 1;
	}
	return p;
}

/* Nothing that a log could tell of: the value stays here, however long. */
static int set_removed(struct core *c, struct itable_tx *tx, struct set_arg *a,
		       struct inode *i)
{
	const struct state_ops *ops = &itable_state_ops;
	uint16_t len = (uint16_t)strlen(a->name);
	bool was_there = false;
	int rc;

	if (a->remove)
		rc = ops->xattr_del(tx, &i->row, a->name, len, &was_there);
	else
		rc = ops->xattr_put(tx, &i->row, a->name, len, a->p,
				    (uint32_t)a->n, NULL, &was_there);
	if (rc >= 0)
		i->row.ctime_ns = core_now(c);
	return rc;
}

/* The value that it has: like on ext4, no change, and no entry. */
static bool is_same(const struct set_arg *a, const struct xattr *x)
{
	if (!x || a->remove || x->value_len != a->n)
		return false;
	if (x->in_chunk)
		return digest_eq(&x->chunk, &a->chunk);
	return a->n == 0 || !memcmp(x->value, a->p, a->n);
}

/* With the lock that guards the attribute: a write is never told otherwise. */
static void note_capability(struct inode *i, bool is_there)
{
	if (i->file)
		atomic_store(&i->file->capable, is_there);
}

static int set_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct set_arg *a = arg;
	struct inode *i;
	struct xattr *x;
	bool drop = false;
	int rc = itable_get_removed(tx, &i, a->ino);

	if (rc >= 0)
		rc = itable_xattrs(tx, i);
	if (rc < 0)
		return rc;
	x = find(i, a->name);
	/* a file always has an ACL, be it in the mode bits alone */
	if (a->remove && !x && !strncmp(a->name, "system.", 7))
		return 0;
	if (!x && !strcmp(a->name, CORE_CAPABILITY))
		note_capability(i, false);
	if ((a->remove || a->flags & XATTR_REPLACE) && !x)
		return -ENODATA;
	if (a->flags & XATTR_CREATE && x)
		return -EEXIST;
	rc = acl_sets_mode(c, tx, a, i, &drop);
	if (rc < 0)
		return rc;
	if ((drop && !x) || (!drop && is_same(a, x)))
		return 0;
	a->remove = a->remove || drop;
	if (i->gone) {
		rc = set_removed(c, tx, a, i);
	} else {
		rc = core_submit(c, tx, set_entry(a), i, a->actor);
		if (rc >= 0 && !a->remove)
			a->staged = false; /* it rides with the entry */
	}
	if (rc >= 0 && !strcmp(a->name, CORE_CAPABILITY))
		note_capability(i, !a->remove);
	return rc;
}

static int set(struct core *c, const struct cred *cr, struct set_arg *a)
{
	size_t name = strlen(a->name);
	int rc;

	if (name == 0 || name > LIMIT_XATTR_NAME)
		return -ERANGE;
	if (a->n > LIMIT_XATTR_VALUE)
		return -E2BIG;
	if (!strncmp(a->name, "user.vouch.", 11))
		return -EPERM; /* read-only, ours */
	rc = check_name(a->name);
	if (rc >= 0)
		rc = core_may_change(c, a->remove ? SPACE_REMOVE : SPACE_ADD);
	if (rc < 0)
		return rc;
	if (!a->remove && a->n > LIMIT_XATTR_INLINE) {
		struct chunk_maker *m = chunk_maker_new();
		struct chunk k;

		rc = m ? chunk_make(&k, m, CHUNK_DATA, a->p, a->n) : -ENOMEM;
		if (rc >= 0) {
			a->chunk = k.id;
			rc = store_stage(c->store, &k, &a->staged);
		}
		chunk_maker_free(m);
		if (rc < 0)
			return rc;
	}
	a->actor = core_actor(c, cr);
	rc = core_op(c, set_op, a);
	if (a->staged) /* no entry names it */
		store_unstage(c->store, &a->chunk);
	actor_drop(c->actors, a->actor);
	return rc;
}

/* From staging a long value to queueing the entry that names it. */
static int set_in_section(struct core *c, const struct cred *cr,
			  struct set_arg *a)
{
	unsigned section = lease_enter(store_lease(c->store));
	int rc = set(c, cr, a);

	lease_leave(store_lease(c->store), section);
	return rc;
}

int core_setxattr(struct core *c, const struct cred *cr, uint64_t ino,
		  const char *name, const void *p, size_t n, int flags,
		  bool kill_sgid)
{
	struct set_arg a = {
		.ino = ino,
		.name = name,
		.p = p,
		.n = n,
		.flags = flags,
		.kill_sgid = kill_sgid,
	};

	return set_in_section(c, cr, &a);
}

int core_removexattr(struct core *c, const struct cred *cr, uint64_t ino,
		     const char *name)
{
	struct set_arg a = { .ino = ino, .name = name, .remove = true };

	return set_in_section(c, cr, &a);
}
