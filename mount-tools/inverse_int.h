/*
 * inverse_int.h - what the files of the executor share.
 */
#ifndef MOUNT_TOOLS_INVERSE_INT_H
#define MOUNT_TOOLS_INVERSE_INT_H

#include <sys/types.h>

#include "mount-tools/inverse.h"

struct json_doc;
struct progress;

/* A name in a directory; dir NULL: one that is made again by this plan. */
struct inverse_name {
	uint64_t in;
	char *dir, *name;
};

/* A name that comes back, from another one or as a new one. */
struct inverse_move {
	struct inverse_name from, to; /* .name NULL: none */
	bool done, came;	      /* tried; and it has that name */
	bool taken;		      /* that name was not free */
};

struct inverse_one {
	struct inverse_item item; /* first */
	struct json_doc *doc;
	char *path, *type;
	uint64_t ino, holder, over;
	int64_t written_ns; /* of a file that goes: its st_mtime; 0: any */
	struct inverse_name at;
	struct inverse_move *moves; /* of REMOVE: from alone */
	size_t n_moves;
	bool set;	   /* of CHANGE: its contents and settings were */
	uint64_t made_ino; /* of what was made again; 0: not yet */
	/* a directory that was made again: where, and how many had moved */
	char *made;
	size_t made_renamed;
};

/* A directory that moved while we worked. */
struct inverse_renamed {
	char *from, *to;
};

struct inverse {
	int root;
	struct json_doc *head;
	char *temporary;
	struct inverse_one **v;
	size_t n, cap;
	struct inverse_one **by_ino; /* sorted when it is first asked for */
	struct inverse_renamed *renamed;
	size_t n_renamed;
	int last_dir; /* of inode last_in; -1: none */
	uint64_t last_in;
	int expects;	      /* where it is said what goes; -1: it is not */
	struct progress *bar; /* NULL: none */
	uint64_t steps, all_steps;
	int fatal;
};

/* --- where things are: inverse_place.c --- */

/* The directory of a name, as it is now (close it); -ENOENT, -ESTALE. */
int must_use inverse_dir(struct inverse *x, const struct inverse_name *n);
/* Its path now, the caller's; NULL: not made yet, or no memory. */
char *inverse_dir_path(struct inverse *x, const struct inverse_name *n);
/* "dir/name", the caller's. */
char *inverse_join(const char *dir, const char *name);
int must_use inverse_note_renamed(struct inverse *x, const char *from,
				  const char *to);
int must_use inverse_note_made(struct inverse *x, struct inverse_one *o,
			       const char *path);
bool inverse_is_directory(const struct inverse_one *o);
/* The line about an inode; NULL. */
struct inverse_one *inverse_of(struct inverse *x, uint64_t ino);
/* The inode at a name, "": of dir itself: 0 and *out, or -errno. */
int must_use inverse_ino_at(int dir, const char *name, uint64_t *out);

/* --- what others put there is not taken away: inverse_expect.c --- */

enum { INVERSE_EXPECT_MAX = 256 };

/* The next name that goes, or is replaced, is of ino; written: 0 or st_mtime. */
void inverse_expect(struct inverse *x, int dir, uint64_t ino,
		    int64_t written_ns);
/* The same of the next lines; which one comes after these. */
size_t inverse_expect_removals(struct inverse *x, int dir, size_t from);
/* That is over. */
void inverse_expect_any(struct inverse *x);
/* A chosen line of no directory, some of whose names go. */
bool inverse_loses_names(const struct inverse_one *o);

/* --- what is put back: inverse_dress.c --- */

/* Contents and settings of what is there; sets item.rc. */
void inverse_change(struct inverse *x, struct inverse_one *o, bool late);
/*
 * Makes it under a temporary name in dir, with all it had; out is that name,
 * *out_ino its inode.
 */
int must_use inverse_make(struct inverse *x, struct inverse_one *o, int dir,
			  char out[64], uint64_t *out_ino);
/* Mode and times of a directory that was made again, last. */
void inverse_times(struct inverse *x, struct inverse_one *o);
/* Notes the first thing that went wrong with an item. */
void inverse_fail(struct inverse *x, struct inverse_one *o, const char *step,
		  int rc);

#endif
