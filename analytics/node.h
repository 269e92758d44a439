/*
 * node.h - virtual nodes: what the kernel knows of files that are computed.
 *
 * A node is named by its key (kind, two numbers, a string), never by where it
 * was found, so two names of one thing are one node.  Its number is a hash of
 * the key: after the kernel forgot it, it comes back with the same one.
 *
 * A node lives while the kernel counts lookups of it or somebody holds it.
 * Threads: all calls from any thread; `size`, `mtime_ns` and `data` are
 * guarded by the table's lock (node_lock).
 */
#ifndef ANALYTICS_NODE_H
#define ANALYTICS_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/thread.h"

struct node_key {
	uint16_t kind;
	uint64_t a, b;
	const char *s; /* NULL: "" */
};

struct node {
	struct node *next;
	uint64_t id;
	struct node_key key; /* key.s is owned, never NULL */
	uint64_t lookups;    /* guarded by the table's lock, and below */
	uint32_t users;
	uint64_t size;	   /* published for stat(2) */
	int64_t mtime_ns;  /* of what was published */
	uint64_t position; /* of the log, when it was published */
	void *data;	   /* the view's own */
	void (*data_free)(void *data);
};

struct node_table {
	struct mutex mu;
	struct node **buckets;
	uint32_t n_buckets, n;
};

int must_use node_table_init(struct node_table *t);
void node_table_release(struct node_table *t);

/* The number a key has or would get. */
uint64_t node_id(const struct node_key *k);
/* Finds or makes; one lookup and one user more. */
int must_use node_lookup(struct node_table *t, struct node **out,
			 const struct node_key *k);
/* One user more; NULL when there is no such node. */
struct node *node_hold(struct node_table *t, uint64_t id);
void node_drop(struct node_table *t, struct node *n); /* NULL ok */
void node_forget(struct node_table *t, uint64_t id, uint64_t n);

void node_lock(struct node_table *t) acquire_capability(&t->mu);
void node_unlock(struct node_table *t) release_capability(&t->mu);
/* Says what stat(2) shows from now on. */
void node_publish(struct node_table *t, struct node *n, uint64_t size,
		  int64_t mtime_ns, uint64_t position);

#endif
