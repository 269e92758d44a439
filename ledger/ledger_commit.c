/*
 * ledger_commit.c - seal a batch, and commit it.
 *
 * A frame is built once, in a buffer that is used again; its bytes go from
 * there to the disk.  Sealing the next batch needs nothing of the one that is
 * being flushed but its leaf hash, so the two run side by side.
 *
 * Invariants:
 *  1. Frames are committed in the order of their indices.  When one is not
 *     (full disk, or freed), the seals made after it are void: generation.
 *  2. A batch number that was flushed is never signed again: a failed write
 *     is sticky, and a new start has a new incarnation.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/vio.h"
#include "ledger/key.h"
#include "ledger/ledger_impl.h"
#include "ledger/seal.h"
#include "ledger/tile_store.h"
#include "ledger/wal.h"

static struct ledger_frame *frame_get_locked(struct ledger *l)
{
	for (int i = 0; i < LEDGER_POOL; i++)
		if (l->pool[i] != NULL)
			return take(l->pool[i]);
	return calloc(1, sizeof(struct ledger_frame));
}

/* Puts a frame away; one that was sealed and not committed is taken back. */
static void frame_put(struct ledger_frame *f, bool committed)
{
	struct ledger *l = f->l;

	mutex_lock(&l->seal_mu);
	if (!committed && f->generation == l->generation) {
		l->next = f->before;
		l->generation++;
	}
	for (int i = 0; i < LEDGER_POOL; i++) {
		if (l->pool[i] != NULL)
			continue;
		l->pool[i] = take(f);
		break;
	}
	mutex_unlock(&l->seal_mu);
	if (f != NULL) {
		buf_release(&f->bytes);
		buf_release(&f->seal);
		free(f);
	}
}

void ledger_frame_free(struct ledger_frame *f)
{
	if (f != NULL)
		frame_put(f, false);
}

int64_t ledger_frame_wall_ns(const struct ledger_frame *f)
{
	return f->wall_ns;
}

static int batch_root(struct digest *out, const struct ledger_entry *entries,
		      uint32_t n)
{
	struct digest few[64], *leaves = few;

	if (n > sizeof(few) / sizeof(few[0])) {
		leaves = reallocarray(NULL, n, sizeof(*leaves));
		if (leaves == NULL)
			return -ENOMEM;
	}
	for (uint32_t i = 0; i < n; i++)
		leaves[i] = entries[i].leaf;
	seal_batch_root(out, leaves, n);
	if (leaves != few)
		free(leaves);
	return 0;
}

static int seal_locked(struct ledger *l, struct ledger_frame *f,
		       const struct ledger_entry *entries, uint32_t n)
{
	struct seal s = {
		.mount_no = l->volume.mount_no,
		.count = n,
		.batch_seq = l->next.batch_seq,
		.first_seq = l->next.first_seq,
		.prev_seal = l->next.prev_seal,
		.wall_ns = vio_wall_ns(l->vio),
	};
	int rc = batch_root(&s.batch_root, entries, n);

	if (rc < 0)
		return rc;
	if (s.wall_ns < l->next.wall_ns)
		s.flags |= SEAL_CLOCK_BACK;
	if (!vio_wall_synced(l->vio))
		s.flags |= SEAL_CLOCK_UNSYNCED;
	memcpy(s.volume_id, l->volume.id, sizeof(s.volume_id));
	memcpy(s.incarnation, l->incarnation, sizeof(s.incarnation));
	mutex_lock(&l->mu);
	s.seen_size = l->seen.size;
	s.seen_root = l->seen.root;
	mutex_unlock(&l->mu);
	if (s.seen_size == 0)
		s.seen_root = digest_zero;
	buf_clear(&f->seal);
	rc = seal_sign(&f->seal, &s, l->mount_key);
	if (rc < 0)
		return rc;
	f->wall_ns = s.wall_ns;
	seal_leaf(&f->leaf, f->seal.p, f->seal.n);
	return 0;
}

int ledger_seal(struct ledger *l, struct ledger_frame **out, uint64_t *out_seal,
		const struct ledger_entry *entries, uint32_t n,
		const struct ledger_chunk *chunks, uint32_t m)
{
	struct ledger_frame *f;
	struct frame_parts parts;
	int rc = ledger_writable(l);

	*out = NULL;
	if (rc < 0)
		return rc;
	if (n == 0 || n > LIMIT_BATCH)
		return -ERR_LIMIT;
	mutex_lock(&l->seal_mu);
	f = frame_get_locked(l);
	rc = f == NULL ? -ENOMEM : seal_locked(l, f, entries, n);
	if (rc < 0)
		goto done;
	f->l = l;
	f->index = l->next.index;
	f->before = l->next;
	f->generation = l->generation;
	parts = (struct frame_parts){
		.index = f->index,
		.seal = f->seal.p,
		.seal_n = f->seal.n,
		.entries = entries,
		.n = n,
		.chunks = chunks,
		.m = m,
	};
	rc = frame_build(&f->bytes, &f->len, &parts);
	if (rc < 0)
		goto done;
	l->next.index++;
	l->next.batch_seq++;
	l->next.first_seq += n;
	l->next.prev_seal = f->leaf;
	l->next.wall_ns = f->wall_ns;
	*out_seal = f->index;
	*out = take(f);
done:
	mutex_unlock(&l->seal_mu);
	if (f != NULL) {
		buf_release(&f->bytes);
		buf_release(&f->seal);
		free(f);
	}
	return rc;
}

/* The frame is durable: it belongs to the log now. */
static int accept_frame(struct ledger *l, struct ledger_frame *f)
{
	int rc;

	mutex_lock(&l->mu);
	assert(l->size == f->index);
	rc = tile_store_append(l->tiles, f->seal.p, (uint32_t)f->seal.n,
			       &f->leaf);
	if (rc == 0) {
		merkle_frontier_append(&l->frontier, &f->leaf, NULL, NULL);
		l->size++;
	}
	mutex_unlock(&l->mu);
	return rc;
}

int ledger_commit(struct ledger *l, struct ledger_frame *f)
{
	bool committed = false;
	int rc = ledger_writable(l);

	if (rc < 0)
		goto done;
	mutex_lock(&l->commit_mu);
	if (f->index != ledger_size(l)) {
		rc = -ERR_AGAIN;
		goto unlock;
	}
	mutex_lock(&l->seal_mu);
	rc = f->generation == l->generation ? 0 : -ERR_AGAIN;
	mutex_unlock(&l->seal_mu);
	if (rc < 0)
		goto unlock;
	rc = tile_store_room(l->tiles, (uint32_t)f->seal.n);
	if (rc == 0)
		rc = wal_append(l->wal, &f->bytes, f->len, f->index);
	if (rc == 0)
		rc = accept_frame(l, f);
	committed = rc == 0;
	/* of these nothing was written, and the same may go well later */
	if (rc < 0 && rc != -ENOSPC && rc != -ENOMEM && rc != -ERR_LIMIT)
		ledger_fail(l, rc);
unlock:
	mutex_unlock(&l->commit_mu);
done:
	frame_put(f, committed);
	return rc;
}
