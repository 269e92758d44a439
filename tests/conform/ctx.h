/*
 * ctx.h - what a case runs in: a private directory, an identity, open files.
 */
#ifndef CONFORM_CTX_H
#define CONFORM_CTX_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

enum {
	CTX_HELD = 10,	/* descriptors that a case keeps: `hold 0 x O_RDWR` */
	CTX_MARKS = 32, /* nodes whose times are remembered */
	CTX_ARGS = 12,	/* words of a step */
	CTX_TEXT = 1 << 16 /* longest step, longest answer */
};

struct mark {
	ino_t ino;
	struct timespec atime, mtime, ctime;
};

struct ctx {
	const char *root;      /* of the filesystem in question */
	const char *elsewhere; /* a directory of another filesystem */
	int root_fd;
	int held[CTX_HELD]; /* -1: none */
	struct mark marks[CTX_MARKS];
	unsigned n_marks;
	const char *who; /* whose identity the process has, or "root" */
	char *out; /* the answer of a step, when it is more than 0 or errno */
};

/* Identities: root, owner, member (of the owner's group), other. */
bool who_known(const char *name);
void who_become(struct ctx *x, const char *name);
/* A user's or group's number, from a name above, "both" or digits. */
bool who_id(const char *text, uint32_t *out);

/* Flags by name, joined by commas; "-" is none.  False: one is unknown. */
bool flags_parse(const char *text, long *out);
const char *flags_errno(int e); /* "ENOENT" */

/* Makes a node of the kind, owned by owner; 0 or -1 with errno. */
int kind_make(const char *kind, const char *name, const char *mode);
/* What a node is: "file", "dir", ... */
const char *kind_of(mode_t mode);
/* Removes what is below, then the directory itself. */
void kind_remove(int dir_fd, const char *name);

/* lstat, first as the kernel remembers it, then asked anew: -2 if they differ. */
int times_stat(const char *path, struct stat *out);
/* Remembers the times of all that is in the working directory. */
void times_mark(struct ctx *x);
/* "amc" for what has moved since, "-" nothing, "new" a node made since. */
const char *times_moved(const struct ctx *x, const struct stat *st);

/* Runs one step; the answer is in x->out.  False: no such step. */
bool call_run(struct ctx *x, char *step);
/* Whether the step only looks, and so is always root's. */
bool call_looks(const char *name);
void call_close_held(struct ctx *x);

#endif
