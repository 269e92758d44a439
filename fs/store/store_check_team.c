/*
 * store_check_team.c - checks the records of a pack in memory on all cores, and
 * reads the next pack meanwhile: for packs that replicas are compared with,
 * and as the first look at those that store_check_stream.c did not find whole.
 *
 * What it buys: one thread that reads 64 MiB, then hashes them, leaves the
 * disk idle half of the time and all cores but one all of it.  Nearly every
 * pack is whole, so here the record headers are walked (one cache line each)
 * and the workers take records off that list.  At the first thing that is not
 * right the whole pack is left to the careful scan (store_check.c), which
 * finds out what is good: what is told and put right does not depend on
 * threads.
 *
 * Packs of less than TEAM_MIN bytes are checked by the caller alone, so small
 * stores start no threads.
 *
 * Memory: a second buffer of LIMIT_PACK bytes, and a slot for each worker.
 *
 * Threads: the caller and its workers; the caller waits for them before it
 * touches what they read.
 */
#include <stdlib.h>

#include "base/err.h"
#include "fs/store/store_check_int.h"

enum {
	TEAM_MIN = 1 << 20,
	TEAM_MAX = 8, /* workers */
	CLAIM = 8,    /* records at a time */
};

/* The records that the workers share: read only while they run. */
struct payloads {
	struct work work;
	struct store_checker *c;
	atomic_uint_least32_t next;
	atomic_bool bad; /* or no memory: the careful scan finds out */
};

struct ahead {
	struct work work;
	struct packfile *file; /* NULL: nothing was asked for */
	uint8_t *p;
	ssize_t n; /* -EAGAIN: not read */
};

struct store_checker_team {
	struct workers *workers;
	struct payloads payloads;
	struct ahead ahead;
};

/* --- records --- */

size_t store_checker_record(const struct store_checker *c,
			    struct pack_record *out, size_t off)
{
	if (pack_record_decode(out, c->p + off, c->records_end - off) < 0 ||
	    c->records_end - off - PACK_RECORD_SIZE < out->stored_len)
		return 0;
	return PACK_RECORD_SIZE + (size_t)out->stored_len;
}

bool store_checker_payload(const struct pack_record *r, const uint8_t *stored,
			   struct store_slot *slot)
{
	struct chunk k = { 0 };

	if (!pack_record_holds(r, stored, r->stored_len))
		return false;
	if (r->type == PACK_CLOSE_MARK)
		return true;
	pack_record_chunk(&k, r, stored);
	return chunk_check(slot->raw, slot->unpacker, &k) == 0;
}

static bool is_right(const struct store_checker *c, uint32_t i,
		     struct store_slot *slot)
{
	size_t off = c->good[i].off;
	struct pack_record r = { 0 };

	return store_checker_record(c, &r, off) != 0 &&
	       store_checker_payload(&r, c->p + off + PACK_RECORD_SIZE, slot);
}

static void check_claims(struct payloads *k, struct store_slot *slot)
{
	const struct store_checker *c = k->c;

	while (!atomic_load_explicit(&k->bad, memory_order_relaxed)) {
		uint32_t i = atomic_fetch_add(&k->next, CLAIM);
		uint32_t end = i + CLAIM;

		if (i >= c->n_good)
			return;
		for (; i < end && i < c->n_good; i++)
			if (!is_right(c, i, slot))
				atomic_store(&k->bad, true);
	}
}

static void payload_work(struct work *w)
{
	struct payloads *k = (struct payloads *)w;
	struct store_slot *slot = NULL;

	if (atomic_load(&k->next) >= k->c->n_good)
		return;
	/* one more, for each that came */
	workers_push(k->c->team->workers, w);
	slot = store_slot_take(k->c->store);
	if (slot)
		check_claims(k, slot);
	store_slot_give(k->c->store, slot);
}

struct workers *store_checker_workers(struct store_checker *c)
{
	struct store_checker_team *t = c->team;

	if (!t->workers &&
	    workers_open(&t->workers, thread_cores(TEAM_MAX)) < 0)
		return NULL;
	return t->workers;
}

/* Lists the records by their headers; 0 when something is not right. */
static int walk(struct store_checker *c)
{
	struct pack_record r = { 0 };
	size_t off = PACK_HEADER_SIZE;

	c->n_good = 0;
	c->n_holes = 0;
	c->durable = 0;
	while (off < c->records_end) {
		size_t len = store_checker_record(c, &r, off);
		int rc = 0;

		if (len == 0)
			return 0;
		if (r.durable > c->durable)
			c->durable = r.durable;
		if (r.type != PACK_CLOSE_MARK)
			rc = store_checker_good(c, &r, off);
		else if (!store_checker_payload(
				 &r, c->p + off + PACK_RECORD_SIZE, c->slot))
			return 0;
		if (rc < 0)
			return rc;
		off += len;
	}
	return 1;
}

int store_checker_fast(struct store_checker *c)
{
	struct store_checker_team *t = c->team;
	struct payloads *k = &t->payloads;
	bool share = c->n >= TEAM_MIN && store_checker_workers(c);
	int rc = walk(c);

	if (rc <= 0)
		return rc;
	k->work = (struct work){ .fn = payload_work };
	k->c = c;
	atomic_store(&k->next, 0);
	atomic_store(&k->bad, false);
	if (share)
		workers_push(t->workers, &k->work);
	check_claims(k, c->slot);
	if (share)
		workers_cancel(t->workers, &k->work);
	return !atomic_load(&k->bad);
}

/* --- the next pack --- */

static void ahead_work(struct work *w)
{
	struct ahead *a = (struct ahead *)w;

	a->n = packfile_bytes(a->file, a->p, LIMIT_PACK, 0);
}

bool store_checker_take_ahead(struct store_checker *c)
{
	struct ahead *a = &c->team->ahead;
	bool is_it = a->file == c->file;
	uint8_t *p = c->p;

	if (!a->file)
		return false;
	workers_cancel(c->team->workers, &a->work);
	a->file = NULL;
	if (!is_it || a->n < 0)
		return false; /* read it again: that tells what is wrong */
	c->p = a->p;
	a->p = p;
	c->n = (size_t)a->n;
	c->records_end = c->n;
	return true;
}

/* Only what does not change any more: what it is goes with its bytes. */
void store_checker_read_ahead(struct store_checker *c)
{
	struct store_checker_team *t = c->team;
	struct packfile *f = packs_after(&c->store->packs, c->file->number);

	if (!f || packfile_state(f) != PACK_SEALED ||
	    packfile_durable(f) < TEAM_MIN || !store_checker_workers(c))
		return;
	if (!t->ahead.p)
		t->ahead.p = malloc(LIMIT_PACK);
	if (!t->ahead.p)
		return;
	t->ahead.work = (struct work){ .fn = ahead_work };
	t->ahead.file = f;
	t->ahead.n = -EAGAIN;
	workers_push(t->workers, &t->ahead.work);
}

/* --- the team --- */

int store_checker_team_open(struct store_checker *c)
{
	c->team = calloc(1, sizeof(*c->team));
	return c->team ? 0 : -ENOMEM;
}

void store_checker_team_close(struct store_checker *c)
{
	if (!c->team)
		return;
	workers_close(c->team->workers);
	free(c->team->ahead.p);
	free(take(c->team));
}
