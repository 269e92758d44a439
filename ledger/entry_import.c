/* entry_import.c - see entry_import.h. */
#include "ledger/entry_import.h"

#include <assert.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "ledger/xb.h"

const char *entry_import_trust_word(unsigned trust)
{
	return trust == ENTRY_IMPORT_VERIFIED ? "verified" : "claimed";
}

void entry_import_put(struct buf *raw, const struct entry_imported *item)
{
	buf_u8(raw, item->strength);
	buf_add(raw, item->version.b, sizeof(item->version.b));
	buf_add(raw, item->sha256.b, sizeof(item->sha256.b));
	buf_u16(raw, (uint16_t)item->path.n);
	buf_add(raw, item->path.p, item->path.n);
}

void entry_import_at(struct entry_imported *out, const struct entry_import *b,
		     unsigned i)
{
	struct breader r;

	assert(i < b->n);
	breader_init(&r, b->raw, b->raw_n);
	for (unsigned k = 0; k <= i; k++) {
		out->strength = breader_u8(&r);
		breader_copy(&r, out->version.b, sizeof(out->version.b));
		breader_copy(&r, out->sha256.b, sizeof(out->sha256.b));
		out->path.p = breader_str(&r, &out->path.n);
	}
	assert(!r.bad);
}

static void x_items(struct xb *x, struct entry_import *b)
{
	xb_u16(x, &b->n);
	xb_rule(x, b->n <= ENTRY_IMPORT_ITEMS_MAX);
	if (x->mode == XB_READ) {
		b->raw = x->r.p;
		b->raw_n = x->r.left;
	}
	for (unsigned i = 0; x->rc == 0 && i < b->n; i++) {
		struct entry_imported e = { .path = { .p = NULL } };

		if (x->mode != XB_READ)
			entry_import_at(&e, b, i);
		xb_u8(x, &e.strength);
		xb_rule(x, e.strength <= ENTRY_EXACT);
		xb_digest(x, &e.version);
		xb_digest(x, &e.sha256);
		xb_str(x, &e.path, 0, ENTRY_IMPORT_TEXT_MAX);
	}
	if (x->mode == XB_READ)
		b->raw_n -= x->r.left;
}

void entry_import_xb(struct xb *x, struct entry_import *b)
{
	xb_u8(x, &b->trust);
	xb_rule(x, b->trust == ENTRY_IMPORT_VERIFIED ||
			   b->trust == ENTRY_IMPORT_CLAIMED);
	xb_u8(x, &b->attribution);
	xb_rule(x, b->attribution <= ENTRY_EXACT);
	xb_digest(x, &b->version);
	xb_bytes(x, b->volume, sizeof(b->volume));
	xb_bytes(x, b->key, sizeof(b->key));
	xb_u64(x, &b->seal);
	xb_digest(x, &b->source);
	xb_u64(x, &b->source_version);
	xb_i64(x, &b->wall_ns);
	xb_digest(x, &b->sha256);
	xb_str(x, &b->origin, 1, LIMIT_NAME);
	xb_str(x, &b->path, 0, LIMIT_PATH);
	xb_str(x, &b->exe, 0, LIMIT_EXE);
	xb_str(x, &b->argv, 0, LIMIT_ARGV);
	x_items(x, b);
	xb_u32(x, &b->left_out);
}
