/*
 * ptable_mem.h - the part of a ptable that is in no run yet: a hash table in
 * memory of (key, value) pairs that are there or gone.  Private to ptable.
 */
#ifndef BASE_PTABLE_MEM_H
#define BASE_PTABLE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"

struct ptable_rec {
	uint64_t key;
	uint64_t value;
	bool gone;
};

/* By key, then value. */
int ptable_rec_compare(const struct ptable_rec *a, const struct ptable_rec *b);

/* What get collects: the newest word on each value of one key. */
struct ptable_hits {
	struct ptable_rec few[8];
	struct ptable_rec *v; /* few, or allocated */
	size_t n;
	size_t cap;
};

void ptable_hits_init(struct ptable_hits *h);
void ptable_hits_release(struct ptable_hits *h);
/* Older words than one that is there are ignored.  0 or -ENOMEM. */
int must_use ptable_hits_add(struct ptable_hits *h,
			     const struct ptable_rec *rec);

struct ptable_slot {
	uint64_t key;
	uint64_t value;
};

struct ptable_mem {
	struct ptable_slot *slot;
	uint8_t *state;
	size_t nslots; /* a power of two, or 0 */
	size_t n;
	uint64_t salt; /* strangers choose keys, not slots */
};

void ptable_mem_init(struct ptable_mem *m, uint64_t salt);
void ptable_mem_release(struct ptable_mem *m);
/* Forgets the pairs, keeps the memory. */
void ptable_mem_clear(struct ptable_mem *m);
/* 1: something changed, 0: it was so already, or -ENOMEM. */
int must_use ptable_mem_set(struct ptable_mem *m, const struct ptable_rec *rec);
int must_use ptable_mem_find(const struct ptable_mem *m, uint64_t key,
			     struct ptable_hits *out);
/* All n pairs, sorted when asked; out has room for them. */
void ptable_mem_list(const struct ptable_mem *m, struct ptable_rec *out,
		     bool sorted);
size_t ptable_mem_bytes(const struct ptable_mem *m);

/* A bijection that spreads keys. */
uint64_t ptable_mix(uint64_t x);

#endif
