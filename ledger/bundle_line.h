/*
 * bundle_line.h - a line of a bundle's provenance.jsonl: one file that left a
 * volume, and its proof or why it has none (vouchfs-statement(5)).  Pure.
 */
#ifndef LEDGER_BUNDLE_LINE_H
#define LEDGER_BUNDLE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"

struct errmsg;

enum { BUNDLE_LINE_MAX = 3 << 20 };

struct bundle_line {
	char *path;  /* relative, of names alone; as bytes */
	uint64_t at; /* where the line lies: the reader's */
	size_t n;
	struct digest sha256;
	bool proved, seen;
};

/* Strict, in words; out->path is the caller's to free, also after an error. */
int must_use bundle_line_parse(struct bundle_line *out, const void *p, size_t n,
			       struct errmsg *em);

#endif
