/*
 * run_diff_int.h - what finding and printing share.
 */
#ifndef ANALYTICS_RUN_DIFF_INT_H
#define ANALYTICS_RUN_DIFF_INT_H

#include <stdbool.h>
#include <stddef.h>

#include "analytics/run_diff.h"

struct buf;
struct past;
struct run_touches;

/* What was at one path at one place of the log; no path: not there. */
struct run_diff_side {
	char *path;
	struct past *past;
};

/* An extended attribute that is not as it was. */
struct run_diff_xattr {
	char *name;
	char status; /* A, D or M */
};

struct run_diff_item {
	struct run_diff_side before, after; /* one of them at least is there */
	bool attributes; /* extended ones may have changed: to be looked at */
	/*
	 * Where one side alone is there: another name that the file has beside
	 * it, or had; NULL: none.
	 */
	char *link;
	struct run_diff_xattr *xattrs;
	size_t n_xattrs;
};

struct run_diff_list {
	struct run_diff_item *v; /* by path */
	size_t n, cap;
};

int must_use run_diff_find(struct core *c, struct run_view *v,
			   struct idx_reader *r,
			   const struct run_diff_what *what,
			   struct run_diff_list *out);
/*
 * Adds to the inodes those below every directory that was moved: their paths
 * are others now.
 */
int must_use run_diff_moved(struct run_view *v, struct idx_reader *r,
			    const struct run_diff_what *what,
			    struct run_touches *io);
/* Fills i->xattrs. */
int must_use run_diff_xattrs(struct core *c, struct idx_reader *r,
			     struct run_diff_item *i);
/* A file or symbolic link, which git knows of, on either side. */
bool run_diff_is_file(const struct run_diff_item *i);
/* Owner, mode beyond what git keeps, or an extended attribute. */
bool run_diff_other_attributes(const struct run_diff_item *i);
/* Regular files with the same bytes; nothing is read to tell. */
bool run_diff_same_bytes(const struct run_diff_item *i);
/* Appends "# PATH: ..." where there is something git does not show. */
void run_diff_note(struct buf *out, const struct run_diff_item *i);
/* As git writes names: in quotes when anything in them is special. */
void run_diff_name(struct buf *out, const char *prefix, const char *path);
void run_diff_list_release(struct run_diff_list *l);

#endif
