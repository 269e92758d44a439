/*
 * staging.c - hash table of staged chunks.  See staging.h.
 */
#include "fs/store/staging.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/store/pack_format.h"

enum { BUCKETS_MIN = 256 };

int staging_init(struct staging *s)
{
	*s = (struct staging){ .n_buckets = BUCKETS_MIN };
	s->buckets = calloc(s->n_buckets, sizeof(struct staged *));
	mutex_init(&s->mu);
	return s->buckets ? 0 : -ENOMEM;
}

static void free_chain(struct staged *e)
{
	while (e) {
		struct staged *next = e->chain;

		free(e);
		e = next;
	}
}

void staging_release(struct staging *s)
{
	for (size_t i = 0; s->buckets && i < s->n_buckets; i++)
		free_chain(s->buckets[i]);
	free(s->buckets);
	mutex_destroy(&s->mu);
}

/* Where the pointer to the entry is, or where it would go. */
static struct staged **find_locked(struct staging *s, const struct digest *id)
{
	struct staged **p = &s->buckets[digest_prefix(id) & (s->n_buckets - 1)];

	while (*p && !digest_eq(&(*p)->chunk.id, id))
		p = &(*p)->chain;
	return p;
}

/* More buckets when there are many; without memory the chains just grow. */
static void grow_locked(struct staging *s)
{
	struct staged **old = s->buckets;
	size_t n_old = s->n_buckets;

	if (s->n < 2 * n_old)
		return;
	s->buckets = calloc(4 * n_old, sizeof(struct staged *));
	if (!s->buckets) {
		s->buckets = old;
		return;
	}
	s->n_buckets = 4 * n_old;
	for (size_t i = 0; i < n_old; i++) {
		while (old[i]) {
			struct staged *e = old[i];
			struct staged **p = NULL;

			old[i] = e->chain;
			p = find_locked(s, &e->chunk.id);
			e->chain = NULL;
			*p = e;
		}
	}
	free(old);
}

int staging_add(struct staging *s, const struct chunk *c)
{
	struct staged *fresh = malloc(sizeof(*fresh) + c->stored_len);
	struct staged **p = NULL;

	if (!fresh)
		return -ENOMEM;
	*fresh = (struct staged){ .refs = 1, .chunk = *c };
	memcpy(fresh->bytes, c->stored, c->stored_len);
	fresh->chunk.stored = fresh->bytes;
	mutex_lock(&s->mu);
	p = find_locked(s, &c->id);
	if (*p) {
		(*p)->refs++;
	} else {
		*p = take(fresh);
		s->n++;
		s->bytes += c->stored_len;
		grow_locked(s);
	}
	mutex_unlock(&s->mu);
	free(fresh);
	return 0;
}

bool staging_copy(struct staging *s, struct chunk *out, uint8_t *p,
		  const struct digest *id)
{
	struct staged *e = NULL;

	mutex_lock(&s->mu);
	e = *find_locked(s, id);
	if (e) {
		*out = e->chunk;
		memcpy(p, e->bytes, e->chunk.stored_len);
		out->stored = p;
	}
	mutex_unlock(&s->mu);
	return e != NULL;
}

int staging_type(struct staging *s, const struct digest *id)
{
	const struct staged *e = NULL;
	int type = 0;

	mutex_lock(&s->mu);
	e = *find_locked(s, id);
	if (e)
		type = e->chunk.type;
	mutex_unlock(&s->mu);
	return type;
}

const struct chunk *staging_frame(struct staging *s, const struct digest *id)
{
	struct staged *e = NULL;

	mutex_lock(&s->mu);
	e = *find_locked(s, id);
	if (e && e->framed)
		e = NULL;
	if (e)
		e->framed = true;
	mutex_unlock(&s->mu);
	return e ? &e->chunk : NULL;
}

static void remove_locked(struct staging *s, struct staged **p)
{
	struct staged *e = *p;

	*p = e->chain;
	s->n--;
	assert(s->bytes >= e->chunk.stored_len);
	s->bytes -= e->chunk.stored_len;
	free(e);
}

void staging_drop(struct staging *s, const struct digest *id)
{
	struct staged **p = NULL;

	mutex_lock(&s->mu);
	p = find_locked(s, id);
	if (*p && (*p)->refs > 0 && --(*p)->refs == 0 && !(*p)->framed)
		remove_locked(s, p);
	mutex_unlock(&s->mu);
}

void staging_settled(struct staging *s, const struct digest *id)
{
	struct staged **p = NULL;

	mutex_lock(&s->mu);
	p = find_locked(s, id);
	if (*p)
		remove_locked(s, p);
	mutex_unlock(&s->mu);
}

uint64_t staging_bytes(struct staging *s)
{
	uint64_t n = 0;

	mutex_lock(&s->mu);
	n = s->bytes;
	mutex_unlock(&s->mu);
	return n;
}

uint64_t staging_cost(struct staging *s)
{
	uint64_t n = 0;

	mutex_lock(&s->mu);
	n = s->bytes + s->n * (PACK_RECORD_SIZE + PACK_ENTRY_SIZE);
	mutex_unlock(&s->mu);
	return n;
}
