/*
 * gc_look.c - which packs gc takes: how much of each is needed.
 *
 * Looked at are packs that nobody appends to.  Packs that were only rested
 * (OPEN, nobody's) are sealed first when they are worth taking.  A pack with
 * gaps, or one that cannot be listed, is left alone: a replica may have what
 * it lacks.  So is one without a footer, of which a replica has more, or
 * cannot be asked: nobody else knows where its end was, and replicas delete
 * what gc removes.
 *
 * Of several copies of a chunk the one in the pack with the highest number
 * counts; the others are garbage, once that one was read and found good.
 *
 * One thread.
 */
#include <stdlib.h>

#include "base/err.h"
#include "fs/upkeep/gc_int.h"

enum { TICK_CHUNKS = 4096 };

/* --- one record --- */

/*
 * Is what lies there a durable record of the chunk, in a pack that stays?
 * What was copied a moment ago will be durable before anything is removed.
 */
static bool is_copy(struct gc *g, struct store_slot *slot,
		    const struct packfile *from, const struct pack_entry *e,
		    const struct location *at, bool verify)
{
	struct packfile *f = packs_find(&g->store->packs, at->pack);
	struct pack_record r = { 0 };
	struct chunk c = { 0 };

	if (!f || atomic_load(&f->condemned) ||
	    (f == from ? at->off <= e->off : f->number < from->number) ||
	    packfile_header(f, &r, at->off) < 0 || !digest_eq(&r.id, &e->id) ||
	    (f != g->target &&
	     (uint64_t)at->off + PACK_RECORD_SIZE + r.stored_len >
		     packfile_durable(f)))
		return false;
	if (!verify)
		return true;
	if (packfile_read(f, &r, slot->record, at->off, at->len_hint) < 0)
		return false;
	pack_record_chunk(&c, &r, slot->record + PACK_RECORD_SIZE);
	return digest_eq(&r.id, &e->id) &&
	       chunk_verify(slot->raw, slot->unpacker, &c) == 0;
}

int gc_needs(struct gc *g, struct store_slot *slot, const struct packfile *f,
	     const struct pack_entry *e, bool verify)
{
	struct location at[LOCATIONS_MAX];
	int n = 0;

	if (!lease_keeps(&g->store->lease, &e->id))
		return 0;
	n = locations_get(g->store->locations, at, &e->id);
	if (n < 0)
		return n == -ERR_CORRUPT ? 1 : n;
	for (int i = 0; i < n; i++)
		if ((at[i].pack != f->number || at[i].off != e->off) &&
		    is_copy(g, slot, f, e, &at[i], verify))
			return 0;
	return 1;
}

/* --- one pack --- */

struct look {
	struct gc *gc;
	struct store_slot *slot;
	struct gc_pack *pack;
	bool quiet; /* locks are held */
};

static int look_at(void *ctx, const struct pack_entry *e)
{
	struct look *l = ctx;
	int needs = gc_needs(l->gc, l->slot, l->pack->file, e, false);

	if (needs < 0)
		return needs;
	l->pack->chunks++;
	if (needs) {
		l->pack->live_chunks++;
		l->pack->live += PACK_RECORD_SIZE + (uint64_t)e->stored_len;
	}
	if (l->pack->chunks % TICK_CHUNKS == 0 && !l->quiet)
		return gc_tick(l->gc, l->gc->done, l->gc->all);
	return 0;
}

static int look_pack(struct gc *g, struct store_slot *slot, struct gc_pack *out,
		     struct packfile *f, bool quiet)
{
	struct look l = {
		.gc = g,
		.slot = slot,
		.pack = out,
		.quiet = quiet,
	};

	*out = (struct gc_pack){ .file = f, .size = packfile_durable(f) };
	return packfile_each(f, look_at, &l);
}

static bool worth_taking(const struct gc *g, const struct gc_pack *p)
{
	uint32_t percent =
		g->o->live_percent ? g->o->live_percent : CORE_GC_LIVE_PERCENT;

	return p->chunks > p->live_chunks &&
	       (p->live == 0 || p->live * 100 < p->size * percent);
}

/* --- packs that could still be appended to --- */

