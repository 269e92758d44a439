/*
 * lineage.c - builds the graph: breadth first, first up, then down.
 *
 * Up: the items of the chain of READS that the version names are exact or by
 * handle; those that its process's ancestors had written down before the
 * version are by ancestry.  Down: the same, the other way round.
 *
 * Invariants: (1) no two nodes are the same version, no two edges have the
 * same ends (the surer one stays); (2) every node is walked at most once in
 * each direction, so the work is bounded by nodes_max and the edges.
 */
#include "analytics/lineage.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "analytics/lineage_internal.h"
#include "base/err.h"
#include "fs/core/core.h"
#include "index/idx.h"
#include "ledger/entry.h"

enum { ANCESTORS_MAX = 16, DESCENDANTS_MAX = 4096 };

/* --- nodes and edges --- */

static size_t node_place(const struct lineage *l, uint64_t ino,
			 uint64_t version)
{
	uint64_t key[2] = { ino, version };
	size_t i = XXH64(key, sizeof(key), 0) & (l->node_buckets - 1);

	while (l->node_table[i]) {
		const struct idx_version *v = &l->nodes[l->node_table[i] - 1].v;

		if (v->ino == ino && v->version == version)
			break;
		i = (i + 1) & (l->node_buckets - 1);
	}
	return i;
}

/* 1 and *out; 0: no room (cut). */
static int add_node(struct lineage *l, const struct idx_version *v,
		    uint32_t *out)
{
	size_t place = node_place(l, v->ino, v->version);
	struct lineage_node *n;

	if (l->node_table[place]) {
		*out = l->node_table[place] - 1;
		return 1;
	}
	if (l->n_nodes == l->nodes_max) {
		l->cut = true;
		return 0;
	}
	if (l->n_nodes == l->cap_nodes) {
		size_t cap = l->cap_nodes ? l->cap_nodes * 2 : 64;

		n = realloc(l->nodes, cap * sizeof(*n));
		if (!n)
			return -ENOMEM;
		l->nodes = n;
		l->cap_nodes = cap;
	}
	n = &l->nodes[l->n_nodes];
	*n = (struct lineage_node){ .v = *v };
	n->hidden = core_may_read(l->core, l->cr, v->ino) < 0;
	*out = (uint32_t)l->n_nodes++;
	l->node_table[place] = *out + 1;
	return 1;
}

static int add_edge(struct lineage *l, uint32_t from, uint32_t to,
		    uint8_t strength, uint64_t reads_no)
{
	uint64_t key = (uint64_t)from << 32 | to;
	size_t i = XXH64(&key, sizeof(key), 0) & (l->edge_buckets - 1);
	struct lineage_edge *e;

	for (; l->edge_table[i]; i = (i + 1) & (l->edge_buckets - 1)) {
		e = &l->edges[l->edge_table[i] - 1];
		if (e->from != from || e->to != to)
			continue;
		if (strength > e->strength) {
			e->strength = strength;
			e->reads_no = reads_no;
		}
		return 0;
	}
	if (l->n_edges == LINEAGE_EDGES_MAX) {
		l->cut = true;
		return 0;
	}
	if (l->n_edges == l->cap_edges) {
		size_t cap = l->cap_edges ? l->cap_edges * 2 : 64;

		e = realloc(l->edges, cap * sizeof(*e));
		if (!e)
			return -ENOMEM;
		l->edges = e;
		l->cap_edges = cap;
	}
	l->edges[l->n_edges++] = (struct lineage_edge){
		.from = from,
		.to = to,
		.strength = strength,
		.reads_no = reads_no,
	};
	l->edge_table[i] = (uint32_t)l->n_edges;
	return 0;
}

/* The node is walked from, too, later. */
static void push(struct lineage *l, uint32_t node)
{
	if (l->nodes[node].walked & l->way)
		return;
	assert(l->tail < l->nodes_max);
	l->nodes[node].walked |= l->way;
	l->queue[l->tail++] = node;
}

/* --- one step --- */

struct step {
	struct lineage *l;
	struct idx_reader *r;
	uint32_t node; /* the one walked from */
	uint8_t strength_max;
	uint64_t after; /* outputs: only versions after this entry */
	uint64_t reads_no;
};

