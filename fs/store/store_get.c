/*
 * store_get.c - reading chunks: cache, staging, packs, replicas.
 *
 * A chunk is hashed in the very buffer that is handed out when it is decoded,
 * and what is asked for is compared with its sums at every serving, after it
 * was copied and where it was copied to: the cache may go bad too, and so may
 * the reply.  A read that finds bad bytes, in whatever memory, tries again.  What is stored raw is read into that
 * buffer at once, and the record's own checksum is left to the hash: copies
 * and second hashes were a third of the CPU of a cold read.  A chunk is
 * decoded by one thread; others that want it wait.
 *
 * The places the table lists are tried in turn; a place whose record is damaged
 * is repaired from a replica.  When the table knows of no good one, the packs
 * are listed anew (once), and then packs that only a replica has are fetched,
 * before the chunk is called missing or lost.
 *
 * Any thread; no lock is held while hashing or on disk I/O.
 */
#include "fs/store/store.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "fs/store/store_int.h"

/* Places that should hold the chunk and do not. */
struct bad_places {
	struct location v[LOCATIONS_MAX];
	int n;
};

enum { GET_TRIES = 3 };

/* How many bytes of the part the chunk has. */
static size_t part_len(const struct store_part *part, const struct cached *e)
{
	if (part->off >= e->n)
		return 0;
	return part->n < e->n - part->off ? part->n :
					    (size_t)(e->n - part->off);
}

/*
 * Sums, then hashes (chunk_cache.h says why in this order).  The part is
 * copied before: so the hash, and that both are still the same afterwards
 * (copy_good()), says that the copy is good, for a third of the cost of sums.
 */
static int check_entry(struct store *s, const struct store_slot *slot,
		       struct cached *e)
{
	const struct store_part *part = slot->part;
	struct digest id = { 0 };

	store_hop(s, STORE_HOP_DECODED, e->p, e->n);
	if (e->type != CHUNK_DATA && e->type != CHUNK_NODE)
		return -ERR_CORRUPT;
	if (part && part->off < e->n)
		memcpy(part->out, e->p + part->off, part_len(part, e));
	chunk_cache_sum(e);
	chunk_hash(&id, e->type, e->p, e->n);
	return digest_eq(&id, &e->id) ? 0 : -ERR_HASH;
}

/* Unpacks a stored chunk into a new entry and hashes it there. */
static int unpack_entry(struct store *s, struct store_slot *slot,
			struct cached **out, const struct chunk *c)
{
	struct cached *e =
		chunk_cache_new(&s->cache, &c->id, c->type, c->raw_len, 0);
	int rc = 0;

	if (!e)
		return -ENOMEM;
	rc = chunk_unpack(e->p, slot->unpacker, c);
	if (rc == 0)
		rc = check_entry(s, slot, e);
	if (rc < 0)
		chunk_cache_discard(&s->cache, e);
	else
		*out = e;
	return rc;
}

/* The record was read around e->p: what is raw is there already. */
static int use_record(struct store *s, struct store_slot *slot,
		      struct cached **out, struct cached *e,
		      const struct pack_record *r)
{
	struct chunk c = { 0 };
	int rc = 0;

	if (r->codec != CHUNK_RAW) {
		pack_record_chunk(&c, r, e->p);
		rc = unpack_entry(s, slot, out, &c);
		chunk_cache_discard(&s->cache, e);
		return rc;
	}
	e->type = r->type;
	e->n = r->raw_len;
	rc = check_entry(s, slot, e);
	if (rc < 0)
		chunk_cache_discard(&s->cache, e);
	else
		*out = e;
	return rc;
}

