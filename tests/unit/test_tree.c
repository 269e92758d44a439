/*
 * test_tree.c - a tree's root depends on its references alone; edits are
 * cheap; hostile nodes are refused.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/err.h"
#include "fs/content/chunker.h"
#include "fs/content/tree.h"
#include "tests/sim/prng.h"

/* --- a store of nodes in memory --- */

enum { SLOTS = 1 << 15 };

struct mem {
	struct {
		bool used;
		struct digest id;
		size_t n;
		uint8_t *p;
	} slot[SLOTS];
	struct digest chunk; /* the one plain chunk it knows */
	size_t chunk_len;
	size_t reads, writes;
};

static size_t slot_of(struct mem *m, const struct digest *id)
{
	size_t i = digest_prefix(id) % SLOTS;

	while (m->slot[i].used && !digest_eq(&m->slot[i].id, id))
		i = (i + 1) % SLOTS;
	return i;
}

static int mem_read(void *ctx, uint8_t *out, size_t *out_n,
		    const struct digest *id)
{
	struct mem *m = ctx;
	size_t i = slot_of(m, id);

	if (!m->slot[i].used && digest_eq(id, &m->chunk)) {
		*out_n = m->chunk_len;
		return 1;
	}
	if (!m->slot[i].used)
		return -ERR_MISSING_CHUNK;
	m->reads++;
	*out_n = m->slot[i].n;
	memcpy(out, m->slot[i].p, m->slot[i].n);
	return 0;
}

static int mem_write(void *ctx, const struct digest *id, const void *p,
		     size_t n)
{
	struct mem *m = ctx;
	size_t i = slot_of(m, id);

	m->writes++;
	if (m->slot[i].used)
		return 0;
	m->slot[i].used = true;
	m->slot[i].id = *id;
	m->slot[i].n = n;
	m->slot[i].p = malloc(n);
	memcpy(m->slot[i].p, p, n);
	return 0;
}

static void mem_free(struct mem **m)
{
	for (size_t i = 0; i < SLOTS; i++)
		free((*m)->slot[i].p);
	free(*m);
}

static struct tree_source source_of(struct mem *m)
{
	return (struct tree_source){ .read = mem_read, .ctx = m };
}

static struct tree_sink sink_of(struct mem *m)
{
	return (struct tree_sink){ .write = mem_write, .ctx = m };
}

/* --- lists of references --- */

struct refs {
	size_t n, cap;
	struct tree_ref *v;
};

static void refs_free(struct refs *r)
{
	free(r->v);
}

static void refs_add(struct refs *r, const struct tree_ref *ref)
{
	if (r->n == r->cap) {
		r->cap = r->cap ? 2 * r->cap : 64;
		r->v = realloc(r->v, r->cap * sizeof(*r->v));
	}
	r->v[r->n++] = *ref;
}

/* A reference fit for offset off. */
static struct tree_ref ref_random(struct prng *p, uint64_t off, unsigned holes)
{
	struct tree_ref r = { 0 };

	if (off % CHUNKER_BLOCK == 0 && prng_chance(p, holes)) {
		r.hole = true;
		r.len = CHUNKER_BLOCK * prng_range(p, 1, 100);
		return r;
	}
	r.len = prng_range(p, 1, CHUNKER_MAX / CHUNKER_BLOCK) * CHUNKER_BLOCK;
	prng_bytes(p, r.id.b, sizeof(r.id.b));
	if (prng_chance(p, 5))
		memset(&r.id, 7, sizeof(r.id)); /* repeated content */
	return r;
}

static uint64_t refs_random(struct refs *out, struct prng *p, size_t n,
			    uint64_t off, unsigned holes)
{
	for (size_t i = 0; i < n; i++) {
		struct tree_ref r = ref_random(p, off, holes);

		refs_add(out, &r);
		off += r.len;
	}
	return off;
}

static void build(struct mem *m, const struct tree_ref *v, size_t n,
		  struct digest *root, uint64_t *size)
{
	struct tree_sink sink = sink_of(m);
	struct tree_builder *b = NULL;

