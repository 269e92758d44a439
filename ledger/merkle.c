/*
 * merkle.c - RFC 6962 trees.
 *
 * A tree of `size` leaves is the row of complete subtrees named by the set
 * bits of size, left to right from the highest; every root and proof is made
 * from those and from stored complete subtrees.
 *
 * Invariants: (1) f->h[k] is valid exactly where bit k of f->size is set.
 * (2) merkle_frontier, merkle_root and merkle_root_of agree (tested).
 *
 * Pure but for the callbacks; any thread.
 */
#include "ledger/merkle.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "base/err.h"

void merkle_leaf(struct digest *out, const void *p, size_t n)
{
	static const uint8_t zero;
	struct digest_piece v[] = { { &zero, 1 }, { p, n } };

	digest_sha256_pieces(out, v, 2);
}

void merkle_node(struct digest *out, const struct digest *left,
		 const struct digest *right)
{
	uint8_t m[1 + 2 * DIGEST_SIZE];

	m[0] = 1;
	memcpy(m + 1, left->b, DIGEST_SIZE);
	memcpy(m + 1 + DIGEST_SIZE, right->b, DIGEST_SIZE);
	digest_sha256(out, m, sizeof(m));
}

/* Largest power of two below n, as an exponent; n >= 2. */
static unsigned split_level(uint64_t n)
{
	assert(n >= 2);
	return 63 - (unsigned)__builtin_clzll(n - 1);
}

/* --- arrays of level-0 hashes --- */

void merkle_root_of(struct digest *out, const struct digest *leaves, size_t n)
{
	struct merkle_frontier f;

	merkle_frontier_init(&f);
	for (size_t i = 0; i < n; i++)
		merkle_frontier_append(&f, &leaves[i], NULL, NULL);
	merkle_frontier_root(out, &f);
}

static void proof_add(struct merkle_proof *p, const struct digest *h)
{
	assert(p->n < MERKLE_PROOF_MAX);
	p->h[p->n++] = *h;
}

static void proof_reverse(struct merkle_proof *p)
{
	for (unsigned i = 0, j = p->n; i + 1 < j; i++) {
		struct digest t = p->h[i];

		p->h[i] = p->h[--j];
		p->h[j] = t;
	}
}

/* --- all subtrees of one --- */

size_t merkle_tree_size(size_t n)
{
	size_t size = 0;

	for (; n > 0; n >>= 1)
		size += n;
	return size;
}

void merkle_tree_fill(struct merkle_tree *t)
{
	struct digest *below = t->h;

	for (size_t n = t->n; n > 1; n >>= 1) {
		for (size_t i = 0; i < n >> 1; i++)
			merkle_node(&below[n + i], &below[2 * i],
				    &below[2 * i + 1]);
		below += n;
	}
}

int merkle_tree_read(void *ctx, struct digest *out, unsigned level,
		     uint64_t index)
{
	const struct merkle_tree *t = ctx;
	const struct digest *row = t->h;
	size_t n = t->n;

	for (; level > 0; level--) {
		row += n;
		n >>= 1;
	}
	if (index >= n)
		return -ERR_LIMIT;
	*out = row[index];
	return 0;
}

/* --- frontier --- */

void merkle_frontier_init(struct merkle_frontier *f)
{
	memset(f, 0, sizeof(*f));
}

void merkle_frontier_append(struct merkle_frontier *f,
			    const struct digest *leaf, merkle_new_fn *fn,
			    void *ctx)
{
	struct digest h = *leaf;
	unsigned level = 0;
	uint64_t at = f->size;

	assert(f->size < UINT64_MAX >> 1);
	if (fn != NULL)
		fn(ctx, 0, at, &h);
	while (f->size >> level & 1) {
		merkle_node(&h, &f->h[level], &h);
		level++;
		at >>= 1;
		if (fn != NULL)
			fn(ctx, level, at, &h);
	}
	f->h[level] = h;
	f->size++;
}

void merkle_frontier_root(struct digest *out, const struct merkle_frontier *f)
{
	bool some = false;

	digest_sha256(out, "", 0);
	for (unsigned k = 0; k < 64; k++) {
		if (!(f->size >> k & 1))
			continue;
		if (some)
			merkle_node(out, &f->h[k], out);
		else
			*out = f->h[k];
		some = true;
	}
}

int merkle_frontier_load(struct merkle_frontier *out, uint64_t size,
			 merkle_read_fn *read, void *ctx)
{
	merkle_frontier_init(out);
	if (size > UINT64_MAX >> 1)
		return -ERR_LIMIT;
	for (unsigned k = 0; k < 63; k++) {
		int rc;

		if (!(size >> k & 1))
			continue;
		rc = read(ctx, &out->h[k], k, (size >> (k + 1)) << 1);
		if (rc != 0)
			return rc;
	}
	out->size = size;
	return 0;
}

/* --- roots and proofs from stored hashes --- */

/* MTH of leaves lo..lo+n-1, where lo is a multiple of a power of two >= n. */
static int range_root(struct digest *out, uint64_t lo, uint64_t n,
		      merkle_read_fn *read, void *ctx)
{
	bool some = false;

	assert(n > 0);
	for (unsigned k = 0; k < 63; k++) {
		struct digest h;
		int rc;

		if (!(n >> k & 1))
			continue;
		/* The subtree of this bit starts after all higher bits. */
		rc = read(ctx, &h, k, (lo + ((n >> (k + 1)) << (k + 1))) >> k);
		if (rc != 0)
			return rc;
		if (some)
			merkle_node(out, &h, out);
		else
			*out = h;
		some = true;
	}
	return 0;
}

