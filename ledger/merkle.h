/*
 * merkle.h - RFC 6962 trees over SHA-256: roots, frontiers, proofs.
 *
 * Pure; callable from any thread.  Stored hashes are read through a callback
 * as "the complete subtree of 2^level leaves, number index from the left", so
 * that tiles, arrays or a database can serve them.
 */
#ifndef LEDGER_MERKLE_H
#define LEDGER_MERKLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"

enum { MERKLE_PROOF_MAX = 65 };

struct merkle_proof {
	unsigned n;
	struct digest h[MERKLE_PROOF_MAX];
};

/* 0 or an error, which ends the call that asked. */
typedef int merkle_read_fn(void *ctx, struct digest *out, unsigned level,
			   uint64_t index);

void merkle_leaf(struct digest *out, const void *p, size_t n);
void merkle_node(struct digest *out, const struct digest *left,
		 const struct digest *right);
/* Root of n level-0 hashes; n = 0 gives SHA-256(""). */
void merkle_root_of(struct digest *out, const struct digest *leaves, size_t n);

/*
 * All complete subtrees of n leaves, level by level: h has merkle_tree_size(n)
 * hashes, the leaves first; _fill() makes the others.  A root or a proof is
 * then a few hashes away: merkle_tree_read() with a struct merkle_tree.
 */
struct merkle_tree {
	struct digest *h;
	size_t n;
};
size_t merkle_tree_size(size_t n);
void merkle_tree_fill(struct merkle_tree *t);
int must_use merkle_tree_read(void *ctx, struct digest *out, unsigned level,
			      uint64_t index);

/* The right edge of a growing tree: one hash per set bit of size. */
struct merkle_frontier {
	uint64_t size;
	struct digest h[64]; /* h[k] valid where bit k of size is set */
};

void merkle_frontier_init(struct merkle_frontier *f);
/* Adds a leaf hash.  fn may be NULL; else it is told every new node. */
typedef void merkle_new_fn(void *ctx, unsigned level, uint64_t index,
			   const struct digest *h);
void merkle_frontier_append(struct merkle_frontier *f,
			    const struct digest *leaf, merkle_new_fn *fn,
			    void *ctx);
void merkle_frontier_root(struct digest *out, const struct merkle_frontier *f);
/* Reads the frontier of a tree of this size. */
int must_use merkle_frontier_load(struct merkle_frontier *out, uint64_t size,
				  merkle_read_fn *read, void *ctx);

int must_use merkle_root(struct digest *out, uint64_t size,
			 merkle_read_fn *read, void *ctx);
int must_use merkle_inclusion(struct merkle_proof *out, uint64_t index,
			      uint64_t size, merkle_read_fn *read, void *ctx);
/* From `from` leaves to `size` leaves; empty for from = 0 or equal sizes. */
int must_use merkle_consistency(struct merkle_proof *out, uint64_t from,
				uint64_t size, merkle_read_fn *read, void *ctx);

/* RFC 9162 2.1.3.2: 0 or -ERR_PROOF. */
int must_use merkle_inclusion_verify(const struct digest *leaf, uint64_t index,
				     uint64_t size,
				     const struct merkle_proof *proof,
				     const struct digest *root);
/* RFC 9162 2.1.4.2: 0 or -ERR_PROOF. */
int must_use merkle_consistency_verify(uint64_t from, uint64_t size,
				       const struct digest *from_root,
				       const struct digest *root,
				       const struct merkle_proof *proof);

#endif
