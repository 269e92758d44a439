/*
 * itable_internal.h - what itable.c, itable_state.c and itable_load.c share.
 * All of it wants itable.mu held.
 */
#ifndef FS_ITABLE_INTERNAL_H
#define FS_ITABLE_INTERNAL_H

#include <stddef.h>

#include "fs/core/itable.h"

struct inode *itable_find_inode(struct itable *t, uint64_t ino);
struct name *itable_find_name(struct itable *t, uint64_t parent,
			      const char *name, size_t len);
/* NULL: no memory.  Not on any list yet. */
/* From now on one more itable_add_inode() finds memory.  -ENOMEM. */
int must_use itable_reserve(struct itable *t);
struct inode *itable_add_inode(struct itable *t, uint64_t ino);
struct name *itable_add_name(struct itable *t, uint64_t parent,
			     const char *name, size_t len);
void itable_place_inode(struct itable *t, struct inode *i);
/* A new name as the index has it, onto the LRU. */
void itable_name_clean(struct itable *t, struct name *n);
/*
 * Keeps what the index said after `look`, if it is still right; row->target is
 * taken over in any case.  .ino 0 is no row.
 */
void itable_learn_inode(struct itable *t, const struct itable_look *look,
			struct inode_row *row);
/* Evicts what is too much. */
void itable_trim(struct itable *t);
/* Places in itable.gens. */
size_t itable_ino_gen(uint64_t ino);
size_t itable_name_gen(uint64_t parent, const char *name, size_t len);
/* n was changed by the entry being applied. */
void itable_name_dirtied(struct itable *t, struct inode *dir, struct name *n);

struct xattr *itable_new_xattr(const char *name, uint16_t len,
			       const void *value, uint32_t value_len,
			       const struct digest *chunk);
void itable_free_xattr(struct xattr *x);
void itable_free_xattrs(struct inode *i);

static inline struct name *itable_name_of(struct link *in_dir)
{
	return (struct name *)((char *)in_dir - offsetof(struct name, in_dir));
}

static inline struct inode *itable_inode_of(struct inode_row *row)
{
	return (struct inode *)((char *)row - offsetof(struct inode, row));
}

#endif
