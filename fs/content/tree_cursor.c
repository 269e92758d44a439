/*
 * tree_cursor.c - finds the reference at an offset of a version.
 *
 * The path from the root down is kept decoded, one node per level; a seek
 * starts at the lowest kept node that covers the offset, so that walking on
 * reads each node once.
 *
 * Invariants:
 *  1. Levels low..top of the path are loaded, each the child of the one above
 *     at its `pick`.
 *  2. A loaded node has the level and the length its parent says.
 *
 * One thread per cursor.
 */
#include "fs/content/tree.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <xxhash.h>

#include "base/err.h"
#include "fs/content/chunker.h"

struct step {
	uint64_t off;	   /* of the node in the file */
	unsigned pick;	   /* reference in use */
	uint64_t pick_off; /* where it starts */
	uint64_t sum;	   /* of the node, since it was decoded */
	struct tree_node node;
};

struct tree_cursor {
	const struct tree_source *source;
	uint64_t size;
	uint64_t pos; /* where tree_cursor_next goes on */
	int top;
	int low;
	struct step *path[TREE_LEVELS_MAX];
	uint8_t bytes[TREE_NODE_MAX];
};

static uint64_t node_sum(const struct tree_node *n)
{
	return XXH3_64bits(n, offsetof(struct tree_node, refs) +
				      n->count * sizeof(n->refs[0]));
}

static int step_get(struct tree_cursor *c, struct step **out, int level)
{
	if (!c->path[level])
		c->path[level] = malloc(sizeof(struct step));
	*out = c->path[level];
	return *out ? 0 : -ENOMEM;
}

/* A tree of one chunk, or of nothing, looks like a node of level 0. */
static int plain_root(struct tree_cursor *c, const struct digest *root)
{
	struct step *s = NULL;
	int rc = step_get(c, &s, 0);

	if (rc < 0)
		return rc;
	*s = (struct step){ .node.count = c->size > 0, .node.len = c->size };
	s->node.refs[0] = (struct tree_ref){ .len = c->size, .id = *root };
	s->sum = node_sum(&s->node);
	c->top = 0;
	c->low = 0;
	return 0;
}

static int load_root(struct tree_cursor *c, const struct digest *root)
{
	struct digest empty = { 0 };
	autofree struct tree_node *node = NULL;
	struct step *s = NULL;
	size_t n = sizeof(c->bytes);
	int rc = 0;

	if (c->size == 0) {
		tree_empty_root(&empty);
		return digest_eq(root, &empty) ? plain_root(c, root) :
						 -ERR_CORRUPT;
	}
	rc = c->source->read(c->source->ctx, c->bytes, &n, root);
	if (rc < 0)
		return rc;
	if (rc > 0)
		return n == c->size && n <= CHUNKER_MAX ? plain_root(c, root) :
							  -ERR_CORRUPT;
	node = malloc(sizeof(*node));
	if (!node)
		return -ENOMEM;
	rc = tree_node_decode(node, c->bytes, n);
	if (rc < 0)
		return rc;
	if (node->len != c->size)
		return -ERR_CORRUPT;
	rc = step_get(c, &s, node->level);
	if (rc < 0)
		return rc;
	*s = (struct step){ .off = 0 };
	s->node = *node;
	s->sum = node_sum(&s->node);
	c->top = node->level;
	c->low = node->level;
	return 0;
}

int tree_cursor_open(struct tree_cursor **out, const struct tree_source *source,
		     const struct digest *root, uint64_t size)
{
	struct tree_cursor *c = calloc(1, sizeof(*c));
	int rc = 0;

	*out = NULL;
	if (!c)
		return -ENOMEM;
	c->source = source;
	c->size = size;
	rc = load_root(c, root);
	if (rc < 0)
		goto fail;
	*out = c;
	return 0;
fail:
	tree_cursor_close(c);
	return rc;
}

void tree_cursor_close(struct tree_cursor *c)
{
	if (!c)
		return;
	for (int i = 0; i < TREE_LEVELS_MAX; i++)
		free(c->path[i]);
	free(c);
}

