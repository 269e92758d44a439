/*
 * store.c - opening, closing and the small parts of the chunk store.
 *
 * Reading is in store_get.c, writing in store_put.c, replicas in
 * store_replica.c, checking in store_check.c.
 *
 * Opening: the location table says which packs it lists completely; the
 * others are listed again from their footers, or from their records where
 * they have none.  Unsealed packs have been read and cut by packfile_open.
 */
#include "fs/store/store.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/vio.h"
#include "fs/store/store_int.h"
#include "ledger/volume.h"

#define CACHE_BYTES (64u << 20)
#define TABLE_BYTES (32u << 20)

/* --- scratch --- */

struct store_slot *store_slot_take(struct store *s)
{
	struct store_slot *slot = NULL;

	mutex_lock(&s->slot_mu);
	slot = s->slots;
	if (slot)
		s->slots = slot->next;
	mutex_unlock(&s->slot_mu);
	if (slot)
		return slot;
	slot = malloc(sizeof(*slot));
	if (!slot)
		return NULL;
	slot->next = NULL;
	slot->unpacker = chunk_unpacker_new();
	if (!slot->unpacker) {
		free(slot);
		return NULL;
	}
	return slot;
}

void store_slot_give(struct store *s, struct store_slot *slot)
{
	if (!slot)
		return;
	mutex_lock(&s->slot_mu);
	slot->next = s->slots;
	s->slots = slot;
	mutex_unlock(&s->slot_mu);
}

static void slots_free(struct store *s)
{
	while (s->slots) {
		struct store_slot *slot = s->slots;

		s->slots = slot->next;
		chunk_unpacker_free(slot->unpacker);
		free(slot);
	}
}

/* --- failure --- */

struct digest store_place(const struct digest *id, uint64_t pack, uint32_t off)
{
	struct digest d = *id;

	/* among the bytes that verified.c looks at */
	for (unsigned i = 0; i < 8; i++)
		d.b[8 + i] ^= (uint8_t)(pack >> 8 * i);
	for (unsigned i = 0; i < 4; i++)
		d.b[16 + i] ^= (uint8_t)(off >> 8 * i);
	return d;
}

int store_fail(struct store *s, int rc)
{
	int healthy = 0;

	if (rc >= 0 || rc == -ENOSPC || rc == -EDQUOT || rc == -ENOMEM ||
	    rc == -ERR_STICKY)
		return rc;
	atomic_compare_exchange_strong(&s->failed, &healthy, rc);
	return rc;
}

int store_failed(struct store *s)
{
	return atomic_load(&s->failed);
}

void store_told_found(struct store *s, const struct digest *id)
{
	if (atomic_load(&s->unrepaired) > 0 && verified_drop(&s->told, id))
		atomic_fetch_sub(&s->unrepaired, 1);
}

void store_told_repair(struct store *s, const struct digest *id,
		       const char *replica, bool ok)
{
	if (ok) {
		store_told_found(s, id);
		atomic_fetch_add(&s->repaired, 1);
	} else {
		/* counted before it is known, so that it is never below 0 */
		atomic_fetch_add(&s->unrepaired, 1);
		if (!verified_add(&s->told, id)) {
			atomic_fetch_sub(&s->unrepaired, 1);
			return;
		}
	}
	if (s->on_repair)
		s->on_repair(s->ctx, id, replica, ok);
}

/* --- the table --- */

int store_list_entry(struct store *s, uint64_t pack, const struct pack_entry *e)
{
	int rc = locations_put(s->locations, &e->id, pack, e->off,
			       e->stored_len);

	atomic_fetch_add(&s->puts, 1);
	if (rc < 0)
		atomic_store(&s->unlisted, true);
	return rc;
}

struct list {
	struct store *store;
	uint64_t pack;
};

static int list_one(void *ctx, const struct pack_entry *e)
{
	struct list *l = ctx;

	return store_list_entry(l->store, l->pack, e);
}

int store_list_pack(struct store *s, struct packfile *f)
{
	struct list l = { .store = s, .pack = f->number };
	int rc = packfile_each(f, list_one, &l);

	if (rc == -ENOMEM || rc == -ENOSPC || rc >= 0)
		return rc;
	rc = packfile_rescan(f);
	return rc < 0 ? rc : packfile_each(f, list_one, &l);
}

int store_list_all(struct store *s, uint64_t first)
{
	struct packfile *f = packs_after(&s->packs, first ? first - 1 : 0);
	int rc = 0;

	for (; rc == 0 && f; f = packs_after(&s->packs, f->number)) {
		rc = store_list_pack(s, f);
		if (rc < 0 && rc != -ENOMEM && rc != -ENOSPC) {
			packfile_unreadable(f);
			rc = 0;
		}
	}
	return rc;
}

int store_table_flush(struct store *s, struct errmsg *em)
{
	struct locations_mark m = { .listed = 0 };

	packs_mark(&s->packs, &m.first, &m.next);
	atomic_store(&s->puts, 0);
	return locations_flush(s->locations, &m, em);
}

/*
 * The last flush: nobody appends, so packs that are not full are all listed
 * too, and the next opening need not list them again (a pack of small files
 * has some 100,000 chunks: 0.1 s, and as many doubles in the table).
 */
static int table_flush_last(struct store *s)
{
	struct locations_mark m = { .listed = 0 };

	packs_mark(&s->packs, &m.first, &m.next);
	if (!atomic_load(&s->unlisted))
		m.listed = packs_print(&s->packs, m.first);
	return locations_flush(s->locations, &m, NULL);
}

/* --- life --- */

