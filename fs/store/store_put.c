/*
 * store_put.c - writing chunks: staging, settling, bulk writers.
 *
 * Dedup: a chunk that a pack lists is not written again if the record's whole
 * id agrees and its bytes, at that very place, were verified since the store
 * was opened, or are now (read back and compared).  A record found bad on this occasion is
 * written anew in place, since good bytes are at hand.
 *
 * A pack that gc has condemned is passed over, and so is one that a check
 * could not read.  What is found elsewhere, or stored, is noted for gc in the
 * same section (lease.h).
 *
 * What counts as durable: bytes below packfile.durable; and everything in the
 * settling pack, because a frame that is not given back has them too.
 *
 * Threads: store_stage, _frame, _unstage any; _settle, _settle_flush and
 * _recover exclude each other by settle_mu; a writer has one user.
 */
#include "fs/store/store.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "fs/store/store_int.h"

enum {
	TABLE_FLUSH_PUTS = 8192,
	/*
	 * What rides in a frame is packed when it settles, if it is small:
	 * zstd takes 40 us for 12 KiB, which an fsync would wait for, and the
	 * disk takes three pages more in less than 10.  What is larger would
	 * fill the WAL.
	 */
	STAGE_PACKED = 64 << 10,
};

struct store_writer {
	struct store *store;
	struct packfile *pack;	/* NULL: none yet */
	struct packfile **deps; /* packs that duplicates lie in */
	uint32_t n_deps, cap_deps;
};

/* --- duplicates --- */

/* The header is good and the stored bytes are not: put ours there. */
static int rewrite(struct store *s, struct packfile *f, struct store_slot *slot,
		   const struct pack_record *r, const struct location *at,
		   const struct chunk *c)
{
	size_t n = PACK_RECORD_SIZE + (size_t)r->stored_len;
	struct chunk packed = *c;
	int rc = 0;

	if (r->codec != CHUNK_RAW)
		chunk_pack(&packed);
	if (s->read_only || r->codec != packed.codec ||
	    !pack_record_holds(r, packed.stored, packed.stored_len))
		return -ERR_CORRUPT;
	pack_record_encode(slot->record, r);
	memcpy(slot->record + PACK_RECORD_SIZE, packed.stored,
	       packed.stored_len);
	rc = store_fail(s, packfile_patch(f, at->off, slot->record, n));
	if (rc == 0)
		store_told_repair(s, &c->id, "bytes written again", true);
	return rc;
}

/*
 * What the record at this place is.  Of a place whose bytes were verified the
 * list in memory says it: the same bytes once more ask nothing of a disk that
 * has just been written.
 */
static int record_at(struct store *s, struct packfile *f, struct pack_record *r,
		     const struct location *at, const struct chunk *c)
{
	struct digest place = store_place(&c->id, at->pack, at->off);

	if (verified_has(&s->verified, &place) &&
	    packfile_listed(f, r, at->off))
		return 0;
	return packfile_header(f, r, at->off);
}

/* True when the record at this place holds the chunk's bytes. */
static bool bytes_there(struct store *s, struct packfile *f,
			struct store_slot *slot, const struct location *at,
			const struct chunk *c)
{
	struct digest place = store_place(&c->id, at->pack, at->off);
	struct pack_record r = { 0 };
	struct chunk have = { 0 };
	int rc = 0;

	if (verified_has(&s->verified, &place))
		return true;
	rc = packfile_read(f, &r, slot->record, at->off, at->len_hint);
	if (rc == -ERR_CORRUPT && digest_eq(&r.id, &c->id))
		rc = rewrite(s, f, slot, &r, at, c);
	if (rc < 0 || !digest_eq(&r.id, &c->id))
		return false;
	pack_record_chunk(&have, &r, slot->record + PACK_RECORD_SIZE);
	if (have.codec != c->codec || have.stored_len != c->stored_len ||
	    memcmp(have.stored, c->stored, c->stored_len) != 0)
		rc = chunk_verify(slot->raw, slot->unpacker, &have);
	if (rc < 0)
		return false;
	verified_add(&s->verified, &place);
	return true;
}

/*
 * Looks for the chunk in the packs.  Returns 1 with its pack (and *out_end,
 * where its record ends there), 0 when it must be written, or an error.
 * `durable`: only where it is known to be.
 */
