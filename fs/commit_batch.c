/*
 * commit_batch.c - entries become bytes: references are filled in, bodies
 * encoded, leaf hashes computed.
 *
 * Invariants: (1) An entry's references are hashed before it: the queue is in
 * order.  (2) What is hashed once is never hashed again: a batch that meets
 * a full disk is kept and sealed again as it is.
 *
 * Threads: the commit thread, no lock held; it alone touches inode.last.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/vio.h"
#include "fs/commit_internal.h"
#include "fs/leafcell.h"
#include "fs/pend.h"
#include "fs/store.h"

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

static int add_chunk(struct batch *b, const struct chunk *k)
{
	struct ledger_chunk *v = b->chunks;

	if (b->n_chunks == b->cap_chunks) {
		uint32_t cap = b->cap_chunks ? 2 * b->cap_chunks : 64;

		v = realloc(v, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		b->chunks = v;
		b->cap_chunks = cap;
	}
	v[b->n_chunks++] = (struct ledger_chunk){
		.id = k->id,
		.type = k->type,
		.codec = k->codec,
		.raw_len = k->raw_len,
		.stored_len = k->stored_len,
		.stored = k->stored,
	};
	return 0;
}

static int build_one(struct commit *c, struct batch *b, struct pend *p,
		     const uint8_t salt[16], size_t *at)
{
	struct ledger_entry *e = &b->entries[b->n];
	int rc;

	fill_references(p);
	*at = b->bytes.n;
	rc = entry_store(&b->bytes, &e->leaf, &p->e, salt);
	if (rc < 0)
		return rc;
	e->len = (uint32_t)(b->bytes.n - *at);
	leafcell_set(p->cell, &e->leaf);
	if (p->inode) {
		p->inode->last = e->leaf;
		p->inode->last_set = true;
	}
	for (size_t i = 0; i < p->n_staged; i++) {
		const struct chunk *k = store_frame(c->o.store, &p->staged[i]);

		rc = k ? add_chunk(b, k) : 0;
		if (rc < 0)
			return rc;
	}
	b->n++;
	b->last_seq = p->seq;
	return 0;
}

int commit_batch_build(struct batch **out, struct commit *c, struct pend *pends,
		       uint32_t n)
{
	struct batch *b = calloc(1, sizeof(*b));
	autofree uint8_t *salts = malloc(16 * (size_t)n);
	autofree size_t *at = calloc(n, sizeof(*at));
	int rc = -ENOMEM;

	if (!b || !salts || !at)
		goto fail;
	b->pends = pends;
	b->entries = calloc(n, sizeof(*b->entries));
	if (!b->entries)
		goto fail;
	rc = vio_random(c->o.vio, salts, 16 * (size_t)n);
	for (struct pend *p = pends; p && rc >= 0; p = p->next)
		rc = build_one(c, b, p, salts + 16 * (size_t)b->n, &at[b->n]);
	if (rc >= 0 && b->bytes.bad)
		rc = -ENOMEM;
	if (rc < 0)
		goto fail;
	assert(b->n == n);
	for (uint32_t i = 0; i < n; i++)
		b->entries[i].bytes = b->bytes.p + at[i];
	*out = b;
	return 0;
fail:
	if (b)
		b->pends = NULL; /* the caller's still */
	commit_batch_free(b);
	return rc;
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
	free(b->chunks);
	free(b);
}
