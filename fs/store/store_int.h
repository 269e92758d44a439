/*
 * store_int.h - the inside of a store, for store*.c and replicate.c alone.
 *
 * Lock order: settle_mu, restore_mu, replica_mu, store_replica.mu, packs.mu,
 * packfile.mu, handles.mu; the mutexes of cache, staging, verified, space and
 * slots are leaves.  Disk I/O happens under settle_mu, restore_mu,
 * store_replica.mu, packfile.mu (appends of its owner), ballast.mu (outside
 * space.mu) and no other; files are opened under handles.mu.
 */
#ifndef FS_STORE_INT_H
#define FS_STORE_INT_H

#include <stdatomic.h>

#include "base/thread.h"
#include "fs/store/chunk_cache.h"
#include "fs/store/lease.h"
#include "fs/store/locations.h"
#include "fs/store/packs.h"
#include "fs/store/space.h"
#include "fs/store/staging.h"
#include "fs/store/store.h"
#include "fs/store/verified.h"

/* What of a chunk is asked for, and where it goes. */
struct store_part {
	uint8_t *out;
	uint64_t off;
	size_t n;
};

/* Scratch to read one record; taken from a pool. */
struct store_slot {
	struct store_slot *next;
	struct chunk_unpacker *unpacker;
	const struct store_part *part; /* copied before the hash; or NULL */
	uint8_t record[PACK_RECORD_SIZE + LIMIT_CHUNK];
	uint8_t raw[LIMIT_CHUNK];
};

/* One replica beside the store itself. */
struct store_replica {
	struct store_replica *next;
	struct replica *replica;
	struct mutex mu; /* serialises calls on the replica */
	uint32_t users;	 /* guarded by store.replica_mu */
	bool removed;	 /* guarded by store.replica_mu */
	/* packs whose repair a failed flush may have lost; guarded by mu */
	uint64_t *doubts;
	uint32_t n_doubts;
	bool doubt_all; /* guarded by mu: there was no memory for the list */
};

struct store {
	struct vio *vio;
	bool read_only;
	void (*on_repair)(void *ctx, const struct digest *id,
			  const char *replica, bool ok);
	void (*on_hop)(void *ctx, enum store_hop hop, void *p, size_t n);
	void *ctx;

	struct packs packs;
	uint64_t complete; /* packs below were, and listed, before the open */
	struct lease lease;
	struct locations *locations;
	struct verified verified; /* store_place()s */
	struct verified told;	  /* chunks whose loss was told */
	struct chunk_cache cache;
	struct staging staging;
	struct space space;

	struct mutex settle_mu;
	struct packfile *settle; /* guarded by settle_mu */
	/* guarded by settle_mu; NULL: none yet */
	struct chunk_maker *settle_maker;

	struct mutex slot_mu;
	struct store_slot *slots; /* guarded by slot_mu */

	struct mutex restore_mu; /* one restorer at a time */
	struct mutex replica_mu;
	struct store_replica *replicas; /* guarded by replica_mu */
	int64_t restored_ns;		/* guarded by restore_mu */

	atomic_int failed;		     /* first error that was not soft */
	atomic_bool relisted;		     /* all packs were listed again */
	atomic_bool table_bad;		     /* forget the table at close */
	atomic_bool unlisted;		     /* a chunk could not be listed */
	atomic_uint_least64_t settle_number; /* of the settling pack, or 0 */
	atomic_uint_least64_t puts; /* into the table since its flush */
	atomic_uint_least64_t chunks, stored_bytes, raw_bytes;
	atomic_uint_least64_t dedup_bytes, repaired, unrepaired;
};

/* Tests damage bytes here. */
static inline void store_hop(struct store *s, enum store_hop at, void *p,
			     size_t n)
{
	if (s->on_hop)
		s->on_hop(s->ctx, at, p, n);
}

/* NULL: no memory. */
struct store_slot *store_slot_take(struct store *s);
void store_slot_give(struct store *s, struct store_slot *slot);

/*
 * What store.verified keeps: that the chunk's bytes at this place are good.
 * Another copy, in a pack or in memory, says nothing of them.
 */
struct digest must_use store_place(const struct digest *id, uint64_t pack,
				   uint32_t off);
/* Remembers the first error that is not soft; returns rc. */
int store_fail(struct store *s, int rc);
/* Lists a chunk of a pack in the table. */
int must_use store_list_entry(struct store *s, uint64_t pack,
			      const struct pack_entry *e);
/* Lists every chunk of a pack, by its records if its footer is damaged. */
int must_use store_list_pack(struct store *s, struct packfile *f);
/* Lists every chunk of every pack. */
int must_use store_list_all(struct store *s, uint64_t first);
int must_use store_table_flush(struct store *s, struct errmsg *em);
/*
 * Appends a chunk, whose bytes were verified, to *pack, a pack of the caller's
 * own (NULL: takes one; it may be sealed and another one taken), and lists it.
 */
int must_use store_append(struct store *s, struct packfile **pack,
			  const struct chunk *c);
/* Tells whoever asked, and counts; a loss is told once per chunk. */
void store_told_repair(struct store *s, const struct digest *id,
		       const char *replica, bool ok);
/* A good copy was read: if its loss was told, it is lost no more. */
void store_told_found(struct store *s, const struct digest *id);

/* --- store_get.c --- */

/*
 * Is there a good copy, be it staged, in any pack or
 * on a replica?  What is cached does not count.  0 or an error, told if it is
 * a loss.
 */
int must_use store_probe(struct store *s, const struct digest *id);

/* --- store_replica.c --- */

void store_replicas_release(struct store *s);
/* Replicas one after the other, held while in use; NULL starts and ends. */
struct store_replica *store_replica_next(struct store *s,
					 struct store_replica *r);
/* Lets go of one before the end of the round. */
void store_replica_put(struct store *s, struct store_replica *r);
/*
 * Reads a good record of the chunk at this place of any replica into slot, and
 * puts it back into the store's own pack: 0.  1: it could not be put back (a
 * full or failing disk, a read-only store).  The chunk's raw bytes are in
 * slot->raw in both cases.  -ERR_MISSING_CHUNK when no replica has it.
 */
int must_use store_repair(struct store *s, struct store_slot *slot,
			  struct pack_record *out, const struct digest *id,
			  const struct location *at);
/*
 * Packs of the replica whose bytes may be other on its disk than reading shows,
 * until they are written again; known as long as the replica is open.
 */
void store_replica_doubt_locked(struct store_replica *r, uint64_t pack);
void store_replica_trust_locked(struct store_replica *r, uint64_t pack);
bool store_replica_doubts_locked(const struct store_replica *r, uint64_t pack);
/* Bytes of an object of the replica, short at its end. */
ssize_t must_use store_replica_bytes(struct store_replica *r, const char *name,
				     uint64_t off, void *p, size_t n);

/* --- store_restore.c --- */

/*
 * Fetches packs, tails and gaps that the store lacks and a replica has, at
 * most every 10 s unless `now`.  Returns how many packs got better.
 */
int must_use store_restore_missing(struct store *s, bool now);
/* The same for what one replica has of one pack. */
int must_use store_restore_pack(struct store *s, struct store_replica *r,
				uint64_t number, uint64_t size);
/*
 * A pack without a footer may have lost its end: it has all that any replica
 * has of it now.  -ERR_CORRUPT: it has not; or the error of a replica.
 */
int must_use store_restore_end(struct store *s, struct packfile *f);

#endif