static int find_duplicate(struct store *s, struct packfile **out,
			  uint64_t *out_end, const struct chunk *c,
			  bool durable)
{
	struct location at[LOCATIONS_MAX];
	struct store_slot *slot = NULL;
	int n = locations_get(s->locations, at, &c->id);
	int found = 0;

	if (n == -ERR_CORRUPT)
		atomic_store(&s->table_bad, true);
	if (n <= 0)
		return n == -ENOMEM ? n : 0;
	slot = store_slot_take(s);
	if (!slot)
		return -ENOMEM;
	for (int i = 0; i < n && !found; i++) {
		struct packfile *f = packs_find(&s->packs, at[i].pack);
		struct pack_record r = { 0 };
		uint64_t end = 0;

		if (!f || atomic_load(&f->condemned) ||
		    atomic_load(&f->doubted) ||
		    record_at(s, f, &r, &at[i], c) < 0 ||
		    !digest_eq(&r.id, &c->id) || r.raw_len != c->raw_len ||
		    r.type != c->type)
			continue;
		end = (uint64_t)at[i].off + PACK_RECORD_SIZE + r.stored_len;
		if (durable && packfile_durable(f) < end &&
		    atomic_load(&s->settle_number) != f->number)
			continue;
		if (!bytes_there(s, f, slot, &at[i], c))
			continue;
		*out = f;
		*out_end = end;
		found = 1;
	}
	store_slot_give(s, slot);
	return found;
}

/* --- appending --- */

/* Makes *pack one that has room for the chunk, sealing what it was. */
static int pack_ready(struct store *s, struct packfile **pack,
		      const struct chunk *c)
{
	int rc = 0;

	if (*pack && (!packfile_fits(*pack, c->stored_len) ||
		      packs_lags(&s->packs, *pack))) {
		rc = packfile_seal_listed(*pack);
		if (rc < 0)
			return rc;
		packs_listed(&s->packs, *pack);
		*pack = NULL;
		rc = packs_tidy(&s->packs);
	}
	while (rc == 0 && !*pack) {
		rc = packs_take(&s->packs, pack);
		if (rc == 0 && !packfile_fits(*pack, c->stored_len)) {
			rc = packfile_seal(*pack);
			if (rc < 0) {
				int back = packs_give_back(&s->packs, *pack);

				rc = back < 0 ? back : rc;
			}
			*pack = NULL;
		}
	}
	return rc;
}

/* Replicas read what is new from the packs. */
static bool followed(struct store *s)
{
	bool yes = false;

	mutex_lock(&s->replica_mu);
	yes = s->replicas != NULL;
	mutex_unlock(&s->replica_mu);
	return yes;
}

int store_pace(struct store *s, struct packfile *f, bool forget)
{
	return store_fail(s, packfile_pace(f, forget && !followed(s)));
}

static int append(struct store *s, struct packfile **pack,
		  const struct chunk *chunk)
{
	struct chunk c = *chunk;
	struct pack_entry e = { .id = c.id, .raw_len = c.raw_len };
	struct digest place = { 0 };
	int rc = 0;

	chunk_pack(&c);
	e.stored_len = c.stored_len;
	rc = pack_ready(s, pack, &c);
	if (rc == 0)
		rc = packfile_append(*pack, &e.off, &c);
	if (rc == 0)
		rc = store_list_entry(s, (*pack)->number, &e);
	if (rc < 0)
		return store_fail(s, rc);
	place = store_place(&c.id, (*pack)->number, e.off);
	verified_add(&s->verified, &place);
	space_wrote(&s->space, packfile_cost(c.stored_len));
	atomic_fetch_add(&s->chunks, 1);
	atomic_fetch_add(&s->raw_bytes, c.raw_len);
	atomic_fetch_add(&s->stored_bytes, c.stored_len);
	return 0;
}

int store_append(struct store *s, struct packfile **pack,
		 const struct chunk *chunk)
{
	int rc = append(s, pack, chunk);

	return rc < 0 ? rc : store_pace(s, *pack, false);
}

static int may_write(const struct store *s)
{
	if (s->read_only)
		return -EROFS;
	return atomic_load(&s->failed) ? -ERR_STICKY : 0;
}

/* --- small chunks --- */

int store_stage(struct store *s, const struct chunk *c, bool *out_frame)
{
	struct chunk packed = { 0 };
	struct packfile *f = NULL;
	uint64_t end = 0;
	unsigned section = 0;
	int rc = may_write(s);

	*out_frame = true;
	if (rc < 0)
		return rc;
	section = lease_enter(&s->lease);
	lease_note(&s->lease, &c->id);
	rc = find_duplicate(s, &f, &end, c, true);
	if (rc > 0) {
		*out_frame = false;
		atomic_fetch_add(&s->dedup_bytes, c->raw_len);
	} else if (rc == 0) {
		packed = *c;
		if (c->raw_len > STAGE_PACKED)
			chunk_pack(&packed);
		packed.maker = NULL;
		rc = staging_add(&s->staging, &packed);
	}
	lease_leave(&s->lease, section);
	return rc < 0 ? rc : 0;
}

const struct chunk *store_frame(struct store *s, const struct digest *id)
{
	return staging_frame(&s->staging, id);
}

void store_unstage(struct store *s, const struct digest *id)
{
	staging_drop(&s->staging, id);
}

