/*
 * inverse.h - carries out a plan in the form of undo.jsonl (vouchfs-audit(5))
 * by ordinary system calls, so that the kernel says what the caller may do.
 *
 * Order: contents and settings where they are; what goes away; names that come
 * back, each when its directory is there and its name is free, in a circle by
 * a temporary name; directories that go away; times and modes of directories.
 * Something that is made again gets all it had under a temporary name and its
 * own last.  So whatever was done by the time that we are killed is whole, and
 * a plan made anew has the rest.
 *
 * Nothing is followed that leads out of the mount or through a symbolic link,
 * each thing is changed only if it is the inode of the plan, and a file that
 * somebody wrote after the plan was made is not removed.
 *
 * One thread.
 */
#ifndef MOUNT_TOOLS_INVERSE_H
#define MOUNT_TOOLS_INVERSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"

struct errmsg;
struct inverse;
struct json;
struct progress;

enum inverse_what {
	INVERSE_REMOVE,
	INVERSE_MAKE,
	INVERSE_CHANGE,
	INVERSE_KEEP,
};

/* What became of a line of the plan. */
struct inverse_item {
	enum inverse_what what;
	const struct json *line; /* as it was given */
	const char *path;	 /* exact bytes */
	bool chosen;
	bool done;
	int rc;		  /* why it is not, or not whole */
	const char *step; /* at which that was: "owner", "name" ... */
};

/* dir: a mount point.  -errno in words. */
int must_use inverse_open(struct inverse **out, const char *dir,
			  struct errmsg *em);
void inverse_close(struct inverse *x); /* NULL ok */
/* One line after the first; the first is head.  -ERR_FORMAT in words. */
int must_use inverse_add(struct inverse *x, const char *line, size_t n,
			 struct errmsg *em);
/* The first line: NULL before it came. */
const struct json *inverse_head(const struct inverse *x);
/*
 * Only what lies at or below `path` (relative to the mount), and directories
 * that must be made again for it; each call adds to that.  How many lines that
 * are is returned.
 */
size_t inverse_choose(struct inverse *x, const char *path);
void inverse_choose_all(struct inverse *x);
/* A bar for inverse_do(), borrowed until then. */
void inverse_show(struct inverse *x, struct progress *bar);
/*
 * Does what is chosen.  0, or the error that ended it: a full disk, a mount
 * that takes no change; -EBUSY: another plan is being carried out there, and
 * nothing was done; the others are their items'.
 */
int must_use inverse_do(struct inverse *x);
size_t inverse_count(const struct inverse *x);
const struct inverse_item *inverse_at(const struct inverse *x, size_t i);
/* A name of the plan ("text", with "text_hex" where it is no UTF-8). */
int must_use inverse_text(const struct json *o, const char *key, char **out);

#endif
