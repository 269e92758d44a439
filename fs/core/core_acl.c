/*
 * core_acl.c - POSIX ACLs as the kernel hands them over: the extended
 * attributes system.posix_acl_access and system.posix_acl_default, format 2
 * of linux/posix_acl_xattr.h (u32 version; then u16 tag, u16 perm, u32 id).
 *
 * The kernel checks permissions with them; what is left to a filesystem is
 * inheritance at creation, and keeping mode and access ACL in step.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "fs/core/core_internal.h"
#include "index/state.h"

enum {
	ACL_VERSION = 2,
	ACL_HEAD = 4,
	ACL_ENTRY = 8,
	ACL_MAX = 8192, /* entries */
	ACL_USER_OBJ = 0x01,
	ACL_USER = 0x02,
	ACL_GROUP_OBJ = 0x04,
	ACL_GROUP = 0x08,
	ACL_MASK = 0x10,
	ACL_OTHER = 0x20,
};

/* Where the permissions of the special entries lie, as offsets; 0: none. */
struct acl_shape {
	size_t user, group, mask, other;
	bool named; /* users or groups by id */
};

static int acl_parse(struct acl_shape *out, const uint8_t *p, size_t n)
{
	struct breader r;

	memset(out, 0, sizeof(*out));
	breader_init(&r, p, n);
	if (breader_u32(&r) != ACL_VERSION || r.bad ||
	    (n - ACL_HEAD) % ACL_ENTRY || (n - ACL_HEAD) / ACL_ENTRY > ACL_MAX)
		return -EINVAL;
	while (r.left > 0) {
		size_t at = n - r.left + 2;
		uint16_t tag = breader_u16(&r), perm = breader_u16(&r);
		size_t *slot = NULL;

		breader_u32(&r);
		if (perm & ~7u)
			return -EINVAL;
		if (tag == ACL_USER_OBJ)
			slot = &out->user;
		else if (tag == ACL_GROUP_OBJ)
			slot = &out->group;
		else if (tag == ACL_MASK)
			slot = &out->mask;
		else if (tag == ACL_OTHER)
			slot = &out->other;
		else if (tag == ACL_USER || tag == ACL_GROUP)
			out->named = true;
		else
			return -EINVAL;
		if (slot && *slot)
			return -EINVAL;
		if (slot)
			*slot = at;
	}
	if (!out->user || !out->group || !out->other ||
	    (out->named && !out->mask))
		return -EINVAL;
	return 0;
}

static uint32_t perm_at(const uint8_t *p, size_t at)
{
	return p[at] & 7u;
}

int core_acl_mode(const void *acl, size_t n, uint32_t mode, uint32_t *out_mode,
		  bool *out_drop)
{
	const uint8_t *p = acl;
	struct acl_shape s;
	int rc = acl_parse(&s, p, n);

	if (rc < 0)
		return rc;
	*out_mode = (mode & ~0777u) | perm_at(p, s.user) << 6 |
		    perm_at(p, s.mask ? s.mask : s.group) << 3 |
		    perm_at(p, s.other);
	*out_drop = !s.named && !s.mask;
	return 0;
}

static struct xattr *find(struct inode *i, const char *name)
{
	struct xattr *x = i->xattrs;

	while (x && strcmp(x->name, name))
		x = x->next;
	return x && !x->in_chunk ? x : NULL;
}

void core_acl_release(struct core_acl_new *a)
{
	free(a->access);
	free(a->dflt);
	a->access = a->dflt = NULL;
	a->access_n = a->dflt_n = 0;
}

static uint8_t *copy(const struct xattr *x, size_t *out_n)
{
	uint8_t *p = malloc(x->value_len ? x->value_len : 1);

	if (p)
		memcpy(p, x->value, x->value_len);
	*out_n = p ? x->value_len : 0;
	return p;
}

/*
 * The access ACL of a new node from its directory's default one: each class
 * of the mode limits its entry, and is limited by it (acl(5), OBJECT CREATION).
 */