bool tree_cursor_good(const struct tree_cursor *c)
{
	for (int i = c->low; i <= c->top; i++) {
		const struct tree_node *n = &c->path[i]->node;

		if (n->count > TREE_REFS_MAX || node_sum(n) != c->path[i]->sum)
			return false;
	}
	return true;
}

uint64_t tree_cursor_size(const struct tree_cursor *c)
{
	return c->size;
}

/* Points `pick` at the reference that covers off; off lies in the node. */
static void step_pick(struct step *s, uint64_t off)
{
	if (off < s->pick_off || s->pick_off < s->off) {
		s->pick = 0;
		s->pick_off = s->off;
	}
	while (off - s->pick_off >= s->node.refs[s->pick].len) {
		s->pick_off += s->node.refs[s->pick].len;
		s->pick++;
		assert(s->pick < s->node.count);
	}
}

/* Loads the picked child of `level` into the path. */
static int descend(struct tree_cursor *c, int level)
{
	const struct step *up = c->path[level];
	const struct tree_ref *ref = &up->node.refs[up->pick];
	struct step *s = NULL;
	size_t n = sizeof(c->bytes);
	int rc = 0;

	assert(level > 0 && level == c->low);
	rc = step_get(c, &s, level - 1);
	if (rc < 0)
		return rc;
	rc = c->source->read(c->source->ctx, c->bytes, &n, &ref->id);
	if (rc != 0)
		return rc < 0 ? rc : -ERR_CORRUPT;
	rc = tree_node_decode(&s->node, c->bytes, n);
	if (rc < 0)
		return rc;
	if (s->node.level != level - 1 || s->node.len != ref->len)
		return -ERR_CORRUPT;
	s->off = up->pick_off;
	s->pick = 0;
	s->pick_off = s->off;
	s->sum = node_sum(&s->node);
	c->low = level - 1;
	return 0;
}

/* Drops what does not cover off, picks in what is left; the lowest level. */
static void climb(struct tree_cursor *c, uint64_t off)
{
	while (c->low < c->top) {
		const struct step *s = c->path[c->low];

		if (off >= s->off && off - s->off < s->node.len)
			break;
		c->low++;
	}
	for (int i = c->low; i <= c->top; i++)
		step_pick(c->path[i], off);
}

int tree_cursor_seek(struct tree_cursor *c, struct tree_at *out, uint64_t off)
{
	const struct step *s = NULL;
	int rc = 0;

	if (off >= c->size) {
		c->pos = c->size;
		return 0;
	}
	climb(c, off);
	while (c->low > 0) {
		rc = descend(c, c->low);
		if (rc < 0)
			return rc;
		step_pick(c->path[c->low], off);
	}
	s = c->path[0];
	*out = (struct tree_at){ .off = s->pick_off,
				 .ref = s->node.refs[s->pick] };
	if (out->ref.hole && out->off % CHUNKER_BLOCK)
		return -ERR_CORRUPT;
	c->pos = out->off + out->ref.len;
	return 1;
}

int tree_cursor_next(struct tree_cursor *c, struct tree_at *out)
{
	return tree_cursor_seek(c, out, c->pos);
}

int tree_cursor_subtree(struct tree_cursor *c, struct tree_ref *out,
			uint8_t *out_level, uint64_t off, uint64_t hi,
			int level_max)
{
	int rc = 0;

	if (off >= c->size || level_max < 0)
		return 0;
	climb(c, off);
	for (int level = c->top; level > 0; level--) {
		const struct step *s = NULL;
		const struct tree_ref *ref = NULL;

		if (level < c->low) {
			rc = descend(c, level + 1);
			if (rc < 0)
				return rc;
			step_pick(c->path[level], off);
		}
		s = c->path[level];
		ref = &s->node.refs[s->pick];
		if (level - 1 > level_max || s->pick_off != off ||
		    ref->len >= hi - off)
			continue;
		*out = *ref;
		*out_level = (uint8_t)(level - 1);
		return 1;
	}
	return 0;
}