/* 0: found; 1: another chunk lies there; < 0: damaged or unreadable. */
static int get_place(struct store *s, struct store_slot *slot,
		     struct cached **out, const struct digest *id,
		     const struct location *at)
{
	struct packfile *f = packs_find(&s->packs, at->pack);
	struct pack_record r = { 0 };
	struct chunk c = { 0 };
	struct cached *e = NULL;
	int rc = -ENOENT;

	if (!f && packs_is_removed(&s->packs, at->pack)) {
		/* the table may list what is gone, but need not for ever */
		rc = s->read_only ? 0 : locations_del(s->locations, id, at);
		return rc < 0 && rc != -ENOSPC ? rc : 1;
	}
	if (!f)
		return rc;
	e = chunk_cache_new(&s->cache, id, 0, at->len_hint, PACK_RECORD_SIZE);
	if (!e)
		return -ENOMEM;
	rc = packfile_fetch(f, &r, e->p - PACK_RECORD_SIZE,
			    PACK_RECORD_SIZE + (size_t)at->len_hint, at->off);
	if (rc == 0 && digest_eq(&r.id, id)) {
		store_hop(s, STORE_HOP_RECORD, e->p, r.stored_len);
		return use_record(s, slot, out, e, &r);
	}
	chunk_cache_discard(&s->cache, e);
	if (rc != 0 && rc != -ERR_SHORT)
		return rc;
	/* another chunk, or a longer record than the table says */
	rc = packfile_read(f, &r, slot->record, at->off, at->len_hint);
	if (rc == 0 && !digest_eq(&r.id, id))
		return 1;
	if (rc < 0)
		return rc;
	pack_record_chunk(&c, &r, slot->record + PACK_RECORD_SIZE);
	return unpack_entry(s, slot, out, &c);
}

static int get_places(struct store *s, struct store_slot *slot,
		      struct cached **out, const struct digest *id,
		      struct bad_places *bad)
{
	struct location at[LOCATIONS_MAX];
	int n = locations_get(s->locations, at, id);

	bad->n = 0;
	if (n == -ERR_CORRUPT) {
		atomic_store(&s->table_bad, true);
		n = 0;
	}
	if (n < 0)
		return n;
	for (int i = 0; i < n; i++) {
		struct digest place = store_place(id, at[i].pack, at[i].off);
		int rc = get_place(s, slot, out, id, &at[i]);

		/* a place is bad when it is bad twice: memory fails, too */
		if (rc < 0 && rc != -ENOMEM)
			rc = get_place(s, slot, out, id, &at[i]);
		if (rc == 0)
			verified_add(&s->verified, &place);
		if (rc == 0 || rc == -ENOMEM)
			return rc;
		if (rc > 0)
			continue;
		verified_drop(&s->verified, &place);
		bad->v[bad->n++] = at[i];
	}
	return bad->n > 0 ? -ERR_CORRUPT : -ERR_MISSING_CHUNK;
}

static int get_repaired(struct store *s, struct store_slot *slot,
			struct cached **out, const struct digest *id,
			const struct bad_places *bad)
{
	for (int i = 0; i < bad->n; i++) {
		struct pack_record r = { 0 };
		struct chunk c = { 0 };
		int rc = store_repair(s, slot, &r, id, &bad->v[i]);

		if (rc == -ENOMEM)
			return rc;
		if (rc < 0)
			continue;
		pack_record_chunk(&c, &r, slot->record + PACK_RECORD_SIZE);
		rc = unpack_entry(s, slot, out, &c);
		if (rc == 0 || rc == -ENOMEM)
			return rc;
	}
	return bad->n > 0 ? -ERR_CORRUPT : -ERR_MISSING_CHUNK;
}

/* The table may be wrong: look at every footer, then at the replicas. */
static int get_relisted(struct store *s, struct store_slot *slot,
			struct cached **out, const struct digest *id)
{
	struct bad_places bad = { .n = 0 };
	int rc = -ERR_MISSING_CHUNK;

