/*
 * log_lines.h - /audit/log.jsonl as an array of bytes: where each line is.
 *
 * The log is cut into blocks of some seals; the table holds, per block, its
 * first seal and the byte at which its lines start.  It grows as the log
 * does and is kept in STORE/cache between mounts; deleting that is safe.
 */
#ifndef ANALYTICS_LOG_LINES_H
#define ANALYTICS_LOG_LINES_H

#include <stdint.h>
#include <sys/types.h>

#include "base/auto.h"
#include "base/buf.h"

struct log_lines;
struct provider;

/* Bytes rendered last, of one reader. */
struct log_cursor {
	struct buf text;
	uint64_t from, until; /* seals [from, until) are in text */
	uint64_t off;	      /* of text in the whole */
};

int must_use log_lines_open(struct log_lines **out, struct provider *p);
void log_lines_close(struct log_lines *g);

/*
 * Takes new seals into the table until they are max_bytes of lines (the last
 * one whole); *out_size bytes in all.
 */
int must_use log_lines_extend(struct log_lines *g, uint64_t max_bytes,
			      uint64_t *out_size);
ssize_t must_use log_lines_read(struct log_lines *g, struct log_cursor *c,
				void *p, size_t n, uint64_t off);

#endif