static void count_packs(struct store *s)
{
	struct packfile *f = packs_after(&s->packs, 0);

	for (; f; f = packs_after(&s->packs, f->number)) {
		atomic_fetch_add(&s->chunks, f->count);
		atomic_fetch_add(&s->raw_bytes, f->raw_bytes);
		atomic_fetch_add(&s->stored_bytes, f->stored_bytes);
	}
}

static int open_parts(struct store *s, const struct store_options *o,
		      struct errmsg *em)
{
	struct volume volume = { .mount_no = 0 };
	struct packs_options po = {
		.volume_id = o->volume_id,
		.same_volume = true,
		.read_only = o->read_only,
	};
	struct locations_mark m = { .listed = 0 };
	int rc = locations_open(&s->locations, &m, o->vio,
				o->table_cache_bytes ? o->table_cache_bytes :
						       TABLE_BYTES,
				o->read_only, em);

	if (rc < 0)
		return rc;
	if (memcmp(o->volume_id, volume.id, 16) == 0) {
		if (volume_read(&volume, o->vio, NULL) < 0)
			volume = (struct volume){ .mount_no = 0 };
		po.volume_id = volume.id;
		po.same_volume = false;
	}
	po.next_min = m.next;
	s->complete = m.first;
	rc = packs_open(&s->packs, o->vio, &po, em);
	if (rc == 0 &&
	    (m.listed == 0 || m.listed != packs_print(&s->packs, m.first)))
		rc = store_list_all(s, m.first);
	if (rc < 0)
		return errmsg_set(em, rc, "packs: %s", err_text(rc));
	count_packs(s);
	if (atomic_load(&s->puts) > 0 || o->read_only)
		rc = store_table_flush(s, em);
	return rc == -ENOSPC ? 0 : rc; /* next time then */
}

int store_open(struct store **out, const struct store_options *o,
	       struct errmsg *em)
{
	struct store *s = calloc(1, sizeof(*s));
	int rc = -ENOMEM;

	*out = NULL;
	if (!s)
		return -ENOMEM;
	s->vio = o->vio;
	s->read_only = o->read_only;
	s->on_repair = o->on_repair;
	s->on_hop = o->on_hop;
	s->ctx = o->ctx;
	mutex_init(&s->settle_mu);
	mutex_init(&s->slot_mu);
	mutex_init(&s->replica_mu);
	mutex_init(&s->restore_mu);
	lease_init(&s->lease);
	space_init(&s->space, o->vio);
	rc = verified_init(&s->verified, VERIFIED_SETS);
	if (verified_init(&s->told, VERIFIED_SETS_FEW) < 0)
		rc = -ENOMEM;
	if (chunk_cache_init(&s->cache,
			     o->cache_bytes ? o->cache_bytes : CACHE_BYTES) < 0)
		rc = -ENOMEM;
	if (staging_init(&s->staging) < 0)
		rc = -ENOMEM;
	if (rc == 0)
		rc = open_parts(s, o, em);
	if (rc < 0)
		goto fail;
	*out = s;
	return 0;
fail:
	atomic_store(&s->failed, rc); /* nothing is to be written any more */
	store_close(s);
	return rc;
}

void store_close(struct store *s)
{
	bool orderly = false;
	int rc = 0;

	if (!s)
		return;
	orderly = !s->read_only && store_failed(s) == 0;
	if (orderly && s->settle)
		rc = packs_give_back(&s->packs, s->settle);
	if (orderly && rc == 0)
		rc = table_flush_last(s);
	packs_close(&s->packs, orderly && rc == 0);
	locations_close(s->locations);
	if (atomic_load(&s->table_bad) && !s->read_only)
		rc = locations_remove(s->vio);
	store_replicas_release(s);
	staging_release(&s->staging);
	chunk_cache_release(&s->cache);
	verified_release(&s->told);
	verified_release(&s->verified);
	space_release(&s->space);
	slots_free(s);
	chunk_maker_free(s->settle_maker);
	lease_release(&s->lease);
	mutex_destroy(&s->restore_mu);
	mutex_destroy(&s->replica_mu);
	mutex_destroy(&s->slot_mu);
	mutex_destroy(&s->settle_mu);
	free(s);
}

/* --- small things --- */

struct lease *store_lease(struct store *s)
{
	return &s->lease;
}

bool store_collected(struct store *s)
{
	bool yes = false;

	mutex_lock(&s->packs.mu);
	yes = removed_last(&s->packs.removed) > 0;
	mutex_unlock(&s->packs.mu);
	return yes;
}

int store_reserve(struct store *s, uint64_t bytes)
{
	return space_reserve(&s->space, bytes);
}

uint64_t store_owed(struct store *s)
{
	return staging_cost(&s->staging);
}

struct space *store_space(struct store *s)
{
	return &s->space;
}

void store_unreserve(struct store *s, uint64_t bytes)
{
	space_unreserve(&s->space, bytes);
}

size_t store_notes(struct store *s, char *out, size_t cap)
{
	return packs_removed_bad(&s->packs, out, cap);
}

int store_left(struct store *s, uint64_t *out)
{
	return space_left(&s->space, out);
}

void store_stat(struct store *s, struct store_stat *out)
{
	mutex_lock(&s->packs.mu);
	*out = (struct store_stat){ .packs = s->packs.n };
	mutex_unlock(&s->packs.mu);
	out->packs_missing = packs_missing(&s->packs);
	out->chunks = atomic_load(&s->chunks);
	out->stored_bytes = atomic_load(&s->stored_bytes);
	out->raw_bytes = atomic_load(&s->raw_bytes);
	out->dedup_bytes = atomic_load(&s->dedup_bytes);
	out->staged_bytes = staging_bytes(&s->staging);
	out->repaired = atomic_load(&s->repaired);
	out->unrepaired = atomic_load(&s->unrepaired);
}
