/*
 * store_check_stream.c - checks a whole pack piece by piece, on all cores.
 *
 * What it buys: 64 MiB read into fresh memory, then hashed out of it, cost more
 * for page faults and cache misses than for BLAKE3.  A pack says where its
 * records are (the footer, or the list of one that is not sealed yet), so each
 * thread takes a run of records, about a MiB, reads it into a buffer that
 * stays in the processor's cache, and hashes it there.  The disk reads ahead
 * by itself, since the runs follow one another.
 *
 * A pack is whole when its header, its trailer and its list are right, the
 * records on the list fill it without a gap (close marks apart), and each of
 * them has the header that the list says, the bytes that its header says, and
 * the id's hash.  At the first thing that is not right the pack is left to
 * the careful scan (store_check.c): what is told and put right does not depend
 * on threads.  So it is where replicas are compared, byte by byte, with what
 * was hashed.
 *
 * Memory: a buffer of 1.3 MiB and a slot for each thread; the list.
 *
 * Threads: the caller and its workers; the caller waits for them.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "fs/store/store_check_int.h"

enum {
	TEAM_MIN = 1 << 20, /* less: the caller alone */
	PIECE = 1 << 20,
	MARKS_MAX = 16 * PACK_RECORD_SIZE, /* between two records */
	PIECE_MAX = PIECE + PACK_RECORD_SIZE + LIMIT_CHUNK + 2 * MARKS_MAX,
};

/* The pack at hand, shared: its list is only read while they run. */
struct stream {
	struct work work;
	struct store_checker *c;
	struct mutex mu; /* a leaf */
	uint32_t next;	 /* record not taken yet; guarded by mu */
	size_t at;	 /* where its run begins; guarded by mu */
	atomic_bool bad;
};

struct run {
	uint32_t first, n; /* records */
	size_t off, len;   /* bytes */
};

static size_t end_of(const struct pack_entry *e)
{
	return (size_t)e->off + PACK_RECORD_SIZE + e->stored_len;
}

/* Takes the next records; false when there are none. */
static bool take_run(struct stream *k, struct run *out)
{
	const struct store_checker *c = k->c;
	uint32_t i = 0;
	size_t end = 0;

	mutex_lock(&k->mu);
	i = k->next;
	end = k->at;
	*out = (struct run){ .first = i, .off = end };
	while (i < c->n_good &&
	       (i == out->first || end_of(&c->good[i]) - out->off <= PIECE))
		end = end_of(&c->good[i++]);
	if (i == c->n_good)
		end = c->records_end;
	k->next = i;
	k->at = end;
	mutex_unlock(&k->mu);
	out->n = i - out->first;
	out->len = end - out->off;
	return out->len > 0;
}

static bool is_mark(const uint8_t *p, size_t n)
{
	struct pack_record r = { 0 };

	return pack_record_decode(&r, p, n) == 0 && r.type == PACK_CLOSE_MARK;
}

static bool is_listed(const struct pack_record *r, const struct pack_entry *e)
{
	return digest_eq(&r->id, &e->id) && r->type == e->type &&
	       r->codec == e->codec && r->raw_len == e->raw_len &&
	       r->stored_len == e->stored_len;
}

/* Are the bytes at p the run's records, all of them right? */
static bool run_is_right(const struct store_checker *c, const struct run *run,
			 const uint8_t *p, struct store_slot *slot)
{
	size_t at = 0;

	for (uint32_t i = run->first; i < run->first + run->n; i++) {
		const struct pack_entry *e = &c->good[i];
		struct pack_record r = { 0 };

		for (; run->off + at < e->off; at += PACK_RECORD_SIZE)
			if (!is_mark(p + at, run->len - at))
				return false;
		if (pack_record_decode(&r, p + at, run->len - at) < 0 ||
		    !is_listed(&r, e) ||
		    !store_checker_payload(&r, p + at + PACK_RECORD_SIZE, slot))
			return false;
		at += PACK_RECORD_SIZE + (size_t)e->stored_len;
	}
	for (; at < run->len; at += PACK_RECORD_SIZE)
		if (!is_mark(p + at, run->len - at))
			return false;
	return true;
}