static int settle_locked(struct store *s, const struct chunk *c)
{
	struct packfile *f = NULL;
	struct chunk k = *c;
	uint64_t end = 0;
	unsigned section = lease_enter(&s->lease);
	int rc = 0;

	if (!s->settle_maker)
		s->settle_maker = chunk_maker_new();
	if (k.codec == CHUNK_RAW) /* without memory it stays so */
		k.maker = s->settle_maker;
	lease_note(&s->lease, &c->id);
	rc = find_duplicate(s, &f, &end, &k, true);
	if (rc == 0)
		rc = store_append(s, &s->settle, &k);
	lease_leave(&s->lease, section);
	atomic_store(&s->settle_number, s->settle ? s->settle->number : 0);
	return rc < 0 ? rc : 0;
}

int store_settle(struct store *s, const struct digest *ids, size_t n)
{
	autofree uint8_t *stored = malloc(LIMIT_CHUNK);
	struct chunk c = { 0 };
	int rc = may_write(s);

	if (rc < 0)
		return rc;
	if (!stored)
		return -ENOMEM;
	mutex_lock(&s->settle_mu);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		if (!staging_copy(&s->staging, &c, stored, &ids[i]))
			continue;
		rc = settle_locked(s, &c);
		if (rc == 0)
			staging_settled(&s->staging, &ids[i]);
	}
	mutex_unlock(&s->settle_mu);
	return rc;
}

int store_settle_flush(struct store *s)
{
	int rc = may_write(s);

	if (rc < 0)
		return rc;
	mutex_lock(&s->settle_mu);
	if (s->settle)
		rc = packfile_flush(s->settle);
	mutex_unlock(&s->settle_mu);
	if (rc == 0 && atomic_load(&s->puts) >= TABLE_FLUSH_PUTS) {
		rc = store_table_flush(s, NULL);
		if (rc == -ENOSPC)
			rc = 0; /* it is a cache */
	}
	return store_fail(s, rc);
}

int store_recover(struct store *s, const struct chunk *c)
{
	struct store_slot *slot = NULL;
	int rc = s->read_only ? 0 : may_write(s);

	if (rc < 0)
		return rc;
	slot = store_slot_take(s);
	if (!slot)
		return -ENOMEM;
	rc = chunk_verify(slot->raw, slot->unpacker, c);
	store_slot_give(s, slot);
	if (rc < 0)
		return rc;
	if (s->read_only) /* in memory only: nothing may be written */
		return staging_add(&s->staging, c);
	mutex_lock(&s->settle_mu);
	rc = settle_locked(s, c);
	mutex_unlock(&s->settle_mu);
	return rc;
}

/* --- bulk --- */

int store_writer_open(struct store *s, struct store_writer **out)
{
	struct store_writer *w = NULL;
	int rc = may_write(s);

	*out = NULL;
	if (rc < 0)
		return rc;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->store = s;
	*out = w;
	return 0;
}

void store_writer_close(struct store_writer *w)
{
	int rc = 0;

	if (!w)
		return;
	if (w->pack && store_failed(w->store) == 0)
		rc = packs_give_back(&w->store->packs, w->pack);
	store_fail(w->store, rc);
	free(w->deps);
	free(w);
}

static int dep_add(struct store_writer *w, struct packfile *f)
{
	for (uint32_t i = 0; i < w->n_deps; i++)
		if (w->deps[i] == f)
			return 0;
	if (w->n_deps == w->cap_deps) {
		uint32_t cap = w->cap_deps ? 2 * w->cap_deps : 8;
		void *p = realloc(w->deps, cap * sizeof(struct packfile *));

		if (!p)
			return -ENOMEM;
		w->deps = p;
		w->cap_deps = cap;
	}
	w->deps[w->n_deps++] = f;
	return 0;
}

static int put_in_section(struct store_writer *w, const struct chunk *c)
{
	struct packfile *f = NULL;
	uint64_t end = 0;
	int rc = 0;

	lease_note(&w->store->lease, &c->id);
	rc = find_duplicate(w->store, &f, &end, c, false);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return append(w->store, &w->pack, c);
	atomic_fetch_add(&w->store->dedup_bytes, c->raw_len);
	if (f == w->pack || packfile_durable(f) >= end)
		return 0;
	return dep_add(w, f);
}

int store_writer_add(struct store_writer *w, struct packfile **out,
		     const struct chunk *c)
{
	unsigned section = 0;
	int rc = may_write(w->store);

	*out = NULL;
	if (rc < 0)
		return rc;
	section = lease_enter(&w->store->lease);
	rc = put_in_section(w, c);
	lease_leave(&w->store->lease, section);
	if (rc == 0)
		*out = w->pack;
	return rc;
}

int store_writer_put(struct store_writer *w, const struct chunk *c)
{
	struct packfile *f = NULL;
	int rc = store_writer_add(w, &f, c);

	return rc < 0 || !f ? rc : store_pace(w->store, f, false);
}

int store_writer_flush(struct store_writer *w)
{
	int rc = may_write(w->store);

	if (rc == 0 && w->pack)
		rc = packfile_flush(w->pack);
	while (rc == 0 && w->n_deps > 0) {
		rc = packfile_flush(w->deps[w->n_deps - 1]);
		if (rc == 0)
			w->n_deps--;
	}
	return store_fail(w->store, rc);
}