	cr_assert_eq(tree_builder_open(&b, &sink), 0);
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(tree_builder_put(b, &v[i]), 0);
	cr_assert_eq(tree_builder_finish(b, root, size), 0);
	tree_builder_close(b);
	if (n == 1 && !v[0].hole) {
		m->chunk = v[0].id;
		m->chunk_len = v[0].len;
	}
}

static uint64_t len_of(const struct tree_ref *v, size_t n)
{
	uint64_t len = 0;

	for (size_t i = 0; i < n; i++)
		len += v[i].len;
	return len;
}

/* Replaces v[a, b) by w through copies and puts; compares with from scratch. */
static void splice(struct mem *m, const struct refs *old, size_t a, size_t b,
		   const struct refs *mid, const struct digest *root)
{
	autocall(refs_free) struct refs all = { 0 };
	struct tree_source source = source_of(m);
	struct tree_sink sink = sink_of(m);
	struct tree_builder *tb = NULL;
	struct tree_cursor *c = NULL;
	struct digest got = { 0 };
	struct digest want = { 0 };
	uint64_t size = 0;
	uint64_t want_size = 0;
	uint64_t lo = len_of(old->v, a);
	uint64_t hi = lo + len_of(old->v + a, b - a);
	uint64_t end = len_of(old->v, old->n);

	cr_assert_eq(tree_cursor_open(&c, &source, root, end), 0);
	cr_assert_eq(tree_builder_open(&tb, &sink), 0);
	cr_assert_eq(tree_builder_copy(tb, c, 0, lo), 0);
	for (size_t i = 0; i < mid->n; i++)
		cr_assert_eq(tree_builder_put(tb, &mid->v[i]), 0);
	cr_assert_eq(tree_builder_copy(tb, c, hi, end), 0);
	cr_assert_eq(tree_builder_finish(tb, &got, &size), 0);
	tree_builder_close(tb);
	tree_cursor_close(c);

	for (size_t i = 0; i < a; i++)
		refs_add(&all, &old->v[i]);
	for (size_t i = 0; i < mid->n; i++)
		refs_add(&all, &mid->v[i]);
	for (size_t i = b; i < old->n; i++)
		refs_add(&all, &old->v[i]);
	build(m, all.v, all.n, &want, &want_size);
	cr_assert_eq(size, want_size);
	cr_assert(digest_eq(&got, &want));
}

/* Merges touching holes, as the tree does. */
static void refs_merge(struct refs *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++) {
		if (n && r->v[n - 1].hole && r->v[i].hole)
			r->v[n - 1].len += r->v[i].len;
		else
			r->v[n++] = r->v[i];
	}
	r->n = n;
}

Test(tree, a_splice_gives_what_a_build_from_scratch_gives)
{
	struct prng p = { 0 };

	prng_init(&p, prng_seed("tree_splice", 11));
	for (int round = 0; round < 150; round++) {
		autocall(mem_free) struct mem *m = calloc(1, sizeof(*m));
		autocall(refs_free) struct refs old = { 0 };
		struct digest root = { 0 };
		uint64_t size = 0;
		unsigned holes = round % 4 * 20;
		size_t n = prng_below(&p, round % 10 == 0 ? 20000 : 600);

		refs_random(&old, &p, n, 0, holes);
		refs_merge(&old);
		build(m, old.v, old.n, &root, &size);
		for (int k = 0; k < 4; k++) {
			autocall(refs_free) struct refs mid = { 0 };
			size_t a = prng_below(&p, old.n + 1);
			size_t b = a + prng_below(&p, old.n - a + 1);

			if (prng_chance(&p, 50) && b > a + 3)
				b = a + 3;
			refs_random(&mid, &p, prng_below(&p, 5),
				    len_of(old.v, a), holes);
			splice(m, &old, a, b, &mid, &root);
		}
	}
}

