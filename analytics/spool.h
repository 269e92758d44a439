/*
 * spool.h - the bytes of one rendered document: in memory while they are few,
 * beyond that in a nameless file below STORE/cache.
 *
 * An error sticks and is answered by spool_end; adds after it do nothing.
 * Written by one thread; after spool_end any number of threads may read.
 */
#ifndef ANALYTICS_SPOOL_H
#define ANALYTICS_SPOOL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/auto.h"
#include "base/buf.h"

enum { SPOOL_MEMORY = 1 << 20 };

struct spool {
	struct buf mem; /* what is not in the file yet; all of it without one */
	int fd;		/* -1: none */
	uint64_t size, size_max;
	const char *dir; /* of the store; borrowed */
	int rc;
};

/* size_max 0: no limit; beyond it -ERR_LIMIT. */
void spool_init(struct spool *s, const char *store_dir, uint64_t size_max);
void spool_release(struct spool *s);
void spool_add(struct spool *s, const void *p, size_t n);
/* Adds what b holds and empties it; a bad b is -ENOMEM. */
void spool_buf(struct spool *s, struct buf *b);
/* Nothing is added any more: 0 or the first error. */
int must_use spool_end(struct spool *s);
/*
 * Gives the file of a document that has one a name: path, which is new.
 * -ENOENT: it is in memory.
 */
int must_use spool_keep(const struct spool *s, const char *path);
ssize_t must_use spool_read(const struct spool *s, void *p, size_t n,
			    uint64_t off);

#endif
