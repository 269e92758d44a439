/*
 * chunk_cache.c - hash table and list of decoded chunks.  chunk_cache.h.
 */
#include "fs/chunk_cache.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

int chunk_cache_init(struct chunk_cache *c, size_t bytes_max)
{
	size_t n = 64;

	/* about one bucket per chunk of 16 KiB */
	while (n * 16384 < bytes_max)
		n *= 2;
	*c = (struct chunk_cache){ .n_buckets = n, .bytes_max = bytes_max };
	c->buckets = calloc(n, sizeof(struct cached *));
	mutex_init(&c->mu);
	return c->buckets ? 0 : -ENOMEM;
}

static struct cached **bucket(struct chunk_cache *c, const struct digest *id)
{
	return &c->buckets[digest_prefix(id) & (c->n_buckets - 1)];
}

static size_t weight(const struct cached *e)
{
	return sizeof(*e) + e->n;
}

static void unlist_locked(struct chunk_cache *c, struct cached *e)
{
	struct cached **p = bucket(c, &e->id);

	assert(e->listed);
	while (*p != e)
		p = &(*p)->chain;
	*p = e->chain;
	*(e->newer ? &e->newer->older : &c->newest) = e->older;
	*(e->older ? &e->older->newer : &c->oldest) = e->newer;
	e->listed = false;
	c->bytes -= weight(e);
}

static void to_front_locked(struct chunk_cache *c, struct cached *e)
{
	e->newer = NULL;
	e->older = c->newest;
	*(c->newest ? &c->newest->newer : &c->oldest) = e;
	c->newest = e;
}

static struct cached *find_locked(struct chunk_cache *c,
				  const struct digest *id)
{
	struct cached *e = *bucket(c, id);

	while (e && !digest_eq(&e->id, id))
		e = e->chain;
	return e;
}

static void shrink_locked(struct chunk_cache *c)
{
	struct cached *e = c->oldest;

	while (e && c->bytes > c->bytes_max) {
		struct cached *newer = e->newer;

		if (e->pins == 0) {
			unlist_locked(c, e);
			free(e);
		}
		e = newer;
	}
}

void chunk_cache_release(struct chunk_cache *c)
{
	while (c->oldest) {
		struct cached *e = c->oldest;

		assert(e->pins == 0);
		unlist_locked(c, e);
		free(e);
	}
	free(c->buckets);
	mutex_destroy(&c->mu);
}

struct cached *chunk_cache_new(const struct digest *id, uint8_t type,
			       uint32_t n)
{
	struct cached *e = malloc(sizeof(*e) + n);

	if (!e)
		return NULL;
	*e = (struct cached){ .pins = 1, .id = *id, .type = type, .n = n };
	return e;
}

struct cached *chunk_cache_get(struct chunk_cache *c, const struct digest *id)
{
	struct cached *e = NULL;

	mutex_lock(&c->mu);
	e = find_locked(c, id);
	if (e) {
		e->pins++;
		if (c->newest != e) {
			e->newer->older = e->older;
			*(e->older ? &e->older->newer : &c->oldest) = e->newer;
			to_front_locked(c, e);
		}
	}
	mutex_unlock(&c->mu);
	return e;
}

void chunk_cache_put(struct chunk_cache *c, struct cached *e)
{
	mutex_lock(&c->mu);
	if (!find_locked(c, &e->id)) {
		struct cached **p = bucket(c, &e->id);

		e->chain = *p;
		*p = e;
		e->listed = true;
		c->bytes += weight(e);
		to_front_locked(c, e);
		shrink_locked(c);
	}
	mutex_unlock(&c->mu);
}

void chunk_cache_unpin(struct chunk_cache *c, struct cached *e)
{
	bool last = false;

	mutex_lock(&c->mu);
	assert(e->pins > 0);
	e->pins--;
	last = e->pins == 0 && !e->listed;
	if (c->bytes > c->bytes_max)
		shrink_locked(c);
	mutex_unlock(&c->mu);
	if (last)
		free(e);
}

void chunk_cache_drop(struct chunk_cache *c, struct cached *e)
{
	mutex_lock(&c->mu);
	if (e->listed)
		unlist_locked(c, e);
	mutex_unlock(&c->mu);
}
