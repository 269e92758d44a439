/*
 * past_xattr.c - see past_xattr.h.
 */
#include "analytics/past_xattr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analytics/past.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "fs/core/core.h"
#include "fs/store/lease.h"
#include "fs/store/store.h"
#include "index/state.h"
#include "ledger/entry.h"

static void xattr_release(struct past_xattr *x)
{
	free(x->name);
	free(x->value);
}

void past_xattrs_release(struct past_xattrs *x)
{
	for (size_t i = 0; i < x->n; i++)
		xattr_release(&x->v[i]);
	free(x->v);
	*x = (struct past_xattrs){ .n = 0 };
}

/* Where a name is, or belongs. */
static size_t place(const struct past_xattrs *x, const char *name, size_t n,
		    bool *out_there)
{
	size_t i = 0;
	int d = 1;

	for (; i < x->n; i++) {
		d = strncmp(x->v[i].name, name, n);
		if (d == 0 && x->v[i].name[n])
			d = 1;
		if (d >= 0)
			break;
	}
	*out_there = i < x->n && d == 0;
	return i;
}

static int grow(struct past_xattrs *x)
{
	size_t cap = x->cap ? 2 * x->cap : 8;
	struct past_xattr *v;

	if (x->n < x->cap)
		return 0;
	v = realloc(x->v, cap * sizeof(*v));
	if (!v)
		return -ENOMEM;
	x->v = v;
	x->cap = cap;
	return 0;
}

static void drop(struct past_xattrs *x, const char *name, size_t n)
{
	bool there = false;
	size_t i = place(x, name, n, &there);

	if (!there)
		return;
	xattr_release(&x->v[i]);
	x->n--;
	memmove(&x->v[i], &x->v[i + 1], (x->n - i) * sizeof(*x->v));
}

/* value NULL: it is chunk. */
static int put(struct past_xattrs *x, const struct entry_str *name,
	       const uint8_t *value, size_t n, const struct digest *chunk)
{
	struct past_xattr a = { .size = (uint32_t)n };
	bool there = false;
	size_t i;

	drop(x, name->p, name->n);
	if (grow(x) < 0)
		return -ENOMEM;
	a.name = strndup(name->p, name->n);
	if (a.name && value && n) {
		a.value = malloc(n);
		if (a.value)
			memcpy(a.value, value, n);
	}
	if (!a.name || (value && n && !a.value)) {
		xattr_release(&a);
		return -ENOMEM;
	}
	if (chunk)
		a.chunk = *chunk;
	i = place(x, name->p, name->n, &there);
	memmove(&x->v[i + 1], &x->v[i], (x->n - i) * sizeof(*x->v));
	x->v[i] = a;
	x->n++;
	return 0;
}

static int put_acl(struct past_xattrs *x, const char *name, const uint8_t *acl,
		   size_t n)
{
	const struct entry_str s = { name, (uint16_t)strlen(name) };

	return acl ? put(x, &s, acl, n, NULL) : 0;
}

struct replay {
	struct past_xattrs *out;
	uint64_t ino;
};

static int replay_one(void *ctx, const struct entry *e, uint64_t no)
{
	const struct replay *p = ctx;
	const struct entry_setxattr *b = &e->body.setxattr;
	const struct entry_create *made = &e->body.create;
	int rc;

	(void)no;
	if (e->core.inode != p->ino || e->body.opaque)
		return 0;
	switch (e->core.kind) {
	case ENTRY_CREATE:
		rc = put_acl(p->out, STATE_XATTR_ACL, made->acl, made->acl_n);
		return rc < 0 ? rc :
				put_acl(p->out, STATE_XATTR_DEFAULT_ACL,
					made->default_acl, made->default_acl_n);
	case ENTRY_SETXATTR:
		if (b->value_n > LIMIT_XATTR_INLINE)
			return put(p->out, &b->name, NULL, b->value_n,
				   &b->content);
		return put(p->out, &b->name, b->value, b->value_n, NULL);
	case ENTRY_RMXATTR:
		drop(p->out, b->name.p, b->name.n);
		return 0;
	default:
		return 0;
	}
}

int past_xattrs_load(struct past_xattrs *out, struct core *c,
		     struct idx_reader *r, uint64_t ino, uint64_t at)
{
	struct replay p = { .out = out, .ino = ino };

	*out = (struct past_xattrs){ .n = 0 };
	return past_entries(c, r, ino, 0, at, true, replay_one, &p);
}

bool past_xattr_same(const struct past_xattr *a, const struct past_xattr *b)
{
	if (a->size != b->size || !a->value != !b->value)
		return false;
	return a->value ? memcmp(a->value, b->value, a->size) == 0 :
			  digest_eq(&a->chunk, &b->chunk);
}

int past_xattr_value(const struct past_xattr *x, struct core *c,
		     struct buf *out)
{
	struct lease *lease = store_lease(core_store(c));
	struct store_ref ref;
	unsigned section;
	int rc;

	if (x->value || !x->size) {
		buf_add(out, x->value, x->size);
		return out->bad ? -ENOMEM : 0;
	}
	section = lease_enter(lease);
	rc = store_get(core_store(c), &ref, &x->chunk, CHUNK_DATA);
	lease_leave(lease, section);
	if (rc < 0)
		return rc;
	if (ref.n == x->size)
		buf_add(out, ref.p, ref.n);
	rc = ref.n != x->size ? -ERR_CORRUPT : out->bad ? -ENOMEM : 0;
	store_release(&ref);
	return rc;
}
