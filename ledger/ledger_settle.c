/*
 * ledger_settle.c - moves durable frames from the WAL to the journal.
 *
 * Order, per frame: its small chunks go to the packs, the append rules are
 * checked once more over the bytes that were written, the record goes to the
 * journal.  Then, for many frames at once: packs flushed, journal flushed,
 * and only then are segments of the WAL given back.  A crash in between finds
 * the frames in the WAL again (rules.state says from where).
 */
#include <stdlib.h>

#include "base/vio.h"
#include "ledger/journal.h"
#include "ledger/ledger_impl.h"
#include "ledger/rules.h"
#include "ledger/wal.h"

enum { FLUSH_BYTES = 8 << 20 };
#define FLUSH_NS 1000000000LL

static int settle_chunks(const struct ledger_settle_ops *ops,
			 const struct frame *f)
{
	autofree struct digest *ids = NULL;
	const uint8_t *p = f->chunks;
	size_t left = f->chunks_n;
	struct ledger_chunk c;
	uint32_t n = 0;

	if (f->n_chunks == 0 || ops == NULL || ops->settle == NULL)
		return 0;
	ids = calloc(f->n_chunks, sizeof(*ids));
	if (ids == NULL)
		return -ENOMEM;
	while (frame_next_chunk(&p, &left, &c) > 0)
		ids[n++] = c.id;
	return ops->settle(ops->ctx, ids, n);
}

static int settle_one(struct ledger *l, uint64_t index,
		      const struct ledger_settle_ops *ops)
{
	struct frame f;
	int rc = wal_read(l->wal, &l->settle_buf, &f, index);

	if (rc < 0)
		return rc == -ENOENT ? -ERR_CORRUPT : rc;
	if (index >= l->chunks_settled) {
		rc = settle_chunks(ops, &f);
		if (rc < 0)
			return rc;
		l->chunks_settled = index + 1;
	}
	if (rules_size(l->rules) == index) {
		rc = ledger_rules_feed(l, &f, true, NULL);
		if (rc < 0)
			return rc;
	}
	rc = journal_append(l->journal, &f);
	if (rc == 0)
		l->bytes_unflushed += f.len;
	return rc;
}

static int flush(struct ledger *l, const struct ledger_settle_ops *ops)
{
	uint64_t end = journal_end(l->journal);
	int rc = 0;

	if (ops != NULL && ops->settle_flush != NULL)
		rc = ops->settle_flush(ops->ctx);
	if (rc == 0)
		rc = journal_sync(l->journal);
	if (rc < 0)
		return rc;
	l->flushed = end;
	l->bytes_unflushed = 0;
	l->flush_ns = vio_mono_ns(l->vio);
	rc = ledger_rules_save(l);
	if (rc < 0 && rc != -ENOSPC && rc != -EDQUOT)
		return rc;
	wal_release(l->wal, end);
	rc = wal_prepare(l->wal);
	return rc == -ENOSPC ? 0 : rc;
}

int ledger_prepare(struct ledger *l)
{
	int rc = ledger_writable(l);

	if (rc < 0)
		return rc;
	mutex_lock(&l->settle_mu);
	rc = wal_prepare(l->wal);
	if (rc == -ENOSPC || rc == -EDQUOT)
		rc = 0;
	if (rc < 0 && rc != -ENOMEM)
		ledger_fail(l, rc);
	mutex_unlock(&l->settle_mu);
	return rc == -ENOMEM ? 0 : rc;
}

static bool flush_due(struct ledger *l, uint32_t moved)
{
	uint64_t end = journal_end(l->journal);

	if (l->flushed >= end)
		return false;
	return moved == 0 || l->bytes_unflushed >= FLUSH_BYTES ||
	       wal_would_release(l->wal, end) ||
	       vio_mono_ns(l->vio) - l->flush_ns >= FLUSH_NS;
}

int ledger_settle(struct ledger *l, uint32_t max,
		  const struct ledger_settle_ops *ops)
{
	uint32_t moved = 0;
	int rc = ledger_writable(l);

	if (rc < 0)
		return rc;
	if (max > INT32_MAX)
		max = INT32_MAX;
	mutex_lock(&l->settle_mu);
	while (rc == 0 && moved < max) {
		uint64_t index = journal_end(l->journal);

		if (index >= ledger_size(l))
			break;
		rc = settle_one(l, index, ops);
		if (rc == 0)
			moved++;
	}
	if (rc == 0 && flush_due(l, moved))
		rc = flush(l, ops);
	if (rc == -EDQUOT)
		rc = -ENOSPC;
	if (rc < 0 && rc != -ENOSPC && rc != -ENOMEM)
		ledger_fail(l, rc);
	mutex_unlock(&l->settle_mu);
	return rc < 0 ? rc : (int)moved;
}
