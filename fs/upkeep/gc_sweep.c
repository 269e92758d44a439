/*
 * gc_sweep.c - takes packs away, a few at a time: step 4 of lease.h.
 *
 * Of each batch: the packs are condemned; what is needed is read, verified,
 * appended to a pack of gc's own and flushed; the location table forgets the
 * old places; the packs are put on the list of removed ones, which is what
 * decides, and their files are deleted.  A crash before that list is written
 * leaves two copies of some chunks, one of which is garbage for the next run;
 * a crash after it leaves files that the next opening deletes.
 *
 * On a full disk the packs that nothing is needed of come first, and those
 * that there is no room to copy when the others have given some.
 *
 * A record that is bad is put right from a replica or another copy; if there
 * is none its pack stays as it is, and is told.
 *
 * Between two copies gc rests as long as it worked, and never flushes more
 * than a little at once, so that whoever waits for the disk waits shortly.
 *
 * One thread.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/vio.h"
#include "fs/upkeep/gc_int.h"

enum { BATCH = 8, PACE_BYTES = 1 << 20, FLUSH_BYTES = 8 << 20 };
enum { REST_NS_MAX = 50 * 1000 * 1000 };
#define NS_PER_S 1000000000ULL

struct sweep {
	struct gc *gc;
	struct store_slot *slot;
	struct chunk_maker *maker;
	struct gc_pack batch[BATCH]; /* what is condemned now */
	uint32_t n;
	uint64_t unflushed, paced;
	int64_t paced_ns;
	struct gc_list later; /* there was no room to copy what they hold */
};

/* --- pace --- */

static void rest(const struct sweep *w, int64_t worked_ns)
{
	uint32_t mib = w->gc->o->mib_per_second;
	int64_t ns = worked_ns;

	if (w->gc->core->o.no_threads)
		return;
	if (ns > REST_NS_MAX)
		ns = REST_NS_MAX;
	if (mib > 0) {
		int64_t due =
			(int64_t)(w->paced * NS_PER_S / ((uint64_t)mib << 20));

		if (due - worked_ns > ns)
			ns = due - worked_ns;
	}
	if (ns > 0) {
		const struct timespec t = { .tv_sec = ns / (int64_t)NS_PER_S,
					    .tv_nsec = ns % (int64_t)NS_PER_S };

		nanosleep(&t, NULL);
	}
}

static int flush_target(struct sweep *w)
{
	struct gc *g = w->gc;

	w->unflushed = 0;
	return g->target ? store_fail(g->store, packfile_flush(g->target)) : 0;
}

static int pace(struct sweep *w, uint64_t bytes)
{
	int64_t now = 0;
	int rc = 0;

	w->unflushed += bytes;
	w->paced += bytes;
	if (w->unflushed >= FLUSH_BYTES)
		rc = flush_target(w);
	if (w->paced < PACE_BYTES || rc < 0)
		return rc;
	now = vio_mono_ns(w->gc->store->vio);
	rest(w, now - w->paced_ns);
	w->paced = 0;
	w->paced_ns = vio_mono_ns(w->gc->store->vio);
	return gc_tick(w->gc, w->gc->done, w->gc->all);
}

/* --- copying one pack --- */

static void tell_bad(struct sweep *w, const struct packfile *f,
		     const struct pack_entry *e)
{
	char hex[DIGEST_HEX_SIZE], words[256];

	digest_hex(hex, &e->id);
	snprintf(words, sizeof(words),
		 "%s: chunk %.16s... at %" PRIu32 " is damaged and there is no "
		 "other copy: the pack stays",
		 f->name, hex, e->off);
	if (w->gc->o->found)
		w->gc->o->found(w->gc->o->ctx, words);
}

/* The record as it lies in its pack, its bytes verified. */
static int read_record(struct sweep *w, struct chunk *out, struct packfile *f,
		       const struct pack_entry *e)
{
	struct pack_record r = { 0 };
	int rc = packfile_read(f, &r, w->slot->record, e->off, e->stored_len);

	if (rc == 0 && !digest_eq(&r.id, &e->id))
		rc = -ERR_CORRUPT;
	if (rc < 0)
		return rc;
	pack_record_chunk(out, &r, w->slot->record + PACK_RECORD_SIZE);
	return chunk_verify(w->slot->raw, w->slot->unpacker, out);
}

