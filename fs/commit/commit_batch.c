/*
 * commit_batch.c - entries become bytes: references are filled in, bodies
 * encoded, leaf hashes computed.
 *
 * Invariants: (1) An entry's references are hashed before it: the queue is in
 * order.  (2) What is hashed once is never hashed again: a batch that meets
 * a full disk, or no memory, is kept and goes on later as it is.
 *
 * Threads: who commits, one at a time (commit.committing), no lock held; he
 * alone touches inode.last.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/vio.h"
#include "fs/commit/commit_internal.h"
#include "fs/commit/leafcell.h"
#include "fs/commit/pend.h"
#include "fs/store/store.h"

static struct digest cell_leaf(const struct leafcell *c)
{
	if (!c)
		return digest_zero;
	assert(leafcell_known(c)); /* (1) */
	return c->leaf;
}

static void fill_reads(struct pend *p)
{
	/* the items are ours: arrays holds them */
	struct entry_read *v = p->arrays;

	for (unsigned i = 0; i < p->e.body.reads.n; i++)
		v[i].version = cell_leaf(p->items[i]);
	p->e.body.reads.previous = cell_leaf(p->reads);
}

static void fill_references(struct pend *p)
{
	struct entry_body *b = &p->e.body;

	p->e.core.actor = cell_leaf(p->actor);
	if (p->inode)
		p->e.core.prev = p->inode->last_set ? p->inode->last :
						      p->inode->row.last;
	switch (b->kind) {
	case ENTRY_VERSION:
		b->version.reads = cell_leaf(p->reads);
		b->version.extents = cell_leaf(p->extents);
		break;
	case ENTRY_DIGEST:
		b->digest.version = cell_leaf(p->subject);
		break;
	case ENTRY_ATTEST:
		b->attest.subject = cell_leaf(p->subject);
		break;
	case ENTRY_IMPORT:
		b->import.version = cell_leaf(p->subject);
		break;
	case ENTRY_RUN_END:
		b->run_end.start = cell_leaf(p->subject);
		break;
	case ENTRY_RESTORE:
		b->restore.version = cell_leaf(p->subject);
		break;
	case ENTRY_READS:
		fill_reads(p);
		break;
	default:
		break;
	}
}

static int chunks_room(struct batch *b, size_t n)
{
	uint32_t cap = b->cap_chunks ? b->cap_chunks : 64;
	struct ledger_chunk *v;

	while (cap < b->n_chunks + n)
		cap *= 2;
	if (cap == b->cap_chunks)
		return 0;
	v = reallocarray(b->chunks, cap, sizeof(*v));
	if (!v)
		return -ENOMEM;
	b->chunks = v;
	b->cap_chunks = cap;
	return 0;
}

/* The store gives each chunk to one frame: what is asked for must go there. */
static void add_chunks(struct commit *c, struct batch *b, const struct pend *p)
{
	for (size_t i = 0; i < p->n_staged; i++) {
		const struct chunk *k = store_frame(c->o.store, &p->staged[i]);

		if (k)
			b->chunks[b->n_chunks++] = chunk_to_frame(k);
	}
}

/* What can fail comes first: (2) holds of an entry as of a batch. */
static int build_one(struct commit *c, struct batch *b, struct pend *p)
{
	struct ledger_entry *e = &b->entries[b->n];
	size_t at = b->bytes.n;
	int rc = p->n_staged ? chunks_room(b, p->n_staged) : 0;

	fill_references(p);
	if (rc >= 0)
		rc = entry_store(&b->bytes, &e->leaf, &p->e,
				 b->salts + 16 * (size_t)b->n);
	if (rc >= 0 && b->bytes.bad)
		rc = -ENOMEM;
	if (rc < 0) {
		buf_cut(&b->bytes, at);
		return rc;
	}
	add_chunks(c, b, p);
	b->at[b->n] = at;
	e->len = (uint32_t)(b->bytes.n - at);
	leafcell_set(p->cell, &e->leaf);
	if (p->inode) {
		p->inode->last = e->leaf;
		p->inode->last_set = true;
	}
	b->n++;
	b->last_seq = p->seq;
	return 0;
}

int commit_batch_begin(struct batch **out, struct commit *c, struct pend *pends,
		       uint32_t n)
{
	struct batch *b = calloc(1, sizeof(*b));
	int rc = -ENOMEM;

	if (!b)
		return rc;
	b->n_all = n;
	b->salts = malloc(16 * (size_t)n);
	b->at = calloc(n, sizeof(*b->at));
	b->entries = calloc(n, sizeof(*b->entries));
	if (b->salts && b->at && b->entries)
		rc = vio_random(c->o.vio, b->salts, 16 * (size_t)n);
	if (rc < 0) {
		commit_batch_free(b);
		return rc;
	}
	b->pends = pends;
	*out = b;
	return 0;
}

int commit_batch_build(struct commit *c, struct batch *b)
{
	struct pend *p = b->pends;
	int rc = 0;

	if (!b->at)
		return 0; /* it was built before */
	for (uint32_t i = 0; i < b->n; i++)
		p = p->next;
	for (; p && rc >= 0; p = p->next)
		rc = build_one(c, b, p);
	if (rc < 0)
		return rc;
	assert(b->n == b->n_all);
	for (uint32_t i = 0; i < b->n; i++)
		b->entries[i].bytes = b->bytes.p + b->at[i];
	free(take(b->salts));
	free(take(b->at));
	return 0;
}

void commit_batch_drop_pends(struct commit *c, struct batch *b)
{
	struct pend *p = b->pends, *next;

	for (; p; p = next) {
		next = p->next;
		if (p->inode)
			itable_drop(c->t, p->inode);
		pend_free(p);
	}
	b->pends = NULL;
}

void commit_batch_free(struct batch *b)
{
	if (!b)
		return;
	assert(!b->pends);
	buf_release(&b->bytes);
	free(b->entries);
	free(b->salts);
	free(b->at);
	free(b->chunks);
	free(b);
}
