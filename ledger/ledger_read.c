/*
 * ledger_read.c - reads records and entries back.
 *
 * A record is in the WAL until it settled, then in the journal.  While it
 * moves a reader may look in the wrong place or at a segment that is used
 * again: the checksum, seeded with the segment's epoch, says so, and the
 * reader looks again.  Nothing is handed out whose checksum and batch root
 * were not computed over the very bytes.  Any thread.
 */
#include <stdlib.h>
#include <string.h>

#include "ledger/entry.h"
#include "ledger/journal.h"
#include "ledger/ledger_impl.h"
#include "ledger/seal.h"
#include "ledger/wal.h"

enum { TRIES = 3 };

struct journal *ledger_journal(struct ledger *l)
{
	return __atomic_load_n(&l->journal, __ATOMIC_ACQUIRE);
}

/*
 * A reader beside a mount: the frame went to the journal, which has grown
 * since it was opened.  Others may still read the old one, so it is kept.
 */
static int look_again(struct ledger *l, uint64_t index)
{
	struct journal_options o = {
		.vio = l->vio,
		.volume_id = l->volume.id,
		.read_only = true,
	};
	struct journal *j = NULL;
	int rc = journal_open(&j, &o, NULL);

	if (rc < 0)
		return rc;
	mutex_lock(&l->mu);
	if (journal_end(j) <= index ||
	    l->n_retired == sizeof(l->retired) / sizeof(l->retired[0])) {
		rc = -ERR_CORRUPT;
	} else {
		l->retired[l->n_retired++] = l->journal;
		__atomic_store_n(&l->journal, take(j), __ATOMIC_RELEASE);
	}
	mutex_unlock(&l->mu);
	journal_close(j);
	return rc;
}

int ledger_load(struct ledger *l, struct buf *out, struct frame *f,
		uint64_t index)
{
	int rc = -ENOENT;

	for (int i = 0; i < TRIES; i++) {
		struct journal *j = ledger_journal(l);

		if (index < journal_end(j))
			return journal_read(j, out, f, index);
		rc = wal_read(l->wal, out, f, index);
		if (rc != -ENOENT && rc != -ERR_CORRUPT)
			break;
		if (l->read_only && look_again(l, index) < 0)
			break;
	}
	return rc;
}

int ledger_load_seal(void *ctx, struct buf *scratch, const uint8_t **out,
		     uint32_t *out_n, uint64_t index)
{
	struct ledger *l = ctx;
	struct journal *j = ledger_journal(l);
	struct frame f;
	int rc;

	if (index < journal_end(j))
		return journal_read_seal(j, scratch, out, out_n, index);
	rc = ledger_load(l, scratch, &f, index);
	if (rc == 0) {
		*out = f.seal;
		*out_n = f.seal_n;
	}
	return rc;
}

/*
 * Leaf hashes of f's entries, and behind them where each begins, one block
 * that the caller frees; the batch root is compared with the seal.  A batch
 * has up to 4,096 entries: to look for each from the first on was half the
 * time of a mount after a crash, and of reading a log in order.
 */
static int leaves_of(struct digest **out, uint32_t **out_at,
		     const struct frame *f)
{
	autofree struct digest *leaves =
		calloc(f->count, sizeof(*leaves) + sizeof(**out_at));
	const uint8_t *p = f->entries, *e = NULL;
	size_t left = f->entries_n;
	struct digest root;
	struct seal s;
	uint32_t *at;
	uint32_t n = 0;

	if (leaves == NULL)
		return -ENOMEM;
	at = (uint32_t *)(leaves + f->count);
	if (seal_decode(&s, f->seal, f->seal_n) < 0 || s.count != f->count)
		return -ERR_CORRUPT;
	for (uint32_t i = 0; i < f->count; i++) {
		struct entry_view v;

		at[i] = (uint32_t)(p - f->entries);
		if (frame_next_entry(&p, &left, &e, &n) <= 0 ||
		    entry_decode(&v, e, n) < 0)
			return -ERR_CORRUPT;
		entry_view_leaf(&leaves[i], &v);
	}
	seal_batch_root(&root, leaves, f->count);
	if (!digest_eq(&root, &s.batch_root))
		return -ERR_CORRUPT;
	*out_at = at;
	*out = take(leaves);
	return 0;
}