static int see_input(void *ctx, const struct idx_read_item *item)
{
	struct step *s = ctx;
	struct lineage *l = s->l;
	const struct idx_version *to = &l->nodes[s->node].v;
	struct idx_version v;
	uint8_t strength = item->strength;
	uint32_t from;
	int rc;

	if (strength > s->strength_max)
		strength = s->strength_max;
	if (!item->ino || !item->version) {
		l->unknown++;
		return 0;
	}
	if (item->ino == to->ino && item->version >= to->version)
		return 0; /* what it wrote itself, opened again */
	rc = idx_version(s->r, &v, item->ino, item->version);
	if (rc <= 0) {
		l->unknown += rc == 0;
		return rc;
	}
	rc = add_node(l, &v, &from);
	if (rc <= 0 || from == s->node)
		return rc;
	push(l, from);
	return add_edge(l, from, s->node, strength, item->reads_no);
}

static int see_ancestor_reads(void *ctx, uint64_t reads_no)
{
	struct step *s = ctx;
	int rc = idx_read_items(s->r, reads_no, see_input, s);

	return rc < 0 ? rc : s->l->cut;
}

static int walk_up(struct lineage *l, struct idx_reader *r, uint32_t node)
{
	struct idx_version v = l->nodes[node].v;
	struct step s = { .l = l, .r = r, .node = node };
	struct idx_actor a;
	uint64_t actor = v.actor_no;
	int rc = 0;

	s.strength_max = ENTRY_EXACT;
	if (v.reads_no)
		rc = idx_inputs(r, v.reads_no, see_input, &s);
	s.strength_max = ENTRY_ANCESTRY;
	for (unsigned i = 0; i < ANCESTORS_MAX && actor && rc >= 0; i++) {
		rc = idx_actor(r, &a, actor);
		if (rc <= 0)
			break;
		actor = a.parent_no;
		idx_actor_release(&a);
		if (actor)
			rc = idx_reads_by_actor(r, actor, v.no,
						see_ancestor_reads, &s);
	}
	return rc < 0 ? rc : 0;
}

static int see_output(struct step *s, const struct idx_version *v,
		      uint8_t strength, uint64_t reads_no)
{
	const struct idx_version *from = &s->l->nodes[s->node].v;
	uint32_t to;
	int rc;

	if (v->ino == from->ino && v->version <= from->version)
		return 0;
	rc = add_node(s->l, v, &to);
	if (rc <= 0 || to == s->node)
		return rc;
	push(s->l, to);
	return add_edge(s->l, s->node, to, strength, reads_no);
}

/* Who opened the version, to look at their children afterwards. */
struct opener {
	uint64_t actor, reads_no;
};
struct openers {
	struct opener *v;
	size_t n, cap;
};