/* From a replica, or made again from whatever copy the store can read. */
static int other_copy(struct sweep *w, struct chunk *out, struct packfile *f,
		      const struct pack_entry *e)
{
	const struct location at = {
		.pack = f->number,
		.off = e->off,
		.len_hint = e->stored_len,
	};
	struct store *s = w->gc->store;
	struct store_ref ref = { .p = NULL };
	struct pack_record r = { 0 };
	int rc = store_repair(s, w->slot, &r, &e->id, &at);

	if (rc >= 0) { /* put back or not: it goes to another pack now */
		pack_record_chunk(out, &r, w->slot->record + PACK_RECORD_SIZE);
		return 0;
	}
	rc = store_get(s, &ref, &e->id, CHUNK_ANY);
	if (rc > 0)
		rc = chunk_make(out, w->maker, (enum chunk_type)rc, ref.p,
				ref.n);
	store_release(&ref);
	if (rc == 0 && !digest_eq(&out->id, &e->id))
		rc = -ERR_HASH;
	return rc < 0 ? rc : 0;
}

/* Room first: what was promised to writers is not taken. */
static int append(struct sweep *w, const struct chunk *c)
{
	struct space *space = &w->gc->store->space;
	uint64_t cost = packfile_cost(c->stored_len);
	int rc = space_reserve_gc(space, cost);

	if (rc < 0)
		return rc;
	do
		rc = store_append(w->gc->store, &w->gc->target, c);
	while (rc == -ENOSPC && space_relieve(space, SPACE_COLLECT));
	space_unreserve(space, cost);
	return rc;
}

static int copy_record(struct sweep *w, struct packfile *f,
		       const struct pack_entry *e)
{
	struct core_gc_report *report = w->gc->report;
	struct chunk c = { .type = 0 };
	int rc = read_record(w, &c, f, e);

	if (rc < 0 && rc != -ENOMEM) {
		rc = other_copy(w, &c, f, e);
		if (rc == 0)
			report->repaired++;
		else if (rc != -ENOMEM)
			rc = -ERR_MISSING_CHUNK;
	}
	if (rc == 0)
		rc = append(w, &c);
	if (rc < 0)
		return rc;
	report->chunks_copied++;
	report->bytes_copied += c.stored_len;
	return pace(w, PACK_RECORD_SIZE + (uint64_t)c.stored_len);
}

struct entries {
	struct pack_entry *v;
	uint32_t n, cap;
};

static int collect(void *ctx, const struct pack_entry *e)
{
	struct entries *l = ctx;

	if (l->n == l->cap) {
		uint32_t cap = l->cap ? 2 * l->cap : 1024;
		void *p = realloc(l->v, cap * sizeof(*l->v));

		if (!p)
			return -ENOMEM;
		l->v = p;
		l->cap = cap;
	}
	l->v[l->n++] = *e;
	return 0;
}

static int by_offset(const void *a, const void *b)
{
	const struct pack_entry *x = a, *y = b;

	return x->off < y->off ? -1 : x->off > y->off;
}

/* Is there room for all that is needed of it?  Half a copy gives nothing. */
static int has_room(struct sweep *w, const struct gc_pack *p)
{
	struct space *space = &w->gc->store->space;
	uint64_t cost = p->live + (uint64_t)p->live_chunks * PACK_ENTRY_SIZE;
	int rc = cost ? space_reserve_gc(space, cost) : 0;

	if (cost && rc == 0)
		space_unreserve(space, cost);
	return rc;
}

