/*
 * chunk_cache.c - hash table and list of decoded chunks.  chunk_cache.h.
 */
#include "fs/store/chunk_cache.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

int chunk_cache_init(struct chunk_cache *c, size_t bytes_max)
{
	size_t n = 64;

	/* about one bucket per chunk of 16 KiB */
	while (n * 16384 < bytes_max)
		n *= 2;
	*c = (struct chunk_cache){ .n_buckets = n, .bytes_max = bytes_max };
	c->buckets = calloc(n, sizeof(struct cached *));
	mutex_init(&c->mu);
	cond_init(&c->loaded);
	return c->buckets ? 0 : -ENOMEM;
}

static struct cached **bucket(struct chunk_cache *c, const struct digest *id)
{
	return &c->buckets[digest_prefix(id) & (c->n_buckets - 1)];
}

static size_t weight(const struct cached *e)
{
	return sizeof(*e) + e->room;
}

static struct cached_list *list_of(struct chunk_cache *c,
				   const struct cached *e)
{
	return e->done ? &c->done : &c->used;
}

static void link_locked(struct chunk_cache *c, struct cached *e)
{
	struct cached_list *l = list_of(c, e);

	e->newer = NULL;
	e->older = l->newest;
	*(l->newest ? &l->newest->newer : &l->oldest) = e;
	l->newest = e;
	l->bytes += weight(e);
	c->bytes += weight(e);
}

static void unlink_locked(struct chunk_cache *c, struct cached *e)
{
	struct cached_list *l = list_of(c, e);

	*(e->newer ? &e->newer->older : &l->newest) = e->older;
	*(e->older ? &e->older->newer : &l->oldest) = e->newer;
	l->bytes -= weight(e);
	c->bytes -= weight(e);
}

static void unlist_locked(struct chunk_cache *c, struct cached *e)
{
	struct cached **p = bucket(c, &e->id);

	assert(e->listed);
	while (*p != e)
		p = &(*p)->chain;
	*p = e->chain;
	unlink_locked(c, e);
	e->listed = false;
}

static struct cached *find_locked(struct chunk_cache *c,
				  const struct digest *id)
{
	struct cached *e = *bucket(c, id);

	while (e && !digest_eq(&e->id, id))
		e = e->chain;
	return e;
}

/* --- memory --- */

/* Keeps the memory for the next one of its class (small ones have none). */
static void free_locked(struct chunk_cache *c, struct cached *e)
{
	size_t class = weight(e) / CACHED_CLASS;

	assert(!e->listed);
	if (class == 0 || c->spare_bytes + weight(e) > CACHED_SPARE) {
		free(e);
		return;
	}
	e->chain = c->spare[class];
	c->spare[class] = e;
	c->spare_bytes += weight(e);
}

struct cached *chunk_cache_new(struct chunk_cache *c, const struct digest *id,
			       uint8_t type, uint32_t n, uint32_t front)
{
	size_t sums = (n + (size_t)CACHED_PIECE - 1) / CACHED_PIECE;
	size_t need = sizeof(struct cached) + sums * sizeof(uint64_t) + front;
	size_t size = 0;
	size_t class = 0;
	struct cached *e = NULL;

	need += n;
	class = (need + CACHED_CLASS - 1) / CACHED_CLASS;
	size = class * CACHED_CLASS;
	assert(class < CACHED_CLASSES);
	if (need < CACHED_CLASS / 2) { /* a node, a small file */
		size = need;
		class = CACHED_CLASSES;
	}
	mutex_lock(&c->mu);
	if (class < CACHED_CLASSES && c->spare[class]) {
		e = c->spare[class];
		c->spare[class] = e->chain;
		c->spare_bytes -= size;
	}
	mutex_unlock(&c->mu);
	if (!e)
		e = malloc(size);
	if (!e)
		return NULL;
	*e = (struct cached){
		.pins = 1,
		.id = *id,
		.type = type,
		.n = n,
		.room = (uint32_t)(size - sizeof(*e)),
		.p = (uint8_t *)(e->sums + sums) + front,
	};
	return e;
}

void chunk_cache_discard(struct chunk_cache *c, struct cached *e)
{
	if (!e)
		return;
	mutex_lock(&c->mu);
	free_locked(c, e);
	mutex_unlock(&c->mu);
}

/* Frees what nobody uses, the oldest first, until no more than max is left. */
static void shrink_locked(struct chunk_cache *c, struct cached_list *l,
			  size_t *bytes, size_t max)
{
	struct cached *e = l->oldest;

	while (e && *bytes > max) {
		struct cached *newer = e->newer;

		if (e->pins == 0) {
			unlist_locked(c, e);
			free_locked(c, e);
		}
		e = newer;
	}
}

static void tidy_locked(struct chunk_cache *c)
{
	shrink_locked(c, &c->done, &c->done.bytes, CACHED_DONE);
	shrink_locked(c, &c->done, &c->bytes, c->bytes_max);
	shrink_locked(c, &c->used, &c->bytes, c->bytes_max);
}

static void release_list(struct chunk_cache *c, struct cached_list *l)
{
	while (l->oldest) {
		struct cached *e = l->oldest;

		assert(e->pins == 0);
		unlist_locked(c, e);
		free(e);
	}
}