static int read_record(struct ledger *l, struct ledger_record *out,
		       uint64_t seal, bool hash)
{
	struct buf bytes = BUF_INIT;
	struct frame f;
	int rc;

	memset(out, 0, sizeof(*out));
	if (seal >= ledger_size(l))
		return -ENOENT;
	rc = ledger_load(l, &bytes, &f, seal);
	if (rc < 0)
		goto fail;
	if (hash)
		rc = leaves_of(&out->leaves, &out->at_, &f);
	if (rc < 0)
		goto fail;
	out->seal = seal;
	out->seal_bytes = f.seal;
	out->seal_len = f.seal_n;
	out->count = f.count;
	out->bytes = f.entries;
	out->len = f.entries_n;
	out->owned_ = (uint8_t *)buf_take(&bytes);
	return 0;
fail:
	buf_release(&bytes);
	return rc == -ENOENT ? -ERR_CORRUPT : rc;
}

int ledger_read(struct ledger *l, struct ledger_record *out, uint64_t seal)
{
	return read_record(l, out, seal, true);
}

int ledger_read_again(struct ledger *l, struct ledger_record *out,
		      uint64_t seal)
{
	return read_record(l, out, seal, false);
}

void ledger_record_release(struct ledger_record *r)
{
	free(r->owned_);
	free(r->leaves);
	memset(r, 0, sizeof(*r));
}

/* The entry that begins at `at`. */
static int entry_at(const uint8_t *p, size_t left, uint32_t at,
		    const uint8_t **out, uint32_t *out_len)
{
	p += at;
	left -= at;
	return frame_next_entry(&p, &left, out, out_len) > 0 ? 0 : -ERR_CORRUPT;
}

int ledger_record_entry(const struct ledger_record *r, uint32_t pos,
			const uint8_t **out, uint32_t *out_len)
{
	if (pos >= r->count || !r->at_)
		return -ENOENT;
	return entry_at(r->bytes, r->len, r->at_[pos], out, out_len);
}

static int give(const struct ledger_cached *c, struct buf *out,
		struct digest *out_leaf, uint32_t pos)
{
	const uint8_t *p = NULL;
	uint32_t n = 0;
	int rc;

	if (pos >= c->frame.count)
		return -ENOENT;
	rc = entry_at(c->frame.entries, c->frame.entries_n, c->at[pos], &p, &n);
	if (rc < 0)
		return rc;
	buf_add(out, p, n);
	if (out_leaf != NULL)
		*out_leaf = c->leaves[pos];
	return out->bad ? -ENOMEM : 0;
}

/* 1: answered from the cache (rc in *out_rc). */
static bool from_cache(struct ledger *l, struct buf *out,
		       struct digest *out_leaf, uint64_t seal, uint32_t pos,
		       int *out_rc)
{
	bool found = false;

	mutex_lock(&l->cache_mu);
	for (int i = 0; i < LEDGER_CACHE && !found; i++) {
		struct ledger_cached *c = &l->cache[i];

		if (!c->valid || c->frame.index != seal)
			continue;
		c->used = ++l->clock;
		*out_rc = give(c, out, out_leaf, pos);
		found = true;
	}
	mutex_unlock(&l->cache_mu);
	return found;
}

/* Puts c into the cache in the place of the one used longest ago. */
static void into_cache(struct ledger *l, struct ledger_cached *c)
{
	struct ledger_cached *slot = &l->cache[0], old;

	if (c->bytes.n > LEDGER_CACHE_RECORD)
		return;
	mutex_lock(&l->cache_mu);
	for (int i = 0; i < LEDGER_CACHE; i++) {
		if (!l->cache[i].valid) {
			slot = &l->cache[i];
			break;
		}
		if (l->cache[i].used < slot->used)
			slot = &l->cache[i];
	}
	old = *slot;
	c->used = ++l->clock;
	c->valid = true;
	*slot = *c;
	*c = old;
	mutex_unlock(&l->cache_mu);
}

int ledger_read_entry(struct ledger *l, struct buf *out,
		      struct digest *out_leaf, uint64_t entry_no)
{
	uint64_t seal = ENTRY_NO_SEAL(entry_no);
	uint32_t pos = ENTRY_NO_POS(entry_no);
	struct ledger_cached c = { .valid = false };
	int rc = 0;

	if (seal >= ledger_size(l))
		return -ENOENT;
	if (from_cache(l, out, out_leaf, seal, pos, &rc))
		return rc;
	rc = ledger_load(l, &c.bytes, &c.frame, seal);
	if (rc == 0)
		rc = leaves_of(&c.leaves, &c.at, &c.frame);
	if (rc == 0) {
		rc = give(&c, out, out_leaf, pos);
		into_cache(l, &c);
	} else if (rc == -ENOENT) {
		rc = -ERR_CORRUPT; /* below the size, and nowhere */
	}
	buf_release(&c.bytes);
	free(c.leaves);
	return rc;
}
