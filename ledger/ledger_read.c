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
 * The tree over f's entries (whole: all of it, else its leaves), and behind it
 * where each entry begins, one block that the caller frees; the batch root is
 * compared with the seal.  A batch has up to 4,096 entries: to look for each
 * from the first on was half the time of a mount after a crash, and of reading
 * a log in order.
 */
static int tree_of(struct merkle_tree *out, uint32_t **out_at,
		   const struct frame *f, bool whole)
{
	size_t size = whole ? merkle_tree_size(f->count) : f->count;
	autofree struct digest *block =
		malloc(size * sizeof(*block) + f->count * sizeof(**out_at) + 1);
	struct merkle_tree t = { .h = block, .n = f->count };
	const uint8_t *p = f->entries, *e = NULL;
	size_t left = f->entries_n;
	struct digest root;
	struct seal s;
	uint32_t *at;
	uint32_t n = 0;
	int rc = 0;

	if (block == NULL)
		return -ENOMEM;
	at = (uint32_t *)(block + size);
	if (seal_decode(&s, f->seal, f->seal_n) < 0 || s.count != f->count)
		return -ERR_CORRUPT;
	for (uint32_t i = 0; i < f->count; i++) {
		struct entry_view v;

		at[i] = (uint32_t)(p - f->entries);
		if (frame_next_entry(&p, &left, &e, &n) <= 0 ||
		    entry_decode(&v, e, n) < 0)
			return -ERR_CORRUPT;
		entry_view_leaf(&t.h[i], &v);
	}
	if (whole) {
		merkle_tree_fill(&t);
		rc = merkle_root(&root, t.n, merkle_tree_read, &t);
	} else {
		seal_batch_root(&root, t.h, t.n);
	}
	if (rc < 0 || !digest_eq(&root, &s.batch_root))
		return -ERR_CORRUPT;
	*out_at = at;
	*out = t;
	(void)take(block);
	return 0;
}

static int read_record(struct ledger *l, struct ledger_record *out,
		       uint64_t seal, bool hash)
{
	struct buf bytes = BUF_INIT;
	struct merkle_tree t = { .h = NULL };
	struct frame f;
	int rc;

	memset(out, 0, sizeof(*out));
	if (seal >= ledger_size(l))
		return -ENOENT;
	rc = ledger_load(l, &bytes, &f, seal);
	if (rc < 0)
		goto fail;
	if (hash)
		rc = tree_of(&t, &out->at_, &f, false);
	if (rc < 0)
		goto fail;
	out->leaves = t.h;
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

/* What is asked of a record; each may be NULL. */
struct wanted {
	uint32_t pos;
	struct buf *entry;
	struct digest *leaf;
	struct buf *seal;
	struct merkle_proof *path;
};

static int give(struct ledger_cached *c, const struct wanted *w)
{
	const uint8_t *p = NULL;
	uint32_t n = 0;
	int rc = 0;

	if (w->pos >= c->frame.count)
		return -ENOENT;
	if (w->entry != NULL) {
		rc = entry_at(c->frame.entries, c->frame.entries_n,
			      c->at[w->pos], &p, &n);
		if (rc == 0)
			buf_add(w->entry, p, n);
	}
	if (w->leaf != NULL)
		*w->leaf = c->tree.h[w->pos];
	if (w->seal != NULL)
		buf_add(w->seal, c->frame.seal, c->frame.seal_n);
	if (rc == 0 && w->path != NULL)
		rc = merkle_inclusion(w->path, w->pos, c->tree.n,
				      merkle_tree_read, &c->tree);
	if (rc < 0)
		return rc;
	return (w->entry && w->entry->bad) || (w->seal && w->seal->bad) ?
		       -ENOMEM :
		       0;
}

/* 1: answered from the cache (rc in *out_rc). */
static bool from_cache(struct ledger *l, uint64_t seal, const struct wanted *w,
		       int *out_rc)
{
	bool found = false;

	mutex_lock(&l->cache_mu);
	for (int i = 0; i < LEDGER_CACHE && !found; i++) {
		struct ledger_cached *c = &l->cache[i];

		if (!c->valid || c->frame.index != seal)
			continue;
		c->used = ++l->clock;
		*out_rc = give(c, w);
		found = true;
	}
	mutex_unlock(&l->cache_mu);
	return found;
}

static void cached_free(struct ledger_cached *c)
{
	buf_release(&c->bytes);
	free(c->tree.h);
	memset(c, 0, sizeof(*c));
}

/* The one that was used longest ago; an empty one was never. */
static struct ledger_cached *oldest(struct ledger *l, bool empty_too)
{
	struct ledger_cached *found = NULL;

	for (int i = 0; i < LEDGER_CACHE; i++) {
		struct ledger_cached *c = &l->cache[i];

		if ((c->valid || empty_too) &&
		    (found == NULL || c->used < found->used))
			found = c;
	}
	return found;
}

static size_t cached_bytes(const struct ledger *l)
{
	size_t sum = 0;

	for (int i = 0; i < LEDGER_CACHE; i++)
		sum += l->cache[i].bytes.n;
	return sum;
}

/* Takes c, unless it would fill half of the cache. */
static void into_cache(struct ledger *l, struct ledger_cached *c)
{
	struct ledger_cached *slot;

	if (c->bytes.n > LEDGER_CACHE_BYTES / 2)
		return;
	mutex_lock(&l->cache_mu);
	slot = oldest(l, true);
	cached_free(slot);
	c->valid = true;
	c->used = ++l->clock;
	*slot = *c;
	memset(c, 0, sizeof(*c));
	while (cached_bytes(l) > LEDGER_CACHE_BYTES)
		cached_free(oldest(l, false));
	mutex_unlock(&l->cache_mu);
}

static int read_wanted(struct ledger *l, uint64_t seal, const struct wanted *w)
{
	struct ledger_cached c = { .valid = false };
	int rc = 0;

	if (seal >= ledger_size(l))
		return -ENOENT;
	if (from_cache(l, seal, w, &rc))
		return rc;
	rc = ledger_load(l, &c.bytes, &c.frame, seal);
	if (rc == 0)
		rc = tree_of(&c.tree, &c.at, &c.frame, true);
	if (rc == 0) {
		rc = give(&c, w);
		into_cache(l, &c);
	} else if (rc == -ENOENT) {
		rc = -ERR_CORRUPT; /* below the size, and nowhere */
	}
	cached_free(&c);
	return rc;
}

int ledger_read_entry(struct ledger *l, struct buf *out,
		      struct digest *out_leaf, uint64_t entry_no)
{
	const struct wanted w = {
		.pos = ENTRY_NO_POS(entry_no),
		.entry = out,
		.leaf = out_leaf,
	};

	return read_wanted(l, ENTRY_NO_SEAL(entry_no), &w);
}

int ledger_read_path(struct ledger *l, struct merkle_proof *out,
		     struct buf *out_seal, uint64_t entry_no)
{
	const struct wanted w = {
		.pos = ENTRY_NO_POS(entry_no),
		.seal = out_seal,
		.path = out,
	};

	return read_wanted(l, ENTRY_NO_SEAL(entry_no), &w);
}
