/*
 * atomic_file.h - replace a small file so that a crash leaves the old bytes
 * or the new ones, durable when the call returns: temp in the same directory,
 * write, fdatasync, rename, sync the directory.
 */
#ifndef BASE_ATOMIC_FILE_H
#define BASE_ATOMIC_FILE_H

#include <stddef.h>

#include "base/auto.h"

struct vio;

/* flags: 0 or VIO_PRIVATE.  Expected errors: -ENOSPC, -EIO. */
int must_use atomic_file_write(struct vio *v, const char *path, const void *p,
			       size_t n, int flags);

#endif
