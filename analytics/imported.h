/*
 * imported.h - where a version came from, when it came from another volume.
 * Any thread, with a reader of its own.
 */
#ifndef ANALYTICS_IMPORTED_H
#define ANALYTICS_IMPORTED_H

#include "base/auto.h"

struct buf;
struct core;
struct entry;
struct idx_reader;
struct idx_version;

/* 1 and its IMPORT (borrows from stored); 0: there is none. */
int must_use imported_find(struct core *c, struct idx_reader *r,
			   const struct idx_version *v, struct buf *stored,
			   struct entry *out);
/* The entry as one JSON object, as in vouchfs-audit(5)'s lineage. */
void imported_json(struct buf *out, const struct entry *e);

#endif
