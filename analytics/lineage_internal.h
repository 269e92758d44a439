/*
 * lineage_internal.h - the graph, as lineage.c builds and lineage_render.c
 * shows it.
 */
#ifndef ANALYTICS_LINEAGE_INTERNAL_H
#define ANALYTICS_LINEAGE_INTERNAL_H

#include "analytics/lineage.h"
#include "index/idx_query.h"

enum { LINEAGE_UP = 1, LINEAGE_DOWN = 2 };

struct lineage_node {
	struct idx_version v;
	bool hidden;	/* not to be read by who asks */
	uint8_t walked; /* LINEAGE_UP, LINEAGE_DOWN: done or queued */
};

struct lineage_edge {
	uint32_t from, to; /* nodes */
	uint8_t strength;  /* enum entry_strength */
	uint64_t reads_no; /* the READS entry that says so */
};

struct lineage {
	struct core *core;
	const struct cred *cr;
	struct lineage_node *nodes; /* nodes[0]: the one asked about */
	size_t n_nodes, cap_nodes, nodes_max;
	struct lineage_edge *edges;
	size_t n_edges, cap_edges;
	uint32_t *node_table, *edge_table; /* index + 1; open addressing */
	size_t node_buckets, edge_buckets;
	uint32_t *queue; /* of the walk: nodes_max */
	size_t tail;
	uint8_t way;
	uint64_t unknown; /* inputs that are in no version in the log */
	uint64_t position;
	bool cut;
};

#endif
