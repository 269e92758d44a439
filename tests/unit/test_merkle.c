/*
 * test_merkle.c - RFC 6962 trees: published vectors, frontier against
 * recursion, and every proof up to a size, and what tampering does to it.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"
#include "ledger/merkle.h"

#define VECTOR_MAX 70000U
#define SMALL 70U

static void vector_leaf(struct digest *out, unsigned i)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "entry %u of the ledger", i);

	merkle_leaf(out, text, (size_t)n);
}

/* The definition, recursively. */
static void mth(struct digest *out, const struct digest *v, size_t n)
{
	struct digest l;
	struct digest r;
	size_t k = 1;

	if (n == 0) {
		digest_sha256(out, "", 0);
		return;
	}
	if (n == 1) {
		*out = v[0];
		return;
	}
	while (k * 2 < n)
		k *= 2;
	mth(&l, v, k);
	mth(&r, v + k, n - k);
	merkle_node(out, &l, &r);
}

static struct digest leaves[VECTOR_MAX];

static int read_leaves(void *ctx, struct digest *out, unsigned level,
		       uint64_t index)
{
	size_t n = (size_t)1 << level;
	size_t size = *(const size_t *)ctx;

	cr_assert_leq((index + 1) * n, size, "read beyond the tree");
	mth(out, leaves + index * n, n);
	return 0;
}

static void fill(size_t n)
{
	for (size_t i = 0; i < n; i++)
		vector_leaf(&leaves[i], (unsigned)i);
}

static void expect_base64(const struct digest *d, const char *want)
{
	struct buf b = BUF_INIT;

	text_base64(&b, d->b, sizeof(d->b));
	cr_assert_str_eq((char *)b.p, want);
	buf_release(&b);
}