Test(tree, the_cursor_finds_every_reference)
{
	autocall(mem_free) struct mem *m = calloc(1, sizeof(*m));
	autocall(refs_free) struct refs v = { 0 };
	struct tree_source source = source_of(m);
	struct tree_cursor *c = NULL;
	struct tree_at at = { 0 };
	struct digest root = { 0 };
	uint64_t size = 0;
	uint64_t off = 0;
	struct prng p = { 0 };

	prng_init(&p, prng_seed("tree_cursor", 5));
	refs_random(&v, &p, 5000, 0, 20);
	refs_merge(&v);
	build(m, v.v, v.n, &root, &size);
	cr_assert_eq(tree_cursor_open(&c, &source, &root, size), 0);
	m->reads = 0;
	for (size_t i = 0; i < v.n; i++) {
		cr_assert_eq(tree_cursor_next(c, &at), 1);
		cr_assert_eq(at.off, off);
		cr_assert_eq(at.ref.len, v.v[i].len);
		cr_assert_eq(at.ref.hole, v.v[i].hole);
		cr_assert(digest_eq(&at.ref.id, &v.v[i].id));
		off += at.ref.len;
	}
	cr_assert_eq(off, size);
	cr_assert_eq(tree_cursor_next(c, &at), 0);
	cr_assert_leq(m->reads, m->writes);
	for (int k = 0; k < 2000; k++) {
		uint64_t want = prng_below(&p, size);

		cr_assert_eq(tree_cursor_seek(c, &at, want), 1);
		cr_assert(at.off <= want && want - at.off < at.ref.len);
	}
	tree_cursor_close(c);
}

Test(tree, one_change_in_20_gib_costs_a_few_nodes)
{
	autocall(mem_free) struct mem *m = calloc(1, sizeof(*m));
	autocall(refs_free) struct refs v = { 0 };
	struct tree_source source = source_of(m);
	struct tree_sink sink = sink_of(m);
	struct tree_builder *b = NULL;
	struct tree_cursor *c = NULL;
	struct digest root = { 0 };
	struct tree_ref other = { .len = 65536 };
	uint64_t size = 0;
	struct prng p = { 0 };
	size_t most_read = 0;
	size_t most_written = 0;

	prng_init(&p, prng_seed("tree_cost", 9));
	for (int i = 0; i < 327680; i++) {
		struct tree_ref r = { .len = 65536 };

		prng_bytes(&p, r.id.b, sizeof(r.id.b));
		refs_add(&v, &r);
	}
	build(m, v.v, v.n, &root, &size);
	cr_assert_eq(size, 20ULL << 30);
	for (int k = 0; k < 50; k++) {
		uint64_t at = prng_below(&p, 327680) * 65536;

		m->reads = 0;
		m->writes = 0;
		prng_bytes(&p, other.id.b, sizeof(other.id.b));
		cr_assert_eq(tree_cursor_open(&c, &source, &root, size), 0);
		cr_assert_eq(tree_builder_open(&b, &sink), 0);
		cr_assert_eq(tree_builder_copy(b, c, 0, at), 0);
		cr_assert_eq(tree_builder_put(b, &other), 0);
		cr_assert_eq(tree_builder_copy(b, c, at + 65536, size), 0);
		cr_assert_eq(tree_builder_finish(b, &root, &size), 0);
		tree_builder_close(b);
		tree_cursor_close(c);
		if (m->reads > most_read)
			most_read = m->reads;
		if (m->writes > most_written)
			most_written = m->writes;
	}
	cr_assert_leq(most_read, 30, "%zu reads", most_read);
	cr_assert_leq(most_written, 20, "%zu writes", most_written);
}

