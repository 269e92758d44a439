/*
 * ptable_mem.c - open addressing with linear probing; see ptable_mem.h.
 *
 * Invariants:
 *  1. At most 3 of 4 slots are used, so every probe ends.
 *  2. All values of a key lie in one unbroken stretch of used slots that
 *     starts at or after the key's home; slots are never freed one by one.
 * The caller serialises.
 */
#include "base/ptable_mem.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum slot_state { SLOT_FREE, SLOT_THERE, SLOT_GONE };
enum { SLOTS_MIN = 256 };

int ptable_rec_compare(const struct ptable_rec *a, const struct ptable_rec *b)
{
	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	if (a->value != b->value)
		return a->value < b->value ? -1 : 1;
	return 0;
}

void ptable_hits_init(struct ptable_hits *h)
{
	h->v = h->few;
	h->n = 0;
	h->cap = sizeof(h->few) / sizeof(h->few[0]);
}

void ptable_hits_release(struct ptable_hits *h)
{
	if (h->v != h->few)
		free(h->v);
	h->v = h->few;
}

int ptable_hits_add(struct ptable_hits *h, const struct ptable_rec *rec)
{
	struct ptable_rec *v;

	for (size_t i = 0; i < h->n; i++)
		if (h->v[i].value == rec->value)
			return 0;
	if (h->n == h->cap) {
		v = malloc(2 * h->cap * sizeof(*v));
		if (v == NULL)
			return -ENOMEM;
		memcpy(v, h->v, h->n * sizeof(*v));
		ptable_hits_release(h);
		h->v = v;
		h->cap *= 2;
	}
	h->v[h->n++] = *rec;
	return 0;
}

uint64_t ptable_mix(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	return x ^ x >> 32;
}

void ptable_mem_init(struct ptable_mem *m, uint64_t salt)
{
	memset(m, 0, sizeof(*m));
	m->salt = salt;
}

void ptable_mem_release(struct ptable_mem *m)
{
	free(m->slot);
	free(m->state);
	ptable_mem_init(m, m->salt);
}

void ptable_mem_clear(struct ptable_mem *m)
{
	if (m->nslots > 0)
		memset(m->state, SLOT_FREE, m->nslots);
	m->n = 0;
}

/* The slot of the pair, or the free one where it belongs. */
static size_t locate(const struct ptable_mem *m, uint64_t key, uint64_t value)
{
	size_t mask = m->nslots - 1;
	size_t i = (size_t)ptable_mix(key ^ m->salt) & mask;

	while (m->state[i] != SLOT_FREE &&
	       (m->slot[i].key != key || m->slot[i].value != value))
		i = (i + 1) & mask;
	return i;
}

static int grow(struct ptable_mem *m)
{
	struct ptable_mem old = *m;
	size_t nslots = old.nslots == 0 ? SLOTS_MIN : old.nslots * 2;
	struct ptable_slot *slot = malloc(nslots * sizeof(*slot));
	uint8_t *state = calloc(nslots, 1);

	if (slot == NULL || state == NULL) {
		free(slot);
		free(state);
		return -ENOMEM;
	}
	m->slot = slot;
	m->state = state;
	m->nslots = nslots;
	for (size_t i = 0; i < old.nslots; i++) {
		size_t to;

		if (old.state[i] == SLOT_FREE)
			continue;
		to = locate(m, old.slot[i].key, old.slot[i].value);
		m->slot[to] = old.slot[i];
		m->state[to] = old.state[i];
	}
	free(old.slot);
	free(old.state);
	return 0;
}

int ptable_mem_set(struct ptable_mem *m, const struct ptable_rec *rec)
{
	uint8_t state = rec->gone ? SLOT_GONE : SLOT_THERE;
	size_t i;

	if (m->n >= m->nslots / 4 * 3) {
		int rc = grow(m);

		if (rc < 0)
			return rc;
	}
	assert(m->n < m->nslots);
	i = locate(m, rec->key, rec->value);
	if (m->state[i] == state)
		return 0;
	if (m->state[i] == SLOT_FREE)
		m->n++;
	m->slot[i].key = rec->key;
	m->slot[i].value = rec->value;
	m->state[i] = state;
	return 1;
}

int ptable_mem_find(const struct ptable_mem *m, uint64_t key,
		    struct ptable_hits *out)
{
	size_t mask = m->nslots - 1;
	size_t i;

	if (m->nslots == 0)
		return 0;
	i = (size_t)ptable_mix(key ^ m->salt) & mask;
	for (; m->state[i] != SLOT_FREE; i = (i + 1) & mask) {
		struct ptable_rec rec = {
			.key = key,
			.value = m->slot[i].value,
			.gone = m->state[i] == SLOT_GONE,
		};
		int rc;

		if (m->slot[i].key != key)
			continue;
		rc = ptable_hits_add(out, &rec);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	return ptable_rec_compare(a, b);
}

void ptable_mem_list(const struct ptable_mem *m, struct ptable_rec *out,
		     bool sorted)
{
	size_t n = 0;

	for (size_t i = 0; i < m->nslots; i++) {
		if (m->state[i] == SLOT_FREE)
			continue;
		out[n].key = m->slot[i].key;
		out[n].value = m->slot[i].value;
		out[n++].gone = m->state[i] == SLOT_GONE;
	}
	assert(n == m->n);
	if (sorted)
		qsort(out, n, sizeof(*out), compare);
}

size_t ptable_mem_bytes(const struct ptable_mem *m)
{
	return m->nslots * (sizeof(struct ptable_slot) + 1);
}