void chunk_cache_release(struct chunk_cache *c)
{
	release_list(c, &c->used);
	release_list(c, &c->done);
	for (size_t i = 0; i < CACHED_CLASSES; i++) {
		while (c->spare[i]) {
			struct cached *e = c->spare[i];

			c->spare[i] = e->chain;
			free(e);
		}
	}
	assert(!c->claims && c->bytes == 0);
	free(c->buckets);
	cond_destroy(&c->loaded);
	mutex_destroy(&c->mu);
}

/* --- sums --- */

static uint64_t piece_sum(const struct cached *e, size_t i)
{
	size_t at = i * CACHED_PIECE;
	size_t n = e->n - at < CACHED_PIECE ? e->n - at : CACHED_PIECE;

	return XXH3_64bits(e->p + at, n);
}

void chunk_cache_sum(struct cached *e)
{
	for (size_t i = 0; i * CACHED_PIECE < e->n; i++)
		e->sums[i] = piece_sum(e, i);
}

bool chunk_cache_good(const struct cached *e, uint64_t off, uint64_t n)
{
	uint64_t end = off < e->n && n < e->n - off ? off + n : e->n;

	for (uint64_t i = off / CACHED_PIECE; i * CACHED_PIECE < end; i++)
		if (e->sums[i] != piece_sum(e, (size_t)i))
			return false;
	return true;
}

bool chunk_cache_good_copy(const struct cached *e, const uint8_t *copy,
			   uint64_t off, size_t n)
{
	uint64_t end = off + n;

	assert(end <= e->n);
	for (uint64_t i = off / CACHED_PIECE; i * CACHED_PIECE < end; i++) {
		uint64_t lo = i * CACHED_PIECE;
		uint64_t hi =
			lo + CACHED_PIECE < e->n ? lo + CACHED_PIECE : e->n;

		if (lo >= off && hi <= end) {
			if (XXH3_64bits(copy + (lo - off), hi - lo) !=
			    e->sums[i])
				return false;
			continue;
		}
		if (e->sums[i] != piece_sum(e, (size_t)i))
			return false;
		lo = lo < off ? off : lo;
		hi = hi > end ? end : hi;
		if (memcmp(copy + (lo - off), e->p + lo, hi - lo) != 0)
			return false;
	}
	return true;
}

/* --- entries --- */

/* Pins an entry that was found and makes it the newest. */
static struct cached *use_locked(struct chunk_cache *c, struct cached *e)
{
	if (!e)
		return NULL;
	e->pins++;
	if (list_of(c, e)->newest != e) {
		unlink_locked(c, e);
		link_locked(c, e);
	}
	return e;
}

static bool claimed_locked(const struct chunk_cache *c, const struct digest *id)
{
	const struct chunk_claim *k = c->claims;

	while (k && !digest_eq(&k->id, id))
		k = k->next;
	return k != NULL;
}

bool chunk_cache_has(struct chunk_cache *c, const struct digest *id)
{
	bool has = false;

	mutex_lock(&c->mu);
	has = find_locked(c, id) || claimed_locked(c, id);
	mutex_unlock(&c->mu);
	return has;
}

struct cached *chunk_cache_claim(struct chunk_cache *c, struct chunk_claim *k,
				 const struct digest *id)
{
	struct cached *e = NULL;

	mutex_lock(&c->mu);
	while (!(e = find_locked(c, id)) && claimed_locked(c, id))
		cond_wait(&c->loaded, &c->mu);
	if (e) {
		use_locked(c, e);
	} else {
		*k = (struct chunk_claim){ .next = c->claims, .id = *id };
		c->claims = k;
	}
	mutex_unlock(&c->mu);
	return e;
}

void chunk_cache_loaded(struct chunk_cache *c, struct chunk_claim *k)
{
	struct chunk_claim **p = &c->claims;

	mutex_lock(&c->mu);
	while (*p != k)
		p = &(*p)->next;
	*p = k->next;
	cond_broadcast(&c->loaded);
	mutex_unlock(&c->mu);
}

void chunk_cache_put(struct chunk_cache *c, struct cached *e)
{
	mutex_lock(&c->mu);
	if (!find_locked(c, &e->id)) {
		struct cached **p = bucket(c, &e->id);

		e->chain = *p;
		*p = e;
		e->listed = true;
		link_locked(c, e);
		tidy_locked(c);
	}
	mutex_unlock(&c->mu);
}

static void unpin_locked(struct chunk_cache *c, struct cached *e)
{
	assert(e->pins > 0);
	e->pins--;
	if (e->pins == 0 && !e->listed)
		free_locked(c, e);
	if (c->bytes > c->bytes_max || c->done.bytes > CACHED_DONE)
		tidy_locked(c);
}

void chunk_cache_unpin(struct chunk_cache *c, struct cached *e)
{
	mutex_lock(&c->mu);
	unpin_locked(c, e);
	mutex_unlock(&c->mu);
}

void chunk_cache_done(struct chunk_cache *c, struct cached *e)
{
	mutex_lock(&c->mu);
	if (e->listed && !e->done) {
		unlink_locked(c, e);
		e->done = true;
		link_locked(c, e);
	}
	unpin_locked(c, e);
	mutex_unlock(&c->mu);
}

void chunk_cache_drop(struct chunk_cache *c, struct cached *e)
{
	mutex_lock(&c->mu);
	if (e->listed)
		unlist_locked(c, e);
	mutex_unlock(&c->mu);
}