struct rest {
	struct gc *gc;
	struct store_slot *slot;
	int rc;
};

static bool rested_is_worth(void *ctx, struct packfile *f)
{
	struct rest *r = ctx;
	struct gc_pack p = { .size = 0 };

	if (r->rc == 0)
		r->rc = look_pack(r->gc, r->slot, &p, f, true);
	return r->rc == 0 && worth_taking(r->gc, &p);
}

/* The settling pack: its owner takes another one next time. */
static int rest_settle(struct rest *r)
{
	struct store *s = r->gc->store;
	int rc = 0;

	mutex_lock(&s->settle_mu);
	if (s->settle && rested_is_worth(r, s->settle)) {
		rc = packfile_seal(s->settle);
		if (rc == 0) {
			s->settle = NULL;
			atomic_store(&s->settle_number, 0);
		}
	}
	mutex_unlock(&s->settle_mu);
	return rc == -ENOSPC ? 0 : rc;
}

static int rest_all(struct gc *g, struct store_slot *slot)
{
	struct rest r = { .gc = g, .slot = slot };
	int rc = 0;

	content_pool_rest(g->core->pool);
	rc = packs_seal_idle(&g->store->packs, rested_is_worth, &r);
	if (rc == 0)
		rc = rest_settle(&r);
	rc = store_fail(g->store, rc);
	return rc == 0 ? r.rc : rc;
}

/* --- all --- */

int gc_list_add(struct gc_list *l, const struct gc_pack *p)
{
	if (l->n == l->cap) {
		uint32_t cap = l->cap ? 2 * l->cap : 64;
		void *v = realloc(l->v, cap * sizeof(*l->v));

		if (!v)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = *p;
	return 0;
}

static int cheapest(const void *a, const void *b)
{
	const struct gc_pack *x = a, *y = b;
	uint64_t gain_x = x->size - x->live, gain_y = y->size - y->live;

	if (x->live != y->live && (x->live == 0 || y->live == 0))
		return x->live < y->live ? -1 : 1;
	/* what is copied for each byte given back */
	if (x->live * (gain_y + 1) != y->live * (gain_x + 1))
		return x->live * (gain_y + 1) < y->live * (gain_x + 1) ? -1 : 1;
	return x->file->number < y->file->number ? -1 : 1;
}

/* All that it ever held can be listed here. */
static bool is_whole(struct gc *g, struct packfile *f)
{
	if (packfile_state(f) == PACK_STILL && !g->o->dry_run &&
	    store_restore_end(g->store, f) < 0)
		return false;
	return packfile_whole(f);
}

static int look_all(struct gc *g, struct store_slot *slot, struct gc_list *out)
{
	struct packfile *f = packs_after(&g->store->packs, 0);
	struct gc_pack p = { .size = 0 };
	int rc = 0;

	for (; rc == 0 && f; f = packs_after(&g->store->packs, f->number)) {
		bool whole = false;

		rc = gc_tick(g, g->done + 1, g->all);
		if (rc < 0 ||
		    (packfile_state(f) == PACK_OPEN && !g->o->dry_run))
			continue;
		whole = is_whole(g, f);
		if (whole)
			rc = look_pack(g, slot, &p, f, false);
		if (!whole || (rc < 0 && rc != -ECANCELED && rc != -ENOMEM)) {
			g->report->packs_kept++;
			rc = 0;
			continue;
		}
		g->report->packs_examined++;
		if (rc == 0 && worth_taking(g, &p))
			rc = gc_list_add(out, &p);
	}
	return rc;
}

int gc_look(struct gc *g, struct gc_list *out)
{
	struct store_slot *slot = store_slot_take(g->store);
	int rc = slot ? 0 : -ENOMEM;

	*out = (struct gc_list){ .n = 0 };
	gc_part(g, "look");
	g->done = 0;
	g->all = g->report->packs_before;
	if (rc == 0 && !g->o->dry_run)
		rc = rest_all(g, slot);
	if (rc == 0)
		rc = look_all(g, slot, out);
	if (rc == 0 && out->n > 1)
		qsort(out->v, out->n, sizeof(*out->v), cheapest);
	store_slot_give(g->store, slot);
	return rc;
}
