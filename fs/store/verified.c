/*
 * verified.c - a set-associative set of 16-byte keys; the newest of a set
 * stands first, the oldest falls out.  See verified.h.
 */
#include "fs/store/verified.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"

int verified_init(struct verified *v, size_t sets)
{
	v->sets = sets;
	v->keys = calloc(sets * VERIFIED_WAYS, sizeof(*v->keys));
	mutex_init(&v->mu);
	return v->keys ? 0 : -ENOMEM;
}

void verified_release(struct verified *v)
{
	free(v->keys);
	mutex_destroy(&v->mu);
}

/* The bytes behind those that the location table is keyed by. */
static struct verified_key key_of(const struct digest *id)
{
	struct verified_key k = { 0 };

	memcpy(&k.a, id->b + 8, 8);
	memcpy(&k.b, id->b + 16, 8);
	if (k.a == 0 && k.b == 0)
		k.b = 1;
	return k;
}

/* The set of a key; where the key is in it, or VERIFIED_WAYS. */
static struct verified_key *find(const struct verified *v,
				 const struct verified_key *k, size_t *out_way)
{
	struct verified_key *set = &v->keys[k->a % v->sets * VERIFIED_WAYS];
	size_t i = 0;

	while (i < VERIFIED_WAYS && (set[i].a != k->a || set[i].b != k->b))
		i++;
	*out_way = i;
	return set;
}

bool verified_add(struct verified *v, const struct digest *id)
{
	struct verified_key k = key_of(id);
	struct verified_key *set = NULL;
	size_t way = 0;
	bool fresh;

	mutex_lock(&v->mu);
	set = find(v, &k, &way);
	fresh = way == VERIFIED_WAYS;
	if (fresh)
		way--;
	memmove(set + 1, set, way * sizeof(*set));
	set[0] = k;
	mutex_unlock(&v->mu);
	return fresh;
}

bool verified_drop(struct verified *v, const struct digest *id)
{
	struct verified_key k = key_of(id);
	struct verified_key *set = NULL;
	size_t way = 0;

	mutex_lock(&v->mu);
	set = find(v, &k, &way);
	if (way < VERIFIED_WAYS)
		set[way] = (struct verified_key){ 0 };
	mutex_unlock(&v->mu);
	return way < VERIFIED_WAYS;
}

bool verified_has(struct verified *v, const struct digest *id)
{
	struct verified_key k = key_of(id);
	size_t way = 0;

	mutex_lock(&v->mu);
	find(v, &k, &way);
	mutex_unlock(&v->mu);
	return way < VERIFIED_WAYS;
}