static int inherit(struct core_acl_new *io, const struct xattr *x)
{
	struct acl_shape s;
	size_t group;
	uint8_t *p;
	int rc = acl_parse(&s, x->value, x->value_len);

	if (rc < 0)
		return -ERR_CORRUPT;
	p = io->access = copy(x, &io->access_n);
	if (!p)
		return -ENOMEM;
	group = s.mask ? s.mask : s.group;
	p[s.user] &= (uint8_t)(io->mode >> 6 & 7);
	p[group] &= (uint8_t)(io->mode >> 3 & 7);
	p[s.other] &= (uint8_t)(io->mode & 7);
	io->mode = (io->mode & ~0777u) | perm_at(p, s.user) << 6 |
		   perm_at(p, group) << 3 | perm_at(p, s.other);
	if (!s.named && !s.mask) { /* says no more than the mode */
		free(io->access);
		io->access = NULL;
		io->access_n = 0;
	}
	return 0;
}

int core_acl_inherit(struct core *c, struct itable_tx *tx, struct inode *dir,
		     uint32_t umask, struct core_acl_new *io)
{
	const struct xattr *x;
	int rc = itable_xattrs(tx, dir);

	(void)c;
	if (rc < 0)
		return rc;
	x = find(dir, STATE_XATTR_DEFAULT_ACL);
	if (!x) {
		io->mode &= ~(umask & 0777u);
		return 0;
	}
	if (S_ISDIR(io->mode)) {
		io->dflt = copy(x, &io->dflt_n);
		if (!io->dflt)
			return -ENOMEM;
	}
	rc = inherit(io, x);
	if (rc < 0)
		core_acl_release(io);
	return rc;
}

static void set_mode(uint8_t *acl, const struct acl_shape *s, uint32_t mode)
{
	acl[s->user] = (uint8_t)(mode >> 6 & 7);
	acl[s->mask ? s->mask : s->group] = (uint8_t)(mode >> 3 & 7);
	acl[s->other] = (uint8_t)(mode & 7);
}

int core_acl_chmod(struct core *c, struct itable_tx *tx, struct inode *i,
		   uint32_t mode, struct actor *a)
{
	struct acl_shape s;
	struct xattr *x;
	struct pend *p;
	uint8_t *v;
	int rc = itable_xattrs(tx, i);

	if (rc < 0)
		return rc;
	x = find(i, STATE_XATTR_ACL);
	if (!x)
		return 0;
	if (acl_parse(&s, x->value, x->value_len) < 0)
		return -ERR_CORRUPT;
	if (i->gone) { /* nothing that a log could tell of */
		set_mode(x->value, &s, mode);
		return 0;
	}
	p = pend_new(ENTRY_SETXATTR, strlen(STATE_XATTR_ACL) + x->value_len);
	if (!p)
		return -ENOMEM;
	p->e.body.setxattr.name =
		pend_str(p, STATE_XATTR_ACL, strlen(STATE_XATTR_ACL));
	p->e.body.setxattr.value_n = x->value_len;
	v = (uint8_t *)p->data + p->n_data;
	p->e.body.setxattr.value = pend_bytes(p, x->value, x->value_len);
	set_mode(v, &s, mode);
	return core_submit(c, tx, p, i, a);
}

bool core_acl_allows(const void *acl, size_t n, const struct cred *cr,
		     uint32_t gid, uint32_t want,
		     bool (*in_group)(const struct cred *cr, uint32_t gid))
{
	struct acl_shape s;
	struct breader r;
	uint32_t mask, other = 0;
	bool member = false, granted = false;

	if (acl_parse(&s, acl, n) < 0)
		return false;
	mask = s.mask ? perm_at(acl, s.mask) : 7;
	breader_init(&r, acl, n);
	breader_u32(&r);
	while (r.left > 0) { /* users come before groups */
		uint16_t tag = breader_u16(&r), perm = breader_u16(&r);
		uint32_t id = breader_u32(&r);

		if (tag == ACL_USER && id == cr->uid)
			return (perm & mask & want) == want;
		if (tag == ACL_GROUP_OBJ)
			id = gid;
		if ((tag == ACL_GROUP || tag == ACL_GROUP_OBJ) &&
		    in_group(cr, id)) {
			member = true;
			granted = granted || (perm & mask & want) == want;
		}
		if (tag == ACL_OTHER)
			other = perm;
	}
	return member ? granted : (other & want) == want;
}