	if (!s->read_only && !atomic_exchange(&s->relisted, true) &&
	    store_list_all(s, 0) == 0)
		rc = get_places(s, slot, out, id, &bad);
	if ((rc == -ERR_MISSING_CHUNK || rc == -ERR_CORRUPT) &&
	    store_restore_missing(s, false) > 0)
		rc = get_places(s, slot, out, id, &bad);
	if (rc == -ERR_CORRUPT)
		rc = get_repaired(s, slot, out, id, &bad);
	return rc;
}

/* Out of memory, before the frame is settled; -ENOENT: not staged. */
static int get_staged(struct store *s, struct store_slot *slot,
		      struct cached **out, const struct digest *id)
{
	struct chunk c = { 0 };
	int rc = -ENOENT;

	for (int i = 0; i < GET_TRIES; i++) {
		if (!staging_copy(&s->staging, &c, slot->record, id))
			return -ENOENT;
		store_hop(s, STORE_HOP_STAGED, (void *)(uintptr_t)slot->record,
			  c.stored_len);
		rc = unpack_entry(s, slot, out, &c);
		if (rc == 0 || rc == -ENOMEM)
			return rc;
	}
	return -ERR_CORRUPT;
}

/* From a pack, this store's or a replica's. */
static int get_stored(struct store *s, struct store_slot *slot,
		      struct cached **out, const struct digest *id)
{
	struct bad_places bad = { .n = 0 };
	int rc = get_places(s, slot, out, id, &bad);
	int again;

	if (rc == -ERR_CORRUPT)
		rc = get_repaired(s, slot, out, id, &bad);
	if (rc != -ERR_MISSING_CHUNK && rc != -ERR_CORRUPT)
		return rc;
	again = get_relisted(s, slot, out, id);
	return again == -ERR_MISSING_CHUNK ? rc : again;
}

static int load_in_section(struct store *s, struct cached **out,
			   const struct digest *id,
			   const struct store_part *part)
{
	struct store_slot *slot = store_slot_take(s);
	int rc = 0;

	if (!slot)
		return -ENOMEM;
	slot->part = part;
	rc = get_staged(s, slot, out, id);
	if (rc == -ENOENT)
		rc = get_stored(s, slot, out, id);
	/* staged, too: what memory has now is what settles */
	if (rc == 0)
		store_told_found(s, id);
	else if (rc == -ERR_CORRUPT)
		store_told_repair(s, id, "", false);
	slot->part = NULL;
	store_slot_give(s, slot);
	return rc;
}

/* The places that the table names stay while the section lasts (lease.h). */
static int load(struct store *s, struct cached **out, const struct digest *id,
		const struct store_part *part)
{
	unsigned section = lease_enter(&s->lease);
	int rc = load_in_section(s, out, id, part);

	lease_leave(&s->lease, section);
	return rc;
}

int store_probe(struct store *s, const struct digest *id)
{
	struct cached *e = NULL;
	int rc = load(s, &e, id, NULL);

	if (rc == 0)
		chunk_cache_discard(&s->cache, e);
	return rc;
}

/*
 * Pins the chunk.  Without a part, all of it was hashed or compared right now;
 * else *out_fresh says that it was hashed, and the part copied before.
 */
static int get_entry(struct store *s, struct cached **out,
		     const struct digest *id, const struct store_part *part,
		     bool *out_fresh)
{
	struct chunk_claim claim = { .next = NULL };
	struct cached *e = NULL;
	int rc = 0;

	while ((e = chunk_cache_claim(&s->cache, &claim, id))) {
		*out = e;
		*out_fresh = false;
		if (part || chunk_cache_good(e, 0, UINT64_MAX))
			return 0;
		chunk_cache_drop(&s->cache, e);
		chunk_cache_unpin(&s->cache, e);
	}
	*out_fresh = true;
	rc = load(s, &e, id, part);
	if (rc == 0) {
		chunk_cache_put(&s->cache, e);
		*out = e;
	}
	chunk_cache_loaded(&s->cache, &claim);
	return rc;
}