/* Copies what is needed.  -ERR_MISSING_CHUNK: a record is lost. */
static int copy_pack(struct sweep *w, struct gc_pack *p)
{
	struct entries l = { .n = 0 };
	int rc = has_room(w, p);

	if (rc == 0)
		rc = packfile_each(p->file, collect, &l);
	if (rc < 0) {
		free(l.v);
		return rc;
	}

	if (l.n > 1)
		qsort(l.v, l.n, sizeof(*l.v), by_offset);
	p->chunks = l.n;
	p->live_chunks = 0;
	p->live = 0;
	for (uint32_t i = 0; rc == 0 && i < l.n; i++) {
		rc = gc_needs(w->gc, w->slot, p->file, &l.v[i], true);
		if (rc <= 0)
			continue;
		p->live_chunks++;
		p->live += l.v[i].stored_len;
		rc = copy_record(w, p->file, &l.v[i]);
		if (rc == -ERR_MISSING_CHUNK)
			tell_bad(w, p->file, &l.v[i]);
	}
	free(l.v);
	return rc;
}

/* --- a batch --- */

static void spare(struct gc_pack *p)
{
	atomic_store(&p->file->condemned, false);
}

/* Takes the i-th out of the batch: it stays. */
static void keep(struct sweep *w, uint32_t i)
{
	spare(&w->batch[i]);
	w->n--;
	memmove(&w->batch[i], &w->batch[i + 1],
		(w->n - i) * sizeof(w->batch[0]));
}

static void keep_from(struct sweep *w, uint32_t i)
{
	while (w->n > i)
		keep(w, w->n - 1);
}

/*
 * Copies what is needed of each.  Packs that are damaged stay; an end that was
 * asked for lets those stay that were not copied yet.  One that there is no
 * room to copy waits: those that are dead, or need less, make some.
 */
static int copy_batch(struct sweep *w)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < w->n;) {
		const struct gc_pack was = w->batch[i];

		rc = copy_pack(w, &w->batch[i]);
		if (rc == -ENOSPC) {
			rc = gc_list_add(&w->later, &was);
			keep(w, i);
		} else if (rc == -ERR_MISSING_CHUNK || rc == -ERR_CORRUPT ||
			   rc == -EIO) {
			rc = store_failed(w->gc->store) ? rc : 0;
			w->gc->report->packs_kept++;
			keep(w, i);
		} else if (rc < 0) {
			keep_from(w, i);
		} else {
			i++;
		}
	}
	return rc;
}

struct forget {
	struct store *store;
	uint64_t pack;
};

static int forget_place(void *ctx, const struct pack_entry *e)
{
	const struct forget *k = ctx;
	const struct location at = {
		.pack = k->pack,
		.off = e->off,
		.len_hint = e->stored_len,
	};
	int rc = locations_del(k->store->locations, &e->id, &at);

	/* what it lists of a removed pack does no harm */
	return rc == -ENOSPC ? 0 : rc;
}

static int forget_places(struct sweep *w)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < w->n; i++) {
		struct forget k = { .store = w->gc->store,
				    .pack = w->batch[i].file->number };

		rc = packfile_each(w->batch[i].file, forget_place, &k);
	}
	if (rc == 0)
		rc = store_table_flush(w->gc->store, NULL);
	return rc == -ENOSPC ? 0 : rc;
}

static void count_removed(struct sweep *w, const struct gc_pack *p,
			  uint64_t raw, uint64_t stored)
{
	struct core_gc_report *out = w->gc->report;
	struct store *s = w->gc->store;

	atomic_fetch_sub(&s->chunks, p->chunks);
	atomic_fetch_sub(&s->raw_bytes, raw);
	atomic_fetch_sub(&s->stored_bytes, stored);
	out->packs_deleted += p->live_chunks == 0;
	out->packs_rewritten += p->live_chunks > 0;
	out->chunks_freed += p->chunks - p->live_chunks;
	out->bytes_freed += stored - p->live;
}