static void check_runs(struct stream *k, struct store_slot *slot)
{
	autofree uint8_t *p = malloc(PIECE_MAX);
	struct run run = { 0 };

	while (!atomic_load(&k->bad) && take_run(k, &run)) {
		if (!p || packfile_bytes(k->c->file, p, run.len, run.off) !=
				  (ssize_t)run.len)
			atomic_store(&k->bad, true);
		else if (!run_is_right(k->c, &run, p, slot))
			atomic_store(&k->bad, true);
	}
}

static void stream_work(struct work *w)
{
	struct stream *k = (struct stream *)w;
	struct store_slot *slot = NULL;
	bool more = false;

	mutex_lock(&k->mu);
	more = k->next < k->c->n_good;
	mutex_unlock(&k->mu);
	if (!more)
		return;
	/* one more, for each that came */
	workers_push(store_checker_workers(k->c), w);
	slot = store_slot_take(k->c->store);
	if (slot)
		check_runs(k, slot);
	store_slot_give(k->c->store, slot);
}

/* --- the list --- */

static int by_offset(const void *a, const void *b)
{
	const struct pack_entry *x = a, *y = b;

	return x->off < y->off ? -1 : x->off > y->off;
}

static int add(void *ctx, const struct pack_entry *e)
{
	struct store_checker *c = ctx;
	const struct pack_record r = {
		.id = e->id,
		.type = e->type,
		.codec = e->codec,
		.raw_len = e->raw_len,
		.stored_len = e->stored_len,
	};

	/* what is not durable yet is another check's */
	return end_of(e) <= c->n ? store_checker_good(c, &r, e->off) : 0;
}

/* The file ends in a good trailer, which is this pack's. */
static bool is_sealed(struct store_checker *c)
{
	uint8_t p[PACK_TRAILER_SIZE + 1];
	struct pack_trailer t = { 0 };

	if (c->n < PACK_HEADER_SIZE + PACK_TRAILER_SIZE ||
	    packfile_bytes(c->file, p, sizeof(p), c->n - PACK_TRAILER_SIZE) !=
		    PACK_TRAILER_SIZE ||
	    pack_trailer_decode(&t, p, c->n) < 0 || t.number != c->file->number)
		return false;
	c->records_end = t.entries_off;
	return true;
}

/* Fills c->good, c->n and c->records_end; false: look closer. */
static bool list(struct store_checker *c)
{
	enum packfile_state state = packfile_state(c->file);
	struct pack_header h = { 0 };
	uint8_t p[PACK_HEADER_SIZE];
	size_t at = PACK_HEADER_SIZE;

	c->n = packfile_durable(c->file);
	c->n_good = 0;
	c->records_end = c->n;
	if (!packfile_whole(c->file) || c->file->cut_bytes > 0 ||
	    packfile_bytes(c->file, p, sizeof(p), 0) != sizeof(p) ||
	    pack_header_decode(&h, p, sizeof(p)) < 0 ||
	    h.number != c->file->number)
		return false;
	if (state == PACK_SEALED ? !is_sealed(c) :
	    state == PACK_STILL	 ? packfile_bytes(c->file, p, 1, c->n) != 0 :
				   state != PACK_OPEN)
		return false;
	if (packfile_each(c->file, add, c) < 0)
		return false;
	if (c->n_good > 0)
		qsort(c->good, c->n_good, sizeof(*c->good), by_offset);
	for (uint32_t i = 0; i <= c->n_good; i++) {
		size_t off = i < c->n_good ? c->good[i].off : c->records_end;

		if (off < at || off - at > MARKS_MAX ||
		    (off - at) % PACK_RECORD_SIZE)
			return false;
		at = i < c->n_good ? end_of(&c->good[i]) : off;
	}
	return true;
}

bool store_checker_stream(struct store_checker *c)
{
	struct stream k = {
		.work = { .fn = stream_work },
		.c = c,
		.at = PACK_HEADER_SIZE,
	};
	bool share = false;

	if (!list(c))
		return false;
	mutex_init(&k.mu);
	share = c->n >= TEAM_MIN && store_checker_workers(c);
	if (share)
		workers_push(store_checker_workers(c), &k.work);
	check_runs(&k, c->slot);
	if (share)
		workers_cancel(store_checker_workers(c), &k.work);
	mutex_destroy(&k.mu);
	return !atomic_load(&k.bad);
}
