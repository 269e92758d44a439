/*
 * ledger_verify_batch.c - one batch: rules, signature, its place in the tree.
 *
 * Called by the thread that reads; signatures are left to others.
 */
#include <string.h>

#include "ledger/entry.h"
#include "ledger/key.h"
#include "ledger/seal.h"
#include "ledger/sigcheck.h"
#include "ledger/tile.h"
#include "ledger/verify_impl.h"

/* The tree goes on with this leaf. */
static int take_leaf(struct verifying *v, const uint8_t *seal, uint32_t n,
		     const struct digest *leaf)
{
	int rc;

	merkle_frontier_append(&v->frontier, leaf, NULL, NULL);
	v->window[v->frontier.size % VERIFY_WINDOW] = v->frontier;
	ledger_verify_keep(v);
	rc = tile_store_append(v->tiles, seal, n, leaf);
	if (rc == 0 && tile_store_pending(v->tiles))
		rc = tile_store_compare(v->tiles, &v->compare);
	return rc;
}

/* The last leaf of a bundle that ends with it. */
static void last_leaf(const struct buf *bundle, const uint8_t **out,
		      uint32_t *out_n)
{
	const uint8_t *p = bundle->p, *leaf = NULL;
	size_t left = bundle->n, n = 0;

	while (tile_bundle_next(&p, &left, &leaf, &n) > 0) {
		*out = leaf;
		*out_n = (uint32_t)n;
	}
}

int ledger_verify_lost(struct verifying *v, uint64_t index)
{
	struct tile t = { 0, index / TILE_WIDTH,
			  (unsigned)(index % TILE_WIDTH) + 1 };
	struct buf hashes = BUF_INIT, bundle = BUF_INIT;
	struct digest leaf = digest_zero;
	const uint8_t *seal = NULL;
	uint32_t n = 0;
	int rc;

	v->report->missing++;
	v->broken = true;
	ledger_verify_tellf(v, "seal %llu is missing", (ull_)index);
	if (tile_store_get(v->l->tiles, &hashes, &t) == 0 &&
	    hashes.n == (size_t)t.width * DIGEST_SIZE)
		memcpy(leaf.b, hashes.p + hashes.n - DIGEST_SIZE, DIGEST_SIZE);
	t.level = TILE_ENTRIES;
	if (tile_store_bundle(v->l->tiles, &bundle, &t) == 0)
		last_leaf(&bundle, &seal, &n);
	rc = take_leaf(v, seal, n, &leaf);
	buf_release(&hashes);
	buf_release(&bundle);
	return rc;
}

/* Without the rules: what one batch proves alone. */
static bool check_alone(struct verifying *v, const struct frame *f,
			const struct rules_prepared *prepared)
{
	struct seal s;

	if (!prepared->unhashed && seal_decode(&s, f->seal, f->seal_n) == 0 &&
	    s.count == f->count && digest_eq(&s.batch_root, &prepared->root))
		return true;
	ledger_verify_tellf(
		v, "seal %llu: its entries are not those it was signed for",
		(ull_)f->index);
	return false;
}

static bool check_rules(struct verifying *v, const struct frame *f,
			const struct rules_entry *entries,
			const struct rules_prepared *prepared)
{
	struct errmsg em = ERRMSG_INIT;
	struct rules_batch b = {
		.leaf_index = f->index,
		.seal = f->seal,
		.seal_n = f->seal_n,
		.entries = entries,
		.n = f->count,
		.prepared = prepared,
		.skip_signature = true, /* our own threads do it */
	};
	uint64_t known = 0;
	int rc = rules_check(v->rules, &b, &known, &em);

	if (rc == RULES_OK)
		return true;
	v->broken = true;
	ledger_verify_tellf(v, "%s",
			    rc == RULES_KNOWN ? "a seal is in the log twice" :
						errmsg_text(&em, rc));
	return false;
}

static void check_signature(struct verifying *v, const struct frame *f)
{
	const struct rules_key *k;
	struct seal s;
	int rc = seal_decode(&s, f->seal, f->seal_n);

	k = rc == 0 ? rules_key_find(v->rules, s.key_id) : NULL;
	if (k == NULL) {
		ledger_verify_tellf(v, "seal %llu: %s", (ull_)f->index,
				    rc == 0 ? "its key is not known" :
					      err_text(rc));
		return;
	}
	v->report->signatures++;
	sigcheck_add(v->sigs, f->index, f->seal, f->seal_n, k->pub);
}

static int give_entries(struct verifying *v, const struct frame *f,
			const struct rules_entry *entries,
			const struct rules_prepared *prepared)
{
	int rc = 0;

	v->report->entries += f->count;
	v->report->redacted += prepared->redacted;
	for (uint32_t i = 0; v->o->entry && rc == 0 && i < f->count; i++)
		rc = v->o->entry(v->o->ctx, (uint64_t)ENTRY_NO(f->index, i),
				 &prepared->leaves[i], entries[i].p,
				 entries[i].n);
	return rc;
}

int ledger_verify_frame(struct verifying *v, const struct frame *f,
			const struct rules_entry *entries,
			const struct rules_prepared *prepared)
{
	struct digest leaf;
	bool good;
	int rc;

	v->report->seals++;
	good = v->broken ? check_alone(v, f, prepared) :
			   check_rules(v, f, entries, prepared);
	check_signature(v, f);
	merkle_leaf(&leaf, f->seal, f->seal_n);
	rc = take_leaf(v, f->seal, f->seal_n, &leaf);
	/* Entries of a batch that is not what was signed are not given out. */
	if (rc == 0 && good)
		rc = give_entries(v, f, entries, prepared);
	return rc;
}
