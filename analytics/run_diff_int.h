/*
 * run_diff_int.h - what finding and printing share.
 */
#ifndef ANALYTICS_RUN_DIFF_INT_H
#define ANALYTICS_RUN_DIFF_INT_H

#include <stdbool.h>
#include <stddef.h>

#include "analytics/run_diff.h"

struct past;

/* A file or symbolic link at one place of the log; no path: not there. */
struct run_diff_side {
	char *path;
	struct past *past;
};

struct run_diff_item {
	struct run_diff_side before, after; /* one of them at least is there */
};

struct run_diff_list {
	struct run_diff_item *v; /* by path */
	size_t n, cap;
};

int must_use run_diff_find(struct core *c, struct run_view *v,
			   struct idx_reader *r, const struct idx_run *run,
			   struct run_diff_list *out);
/* Regular files with the same bytes; nothing is read to tell. */
bool run_diff_same_bytes(const struct run_diff_item *i);
void run_diff_list_release(struct run_diff_list *l);

#endif
