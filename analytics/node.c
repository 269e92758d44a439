/*
 * node.c - the table of virtual nodes: a hash table by number, one lock.
 *
 * Invariants: (1) a node in the table has lookups + users > 0; (2) numbers in
 * the table are distinct; a key whose number is taken by another key gets the
 * next free one.
 */
#include "analytics/node.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <xxhash.h>

#include "fs/fuse/vdir.h"

enum { BUCKETS_START = 1024 };
#define COUNTER_MASK ((1ULL << 40) - 1)

int node_table_init(struct node_table *t)
{
	memset(t, 0, sizeof(*t));
	t->buckets = calloc(BUCKETS_START, sizeof(*t->buckets));
	if (!t->buckets)
		return -ENOMEM;
	t->n_buckets = BUCKETS_START;
	mutex_init(&t->mu);
	return 0;
}

static void node_free(struct node *n)
{
	if (n->data_free)
		n->data_free(n->data);
	free((char *)n->key.s);
	free(n);
}

void node_table_release(struct node_table *t)
{
	if (!t->buckets)
		return;
	for (uint32_t i = 0; i < t->n_buckets; i++)
		while (t->buckets[i]) {
			struct node *n = t->buckets[i];

			t->buckets[i] = n->next;
			node_free(n);
		}
	free(t->buckets);
	t->buckets = NULL;
	mutex_destroy(&t->mu);
}

static uint64_t node_hash(const struct node_key *k)
{
	uint64_t head[3] = { k->kind, k->a, k->b };
	uint64_t h = XXH64(head, sizeof(head), 0);

	return k->s ? XXH64(k->s, strlen(k->s), h) : XXH64("", 0, h);
}

uint64_t node_id(const struct node_key *k)
{
	return VDIR_INO_BASE | ((node_hash(k) & COUNTER_MASK) | 1);
}

static struct node **node_bucket(struct node_table *t, uint64_t id)
{
	uint64_t h = id * 0x9e3779b97f4a7c15ULL;

	return &t->buckets[(h >> 32) & (t->n_buckets - 1)];
}

static struct node *node_by_id(struct node_table *t, uint64_t id)
{
	struct node *n = *node_bucket(t, id);

	while (n && n->id != id)
		n = n->next;
	return n;
}

static bool node_is(const struct node *n, const struct node_key *k)
{
	return n->key.kind == k->kind && n->key.a == k->a && n->key.b == k->b &&
	       !strcmp(n->key.s, k->s ? k->s : "");
}

/* Twice the buckets; without memory the chains just grow. */
static void node_grow(struct node_table *t)
{
	struct node_table bigger = { .n_buckets = t->n_buckets * 2 };

	bigger.buckets = calloc(bigger.n_buckets, sizeof(*bigger.buckets));
	if (!bigger.buckets)
		return;
	for (uint32_t i = 0; i < t->n_buckets; i++)
		while (t->buckets[i]) {
			struct node *n = t->buckets[i];
			struct node **b = node_bucket(&bigger, n->id);

			t->buckets[i] = n->next;
			n->next = *b;
			*b = n;
		}
	free(t->buckets);
	t->buckets = bigger.buckets;
	t->n_buckets = bigger.n_buckets;
}

static struct node *node_new(struct node_table *t, uint64_t id,
			     const struct node_key *k)
{
	struct node *n = calloc(1, sizeof(*n));
	struct node **b;

	if (!n)
		return NULL;
	n->id = id;
	n->key = *k;
	n->key.s = strdup(k->s ? k->s : "");
	if (!n->key.s) {
		free(n);
		return NULL;
	}
	if (t->n >= t->n_buckets)
		node_grow(t);
	b = node_bucket(t, id);
	n->next = *b;
	*b = n;
	t->n++;
	return n;
}

int node_lookup(struct node_table *t, struct node **out,
		const struct node_key *k)
{
	uint64_t id = node_id(k);
	struct node *n;

	mutex_lock(&t->mu);
	for (;;) {
		n = node_by_id(t, id);
		if (!n || node_is(n, k))
			break;
		id = VDIR_INO_BASE | (((id & COUNTER_MASK) + 2) & COUNTER_MASK);
	}
	if (!n)
		n = node_new(t, id, k);
	if (n) {
		n->lookups++;
		n->users++;
	}
	mutex_unlock(&t->mu);
	*out = n;
	return n ? 0 : -ENOMEM;
}

struct node *node_hold(struct node_table *t, uint64_t id)
{
	struct node *n;

	mutex_lock(&t->mu);
	n = node_by_id(t, id);
	if (n)
		n->users++;
	mutex_unlock(&t->mu);
	return n;
}

/* Lock held: takes n out when nobody knows it any more; the caller frees. */
static bool node_unlink_unused(struct node_table *t, struct node *n)
{
	struct node **p = node_bucket(t, n->id);

	if (n->lookups || n->users)
		return false;
	while (*p != n)
		p = &(*p)->next;
	*p = n->next;
	t->n--;
	return true;
}

void node_drop(struct node_table *t, struct node *n)
{
	bool unused;

	if (!n)
		return;
	mutex_lock(&t->mu);
	assert(n->users > 0);
	n->users--;
	unused = node_unlink_unused(t, n);
	mutex_unlock(&t->mu);
	if (unused)
		node_free(n);
}

void node_forget(struct node_table *t, uint64_t id, uint64_t count)
{
	struct node *n;
	bool unused = false;

	mutex_lock(&t->mu);
	n = node_by_id(t, id);
	if (n) {
		n->lookups -= count < n->lookups ? count : n->lookups;
		unused = node_unlink_unused(t, n);
	}
	mutex_unlock(&t->mu);
	if (unused)
		node_free(n);
}

void node_lock(struct node_table *t)
{
	mutex_lock(&t->mu);
}

void node_unlock(struct node_table *t)
{
	mutex_unlock(&t->mu);
}

void node_publish(struct node_table *t, struct node *n, uint64_t size,
		  int64_t mtime_ns, uint64_t position)
{
	mutex_lock(&t->mu);
	n->size = size;
	n->mtime_ns = mtime_ns;
	n->position = position;
	mutex_unlock(&t->mu);
}
