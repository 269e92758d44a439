/*
 * known.h - the list of legitimate differences, tests/conform/tables/known.
 *
 * A line is `SIDE | SECTION | CONDITIONS | GOT | WHY`: on that side (mount,
 * or the native filesystem's name, or `native' for any) a case of a section
 * that matches may answer GOT (globs), for the reason WHY.
 */
#ifndef CONFORM_KNOWN_H
#define CONFORM_KNOWN_H

#include "tests/conform/table.h"

struct known {
	char *side, *section, *conditions, *got, *why;
	unsigned line, hits;
};

struct known_list {
	struct known *v;
	size_t n;
};

void known_read(struct known_list *out, const char *path);
/* Counts it, when the answer is a known difference of the side. */
bool known_is(struct known_list *l, const char *side, bool mount,
	      const struct table_case *k, const char *got);
void known_free(struct known_list *l);

#endif
