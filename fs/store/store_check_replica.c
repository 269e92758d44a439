/*
 * store_check_replica.c - compares a replica's copy of one pack with the
 * store's, which was checked just before.
 *
 * The pieces are the header, each record that is right in the store, and the
 * footer.  A piece that differs is damage on the replica, and is written over
 * with the store's bytes.  Bytes that the replica does not have yet are no
 * damage; its follower brings them.
 *
 * A flush that fails, be it the follower's, may lose what was written over
 * here, though reading shows it: nothing of it is called repaired then, and the
 * next repair writes over all pieces of that pack without comparing.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "fs/store/replica.h"
#include "fs/store/store_check_int.h"

struct copy {
	struct store_checker *c;
	struct store_replica *r;
	uint8_t *bytes; /* room for the largest piece */
	size_t cap;
	uint64_t size;	 /* of the replica's object */
	uint64_t losses; /* of the replica, before anything was patched */
	bool doubted;	 /* comparing says nothing: see above */
	bool failed;	 /* a piece could not be written */
	unsigned patched, repaired; /* of them those that differed */
};

static int check_piece(struct copy *k, uint64_t off, size_t n)
{
	const struct replica_ops *ops = k->r->replica->ops;
	const char *name = k->c->file->name;
	bool differs, ok = false;

	if (off + n > k->size || off + n > k->c->n || n > k->cap)
		return 0;
	mutex_lock(&k->r->mu);
	differs =
		ops->get(k->r->replica, name, off, k->bytes, n) != (ssize_t)n ||
		memcmp(k->bytes, k->c->p + off, n) != 0;
	if (k->c->o->repair && (differs || k->doubted)) {
		ok = ops->patch(k->r->replica, name, off, k->c->p + off, n) ==
		     0;
		k->patched += ok;
		k->failed = k->failed || !ok;
	}
	mutex_unlock(&k->r->mu);
	if (!differs)
		return 0;
	k->repaired += ok;
	k->c->report->bad++;
	k->c->report->repaired += ok;
	store_checker_found(
		k->c, "replica %s: %s: %zu bytes at %" PRIu64 " differ%s",
		k->r->replica->name, name, n, off, ok ? "; repaired" : "");
	return 0;
}

/* Makes durable what was written over, or notes that it may be lost. */
static void settle_patches(struct copy *k)
{
	struct store_checker *c = k->c;
	struct replica *r = k->r->replica;
	int rc = 0;

	mutex_lock(&k->r->mu);
	if (k->patched > 0)
		rc = r->ops->sync(r);
	if (rc == 0 && k->patched > 0 && r->losses != k->losses)
		rc = -EIO;
	if (rc < 0)
		store_replica_doubt_locked(k->r, c->file->number);
	else if (k->doubted && c->o->repair && !k->failed)
		store_replica_trust_locked(k->r, c->file->number);
	mutex_unlock(&k->r->mu);
	if (rc < 0) {
		c->report->repaired -= k->repaired;
		store_checker_found(c, "replica %s: %s: not repaired: %s",
				    r->name, c->file->name, err_text(rc));
	}
	if (k->doubted) {
		bool ok = rc == 0 && c->o->repair && !k->failed;

		store_checker_count(c, ok);
		store_checker_found(c,
				    "replica %s: %s: a flush failed when it "
				    "was repaired%s",
				    r->name, c->file->name,
				    ok ? "; written again" : "");
	}
}

static int check_copy(struct copy *k)
{
	struct store_checker *c = k->c;
	const struct replica_ops *ops = k->r->replica->ops;
	int rc = 0;

	mutex_lock(&k->r->mu);
	rc = ops->size(k->r->replica, c->file->name, &k->size);
	k->losses = k->r->replica->losses;
	k->doubted = store_replica_doubts_locked(k->r, c->file->number);
	mutex_unlock(&k->r->mu);
	if (rc == -ENOENT)
		return 0; /* not copied yet */
	if (rc < 0) {
		store_checker_found(c, "replica %s: %s: %s",
				    k->r->replica->name, c->file->name,
				    err_text(rc));
		return 0;
	}
	rc = check_piece(k, 0, PACK_HEADER_SIZE);
	for (uint32_t i = 0; rc == 0 && i < c->n_good; i++)
		rc = check_piece(k, c->good[i].off,
				 PACK_RECORD_SIZE +
					 (size_t)c->good[i].stored_len);
	if (rc == 0 && c->n > c->records_end)
		rc = check_piece(k, c->records_end, c->n - c->records_end);
	settle_patches(k);
	return 0;
}

int store_checker_replicas(struct store_checker *c)
{
	/* the largest footer is larger than the largest record */
	size_t cap =
		(size_t)PACK_ENTRIES_MAX * PACK_ENTRY_SIZE + PACK_TRAILER_SIZE;
	autofree uint8_t *bytes = NULL;
	struct store_replica *r = store_replica_next(c->store, NULL);
	int rc = 0;

	if (!r)
		return 0;
	bytes = malloc(cap);
	for (; r; r = store_replica_next(c->store, r)) {
		struct copy k = { .c = c, .r = r, .bytes = bytes, .cap = cap };

		if (!bytes)
			rc = -ENOMEM;
		else if (rc == 0)
			rc = check_copy(&k);
	}
	return rc;
}
