/*
 * argv.h - a process's arguments as one str of an ACTOR, and back.
 *
 * The bytes of /proc/PID/cmdline with each backslash written \\ and each NUL
 * that ends an argument but the last written \0.  Pure.
 */
#ifndef LEDGER_ARGV_H
#define LEDGER_ARGV_H

#include <stdbool.h>
#include <stddef.h>

#include "base/auto.h"

struct buf;

/* NUL-separated (or -terminated) bytes in, at most max bytes out, cut there. */
void argv_pack(struct buf *out, const void *cmdline, size_t n, size_t max);
/*
 * Appends the next argument's bytes to out and moves *p on; false at the end.
 * An empty string has no arguments.
 */
bool argv_next(struct buf *out, const char **p, size_t *left);
/* Appends the arguments as a JSON array of strings. */
void argv_json(struct buf *out, const char *p, size_t n);
/* Appends them as a shell would quote them, escaped for a terminal. */
void argv_text(struct buf *out, const char *p, size_t n);

#endif
