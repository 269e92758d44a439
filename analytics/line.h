/*
 * line.h - entries of the log as lines of JSON (ledger/entry_json.h), with
 * what only the index knows: where the actor's entry lies, and rejections.
 *
 * A line is a function of the log alone: the same entry gives the same line
 * whenever it is asked for.  Any thread, with an index reader of its own.
 */
#ifndef ANALYTICS_LINE_H
#define ANALYTICS_LINE_H

#include <stdint.h>

#include "base/auto.h"

struct buf;
struct core;
struct entry;
struct idx_entry;
struct idx_reader;

/* Appends a line for each entry of a seal that the index has. */
int must_use line_seal(struct core *c, struct idx_reader *r, struct buf *out,
		       uint64_t seal);
/* Appends the line of one entry. */
int must_use line_entry(struct core *c, struct idx_reader *r, struct buf *out,
			const struct idx_entry *e);
/*
 * Appends the line of one entry with the inode's path then and the process
 * that did it ("path", "by"): how histories show entries.
 */
int must_use line_history(struct core *c, struct idx_reader *r, struct buf *out,
			  const struct idx_entry *e, uint64_t ino);
/* Reads and decodes an entry; *out borrows from stored. */
int must_use line_load(struct core *c, struct buf *stored, struct entry *out,
		       uint64_t no);

/* --- members of JSON objects, for all views --- */

/* "SEAL.POSITION" in quotes. */
void line_no(struct buf *out, uint64_t no);
/* Text in quotes; NAME_hex beside it where it is no UTF-8. */
void line_text(struct buf *out, const char *key, const void *p, size_t n);
/* The same as PROV's label. */
void line_label(struct buf *out, const void *p, size_t n);
/* `,"KEY":"HEX"` of what is no UTF-8, and so lost some as text; else nothing. */
void line_bytes(struct buf *out, const char *key, const void *p, size_t n);
void line_time(struct buf *out, int64_t ns); /* in quotes */
/* An object: the process of an ACTOR entry; "null" for the system. */
int must_use line_actor(struct idx_reader *r, struct buf *out, uint64_t no);

#endif
