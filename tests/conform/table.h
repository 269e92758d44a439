/*
 * table.h - the tables: cases made from rows and from products of variables.
 * The language is described in tests/conform/README.md.
 */
#ifndef CONFORM_TABLE_H
#define CONFORM_TABLE_H

#include <stdbool.h>
#include <stddef.h>

enum {
	TABLE_VARS = 24,
	TABLE_VALUES = 80,
	TABLE_RULES = 400,
	TABLE_LINE = 8192,
};

/* What a variable is in one case. */
struct binding {
	const char *name, *label;
};

struct table_case {
	const char *file;
	unsigned line;
	const char *section;
	bool readonly; /* `do` runs when the filesystem is mounted read-only */
	const char *who, *setup, *steps, *want;
	const struct binding *bindings;
	size_t n_bindings;
};

typedef void table_fn(void *ctx, const struct table_case *k);

/* Calls fn for every case of the file; exit(2) when the table is wrong. */
void table_read(const char *path, table_fn *fn, void *ctx);

/*
 * Do all the conditions hold?  NAME=glob/glob, NAME!=glob, kernel<6.6.  One on
 * a name without binding ends the program, saying where; or fails (NULL).
 */
bool table_holds(const char *conditions, const struct binding *b, size_t n,
		 const char *where);

#endif
