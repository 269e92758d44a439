/*
 * rules_save.c - the state of the append rules as bytes, and back.
 *
 * A cache that the caller keeps with the root it belongs to; its own SHA-256
 * catches damage, the root catches everything else.
 */
#include "ledger/rules.h"

#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "ledger/rules_impl.h"
#include "ledger/xb.h"

static void xb_key(struct xb *x, struct rules_key *k)
{
	xb_bytes(x, k->id, sizeof(k->id));
	xb_bytes(x, k->pub, sizeof(k->pub));
	xb_bytes(x, k->cert, sizeof(k->cert));
	xb_u8(x, &k->role);
	xb_u32(x, &k->mount_no);
	xb_u64(x, &k->from);
	xb_u64(x, &k->until);
	xb_u8(x, &k->revoked);
	xb_i64(x, &k->suspect_since_ns);
	xb_bytes(x, k->name, sizeof(k->name));
	xb_rule(x, k->name[sizeof(k->name) - 1] == 0);
}

static void xb_mount(struct xb *x, struct rules_place *m)
{
	xb_u32(x, &m->m.mount_no);
	xb_u64(x, &m->m.batch_seq);
	xb_u64(x, &m->m.next_first_seq);
	xb_digest(x, &m->m.last_seal);
	xb_u64(x, &m->m.last_index);
	xb_i64(x, &m->m.last_wall_ns);
	xb_u64(x, &m->m.seen_size);
	xb_bytes(x, m->m.incarnation, sizeof(m->m.incarnation));
	for (unsigned i = 0; i < RULES_RECENT; i++) {
		xb_digest(x, &m->recent[i].leaf);
		xb_u64(x, &m->recent[i].index);
	}
}

static void xb_state(struct xb *x, struct rules *r)
{
	uint32_t n_keys = (uint32_t)r->keys.n;
	uint32_t n_mounts = (uint32_t)r->n_mounts;
	uint32_t magic = 0x31535256; /* "VRS1" */

	xb_u32(x, &magic);
	xb_rule(x, magic == 0x31535256);
	xb_u64(x, &r->size);
	xb_bytes(x, r->volume_id, sizeof(r->volume_id));
	xb_u8(x, &r->origin_n);
	xb_rule(x, r->origin_n <= LIMIT_ORIGIN);
	xb_bytes(x, r->origin, sizeof(r->origin));
	xb_u8(x, &r->n_admin);
	xb_rule(x, r->n_admin <= ENTRY_ADMIN_MAX);
	xb_bytes(x, r->admin, sizeof(r->admin));
	xb_u32(x, &n_keys);
	xb_u32(x, &n_mounts);
	xb_rule(x, n_keys <= RULES_KEYS_MAX && n_mounts <= RULES_MOUNTS_MAX);
	if (x->rc == 0 && x->mode == XB_READ) {
		r->keys.v = calloc((size_t)n_keys + 1, sizeof(*r->keys.v));
		r->mounts = calloc((size_t)n_mounts + 1, sizeof(*r->mounts));
		if (r->keys.v == NULL || r->mounts == NULL)
			xb_fail(x, -ENOMEM);
		r->keys.n = n_keys;
		r->n_mounts = n_mounts;
	}
	for (size_t i = 0; x->rc == 0 && i < n_keys; i++)
		xb_key(x, &r->keys.v[i]);
	for (size_t i = 0; x->rc == 0 && i < n_mounts; i++)
		xb_mount(x, &r->mounts[i]);
}

int rules_save(const struct rules *r, struct buf *out)
{
	struct xb x = { .mode = XB_WRITE, .out = out };
	size_t start = out->n;
	struct digest d;

	/* XB_WRITE changes nothing of what it is given. */
	xb_state(&x, (struct rules *)(uintptr_t)r);
	if (x.rc != 0 || out->bad)
		return x.rc != 0 ? x.rc : -ENOMEM;
	digest_sha256(&d, out->p + start, out->n - start);
	buf_add(out, d.b, sizeof(d.b));
	return out->bad ? -ENOMEM : 0;
}

int rules_load(struct rules **out, const void *p, size_t n, rules_root_fn *root,
	       void *ctx)
{
	struct xb x = { .mode = XB_READ };
	struct rules *r = NULL;
	struct digest d;
	int rc;

	*out = NULL;
	if (n < DIGEST_SIZE)
		return -ERR_SHORT;
	n -= DIGEST_SIZE;
	digest_sha256(&d, p, n);
	if (memcmp(d.b, (const uint8_t *)p + n, DIGEST_SIZE) != 0)
		return -ERR_CORRUPT;
	rc = rules_new(&r, root, ctx);
	if (rc != 0)
		return rc;
	breader_init(&x.r, p, n);
	xb_state(&x, r);
	if (x.rc == 0 && !breader_done(&x.r))
		x.rc = -ERR_FORMAT;
	if (x.rc != 0) {
		rules_free(r);
		return x.rc;
	}
	*out = r;
	return 0;
}
