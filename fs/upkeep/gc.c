/*
 * gc.c - one run, from what is there to what was given back.
 *
 * Marking is in gc_mark.c, choosing packs in gc_look.c, taking them away in
 * gc_sweep.c; why none of it takes what is needed, in lease.h.
 *
 * One thread; nothing is locked while it runs but what it calls locks.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/vio.h"
#include "fs/upkeep/gc_int.h"

#define TELL_NS (100LL * 1000 * 1000)

void gc_part(struct gc *g, const char *part)
{
	g->part = part;
	g->told_ns = 0;
	g->done = 0;
	g->all = 0;
}

int gc_tick(struct gc *g, uint64_t done, uint64_t all)
{
	int64_t now = 0;

	g->done = done;
	g->all = all;
	if (atomic_load(&g->core->gc_end))
		return -ECANCELED;
	if (!g->o->progress)
		return 0;
	now = vio_mono_ns(g->store->vio);
	if (g->told_ns != 0 && now - g->told_ns < TELL_NS)
		return 0;
	g->told_ns = now;
	return gc_waiting(g);
}

int gc_waiting(void *gc)
{
	struct gc *g = gc;

	if (atomic_load(&g->core->gc_end))
		return -ECANCELED;
	if (!g->o->progress)
		return 0;
	return g->o->progress(g->o->ctx, g->part, g->done, g->all) ?
		       -ECANCELED :
		       0;
}

int gc_wait(struct gc *g)
{
	return lease_wait(&g->store->lease, gc_waiting, g);
}

/* What a run would do, by what it was about to. */
static void foretell(struct gc *g, const struct gc_list *list)
{
	struct core_gc_report *out = g->report;

	for (uint32_t i = 0; i < list->n; i++) {
		const struct gc_pack *p = &list->v[i];

		out->packs_deleted += p->live_chunks == 0;
		out->packs_rewritten += p->live_chunks > 0;
		out->chunks_freed += p->chunks - p->live_chunks;
		out->chunks_copied += p->live_chunks;
		out->bytes_freed += p->size - p->live;
		out->bytes_copied += p->live;
	}
}

int gc_run(struct gc *g, struct errmsg *em)
{
	struct gc_list list = { .n = 0 };
	int rc = gc_mark(g, em);

	if (rc == 0)
		rc = gc_look(g, &list);
	if (rc == 0 && g->o->dry_run)
		foretell(g, &list);
	else if (rc == 0)
		rc = gc_sweep(g, &list, em);
	g->report->chunks_leased = atomic_load(&g->store->lease.noted);
	free(list.v);
	return rc;
}
