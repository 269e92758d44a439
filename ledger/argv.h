/*
 * argv.h - a process's arguments as one str of an ACTOR, and back.
 *
 * The bytes of /proc/PID/cmdline with each backslash written \\ and each NUL,
 * which ends an argument, written \0.  An argument without it was cut.  Pure.
 */
#ifndef LEDGER_ARGV_H
#define LEDGER_ARGV_H

#include <stdbool.h>
#include <stddef.h>

#include "base/auto.h"

struct buf;

/*
 * Appends at most max bytes; what does not fit is cut.  A missing last NUL is
 * added.
 */
void argv_pack(struct buf *out, const void *cmdline, size_t n, size_t max);
/*
 * Appends the next argument's bytes to out and moves *p on; false at the end.
 */
bool argv_next(struct buf *out, const char **p, size_t *left);
/* Appends the arguments as a JSON array of strings. */
void argv_json(struct buf *out, const char *p, size_t n);
/* Appends them as a shell would quote them, escaped for a terminal. */
void argv_text(struct buf *out, const char *p, size_t n);

#endif
