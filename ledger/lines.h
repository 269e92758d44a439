/*
 * lines.h - strict reading of small text files: "WORD VALUE" lines in a
 * fixed order.  The first line that is not as wanted sticks.  Pure.
 */
#ifndef LEDGER_LINES_H
#define LEDGER_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lines {
	const char *p;
	size_t left;
	unsigned number; /* of the line read last, from 1 */
	bool bad;
};

void lines_init(struct lines *l, const void *p, size_t n);
/* The next line must be exactly this. */
void lines_exact(struct lines *l, const char *line);
/* The next line must be "WORD VALUE"; copies the value, at most cap - 1. */
void lines_value(struct lines *l, const char *word, char *out, size_t cap);
uint64_t lines_u64(struct lines *l, const char *word);
int64_t lines_i64(struct lines *l, const char *word);
/* Exactly n bytes in lower-case hex. */
void lines_hex(struct lines *l, const char *word, uint8_t *out, size_t n);
/* Everything was read and nothing was wrong. */
bool lines_done(const struct lines *l);

#endif
