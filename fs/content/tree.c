/*
 * tree.c - bytes of a tree node, and the rule where nodes end.
 *
 * Invariants: a node that decodes encodes to the same bytes, and is what the
 * builder would have cut.  Pure; any thread.
 */
#include "fs/content/tree.h"

#include <assert.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/err.h"
#include "fs/content/chunker.h"

_Static_assert(TREE_HEADER_SIZE == 2 + 1 + 1 + 2 + 2, "node header");
_Static_assert(TREE_REF_SIZE == 8 + DIGEST_SIZE, "node reference");

void tree_node_id(struct digest *out, const void *p, size_t n)
{
	digest_blake3_derive(out, TREE_NODE_CONTEXT, p, n);
}

void tree_empty_root(struct digest *out)
{
	digest_blake3(out, "", 0);
}

bool tree_ref_ends(const struct tree_ref *ref, unsigned count)
{
	if (count >= TREE_REFS_MAX)
		return true;
	if (count < TREE_REFS_MIN || ref->hole)
		return false;
	/* six low bits of a little-endian u32 lie in its first byte */
	return (ref->id.b[0] & TREE_CUT_MASK) == 0;
}

size_t tree_node_encode(uint8_t *out, const struct tree_node *n)
{
	struct bwriter w = { 0 };

	assert(n->count > 0 && n->count <= TREE_REFS_MAX);
	bwriter_init(&w, out, TREE_NODE_MAX);
	bwriter_copy(&w, "VN", 2);
	bwriter_u8(&w, TREE_FORMAT);
	bwriter_u8(&w, n->level);
	bwriter_u16(&w, n->count);
	bwriter_u16(&w, 0);
	for (unsigned i = 0; i < n->count; i++) {
		const struct tree_ref *r = &n->refs[i];

		assert(r->len > 0 && r->len < TREE_HOLE_BIT);
		bwriter_u64(&w, r->len | (r->hole ? TREE_HOLE_BIT : 0));
		bwriter_copy(&w, r->hole ? digest_zero.b : r->id.b,
			     DIGEST_SIZE);
	}
	assert(!w.bad);
	return w.n;
}

/* One reference, as the rules of tree_format.h have it. */
static bool ref_ok(const struct tree_ref *r, const struct tree_ref *before,
		   uint8_t level)
{
	if (r->len == 0)
		return false;
	if (!r->hole)
		return level > 0 || r->len <= CHUNKER_MAX;
	return level == 0 && r->len % CHUNKER_BLOCK == 0 &&
	       digest_is_zero(&r->id) && !(before && before->hole);
}

int tree_node_decode(struct tree_node *out, const void *p, size_t n)
{
	struct breader r = { 0 };
	uint8_t magic[2] = { 0 };
	uint8_t format = 0;
	uint16_t zero = 0;

	breader_init(&r, p, n);
	breader_copy(&r, magic, 2);
	format = breader_u8(&r);
	out->level = breader_u8(&r);
	out->count = breader_u16(&r);
	zero = breader_u16(&r);
	out->len = 0;
	if (r.bad || magic[0] != 'V' || magic[1] != 'N' || format == 0)
		return -ERR_FORMAT;
	if (format > TREE_FORMAT)
		return -ERR_NEWER;
	if (zero != 0 || out->count == 0 || out->count > TREE_REFS_MAX ||
	    out->level >= TREE_LEVELS_MAX ||
	    r.left != (size_t)out->count * TREE_REF_SIZE)
		return -ERR_FORMAT;
	for (unsigned i = 0; i < out->count; i++) {
		struct tree_ref *ref = &out->refs[i];
		uint64_t len = breader_u64(&r);

		breader_copy(&r, ref->id.b, DIGEST_SIZE);
		ref->hole = len & TREE_HOLE_BIT;
		ref->len = len & ~TREE_HOLE_BIT;
		if (!ref_ok(ref, i ? ref - 1 : NULL, out->level))
			return -ERR_NONCANON;
		if (i + 1 < out->count && tree_ref_ends(ref, i + 1))
			return -ERR_NONCANON;
		out->len += ref->len; /* both below 2^63: no wrap */
		if (out->len & TREE_HOLE_BIT)
			return -ERR_NONCANON;
	}
	return breader_done(&r) ? 0 : -ERR_FORMAT;
}

/* --- walking everything --- */

struct walk {
	const struct tree_source *source;
	int (*visit)(void *ctx, const struct digest *id, int level,
		     uint64_t off, uint64_t len);
	void *ctx;
};

/* `level` is what the parent asks for, -1 for the root: whatever it has. */
static int walk_node(const struct walk *w, const struct digest *id, int level,
		     uint64_t off, uint64_t len)
{
	autofree uint8_t *bytes = malloc(TREE_NODE_MAX);
	autofree struct tree_node *node = malloc(sizeof(*node));
	size_t n = TREE_NODE_MAX;
	int rc = 0;

	if (!bytes || !node)
		return -ENOMEM;
	rc = w->source->read(w->source->ctx, bytes, &n, id);
	if (rc < 0)
		return rc;
	if (rc > 0) { /* a plain chunk: the root alone may be one */
		if (level >= 0 || n != len)
			return -ERR_CORRUPT;
		return w->visit(w->ctx, id, -1, off, len);
	}
	rc = tree_node_decode(node, bytes, n);
	if (rc < 0)
		return rc;
	if (node->len != len || (level >= 0 && node->level != level))
		return -ERR_CORRUPT;
	rc = w->visit(w->ctx, id, node->level, off, len);
	for (unsigned i = 0; rc == 0 && i < node->count; i++) {
		const struct tree_ref *r = &node->refs[i];

		if (r->hole && off % CHUNKER_BLOCK)
			return -ERR_CORRUPT;
		if (node->level > 0)
			rc = walk_node(w, &r->id, node->level - 1, off, r->len);
		else
			rc = w->visit(w->ctx, r->hole ? NULL : &r->id, -1, off,
				      r->len);
		if (rc > 0)
			rc = 0;
		off += r->len;
	}
	return rc;
}

int tree_walk(const struct tree_source *source, const struct digest *root,
	      uint64_t size,
	      int (*visit)(void *ctx, const struct digest *id, int level,
			   uint64_t off, uint64_t len),
	      void *ctx)
{
	struct walk w = { .source = source, .visit = visit, .ctx = ctx };
	struct digest empty = { 0 };
	int rc = 0;

	if (size == 0) {
		tree_empty_root(&empty);
		return digest_eq(&empty, root) ? 0 : -ERR_CORRUPT;
	}
	rc = walk_node(&w, root, -1, 0, size);
	return rc > 0 ? 0 : rc;
}