Test(merkle, roots_are_those_published)
{
	static const struct {
		unsigned n;
		const char *root;
	} v[] = {
		{ 0, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" },
		{ 1, "bJxI/XLOcoIzinipDmCmKti5G5ze9PLr9G5odssTjEY=" },
		{ 5, "5w0j1o/HhFFtVqpyCxfcUlVz6dXnI0zpPTCjQJZiR0o=" },
		{ 255, "399jm7cYs8LikVF1/1byAAARPTidI8IeYb+oRbNmmoI=" },
		{ 256, "gvDaKXX0LGL8e9hQMmUNkV9N/noxv9TdT1fL7zjHR/o=" },
		{ 257, "wseqT9xNeRbsvexS5fbZi/Hg+jO9qdeFGINqBujSPZE=" },
		{ 65536, "GY830ge3fBgFsT8+kfpjGxMen1rgPDZWaUiv770cxUw=" },
		{ 70000, "3N4fljjkqLEXjYlxK68uc2xzxHX/eC0e4Wr2VCncFuE=" },
	};
	struct merkle_frontier f;
	size_t at = 0;

	merkle_frontier_init(&f);
	for (unsigned n = 0; n <= VECTOR_MAX; n++) {
		struct digest root;

		if (at < sizeof(v) / sizeof(v[0]) && v[at].n == n) {
			merkle_frontier_root(&root, &f);
			expect_base64(&root, v[at].root);
			at++;
		}
		vector_leaf(&root, n);
		merkle_frontier_append(&f, &root, NULL, NULL);
	}
	cr_assert_eq(at, sizeof(v) / sizeof(v[0]));
}

Test(merkle, every_way_to_a_root_agrees)
{
	fill(SMALL);
	for (size_t n = 0; n <= SMALL; n++) {
		struct digest want;
		struct digest got;
		struct merkle_frontier f;

		mth(&want, leaves, n);
		merkle_root_of(&got, leaves, n);
		cr_assert(digest_eq(&want, &got));
		cr_assert_eq(merkle_root(&got, n, read_leaves, &n), 0);
		cr_assert(digest_eq(&want, &got));
		cr_assert_eq(merkle_frontier_load(&f, n, read_leaves, &n), 0);
		merkle_frontier_root(&got, &f);
		cr_assert(digest_eq(&want, &got));
		cr_assert_eq(f.size, n);
	}
}

struct seen {
	struct digest h[8][SMALL];
	unsigned n;
};

static void see(void *ctx, unsigned level, uint64_t index,
		const struct digest *h)
{
	struct seen *s = ctx;

	s->h[level][index] = *h;
	s->n++;
}

Test(merkle, append_tells_every_complete_subtree_once)
{
	static struct seen seen;
	struct merkle_frontier f;
	unsigned want = 0;

	fill(SMALL);
	merkle_frontier_init(&f);
	for (size_t i = 0; i < SMALL; i++)
		merkle_frontier_append(&f, &leaves[i], see, &seen);
	for (unsigned level = 0; SMALL >> level != 0; level++)
		for (size_t i = 0; i < SMALL >> level; i++) {
			struct digest h;

			mth(&h, leaves + (i << level), (size_t)1 << level);
			cr_assert(digest_eq(&h, &seen.h[level][i]));
			want++;
		}
	cr_assert_eq(seen.n, want);
}

/* A proof with one thing wrong must not hold. */
static void expect_inclusion_strict(const struct digest *leaf, size_t i,
				    size_t n, const struct merkle_proof *p,
				    const struct digest *root)
{
	struct merkle_proof bad = *p;
	struct digest other = *root;

	for (unsigned k = 0; k < p->n; k++) {
		bad.h[k].b[k % 32] ^= 1;
		cr_assert_eq(merkle_inclusion_verify(leaf, i, n, &bad, root),
			     -ERR_PROOF);
		bad.h[k] = p->h[k];
	}
	other.b[31] ^= 1;
	cr_assert_eq(merkle_inclusion_verify(leaf, i, n, p, &other),
		     -ERR_PROOF);
	bad.n = p->n + 1;
	bad.h[p->n] = *root;
	cr_assert_eq(merkle_inclusion_verify(leaf, i, n, &bad, root),
		     -ERR_PROOF);
	if (p->n > 0) {
		bad = *p;
		bad.n--;
		cr_assert_eq(merkle_inclusion_verify(leaf, i, n, &bad, root),
			     -ERR_PROOF);
	}
	for (size_t k = 0; k < n; k++)
		if (k != i)
			cr_assert_eq(
				merkle_inclusion_verify(leaf, k, n, p, root),
				-ERR_PROOF);
	cr_assert_eq(merkle_inclusion_verify(leaf, n, n, p, root), -ERR_PROOF);
	cr_assert_eq(merkle_inclusion_verify(leaf, 0, 0, p, root), -ERR_PROOF);
}

Test(merkle, inclusion_proofs_hold_and_no_others)
{
	struct digest h[2 * SMALL], again;

	fill(SMALL);
	for (size_t n = 1; n <= SMALL; n++) {
		struct merkle_tree t = { h, n };
		struct digest root;

		cr_assert_leq(merkle_tree_size(n), 2 * SMALL);
		memcpy(h, leaves, n * sizeof(*h));
		merkle_tree_fill(&t);
		mth(&root, leaves, n);
		cr_assert_eq(merkle_root(&again, n, merkle_tree_read, &t), 0);
		cr_assert(digest_eq(&again, &root));
		for (size_t i = 0; i < n; i++) {
			struct merkle_proof p;
			struct merkle_proof q;

			cr_assert_eq(
				merkle_inclusion(&p, i, n, read_leaves, &n), 0);
			cr_assert_eq(merkle_inclusion(&q, i, n,
						      merkle_tree_read, &t),
				     0);
			cr_assert_eq(p.n, q.n);
			for (unsigned k = 0; k < p.n; k++)
				cr_assert(digest_eq(&p.h[k], &q.h[k]));
			cr_assert_eq(merkle_inclusion_verify(&leaves[i], i, n,
							     &p, &root),
				     0);
			if (n <= 20 || n == SMALL)
				expect_inclusion_strict(&leaves[i], i, n, &p,
							&root);
		}
	}
}

Test(merkle, consistency_proofs_hold_and_no_others)
{
	fill(SMALL);
	for (size_t n = 0; n <= SMALL; n++) {
		struct digest root;

		mth(&root, leaves, n);
		for (size_t m = 0; m <= n; m++) {
			struct digest old;
			struct digest bad_old;
			struct merkle_proof p;

			mth(&old, leaves, m);
			cr_assert_eq(
				merkle_consistency(&p, m, n, read_leaves, &n),
				0);
			cr_assert_eq(merkle_consistency_verify(m, n, &old,
							       &root, &p),
				     0, "%zu in %zu", m, n);
			bad_old = old;
			bad_old.b[0] ^= 1;
			cr_assert_neq(merkle_consistency_verify(m, n, &bad_old,
								&root, &p),
				      0);
			for (unsigned k = 0; k < p.n; k++) {
				p.h[k].b[5] ^= 4;
				cr_assert_neq(merkle_consistency_verify(
						      m, n, &old, &root, &p),
					      0);
				p.h[k].b[5] ^= 4;
			}
			p.h[p.n++] = root;
			cr_assert_neq(merkle_consistency_verify(m, n, &old,
								&root, &p),
				      0);
		}
	}
}

Test(merkle, sizes_out_of_range_are_refused)
{
	struct merkle_proof p = { .n = 0 };
	struct digest d = { .b = { 0 } };
	size_t n = 4;

	fill(4);
	cr_assert_eq(merkle_inclusion(&p, 4, 4, read_leaves, &n), -ERR_LIMIT);
	cr_assert_eq(merkle_consistency(&p, 5, 4, read_leaves, &n), -ERR_LIMIT);
	cr_assert_eq(merkle_root(&d, UINT64_MAX, read_leaves, &n), -ERR_LIMIT);
	cr_assert_eq(merkle_consistency_verify(5, 4, &d, &d, &p), -ERR_PROOF);
	cr_assert_eq(
		merkle_inclusion_verify(&d, UINT64_MAX, UINT64_MAX, &p, &d),
		-ERR_PROOF);
}
