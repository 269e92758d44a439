/*
 * ptable_log.h - the flushes since the last manifest: batches appended to one
 * file.  Private to ptable; the bytes are in ptable_format.h.
 */
#ifndef BASE_PTABLE_LOG_H
#define BASE_PTABLE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/ptable.h"
#include "base/ptable_mem.h"

struct vio;
struct vio_file;

struct ptable_log {
	struct vio_file *file; /* NULL: none yet */
	uint64_t id;
	uint64_t seq;  /* of the next batch */
	uint64_t size; /* of the valid part */
};

/* Makes a new, empty log. */
int must_use ptable_log_create(struct ptable_log *out, struct vio *v,
			       const char *path, uint64_t id);
void ptable_log_close(struct ptable_log *l);
/* Appends one batch, durable when it returns 0.  After an error: a new log. */
int must_use ptable_log_append(struct ptable_log *l, const struct ptable_rec *v,
			       size_t n, const uint64_t mark[PTABLE_MARKS]);
/*
 * Reads all valid batches into the table in memory and the mark; the log is
 * open for appending then, if *out_torn is false.  Expected: -ERR_CORRUPT.
 */
int must_use ptable_log_replay(struct ptable_log *out, struct vio *v,
			       const char *path, uint64_t id,
			       struct ptable_mem *mem,
			       uint64_t mark[PTABLE_MARKS], bool *out_torn);

#endif