static int remove_batch(struct sweep *w)
{
	struct packfile *v[BATCH] = { NULL };
	uint64_t raw[BATCH] = { 0 }, stored[BATCH] = { 0 };
	int rc = 0;

	for (uint32_t i = 0; i < w->n; i++) {
		v[i] = w->batch[i].file;
		raw[i] = v[i]->raw_bytes; /* nothing is added any more */
		stored[i] = v[i]->stored_bytes;
	}
	do
		rc = packs_remove(&w->gc->store->packs, v, w->n);
	while (rc == -ENOSPC &&
	       space_relieve(&w->gc->store->space, SPACE_SETTLE));
	space_changed(&w->gc->store->space);
	if (rc == -ENOSPC || rc == -ENOMEM) {
		keep_from(w, 0); /* with copies elsewhere: the next run's */
		return rc;
	}
	for (uint32_t i = 0; i < w->n; i++)
		count_removed(w, &w->batch[i], raw[i], stored[i]);
	return store_fail(w->gc->store, rc);
}

/* Condemns the next packs of the list. */
static void condemn(struct sweep *w, const struct gc_list *list, uint32_t from)
{
	uint64_t live = 0;

	w->n = 0;
	for (uint32_t i = from; i < list->n && w->n < BATCH; i++) {
		live += list->v[i].live;
		if (w->n > 0 && live > LIMIT_PACK)
			break;
		w->batch[w->n++] = list->v[i];
		atomic_store(&list->v[i].file->condemned, true);
	}
}

/*
 * *io_at: how far the list is done.  Everything that was copied is made use of
 * before an end.
 */
static int sweep_batch(struct sweep *w, const struct gc_list *list,
		       uint32_t *io_at)
{
	int end = 0;
	int rc = 0;

	condemn(w, list, *io_at);
	*io_at += w->n;
	rc = gc_wait(w->gc);
	if (rc < 0) {
		keep_from(w, 0);
		return rc;
	}
	end = copy_batch(w);
	if (end < 0 && end != -ECANCELED)
		rc = end;
	if (rc == 0)
		rc = flush_target(w);
	if (rc == 0 && w->n > 0)
		rc = forget_places(w);
	if (rc == 0 && w->n > 0)
		rc = lease_wait(&w->gc->store->lease, NULL, NULL);
	if (rc == 0 && w->n > 0)
		rc = remove_batch(w);
	else
		keep_from(w, 0);
	return rc < 0 ? rc : end;
}

static uint64_t taken(const struct sweep *w)
{
	const struct core_gc_report *r = w->gc->report;

	return r->packs_deleted + r->packs_rewritten;
}

/*
 * All of the list; what there was no room to copy once more, as long as others
 * give some.  What is left then is the next run's, unless nothing was given.
 */
static int sweep_list(struct sweep *w, const struct gc_list *first)
{
	struct gc_list list = *first;
	uint64_t before = taken(w), start = before;
	int rc = 0;

	for (;;) {
		for (uint32_t at = 0; rc == 0 && at < list.n;) {
			rc = gc_tick(w->gc, at, list.n);
			if (rc == 0)
				rc = sweep_batch(w, &list, &at);
		}
		if (list.v != first->v)
			free(list.v);
		list = w->later;
		w->later = (struct gc_list){ .n = 0 };
		if (rc < 0 || list.n == 0 || taken(w) == before)
			break;
		before = taken(w);
	}
	w->gc->report->packs_kept += list.n;
	if (rc == 0 && list.n > 0 && before == start)
		rc = -ENOSPC;
	free(list.v);
	return rc;
}

int gc_sweep(struct gc *g, const struct gc_list *list, struct errmsg *em)
{
	struct sweep w = {
		.gc = g,
		.slot = store_slot_take(g->store),
		.maker = chunk_maker_new(),
		.paced_ns = vio_mono_ns(g->store->vio),
	};
	int rc = w.slot && w.maker ? 0 : -ENOMEM;
	int back = 0;

	gc_part(g, "sweep");
	if (rc == 0)
		rc = sweep_list(&w, list);
	if (g->target && store_failed(g->store) == 0)
		back = packs_give_back(&g->store->packs, take(g->target));
	if (rc == 0)
		rc = store_fail(g->store, back);
	if (w.slot)
		store_slot_give(g->store, w.slot);
	chunk_maker_free(w.maker);
	return rc < 0 && rc != -ECANCELED ?
		       errmsg_set(em, rc, "packs: %s", err_text(rc)) :
		       rc;
}
