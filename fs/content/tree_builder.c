/*
 * tree_builder.c - references in, nodes out, bottom-up.
 *
 * Each level collects references in an open node; when the rule of
 * tree_format.h ends it, it is written and becomes a reference one level up.
 *
 * Taking over (tree_builder_copy): where all levels up to m are empty, the
 * next reference starts a node on each of them.  If an old node of level m
 * starts there too and did not end merely because its file did, then a build
 * from scratch would cut the very same node: its reference goes straight into
 * level m + 1.  A node that ends exactly at the end of the range is not taken
 * over: it may have ended with the old file, or with a hole that what follows
 * extends.
 *
 * Invariants:
 *  1. A reference enters level n only while the levels below are empty.
 *  2. `hole` is held back until something else follows it, so that touching
 *     holes become one.
 *
 * One thread per builder.
 */
#include "fs/content/tree.h"

#include <assert.h>
#include <stdlib.h>

#include "base/err.h"
#include "fs/content/chunker.h"

struct tree_builder {
	const struct tree_sink *sink;
	uint64_t size;			       /* bytes so far, hole included */
	uint64_t hole;			       /* bytes of the hole held back */
	uint64_t total[TREE_LEVELS_MAX];       /* references ever put */
	struct tree_ref last[TREE_LEVELS_MAX]; /* newest of each level */
	struct tree_node *open[TREE_LEVELS_MAX];
	bool finished;
	uint8_t bytes[TREE_NODE_MAX];
};

int tree_builder_open(struct tree_builder **out, const struct tree_sink *sink)
{
	struct tree_builder *b = calloc(1, sizeof(*b));

	*out = b;
	if (!b)
		return -ENOMEM;
	b->sink = sink;
	return 0;
}

void tree_builder_close(struct tree_builder *b)
{
	if (!b)
		return;
	for (int i = 0; i < TREE_LEVELS_MAX; i++)
		free(b->open[i]);
	free(b);
}

uint64_t tree_builder_size(const struct tree_builder *b)
{
	return b->size;
}

/* Writes the open node of a level and empties it. */
static int close_node(struct tree_builder *b, int level, struct tree_ref *out)
{
	struct tree_node *n = b->open[level];
	size_t len = 0;

	n->level = (uint8_t)level;
	len = tree_node_encode(b->bytes, n);
	*out = (struct tree_ref){ .len = n->len };
	tree_node_id(&out->id, b->bytes, len);
	n->count = 0;
	n->len = 0;
	return b->sink->write(b->sink->ctx, &out->id, b->bytes, len);
}

/* Puts a reference into a level and on up through the nodes that it ends. */
static int push(struct tree_builder *b, int level, const struct tree_ref *ref)
{
	struct tree_ref r = *ref;
	int rc = 0;

	for (; level < TREE_LEVELS_MAX; level++) {
		struct tree_node *n = b->open[level];

		if (!n) {
			n = calloc(1, sizeof(*n));
			b->open[level] = n;
			if (!n)
				return -ENOMEM;
		}
		n->refs[n->count++] = r;
		n->len += r.len;
		b->last[level] = r;
		b->total[level]++;
		if (!tree_ref_ends(&r, n->count))
			return 0;
		rc = close_node(b, level, &r);
		if (rc < 0)
			return rc;
	}
	return -ERR_LIMIT;
}

static int push_hole(struct tree_builder *b)
{
	struct tree_ref r = { .len = b->hole, .hole = true };

	if (b->hole == 0)
		return 0;
	b->hole = 0;
	return push(b, 0, &r);
}

int tree_builder_put(struct tree_builder *b, const struct tree_ref *ref)
{
	uint64_t size = 0;
	int rc = 0;

	assert(!b->finished);
	if (ref->len == 0 || ref->len >= TREE_HOLE_BIT ||
	    __builtin_add_overflow(b->size, ref->len, &size) ||
	    size >= TREE_HOLE_BIT)
		return -EINVAL;
	if (ref->hole) {
		if (ref->len % CHUNKER_BLOCK || b->size % CHUNKER_BLOCK)
			return -EINVAL;
		b->hole += ref->len;
		b->size = size;
		return 0;
	}
	if (ref->len > CHUNKER_MAX)
		return -EINVAL;
	rc = push_hole(b);
	if (rc == 0)
		rc = push(b, 0, ref);
	b->size = size;
	return rc;
}

/* Highest level up to which all is empty, -1 when level 0 is not. */
static int empty_up_to(const struct tree_builder *b)
{
	int level = 0;

	if (b->hole > 0)
		return -1;
	while (level < TREE_LEVELS_MAX &&
	       (!b->open[level] || b->open[level]->count == 0))
		level++;
	return level - 1;
}

int tree_builder_copy(struct tree_builder *b, struct tree_cursor *old,
		      uint64_t lo, uint64_t hi)
{
	/* a shift that is no multiple of a block could misplace holes */
	bool whole = (b->size - lo) % CHUNKER_BLOCK == 0;
	struct tree_ref ref = { 0 };
	struct tree_at at = { 0 };
	uint8_t level = 0;
	int rc = 0;

	if (lo > hi || hi > tree_cursor_size(old) ||
	    hi - lo >= TREE_HOLE_BIT - b->size)
		return -EINVAL;
	while (lo < hi) {
		rc = 0;
		if (whole)
			rc = tree_cursor_subtree(old, &ref, &level, lo, hi,
						 empty_up_to(b));
		if (rc < 0)
			return rc;
		if (rc > 0) {
			rc = push(b, level + 1, &ref);
			b->size += ref.len;
			lo += ref.len;
		} else {
			rc = tree_cursor_seek(old, &at, lo);
			if (rc < 0)
				return rc;
			if (rc == 0 || at.off != lo || at.ref.len > hi - lo)
				return -EINVAL;
			rc = tree_builder_put(b, &at.ref);
			lo += at.ref.len;
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

int tree_builder_finish(struct tree_builder *b, struct digest *out_root,
			uint64_t *out_size)
{
	struct tree_ref ref = { 0 };
	int top = -1;
	int rc = push_hole(b);

	assert(!b->finished);
	b->finished = true;
	*out_size = b->size;
	if (rc < 0)
		return rc;
	for (int i = 0; i < TREE_LEVELS_MAX; i++)
		if (b->total[i] > 0)
			top = i;
	if (top < 0) {
		tree_empty_root(out_root);
		return 0;
	}
	for (int i = 0; rc == 0 && i <= top; i++) {
		if (i == top && b->total[i] == 1 && !b->last[i].hole) {
			*out_root = b->last[i].id;
			return 0;
		}
		if (!b->open[i] || b->open[i]->count == 0)
			continue;
		if (i + 1 == TREE_LEVELS_MAX)
			return -ERR_LIMIT;
		rc = close_node(b, i, &ref);
		if (rc == 0)
			rc = push(b, i + 1, &ref);
		for (int up = i + 1; up < TREE_LEVELS_MAX; up++)
			if (b->total[up] > 0 && up > top)
				top = up;
	}
	assert(rc < 0); /* the top level holds one reference in the end */
	return rc;
}
