/*
 * gc_box.c - see gc_box.h.
 */
#include "tests/sim/gc_box.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "fs/core/core_internal.h"
#include "fs/upkeep/fsck.h"
#include "index/idx.h"
#include "index/idx_query.h"

static int submit(struct core *c, struct itable_tx *tx, void *arg)
{
	return core_submit(c, tx, arg, NULL, NULL);
}

int gc_box_release(struct core *c, uint64_t ino, uint64_t first, uint64_t last)
{
	struct pend *p = pend_new(ENTRY_GC, 0);
	struct entry_release *v = calloc(1, sizeof(*v));
	int rc = 0;

	if (!p || !v)
		abort();
	*v = (struct entry_release){ ino, first, last };
	p->arrays = v;
	p->e.body.gc.n = 1;
	p->e.body.gc.v = v;
	rc = core_op(c, submit, p);
	return rc < 0 ? rc : core_settle_index(c);
}

static void print(void *ctx, const char *words)
{
	(void)ctx;
	fprintf(stderr, "  %s\n", words);
}

int gc_box_run(struct core *c, struct core_gc_report *out,
	       const struct core_gc_options *o)
{
	static const struct core_gc_options plain;
	struct errmsg em = ERRMSG_INIT;
	int rc = core_gc(c, out, o ? o : &plain, &em);

	if (rc < 0)
		fprintf(stderr, "gc_box: %s\n", errmsg_text(&em, rc));
	return rc;
}

uint64_t gc_box_damage(struct core *c)
{
	const struct fsck_options o = { .deep = true, .found = print };
	struct fsck_report r;
	struct errmsg em = ERRMSG_INIT;
	int rc = fsck_verify(core_ledger(c), core_store(c), &r, &o, &em);

	if (rc == 0)
		return r.left; /* some of what is told is no damage */
	fprintf(stderr, "gc_box: verify: %s\n", errmsg_text(&em, rc));
	return UINT64_MAX;
}

int gc_box_read_version(struct core *c, uint64_t ino, uint64_t version,
			uint8_t *out, uint64_t size)
{
	struct idx_reader *r = NULL;
	struct idx_version v;
	ssize_t n = 0;
	int rc = core_reader_take(c, &r);

	if (rc >= 0)
		rc = idx_version(r, &v, ino, version);
	core_reader_give(c, r);
	if (rc <= 0)
		return rc < 0 ? rc : -ENOENT;
	if (v.size != size)
		return -ERANGE;
	n = content_read_version(core_pool(c), out, size, 0, &v.tree_root,
				 v.size);
	return n < 0 ? (int)n : (uint64_t)n == size ? 0 : -ERR_SHORT;
}
