/*
 * names.h - the names in a directory as of a place in the log.
 */
#ifndef MOUNT_TOOLS_NAMES_H
#define MOUNT_TOOLS_NAMES_H

#include <stdint.h>

#include "base/auto.h"

struct idx_reader;

typedef int names_fn(void *ctx, const char *name, uint64_t ino);
/*
 * Calls fn for each, in the order of their bytes; an error of fn ends it.  A
 * page is read at a time: fn may ask the reader anything, also for names.
 */
int must_use names_at(struct idx_reader *r, uint64_t dir, uint64_t at,
		      names_fn *fn, void *ctx);

#endif
