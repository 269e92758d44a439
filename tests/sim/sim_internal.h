/*
 * sim_internal.h - what sim_disk.c and sim_crash.c share.
 */
#ifndef TESTS_SIM_SIM_INTERNAL_H
#define TESTS_SIM_SIM_INTERNAL_H

#include "tests/sim/sim_disk.h"

enum sim_op_kind {
	SIM_OP_WRITE, /* n bytes at off */
	SIM_OP_SIZE,  /* the size becomes off */
};

struct sim_op {
	struct sim_op *next;
	enum sim_op_kind kind;
	uint64_t off;
	size_t n;
	uint8_t b[];
};

struct sim_name {
	char *name;
	struct sim_node *node; /* counted */
};

/*
 * dir2 NULL: in dir1, name1 becomes node, or goes when node is NULL.
 * Else node moves from dir1/name1 to dir2/name2.  All nodes are counted.
 */
struct sim_nameop {
	struct sim_nameop *next;
	struct sim_node *dir1;
	struct sim_node *dir2;
	struct sim_node *node;
	char *name1;
	char *name2;
	bool mark;
};

void sim_ops_free(struct sim_node *n);
void sim_dir_set(struct sim_disk *d, struct sim_dir *dir, const char *name,
		 struct sim_node *n);
void sim_dir_clear(struct sim_disk *d, struct sim_dir *dir);
void sim_nameop_apply(struct sim_disk *d, const struct sim_nameop *op);
void sim_nameop_free(struct sim_disk *d, struct sim_nameop *op);

#endif
