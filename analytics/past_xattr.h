/*
 * past_xattr.h - the extended attributes that an inode had after an entry of
 * the log, ACLs among them: replayed from its entries.
 */
#ifndef ANALYTICS_PAST_XATTR_H
#define ANALYTICS_PAST_XATTR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"

struct buf;
struct core;
struct idx_reader;

struct past_xattr {
	char *name;
	uint32_t size;
	uint8_t *value;	     /* NULL: longer than an entry holds, or empty */
	struct digest chunk; /* of a longer one */
};

struct past_xattrs {
	struct past_xattr *v; /* by name */
	size_t n, cap;
};

/* 0, or an error of the journal; release *out either way. */
int must_use past_xattrs_load(struct past_xattrs *out, struct core *c,
			      struct idx_reader *r, uint64_t ino, uint64_t at);
void past_xattrs_release(struct past_xattrs *x);
bool past_xattr_same(const struct past_xattr *a, const struct past_xattr *b);
/* Appends the value; -ERR_MISSING_CHUNK and its like where it was stored. */
int must_use past_xattr_value(const struct past_xattr *x, struct core *c,
			      struct buf *out);

#endif
