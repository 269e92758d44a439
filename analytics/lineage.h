/*
 * lineage.h - what a version was made from, and what was made from it, to
 * any depth, as a graph.
 *
 * Nodes are versions; an edge says that the process that wrote `to` (or one
 * of its ancestors) had opened `from` before, and how sure that is.  Pages
 * that the kernel kept and descriptors that were inherited hide reads, so
 * completeness is never claimed.
 *
 * Bounded: LINEAGE_NODES_MAX nodes, LINEAGE_EDGES_MAX edges; `cut` says that
 * there was more.  Cycles (two processes that fed each other) are walked once.
 * What the asker may not read is a node without a name, and not followed.
 */
#ifndef ANALYTICS_LINEAGE_H
#define ANALYTICS_LINEAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"

struct core;
struct cred;
struct idx_reader;
struct lineage;
struct spool;

enum { LINEAGE_NODES_MAX = 10000, LINEAGE_EDGES_MAX = 50000 };

struct lineage_options {
	uint32_t nodes_max; /* 0: LINEAGE_NODES_MAX */
	bool no_inputs, no_outputs;
	bool direct; /* one step each way */
};

/*
 * The graph around one version (0: the newest).  cr: who asks.  -ENODATA: no
 * such version.
 */
int must_use lineage_build(struct lineage **out, struct core *c,
			   struct idx_reader *r, const struct cred *cr,
			   uint64_t ino, uint64_t version,
			   const struct lineage_options *o);
void lineage_free(struct lineage *l); /* NULL ok */

size_t lineage_nodes(const struct lineage *l);
size_t lineage_edges(const struct lineage *l);

/* One JSON object (vouchfs-audit(5)), or one Graphviz digraph. */
int must_use lineage_json(const struct lineage *l, struct idx_reader *r,
			  struct spool *out);
int must_use lineage_dot(const struct lineage *l, struct idx_reader *r,
			 struct spool *out);
/* W3C PROV-JSON; a Mermaid flowchart. */
int must_use lineage_prov(const struct lineage *l, struct idx_reader *r,
			  struct spool *out);
int must_use lineage_mermaid(const struct lineage *l, struct idx_reader *r,
			     struct spool *out);

#endif