static int add_opener(struct openers *o, uint64_t actor, uint64_t reads_no)
{
	if (!actor || o->n == DESCENDANTS_MAX)
		return 0;
	for (size_t i = 0; i < o->n; i++)
		if (o->v[i].actor == actor)
			return 0;
	if (o->n == o->cap) {
		size_t cap = o->cap ? o->cap * 2 : 16;
		struct opener *v = realloc(o->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		o->v = v;
		o->cap = cap;
	}
	o->v[o->n++] = (struct opener){ actor, reads_no };
	return 0;
}

struct down {
	struct step s;
	struct openers openers;
	struct opener at; /* whose children are looked at */
};

static int output_of_chain(void *ctx, const struct idx_version *v,
			   const struct idx_read_item *item)
{
	struct down *d = ctx;

	return see_output(&d->s, v, item->strength, item->reads_no);
}

static int opened_by(void *ctx, const struct idx_read_item *item)
{
	struct down *d = ctx;
	struct idx_reads reads;
	int rc = idx_reads(d->s.r, &reads, item->reads_no);

	if (rc > 0)
		rc = add_opener(&d->openers, reads.actor_no, item->reads_no);
	return rc < 0 ? rc : 0;
}

static int output_of_child(void *ctx, const struct idx_version *v)
{
	struct down *d = ctx;

	return see_output(&d->s, v, ENTRY_ANCESTRY, d->at.reads_no);
}

static int see_child(void *ctx, uint64_t actor)
{
	struct down *d = ctx;
	int rc = idx_versions_by_actor(d->s.r, actor, d->at.reads_no,
				       UINT32_MAX, output_of_child, d);

	if (rc >= 0)
		rc = add_opener(&d->openers, actor, d->at.reads_no);
	return rc < 0 ? rc : d->s.l->cut;
}

static int walk_down(struct lineage *l, struct idx_reader *r, uint32_t node)
{
	struct idx_version v = l->nodes[node].v;
	struct down d = { .s = { .l = l, .r = r, .node = node } };
	int rc = idx_outputs(r, v.ino, v.version, output_of_chain, &d);

	if (rc >= 0)
		rc = idx_readers(r, v.ino, v.version, opened_by, &d);
	for (size_t i = 0; i < d.openers.n && rc >= 0 && !l->cut; i++) {
		d.at = d.openers.v[i];
		rc = idx_actor_children(r, d.at.actor, see_child, &d);
	}
	free(d.openers.v);
	return rc < 0 ? rc : 0;
}

/* --- all steps --- */

static int walk(struct lineage *l, struct idx_reader *r, uint8_t way,
		bool direct)
{
	int rc = 0;

	l->way = way;
	l->tail = 0;
	push(l, 0);
	for (size_t i = 0; i < (direct ? 1 : l->tail) && rc >= 0; i++) {
		uint32_t at = l->queue[i];

		if (!l->nodes[at].hidden)
			rc = way == LINEAGE_UP ? walk_up(l, r, at) :
						 walk_down(l, r, at);
	}
	return rc;
}

static size_t power_above(size_t n)
{
	size_t p = 64;

	while (p < n * 2)
		p *= 2;
	return p;
}

static struct lineage *lineage_new(struct core *c, const struct cred *cr,
				   const struct lineage_options *o)
{
	struct lineage *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->core = c;
	l->cr = cr;
	l->nodes_max =
		o && o->nodes_max ? o->nodes_max : (size_t)LINEAGE_NODES_MAX;
	l->node_buckets = power_above(l->nodes_max);
	l->edge_buckets = power_above(LINEAGE_EDGES_MAX);
	l->node_table = calloc(l->node_buckets, sizeof(*l->node_table));
	l->edge_table = calloc(l->edge_buckets, sizeof(*l->edge_table));
	l->queue = calloc(l->nodes_max, sizeof(*l->queue));
	if (l->node_table && l->edge_table && l->queue)
		return l;
	lineage_free(l);
	return NULL;
}

void lineage_free(struct lineage *l)
{
	if (!l)
		return;
	free(l->nodes);
	free(l->edges);
	free(l->node_table);
	free(l->edge_table);
	free(l->queue);
	free(l);
}

static int build(struct lineage *l, struct idx_reader *r, uint64_t ino,
		 uint64_t version, const struct lineage_options *o)
{
	struct digest root;
	struct idx_version v;
	uint32_t first;
	int rc = idx_reader_position(r, &l->position, &root);

	if (rc >= 0)
		rc = version ? idx_version(r, &v, ino, version) :
			       idx_version_at(r, &v, ino, IDX_NOW);
	if (rc == 0)
		return -ENODATA;
	if (rc > 0)
		rc = add_node(l, &v, &first);
	if (rc > 0 && !(o && o->no_inputs))
		rc = walk(l, r, LINEAGE_UP, o && o->direct);
	if (rc >= 0 && !(o && o->no_outputs))
		rc = walk(l, r, LINEAGE_DOWN, o && o->direct);
	return rc < 0 ? rc : 0;
}

int lineage_build(struct lineage **out, struct core *c, struct idx_reader *r,
		  const struct cred *cr, uint64_t ino, uint64_t version,
		  const struct lineage_options *o)
{
	struct lineage *l = lineage_new(c, cr, o);
	int rc = l ? build(l, r, ino, version, o) : -ENOMEM;

	if (rc < 0) {
		lineage_free(l);
		return rc;
	}
	*out = l;
	return 0;
}

size_t lineage_nodes(const struct lineage *l)
{
	return l->n_nodes;
}

size_t lineage_edges(const struct lineage *l)
{
	return l->n_edges;
}
