/*
 * state_mem.h - rows in plain memory, for apply(): the oracle of the index.
 *
 * Small and slow on purpose: lists that are searched from end to end.
 */
#ifndef TESTS_SIM_STATE_MEM_H
#define TESTS_SIM_STATE_MEM_H

#include <stddef.h>
#include <stdint.h>

#include "index/state.h"

struct mem_inode {
	struct inode_row row;
	struct mem_inode *next;
};

struct mem_name {
	struct name_row row;
	char name[256];
	uint16_t len;
	struct mem_name *next;
};

struct mem_xattr {
	uint64_t ino;
	char name[256];
	uint16_t len;
	uint32_t size;
	uint8_t *value; /* NULL: chunk */
	struct digest chunk;
	struct mem_xattr *next;
};

struct mem_extent {
	uint64_t ino, no;
	struct extent_row row;
	struct mem_extent *next; /* in the order they came */
};

struct state_mem {
	struct mem_inode *inodes;
	struct mem_name *names;
	struct mem_xattr *xattrs;
	struct mem_extent *extents, **last_extent;
	size_t n_inodes, n_names, n_xattrs, n_extents;
};

extern const struct state_ops state_mem_ops; /* st: a struct state_mem */

void state_mem_init(struct state_mem *m);
void state_mem_release(struct state_mem *m);
/* FNV of everything: two equal states have equal sums. */
uint64_t state_mem_sum(const struct state_mem *m);
/* The invariants that apply() keeps; NULL or the one that is broken. */
const char *state_mem_check(const struct state_mem *m);

#endif
