/*
 * apply_internal.h - what apply.c and apply_names.c share.
 */
#ifndef INDEX_APPLY_INTERNAL_H
#define INDEX_APPLY_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "index/state.h"
#include "ledger/entry.h"

/* One call of apply(): its arguments, and the row of core.inode. */
struct apply_ctx {
	void *st;
	const struct state_ops *ops;
	const struct entry *e;
	const struct apply_options *o;
	struct inode_row *row; /* NULL once it is freed, and in CREATE */
	const char *why;
};

/* Answers "rejected" with the reason. */
static inline int apply_reject(struct apply_ctx *c, const char *why)
{
	c->why = why;
	return APPLY_REJECTED;
}

/* Stops with a keeper's negative answer. */
#define apply_try(expr)             \
	do {                        \
		int rc_ = (expr);   \
		if (rc_ < 0)        \
			return rc_; \
	} while (0)

static inline bool apply_is_dir(const struct inode_row *row)
{
	return (row->mode & 0170000) == 0040000;
}

static inline bool apply_is_reg(const struct inode_row *row)
{
	return (row->mode & 0170000) == 0100000;
}

/* Records an entry as the last one of `row`, which CREATE or a getter gave. */
int must_use apply_finish(struct apply_ctx *c, struct inode_row *row);

int must_use apply_create(struct apply_ctx *c);
int must_use apply_link(struct apply_ctx *c);
int must_use apply_unlink(struct apply_ctx *c);
int must_use apply_rename(struct apply_ctx *c);

#endif
