/*
 * fuzz_apply.c - sequences of stored entries against apply().
 *
 * Input: records of u8 flags, u16 n (little-endian), n bytes of a stored
 * entry.  Flag bit 0: the entry gets the prev that its inode expects, bit 1:
 * the version, bit 2: the inode is the one that (parent, name) is.  Whatever
 * comes: an answer, nothing changed by a rejected entry, and the rows keep
 * their invariants.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "ledger/entry.h"
#include "tests/sim/state_mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FIX_PREV = 1, FIX_VERSION = 2, FIX_INODE = 4, RECORDS = 256 };

static void fix(struct state_mem *m, struct entry *e, unsigned flags)
{
	const struct entry_str *name = NULL;
	struct inode_row *row = NULL;
	struct name_row there;

	if (e->core.kind == ENTRY_UNLINK)
		name = &e->body.link.name;
	if (e->core.kind == ENTRY_RENAME)
		name = &e->body.rename.old_name;
	if (flags & FIX_INODE && name && !e->body.opaque &&
	    state_mem_ops.name_get(m, &there, e->core.parent, name->p,
				   (uint16_t)name->n) > 0)
		e->core.inode = there.ino;
	if (state_mem_ops.inode_get(m, &row, e->core.inode) <= 0)
		return;
	if (flags & FIX_PREV)
		e->core.prev = row->last;
	if (flags & FIX_VERSION)
		e->core.version =
			row->version + (e->core.kind == ENTRY_VERSION);
}

static void one(struct state_mem *m, const uint8_t *p, size_t n, unsigned flags,
		uint64_t no)
{
	struct apply_options o = { .entry_no = no };
	struct entry_view v;
	struct digest leaf;
	struct entry e;
	const char *why = NULL;
	uint64_t before;
	int rc;

	if (entry_open(&e, &v, p, n, NULL))
		return;
	entry_view_leaf(&leaf, &v);
	o.leaf = &leaf;
	fix(m, &e, flags);
	before = state_mem_sum(m);
	rc = apply(m, &state_mem_ops, &e, &o, &why);
	if (rc < 0 && rc != -ERR_NEWER)
		abort();
	if (rc <= 0 && before != state_mem_sum(m))
		abort();
	if (!rc != (why != NULL))
		abort();
	why = state_mem_check(m);
	if (why) {
		fprintf(stderr, "%s\n", why);
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct state_mem m;
	struct breader r;
	const uint8_t *p;
	uint64_t no;
	uint8_t flags;
	uint16_t n;

	state_mem_init(&m);
	breader_init(&r, data, size);
	for (no = 1; no < RECORDS && r.left && !r.bad; no++) {
		flags = breader_u8(&r);
		n = breader_u16(&r);
		p = breader_borrow(&r, n);
		if (p)
			one(&m, p, n, flags, no);
	}
	state_mem_release(&m);
	return 0;
}
