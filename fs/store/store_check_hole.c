/*
 * store_check_hole.c - bytes of a pack that are no records.
 *
 * In a sealed pack every hole is damage; the chunks that the footer names in
 * it are told one by one, the rest was a close mark.  In another pack a hole
 * is damage when a later record says that it was durable; otherwise it may be
 * what a crash left of bytes that nobody was told about.
 */
#include <stdlib.h>
#include <string.h>

#include "fs/store/replica.h"
#include "fs/store/store_check_int.h"

static bool all_zero(const uint8_t *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* True when the bytes are nothing but good records. */
static bool only_records(struct store_checker *c, const uint8_t *p, size_t n)
{
	struct pack_record r = { 0 };
	struct chunk k = { 0 };
	size_t off = 0;

	while (off < n) {
		const uint8_t *stored = p + off + PACK_RECORD_SIZE;

		if (pack_record_decode(&r, p + off, n - off) < 0 ||
		    n - off - PACK_RECORD_SIZE < r.stored_len ||
		    !pack_record_holds(&r, stored, r.stored_len))
			return false;
		pack_record_chunk(&k, &r, stored);
		if (r.type != PACK_CLOSE_MARK &&
		    chunk_verify(c->slot->raw, c->slot->unpacker, &k) < 0)
			return false;
		off += PACK_RECORD_SIZE + (size_t)r.stored_len;
	}
	return n > 0;
}

/* The same bytes of a replica, when they are good records. */
static bool fill_from_replica(struct store_checker *c,
			      const struct store_checker_hole *h)
{
	struct store *s = c->store;
	size_t n = h->end - h->off;
	autofree uint8_t *p = malloc(n);
	struct store_replica *r = NULL;
	bool ok = false;

	if (!p)
		return false;
	for (r = store_replica_next(s, NULL); r && !ok;) {
		ssize_t got = 0;

		mutex_lock(&r->mu);
		got = r->replica->ops->get(r->replica, c->file->name, h->off, p,
					   n);
		mutex_unlock(&r->mu);
		ok = got == (ssize_t)n && only_records(c, p, n) &&
		     store_fail(s, packfile_patch(c->file, h->off, p, n)) == 0;
		if (ok)
			store_replica_put(s, r);
		else
			r = store_replica_next(s, r);
	}
	return ok;
}

/* In a sealed pack, what no entry names was a close mark. */
static bool fill_with_mark(struct store_checker *c,
			   const struct store_checker_hole *h)
{
	struct pack_record r = { .type = PACK_CLOSE_MARK };
	struct chunk none = { .type = PACK_CLOSE_MARK };
	uint8_t bytes[PACK_RECORD_SIZE];

	if (h->end - h->off != PACK_RECORD_SIZE)
		return false;
	none.stored = bytes;
	pack_record_of(&r, &none, 0);
	pack_record_encode(bytes, &r);
	return store_fail(c->store, packfile_patch(c->file, h->off, bytes,
						   sizeof(bytes))) == 0;
}

void store_checker_holes(struct store_checker *c, const struct pack_entry *v,
			 uint32_t n)
{
	bool may = c->o->repair && !c->store->read_only;

	for (uint32_t i = 0; i < c->n_holes; i++) {
		const struct store_checker_hole *h = &c->holes[i];
		bool damage = v || c->durable >= h->end;
		bool named = false;
		bool ok = false;

		for (uint32_t k = 0; k < n && !named; k++)
			named = v[k].off >= h->off && v[k].off < h->end;
		if (named || (!damage && h->end == c->records_end &&
			      all_zero(c->p + h->off, h->end - h->off)))
			continue;
		if (may)
			ok = fill_from_replica(c, h) ||
			     (v && fill_with_mark(c, h));
		if (damage || ok)
			store_checker_count(c, ok);
		else
			c->report->torn_bytes += h->end - h->off;
		store_checker_found(c, "%s: %zu bytes at %zu are no records%s",
				    c->file->name, h->end - h->off, h->off,
				    ok ? "; repaired" :
				    damage ?
					 "" :
					 " (never acknowledged, or damaged)");
	}
}