Test(tree, roots_of_small_files_are_plain)
{
	autocall(mem_free) struct mem *m = calloc(1, sizeof(*m));
	struct tree_ref r = { .len = 5 };
	struct digest root = { 0 };
	struct digest want = { 0 };
	uint64_t size = 1;

	build(m, NULL, 0, &root, &size);
	digest_blake3(&want, "", 0);
	cr_assert(digest_eq(&root, &want) && size == 0);
	digest_blake3(&r.id, "hello", 5);
	build(m, &r, 1, &root, &size);
	cr_assert(digest_eq(&root, &r.id) && size == 5);
	cr_assert_eq(m->writes, 0);
	r = (struct tree_ref){ .len = 4096, .hole = true };
	build(m, &r, 1, &root, &size);
	cr_assert_eq(m->writes, 1);
}

Test(tree, what_breaks_a_rule_is_refused)
{
	struct tree_node n = { .count = 3 };
	struct tree_node got = { 0 };
	uint8_t b[TREE_NODE_MAX + 1] = { 0 };
	size_t len = 0;

	for (int i = 0; i < 3; i++)
		n.refs[i] = (struct tree_ref){ .len = 4096, .id.b[0] = 1 };
	n.refs[1] = (struct tree_ref){ .len = 4096, .hole = true };
	len = tree_node_encode(b, &n);
	cr_assert_eq(tree_node_decode(&got, b, len), 0);
	cr_assert_eq(got.len, 3 * 4096);
	cr_assert_eq(tree_node_decode(&got, b, len - 1), -ERR_FORMAT);
	cr_assert_eq(tree_node_decode(&got, b, len + 1), -ERR_FORMAT);
	b[8 + 40 + 8] = 1; /* a hole with an id */
	cr_assert_eq(tree_node_decode(&got, b, len), -ERR_NONCANON);
	b[8 + 40 + 8] = 0;
	b[8 + 7] |= 0x80; /* two holes touch (and the first has an id) */
	cr_assert_eq(tree_node_decode(&got, b, len), -ERR_NONCANON);
	b[8 + 7] = 0;
	b[2] = 2;
	cr_assert_eq(tree_node_decode(&got, b, len), -ERR_NEWER);
	b[2] = 1;
	b[8] = 1;
	b[8 + 3] = 1; /* a chunk above the limit */
	cr_assert_eq(tree_node_decode(&got, b, len), -ERR_NONCANON);
}

Test(tree, a_node_that_should_have_ended_before_is_refused)
{
	struct tree_node n = { .count = 17 };
	struct tree_node got = { 0 };
	uint8_t b[TREE_NODE_MAX] = { 0 };
	size_t len = 0;

	for (int i = 0; i < 17; i++)
		n.refs[i] = (struct tree_ref){ .len = 1, .id.b[0] = 1 };
	n.refs[14].id.b[0] = 0; /* the 15th may */
	len = tree_node_encode(b, &n);
	cr_assert_eq(tree_node_decode(&got, b, len), 0);
	n.refs[15].id.b[0] = 64; /* the 16th may not */
	len = tree_node_encode(b, &n);
	cr_assert_eq(tree_node_decode(&got, b, len), -ERR_NONCANON);
}

static int count_visit(void *ctx, const struct digest *id, int level,
		       uint64_t off, uint64_t len)
{
	uint64_t *n = ctx;

	(void)off;
	if (level < 0) {
		n[0]++;
		n[1] += len;
	}
	return id ? 0 : 0;
}

Test(tree, the_walk_sees_every_reference_once)
{
	autocall(mem_free) struct mem *m = calloc(1, sizeof(*m));
	autocall(refs_free) struct refs v = { 0 };
	struct tree_source source = source_of(m);
	struct digest root = { 0 };
	uint64_t size = 0;
	uint64_t n[2] = { 0 };
	struct prng p = { 0 };

	prng_init(&p, 21);
	refs_random(&v, &p, 3000, 0, 10);
	refs_merge(&v);
	build(m, v.v, v.n, &root, &size);
	cr_assert_eq(tree_walk(&source, &root, size, count_visit, n), 0);
	cr_assert_eq(n[0], v.n);
	cr_assert_eq(n[1], size);
	cr_assert_eq(tree_walk(&source, &root, size + 1, count_visit, n),
		     -ERR_CORRUPT);
}
