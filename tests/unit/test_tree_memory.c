/*
 * test_tree_memory.c - a cursor that is kept notices any bit that flips in the
 * nodes it holds.  The cursor's own file is part of this program: nothing else
 * sees into it.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "fs/content/tree_cursor.c" /* NOLINT */

enum { REFS = 20, LEN = 5000 };

static struct tree_node root;

static int read_root(void *ctx, uint8_t *out, size_t *out_n,
		     const struct digest *id)
{
	(void)ctx;
	(void)id;
	*out_n = tree_node_encode(out, &root);
	return 0;
}

Test(tree_memory, a_flipped_bit_of_a_kept_node_is_noticed)
{
	struct tree_source source = { .read = read_root };
	struct tree_cursor *c = NULL;
	struct tree_at at = { .off = 0 };
	struct digest id = { 0 };

	root = (struct tree_node){ .count = REFS, .len = (uint64_t)REFS * LEN };
	for (unsigned i = 0; i < REFS; i++) {
		root.refs[i].len = LEN;
		memset(&root.refs[i].id, (int)(i * 2 + 1), sizeof(id));
	}
	cr_assert_eq(tree_cursor_open(&c, &source, &id, root.len), 0);
	cr_assert_eq(tree_cursor_seek(c, &at, 7 * LEN + 1), 1);
	cr_assert(tree_cursor_good(c));
	for (unsigned i = 0; i < REFS; i++) {
		struct tree_ref *ref = &c->path[0]->node.refs[i];

		for (unsigned bit = 0; bit < 64; bit++) {
			ref->len ^= 1ULL << bit;
			cr_assert(!tree_cursor_good(c));
			ref->len ^= 1ULL << bit;
		}
		ref->hole = true;
		cr_assert(!tree_cursor_good(c));
		ref->hole = false;
		cr_assert(tree_cursor_good(c));
	}
	for (unsigned bit = 0; bit < 16; bit++) {
		c->path[0]->node.count ^= (uint16_t)(1U << bit);
		cr_assert(!tree_cursor_good(c));
		c->path[0]->node.count ^= (uint16_t)(1U << bit);
	}
	tree_cursor_close(c);
}
