/*
 * store_replica.c - the replicas a store knows, and repairing a chunk.
 *
 * A record of a replica is used only when its chunk's id was computed from
 * its bytes; it is then put back into the store's pack at the same place, the
 * same bytes.
 *
 * Threads: any.  Calls on one replica are serialised by its mutex.
 */
#include "fs/store/store.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/vio.h"
#include "fs/store/replica.h"
#include "fs/store/store_int.h"

/* --- the list --- */

static void free_replica(struct store_replica *r)
{
	replica_close(r->replica);
	mutex_destroy(&r->mu);
	free(r->doubts);
	free(r);
}

static struct store_replica **find_locked(struct store *s, const char *name)
{
	struct store_replica **p = &s->replicas;

	while (*p && ((*p)->removed || strcmp((*p)->replica->name, name) != 0))
		p = &(*p)->next;
	return p;
}

int store_replica_add(struct store *s, struct replica *replica)
{
	struct store_replica *r = calloc(1, sizeof(*r));
	struct store_replica **p = NULL;

	if (!r)
		return -ENOMEM;
	r->replica = replica;
	mutex_init(&r->mu);
	mutex_lock(&s->replica_mu);
	p = find_locked(s, replica->name);
	if (*p) {
		mutex_unlock(&s->replica_mu);
		mutex_destroy(&r->mu);
		free(r);
		return -EEXIST;
	}
	for (p = &s->replicas; *p; p = &(*p)->next)
		;
	*p = r;
	mutex_unlock(&s->replica_mu);
	return 0;
}

/* Frees what was removed and is not in use.  It stays linked until then. */
static void sweep_locked(struct store *s)
{
	struct store_replica **p = &s->replicas;

	while (*p) {
		struct store_replica *r = *p;

		if (!r->removed || r->users > 0) {
			p = &r->next;
			continue;
		}
		*p = r->next;
		free_replica(r);
	}
}

int store_replica_remove(struct store *s, const char *name)
{
	struct store_replica **p = NULL;
	int rc = -ENOENT;

	mutex_lock(&s->replica_mu);
	p = find_locked(s, name);
	if (*p) {
		(*p)->removed = true;
		rc = 0;
	}
	sweep_locked(s);
	mutex_unlock(&s->replica_mu);
	return rc;
}

void store_replicas_release(struct store *s)
{
	while (s->replicas) {
		struct store_replica *r = s->replicas;

		assert(r->users == 0);
		s->replicas = r->next;
		free_replica(r);
	}
}

struct store_replica *store_replica_next(struct store *s,
					 struct store_replica *r)
{
	struct store_replica *next = NULL;

	mutex_lock(&s->replica_mu);
	next = r ? r->next : s->replicas;
	while (next && next->removed)
		next = next->next;
	if (next)
		next->users++;
	if (r) {
		r->users--;
		sweep_locked(s);
	}
	mutex_unlock(&s->replica_mu);
	return next;
}

void store_replica_put(struct store *s, struct store_replica *r)
{
	if (!r)
		return;
	mutex_lock(&s->replica_mu);
	r->users--;
	sweep_locked(s);
	mutex_unlock(&s->replica_mu);
}

/* --- packs in doubt --- */

bool store_replica_doubts_locked(const struct store_replica *r, uint64_t pack)
{
	for (uint32_t i = 0; i < r->n_doubts; i++)
		if (r->doubts[i] == pack)
			return true;
	return r->doubt_all;
}

void store_replica_doubt_locked(struct store_replica *r, uint64_t pack)
{
	void *p = NULL;

	if (store_replica_doubts_locked(r, pack))
		return;
	p = realloc(r->doubts, (r->n_doubts + 1) * sizeof(*r->doubts));
	if (!p) {
		r->doubt_all = true;
		return;
	}
	r->doubts = p;
	r->doubts[r->n_doubts++] = pack;
}

void store_replica_trust_locked(struct store_replica *r, uint64_t pack)
{
	for (uint32_t i = 0; i < r->n_doubts; i++)
		if (r->doubts[i] == pack)
			r->doubts[i] = r->doubts[--r->n_doubts];
}

/* --- one chunk --- */

ssize_t store_replica_bytes(struct store_replica *r, const char *name,
			    uint64_t off, void *p, size_t n)
{
	ssize_t got = 0;

	mutex_lock(&r->mu);
	got = r->replica->ops->get(r->replica, name, off, p, n);
	mutex_unlock(&r->mu);
	return got;
}

/*
 * A good record of the chunk at this place of this replica, in slot->record,
 * its raw bytes in slot->raw.
 */
static int read_record(struct store_replica *r, struct store_slot *slot,
		       struct pack_record *out, const struct digest *id,
		       const struct location *at)
{
	char name[PACK_NAME_SIZE];
	struct chunk c = { 0 };
	ssize_t n = 0;
	int rc = 0;

	pack_name(name, at->pack);
	n = store_replica_bytes(r, name, at->off, slot->record,
				sizeof(slot->record));
	if (n < 0)
		return (int)n;
	rc = pack_record_decode(out, slot->record, (size_t)n);
	if (rc < 0)
		return rc;
	if (!digest_eq(&out->id, id))
		return -ERR_MISSING_CHUNK;
	if ((size_t)n < PACK_RECORD_SIZE + (size_t)out->stored_len)
		return -ERR_SHORT;
	if (!pack_record_holds(out, slot->record + PACK_RECORD_SIZE,
			       out->stored_len))
		return -ERR_CORRUPT;
	pack_record_chunk(&c, out, slot->record + PACK_RECORD_SIZE);
	return chunk_verify(slot->raw, slot->unpacker, &c);
}

/* Puts the record in slot back into the store's own pack. */
static int put_back(struct store *s, struct store_replica *r,
		    struct store_slot *slot, const struct pack_record *rec,
		    const struct location *at)
{
	struct packfile *f = packs_find(&s->packs, at->pack);
	int rc = -ENOENT;

	if (s->read_only)
		return -EROFS;
	if (f)
		rc = packfile_patch(f, at->off, slot->record,
				    PACK_RECORD_SIZE + (size_t)rec->stored_len);
	if (rc == -ENOENT) {
		rc = store_restore_pack(s, r, at->pack, UINT64_MAX);
		return rc < 0 ? rc : 0;
	}
	return store_fail(s, rc);
}

int store_repair(struct store *s, struct store_slot *slot,
		 struct pack_record *out, const struct digest *id,
		 const struct location *at)
{
	struct store_replica *r = store_replica_next(s, NULL);
	int rc;

	for (; r; r = store_replica_next(s, r)) {
		if (read_record(r, slot, out, id, at) < 0)
			continue;
		rc = put_back(s, r, slot, out, at);
		if (rc == 0)
			store_told_repair(s, id, r->replica->name, true);
		store_replica_put(s, r);
		return rc < 0;
	}
	return -ERR_MISSING_CHUNK;
}
