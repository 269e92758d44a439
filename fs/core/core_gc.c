/*
 * core_gc.c - see gc.h: garbage collection of an open volume.  Any thread.
 */
#include "fs/upkeep/gc.h"

#include <errno.h>

#include "base/err.h"
#include "base/vio.h"
#include "fs/upkeep/gc_int.h"

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

void core_gc_end(struct core *c)
{
	atomic_store(&c->gc_end, true);
}

int core_gc(struct core *c, struct core_gc_report *out,
	    const struct core_gc_options *o, struct errmsg *em)
{
	struct gc g = {
		.core = c,
		.store = c->store,
		.o = o,
		.report = out,
		.part = "mark",
	};
	uint64_t seed = 0;
	int rc = c->o.read_only && !o->dry_run ? -EROFS : 0;

	*out = (struct core_gc_report){ 0 };
	if (rc == 0 && store_failed(c->store))
		rc = -ERR_STICKY;
	if (rc == 0)
		rc = vio_random(c->vio, &seed, sizeof(seed));
	if (rc == 0)
		rc = lease_open(&c->store->lease,
				atomic_load(&c->store->chunks), seed);
	if (rc < 0)
		return errmsg_set(em, rc, "gc: %s",
				  rc == -EBUSY ? "another one runs" :
						 err_text(rc));
	count_packs(c->store, &out->packs_before, &out->bytes_before);
	rc = gc_run(&g, em);
	lease_close(&c->store->lease);
	count_packs(c->store, &out->packs_after, &out->bytes_after);
	return rc < 0 ? errmsg_set(em, rc, "gc: %s", err_text(rc)) : 0;
}
