/*
 * ledger_checkpoint.c - sign where the log stands.
 *
 * Steps, each durable before the next: full tiles; the root at the last
 * signed size recomputed from them and compared; the guard; then the signed
 * note, published by rename.  So whoever signs again later, from whatever
 * copy of the store, is measured against the guard first.
 *
 * cp_mu is held throughout.
 */
#include <string.h>

#include "base/atomic_file.h"
#include "base/vio.h"
#include "ledger/key.h"
#include "ledger/ledger_impl.h"
#include "ledger/tile_store.h"
#include "ledger/wal.h"
#include "ledger/wal_mark.h"

static bool soft(int rc)
{
	return rc == -ENOSPC || rc == -EDQUOT || rc == -ENOMEM;
}

int ledger_write_guard(struct ledger *l, struct errmsg *em)
{
	if (l->guard_vio == NULL)
		return 0;
	memcpy(l->guard.volume_id, l->volume.id, sizeof(l->guard.volume_id));
	memcpy(l->guard.origin, l->volume.origin, sizeof(l->guard.origin));
	memcpy(l->guard.incarnation, l->incarnation,
	       sizeof(l->guard.incarnation));
	l->guard.size = l->last_signed.size;
	l->guard.root = l->last_signed.root;
	l->guard.wal = l->resting ? 0 : wal_marked(l->wal);
	return guard_write(&l->guard, l->guard_vio, em);
}

/* The tiles must give the root that was signed, and the one to be signed. */
static int compare_roots(struct ledger *l, const struct ledger_anchor *now,
			 struct errmsg *em)
{
	const struct ledger_anchor *both[2] = { &l->last_signed, now };
	struct digest root;
	int rc;

	for (int i = 0; i < 2; i++) {
		if (both[i]->size == 0)
			continue;
		rc = tile_store_root(l->tiles, &root, both[i]->size);
		if (rc == 0 && !digest_eq(&root, &both[i]->root))
			rc = -ERR_HASH;
		if (rc == -ENOENT)
			rc = -ERR_CORRUPT;
		if (rc < 0)
			return errmsg_set(
				em, rc,
				"tiles do not give the root at size %llu: "
				"nothing is signed",
				(unsigned long long)both[i]->size);
	}
	return 0;
}

static int publish(struct ledger *l, const struct ledger_anchor *now,
		   struct errmsg *em)
{
	struct checkpoint c = { .size = now->size, .root = now->root };
	struct buf note = BUF_INIT;
	int rc;

	memcpy(c.origin, l->volume.origin, sizeof(c.origin));
	rc = checkpoint_sign(&note, &c, l->log_key);
	if (rc == 0)
		rc = atomic_file_write(l->vio, LEDGER_CHECKPOINT, note.p,
				       note.n, 0);
	buf_release(&note);
	if (rc < 0)
		return errmsg_set(em, rc, "%s: %s", LEDGER_CHECKPOINT,
				  err_text(rc));
	mutex_lock(&l->mu);
	l->published = l->seen = *now;
	mutex_unlock(&l->mu);
	return 0;
}

int ledger_checkpoint_locked(struct ledger *l, bool always, struct errmsg *em)
{
	struct ledger_anchor now;
	uint64_t published;
	int rc = ledger_root(l, &now.size, &now.root);

	mutex_lock(&l->mu);
	published = l->published.size;
	mutex_unlock(&l->mu);
	if (rc < 0 || (published == now.size && !always))
		return rc;
	rc = tile_store_write(l->tiles, NULL);
	if (rc < 0)
		return errmsg_set(em, rc, "tiles: %s", err_text(rc));
	rc = compare_roots(l, &now, em);
	if (rc < 0)
		return rc;
	l->last_signed = now;
	rc = ledger_write_guard(l, em);
	if (rc == 0)
		rc = publish(l, &now, em);
	return rc;
}

/*
 * The guard first: one that says more than the mark would refuse a volume
 * that lacks nothing.
 */
int ledger_rest(struct ledger *l, struct errmsg *em)
{
	int rc = ledger_writable(l);

	if (rc < 0)
		return errmsg_set(em, rc, "%s", err_text(rc));
	if (ledger_settled(l) != ledger_size(l) ||
	    ledger_checkpointed(l) != ledger_size(l))
		return 0;
	mutex_lock(&l->cp_mu);
	l->resting = true;
	rc = ledger_write_guard(l, em);
	l->resting = false;
	mutex_unlock(&l->cp_mu);
	if (rc < 0)
		return soft(rc) ? 0 : ledger_fail(l, rc);
	rc = wal_rest(l->wal);
	return rc < 0 ? ledger_fail(l, errmsg_set(em, rc, "%s: %s", WAL_MARK,
						  err_text(rc))) :
			0;
}

int ledger_checkpoint(struct ledger *l, struct errmsg *em)
{
	int rc = ledger_writable(l);

	if (rc < 0)
		return errmsg_set(em, rc, "%s", err_text(rc));
	mutex_lock(&l->cp_mu);
	rc = ledger_checkpoint_locked(l, false, em);
	if (rc < 0 && !soft(rc))
		ledger_fail(l, rc);
	mutex_unlock(&l->cp_mu);
	return rc == -EDQUOT ? -ENOSPC : rc;
}
