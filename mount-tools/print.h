/*
 * print.h - small helpers of the verbs that print.  One thread.
 */
#ifndef MOUNT_TOOLS_PRINT_H
#define MOUNT_TOOLS_PRINT_H

#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"

struct buf;
struct errmsg;
struct idx_reader;

/* Writes it to stdout and empties it; -ENOMEM where it is bad. */
int print_flush(struct buf *b);
/* "2026-11-21 10:00:00Z", as --at takes it again. */
void print_time(struct buf *out, int64_t ns);
/* "12.3" */
void print_number(struct buf *out, uint64_t entry_no);
/* A process in a few words: "cp a b (uid 0, pid 42)"; "the system". */
void print_actor(struct buf *out, struct idx_reader *r, uint64_t actor_no);
/* "one file", "3 files": n and the noun, an s where it belongs. */
void print_count(struct buf *out, uint64_t n, const char *noun);
/* What makes a noun plural: "s", or nothing for one. */
const char *print_s(uint64_t n);
/* Writes a file whole or not at all; words name the path. */
int must_use print_file(const char *path, const void *p, size_t n,
			struct errmsg *em);

#endif
