/*
 * undo_place.h - the mount and the run that a person means, for commands that
 * work through the mount and need no more rights than a user has.
 */
#ifndef MOUNT_TOOLS_UNDO_PLACE_H
#define MOUNT_TOOLS_UNDO_PLACE_H

#include <stdbool.h>
#include <stdio.h>

#include "base/auto.h"
#include "index/idx_runs.h"

struct errmsg;

struct undo_place {
	char *dir;   /* mount point */
	char *audit; /* where the audit tree is */
	bool read_only;
	bool whole;		 /* this user sees everybody's runs there */
	char word[RUN_WORD_MAX]; /* NAME.NUMBER */
};

/*
 * in (may be NULL): a path in the mount, or its STORE.  run: NAME.NUMBER, or
 * NAME where it is the only one.  -ERR_USAGE: several, or `in` is NULL and we
 * are in no mount (a run of that name may be in any, and what is asked may be
 * to change it); -ENOENT: none.  In words.
 */
int must_use undo_place_find(struct undo_place *out, const char *in,
			     const char *run, struct errmsg *em);
/* The mount alone, without a run; NULL can be the only one of ours, too. */
int must_use undo_place_mount(struct undo_place *out, const char *in,
			      struct errmsg *em);
/* Are we in a mount? */
bool undo_place_is_here(void);
void undo_place_release(struct undo_place *p);
/* A document of the audit tree, opened; NULL, in words. */
FILE *undo_place_file(const struct undo_place *p, const char *name,
		      struct errmsg *em);
/* A document of the run, likewise. */
FILE *undo_place_open(const struct undo_place *p, const char *name,
		      struct errmsg *em);
/*
 * A path as the mount has it, "" for its top; the last name need not be there.
 * -ERR_USAGE in words: it lies elsewhere.
 */
int must_use undo_place_inner(const struct undo_place *p, const char *path,
			      char **out, struct errmsg *em);

#endif