int merkle_root(struct digest *out, uint64_t size, merkle_read_fn *read,
		void *ctx)
{
	if (size > UINT64_MAX >> 1)
		return -ERR_LIMIT;
	if (size == 0) {
		digest_sha256(out, "", 0);
		return 0;
	}
	return range_root(out, 0, size, read, ctx);
}

int merkle_inclusion(struct merkle_proof *out, uint64_t index, uint64_t size,
		     merkle_read_fn *read, void *ctx)
{
	uint64_t lo = 0;
	uint64_t n = size;

	out->n = 0;
	if (index >= size || size > UINT64_MAX >> 1)
		return -ERR_LIMIT;
	while (n > 1) {
		uint64_t k = 1ULL << split_level(n);
		struct digest h;
		int rc;

		if (index - lo < k) {
			rc = range_root(&h, lo + k, n - k, read, ctx);
			n = k;
		} else {
			rc = range_root(&h, lo, k, read, ctx);
			lo += k;
			n -= k;
		}
		if (rc != 0)
			return rc;
		proof_add(out, &h);
	}
	proof_reverse(out);
	return 0;
}

/* RFC 6962 2.1.2, SUBPROOF without the recursion, root side first. */
int merkle_consistency(struct merkle_proof *out, uint64_t from, uint64_t size,
		       merkle_read_fn *read, void *ctx)
{
	uint64_t lo = 0;
	uint64_t m = from;
	uint64_t n = size;
	struct digest h;
	int rc;

	out->n = 0;
	if (from > size || size > UINT64_MAX >> 1)
		return -ERR_LIMIT;
	if (from == 0 || from == size)
		return 0;
	while (m != n) {
		uint64_t k = 1ULL << split_level(n);

		if (m <= k) {
			rc = range_root(&h, lo + k, n - k, read, ctx);
			n = k;
		} else {
			rc = range_root(&h, lo, k, read, ctx);
			lo += k;
			m -= k;
			n -= k;
		}
		if (rc != 0)
			return rc;
		proof_add(out, &h);
	}
	/* The old tree itself is known to the verifier, a part is not. */
	if (lo != 0) {
		rc = range_root(&h, lo, n, read, ctx);
		if (rc != 0)
			return rc;
		proof_add(out, &h);
	}
	proof_reverse(out);
	return 0;
}

/* --- verification --- */

int merkle_inclusion_verify(const struct digest *leaf, uint64_t index,
			    uint64_t size, const struct merkle_proof *proof,
			    const struct digest *root)
{
	struct digest r = *leaf;
	uint64_t fn = index;
	uint64_t sn = size - 1;

	if (index >= size || proof->n > MERKLE_PROOF_MAX)
		return -ERR_PROOF;
	for (unsigned i = 0; i < proof->n; i++) {
		if (sn == 0)
			return -ERR_PROOF;
		if ((fn & 1) || fn == sn) {
			merkle_node(&r, &proof->h[i], &r);
			while (!(fn & 1) && fn != 0) {
				fn >>= 1;
				sn >>= 1;
			}
		} else {
			merkle_node(&r, &r, &proof->h[i]);
		}
		fn >>= 1;
		sn >>= 1;
	}
	return sn == 0 && digest_eq(&r, root) ? 0 : -ERR_PROOF;
}

/* The loop of RFC 9162 2.1.4.2: steps 6 and 7. */
static int consistency_walk(uint64_t fn, uint64_t sn, struct digest *fr,
			    struct digest *sr, const struct digest *h,
			    unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (sn == 0)
			return -ERR_PROOF;
		if ((fn & 1) || fn == sn) {
			merkle_node(fr, &h[i], fr);
			merkle_node(sr, &h[i], sr);
			while (!(fn & 1) && fn != 0) {
				fn >>= 1;
				sn >>= 1;
			}
		} else {
			merkle_node(sr, sr, &h[i]);
		}
		fn >>= 1;
		sn >>= 1;
	}
	return sn == 0 ? 0 : -ERR_PROOF;
}

int merkle_consistency_verify(uint64_t from, uint64_t size,
			      const struct digest *from_root,
			      const struct digest *root,
			      const struct merkle_proof *proof)
{
	uint64_t fn = from - 1;
	uint64_t sn = size - 1;
	unsigned first = 0;
	struct digest fr = *from_root;
	struct digest sr;
	struct digest empty;

	if (from > size || proof->n > MERKLE_PROOF_MAX)
		return -ERR_PROOF;
	if (from == 0) {
		digest_sha256(&empty, "", 0);
		return proof->n == 0 && digest_eq(&empty, from_root) ?
			       0 :
			       -ERR_PROOF;
	}
	if (from == size)
		return proof->n == 0 && digest_eq(from_root, root) ? 0 :
								     -ERR_PROOF;
	while (fn & 1) {
		fn >>= 1;
		sn >>= 1;
	}
	/* An old tree that is a complete subtree is not in the proof. */
	if ((from & (from - 1)) != 0) {
		if (proof->n == 0)
			return -ERR_PROOF;
		fr = proof->h[0];
		first = 1;
	}
	sr = fr;
	if (consistency_walk(fn, sn, &fr, &sr, proof->h + first,
			     proof->n - first) != 0)
		return -ERR_PROOF;
	return digest_eq(&fr, from_root) && digest_eq(&sr, root) ? 0 :
								   -ERR_PROOF;
}