int store_get(struct store *s, struct store_ref *out, const struct digest *id,
	      enum chunk_type type)
{
	struct cached *e = NULL;
	bool fresh = false;
	int rc = 0;

	*out = (struct store_ref){ .p = NULL };
	rc = get_entry(s, &e, id, NULL, &fresh);
	if (rc < 0)
		return rc;
	if (type != CHUNK_ANY && e->type != type) {
		chunk_cache_unpin(&s->cache, e);
		return -ERR_CORRUPT;
	}
	*out = (struct store_ref){
		.p = e->p,
		.n = e->n,
		.pin = e,
		.store = s,
	};
	return type == CHUNK_ANY ? e->type : 0;
}

/* Copies, unless that was done, and checks what arrived. */
static bool copy_good(struct store *s, struct cached *e,
		      const struct store_part *part, bool fresh)
{
	const uint8_t *from = e->p + part->off;
	size_t n = part_len(part, e);

	if (n == 0)
		return true;
	store_hop(s, STORE_HOP_CACHED, e->p, e->n);
	if (!fresh)
		memcpy(part->out, from, n);
	store_hop(s, STORE_HOP_COPY, part->out, n);
	return fresh ? memcmp(part->out, from, n) == 0 :
		       chunk_cache_good_copy(e, part->out, part->off, n);
}

int store_read(struct store *s, void *out, uint32_t *out_len,
	       const struct digest *id, enum chunk_type type, uint64_t off,
	       size_t n, bool done)
{
	const struct store_part part = { .out = out, .off = off, .n = n };
	int rc = -ERR_CORRUPT;

	for (int i = 0; rc == -ERR_CORRUPT && i < GET_TRIES; i++) {
		struct cached *e = NULL;
		bool fresh = false;

		rc = get_entry(s, &e, id, &part, &fresh);
		if (rc < 0)
			return rc;
		*out_len = e->n;
		if (type != CHUNK_ANY && e->type != type) {
			chunk_cache_unpin(&s->cache, e);
			return -ERR_CORRUPT;
		}
		if (!copy_good(s, e, &part, fresh))
			rc = -ERR_CORRUPT;
		else if (type == CHUNK_ANY)
			rc = e->type;
		if (rc < 0)
			chunk_cache_drop(&s->cache, e);
		if (rc >= 0 && done && off + n == e->n)
			chunk_cache_done(&s->cache, e);
		else
			chunk_cache_unpin(&s->cache, e);
	}
	return rc;
}

void store_release(struct store_ref *ref)
{
	if (ref->pin)
		chunk_cache_unpin(&ref->store->cache, ref->pin);
	*ref = (struct store_ref){ .p = NULL };
}

static int look_in_section(struct store *s, uint32_t *out_len,
			   const struct digest *id)
{
	struct location at[LOCATIONS_MAX];
	struct pack_record r = { 0 };
	int n = staging_type(&s->staging, id);

	if (n != 0)
		return n;
	n = locations_get(s->locations, at, id);
	if (n < 0 && n != -ERR_CORRUPT)
		return n;
	for (int i = 0; i < n; i++) {
		struct packfile *f = packs_find(&s->packs, at[i].pack);

		if (f && packfile_header(f, &r, at[i].off) == 0 &&
		    digest_eq(&r.id, id)) {
			*out_len = r.raw_len;
			return r.type;
		}
	}
	return -ERR_MISSING_CHUNK;
}

int store_look(struct store *s, uint32_t *out_len, const struct digest *id)
{
	unsigned section = lease_enter(&s->lease);
	int rc = 0;

	*out_len = 0;
	rc = look_in_section(s, out_len, id);
	lease_leave(&s->lease, section);
	return rc;
}

int store_type(struct store *s, const struct digest *id)
{
	uint32_t len = 0;

	return store_look(s, &len, id);
}

bool store_has(struct store *s, const struct digest *id)
{
	return store_type(s, id) > 0;
}
