/*
 * describe.h - one entry in a few words, for lists a person reads.
 */
#ifndef MOUNT_TOOLS_DESCRIBE_H
#define MOUNT_TOOLS_DESCRIBE_H

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct entry;
struct idx_entry;
struct idx_reader;

/* "data/a.csv  1.2 MiB, version 3": escaped, no newline. */
void describe_entry(struct buf *out, struct idx_reader *r,
		    const struct entry *e, uint64_t entry_no);
/* Entries about entries (who, what was opened, digests): left out of lists. */
bool describe_is_detail(const struct idx_entry *e);
/* The path of an inode just after entry `no`, or before it; escaped. */
void describe_path(struct buf *out, struct idx_reader *r, uint64_t ino,
		   uint64_t no);

#endif
