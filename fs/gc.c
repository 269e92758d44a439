/*
 * gc.c - see gc.h: one run, from what is there to what was given back.
 *
 * Any thread; nothing is locked while it runs but what it calls locks.
 */
#include "fs/gc.h"

#include "base/err.h"
#include "base/vio.h"
#include "fs/core_internal.h"
#include "fs/store_int.h"

static void count_packs(struct store *s, uint64_t *out_packs,
			uint64_t *out_bytes)
{
	struct packfile *f = packs_after(&s->packs, 0);

	*out_packs = 0;
	*out_bytes = 0;
	for (; f; f = packs_after(&s->packs, f->number)) {
		*out_packs += 1;
		*out_bytes += packfile_durable(f);
	}
}

int core_gc(struct core *c, struct core_gc_report *out,
	    const struct core_gc_options *o, struct errmsg *em)
{
	int rc = 0;

	*out = (struct core_gc_report){ 0 };
	if (c->o.read_only && !o->dry_run)
		rc = -EROFS;
	if (rc == 0)
		rc = core_settle_index(c);
	count_packs(c->store, &out->packs_before, &out->bytes_before);
	count_packs(c->store, &out->packs_after, &out->bytes_after);
	return rc < 0 ? errmsg_set(em, rc, "gc: %s", err_text(rc)) : 0;
}
