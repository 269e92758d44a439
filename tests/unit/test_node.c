/*
 * test_node.c - the table of virtual nodes.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "analytics/node.h"
#include "fs/fuse/vdir.h"

static struct node *lookup(struct node_table *t, uint64_t a, const char *s)
{
	struct node_key k = { .kind = 3, .a = a, .s = s };
	struct node *n = NULL;

	cr_assert_eq(node_lookup(t, &n, &k), 0);
	return n;
}

Test(node, same_key_is_same_node_and_keeps_its_number)
{
	struct node_table t;
	struct node *a, *b;
	uint64_t id;

	cr_assert_eq(node_table_init(&t), 0);
	a = lookup(&t, 1, "x");
	b = lookup(&t, 1, "x");
	cr_assert_eq(a, b);
	cr_assert(VDIR_IS_VIRTUAL(a->id));
	cr_assert_neq(lookup(&t, 1, "y")->id, a->id);
	cr_assert_neq(lookup(&t, 2, "x")->id, a->id);
	id = a->id;
	node_drop(&t, a);
	node_drop(&t, a);
	node_forget(&t, id, 2);
	cr_assert_null(node_hold(&t, id));
	cr_assert_eq(lookup(&t, 1, "x")->id, id);
	node_table_release(&t);
}

Test(node, held_node_outlives_the_kernels_interest)
{
	struct node_table t;
	struct node *a;
	uint64_t id;

	cr_assert_eq(node_table_init(&t), 0);
	a = lookup(&t, 1, "x");
	id = a->id;
	node_forget(&t, id, 1);
	cr_assert_eq(node_hold(&t, id), a);
	node_drop(&t, a);
	node_drop(&t, a);
	cr_assert_null(node_hold(&t, id));
	node_forget(&t, id, 1); /* one too many is harmless */
	node_table_release(&t);
}

Test(node, many_nodes_come_and_go)
{
	enum { N = 20000 };
	struct node_table t;
	char s[16];

	cr_assert_eq(node_table_init(&t), 0);
	for (unsigned i = 0; i < N; i++) {
		snprintf(s, sizeof(s), "%u", i);
		node_drop(&t, lookup(&t, i % 3, s));
	}
	cr_assert_eq(t.n, N);
	for (unsigned i = 0; i < N; i++) {
		struct node *n;

		snprintf(s, sizeof(s), "%u", i);
		n = lookup(&t, i % 3, s);
		cr_assert_eq(n->lookups, 2);
		node_drop(&t, n);
		node_forget(&t, n->id, 2);
	}
	cr_assert_eq(t.n, 0);
	node_table_release(&t);
}
