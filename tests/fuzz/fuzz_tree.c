/*
 * fuzz_tree.c - tree nodes, and walking trees made of them.
 *
 * What decodes encodes to the same bytes.  A cursor and a walk over a tree
 * whose every node is the input end, with references that cover the file or
 * with an error.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fs/content/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t size;
	unsigned reads;
};

static int read_node(void *ctx, uint8_t *out, size_t *out_n,
		     const struct digest *id)
{
	struct input *in = ctx;

	(void)id;
	if (++in->reads > 1000)
		return -1;
	*out_n = in->size;
	memcpy(out, in->data, in->size);
	return 0;
}

static int visit(void *ctx, const struct digest *id, int level, uint64_t off,
		 uint64_t len)
{
	(void)ctx;
	(void)id;
	(void)level;
	return len == 0 || off + len < off ? abort(), 0 : 0;
}

static int drop(void *ctx, const struct digest *id, const void *p, size_t n)
{
	(void)ctx;
	(void)id;
	(void)p;
	(void)n;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct digest root = { { 1 } };
	struct input in = { .data = data, .size = size };
	struct tree_source source = { .read = read_node, .ctx = &in };
	struct tree_sink sink = { .write = drop };
	struct tree_node *n = calloc(1, sizeof(*n));
	struct tree_cursor *c = NULL;
	struct tree_builder *b = NULL;
	struct tree_at at = { 0 };
	uint8_t again[TREE_NODE_MAX];
	uint64_t off = 0;

	if (!n)
		abort();
	if (size <= TREE_NODE_MAX && tree_node_decode(n, data, size) == 0) {
		if (tree_node_encode(again, n) != size ||
		    memcmp(again, data, size) != 0)
			abort();
		if (tree_walk(&source, &root, n->len, visit, NULL) > 0)
			abort();
		in.reads = 0;
		if (tree_cursor_open(&c, &source, &root, n->len) == 0) {
			while (tree_cursor_next(c, &at) > 0) {
				if (at.off != off)
					abort();
				off += at.ref.len;
			}
			if (tree_builder_open(&b, &sink) == 0 &&
			    tree_builder_copy(b, c, 0, n->len) == 0 &&
			    tree_builder_size(b) != n->len)
				abort();
		}
	}
	tree_builder_close(b);
	tree_cursor_close(c);
	free(n);
	return 0;
}
