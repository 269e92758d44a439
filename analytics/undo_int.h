/*
 * undo_int.h - what finding, comparing and printing an undo share.
 */
#ifndef ANALYTICS_UNDO_INT_H
#define ANALYTICS_UNDO_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analytics/undo.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/git_helper.h"

struct content;
struct json;
struct run_touch;

/* --- what became of one inode: undo_track.c --- */

/*
 * A thing that has a value, seen three times: before the run first changed it,
 * after it did so last, now.  foreign: the last entry of somebody else's that
 * changed it since then, 0: nobody did; mixed: somebody did in between.
 * theirs: the last entry of somebody else's since the run's first change, and
 * the value that it gave.
 */
struct undo_seen {
	bool touched; /* by the run at all */
	bool mixed;
	uint64_t foreign, theirs;
};

struct undo_number {
	struct undo_seen seen;
	int64_t before, after, now, theirs;
};

struct undo_name {
	struct undo_seen seen;
	uint64_t parent;
	char *name;
	bool before, after, now;
	bool others; /* somebody else gave it since the run began with the file */
};

/* An attribute's value: the entry that set it, 0 where there is none. */
struct undo_value {
	uint64_t no;
	struct digest digest;
};

struct undo_xattr {
	struct undo_seen seen;
	char *name;
	struct undo_value before, after, now, theirs;
};

/* The content of an inode as it was after an entry. */
struct undo_ref {
	uint64_t ino, at;
};

/* What the run wrote in one go: somebody else's versions lie between two. */
struct undo_part {
	struct undo_ref before, after;
};

enum undo_numbers { UNDO_MODE, UNDO_UID, UNDO_GID, UNDO_MTIME, UNDO_NUMBERS };

struct undo_track {
	uint64_t ino;
	uint32_t type; /* S_IFMT bits */
	uint64_t rdev;
	char *target;
	int64_t atime_ns;
	bool created;	/* by the run */
	uint64_t death; /* entry that took its last name; 0: it has one */
	bool death_mine;
	uint64_t foreign; /* last of somebody else's since the run's first */
	uint64_t first;	  /* of the run's */
	struct undo_number number[UNDO_NUMBERS];
	struct undo_name *names;
	size_t n_names;
	size_t last_name; /* of names: the one that was taken last */
	struct undo_xattr *xattrs;
	size_t n_xattrs;
	/* regular files */
	struct undo_part *parts;
	size_t n_parts;
	uint64_t version, version_no; /* now */
	struct digest root;
	uint64_t size;
	uint64_t content_foreign; /* as in undo_seen */
	uint64_t content_theirs;
	int64_t written_ns;	/* st_mtime, before we looked at it */
	struct undo_item *item; /* undo_items.c: the one that it is of */
};

struct undo {
	struct core *core;
	struct run_view *view;
	struct idx_reader *r;
	const struct idx_run *run; /* NULL: what anybody did after */
	uint64_t since;		   /* this entry, which people call */
	const char *when;	   /* this */
	char temporary[32];	   /* how names of what is on its way begin */
	struct git_helper *git;
	struct buf stored;
	unsigned looks;	  /* through one state of the index; 0: there is none */
	uint64_t dir_ino; /* asked last, 0: none; */
	bool dir_there;	  /* whether it is anywhere, */
	struct buf dir;	  /* and where */
	uint64_t actor;	  /* asked last, and whether it is the run's */
	bool mine;
	struct undo_track *tracks; /* by inode */
	size_t n_tracks;
	struct undo_item *items;
	size_t n_items;
};

/* Is that entry the run's, and may the reader know? */
int must_use undo_is_mine(struct undo *u, uint64_t no, uint64_t actor_no);
/* Follows an inode to now; first: 0, or before that nothing is the run's. */
int must_use undo_track_load(struct undo *u, struct undo_track *out,
			     uint64_t ino, uint64_t first);
void undo_track_release(struct undo_track *t);
/* The index of a name that is on its way, else any that it has now; -1. */
int undo_track_name_now(const struct undo *u, const struct undo_track *t);
bool undo_is_temporary(const struct undo *u, const char *name);

/* --- contents: undo_content.c --- */

/* The run's parts, and what is there now. */
int must_use undo_content_track(struct undo *u, struct undo_track *t);
/*
 * Opens what it was; subject and no are of the VERSION that it is, zero when
 * it is more than that.  Inside a section of the store's lease; the content
 * has no extents.  -ENODATA: released; cr (may be NULL) may read it: -EACCES.
 */
struct undo_opened {
	struct content *content;
	struct digest subject;
	uint64_t no;
};
int must_use undo_content_open(struct core *c, struct idx_reader *r,
			       const struct cred *cr, struct undo_opened *out,
			       struct undo_ref ref);
/* Root and size where no bytes beside a version matter; 0: they do. */
int must_use undo_content_root(struct undo *u, struct digest *out,
			       uint64_t *out_size, struct undo_ref ref);

struct undo_merge {
	struct core *core;
	struct idx_reader *r;
	const struct cred *cr; /* NULL: sees all */
	struct git_helper **git;
};
/*
 * `ours` becomes what it is without the parts; places where that is not known
 * go to *places ("[first,lines],...").  1 done; 0: no text, or too long.
 * -ENODATA, -EACCES: of what it was.
 */
int must_use undo_merge(const struct undo_merge *m, struct buf *ours,
			const struct undo_part *parts, size_t n,
			struct buf *places);
/* The bytes of a version or a past: 1, or 0: too long. */
int must_use undo_bytes(const struct undo_merge *m, struct buf *out,
			struct undo_ref ref);

/* --- the index: undo_look.c --- */

/*
 * What is asked from now on is of one state of the index, which is renewed
 * here from time to time.  Statements of their own would each open and close
 * it, which was a third of the CPU of a plan.
 */
int must_use undo_look(struct undo *u);
/* What was entered since may be asked for, too. */
void undo_look_away(struct undo *u);
/*
 * Where a directory is now, borrowed until this is asked again: 1, or 0: it is
 * nowhere.
 */
int must_use undo_look_dir(struct undo *u, const struct buf **out,
			   uint64_t ino);

/* --- which inodes, and what belongs together: undo_items.c --- */

/* Did the run take that name away, or give it? */
bool undo_comes_back(const struct undo_name *n);
bool undo_goes(const struct undo_name *n);
/* Loads the tracks and makes the items, whose verdicts are unknown. */
int must_use undo_items_find(struct undo *u);

/* --- what to do: undo_plan.c --- */

enum undo_what { UNDO_NOTHING, UNDO_REMOVE, UNDO_MAKE, UNDO_CHANGE };
enum undo_verdict { UNDO_UNKNOWN, UNDO_ASKED, UNDO_DONE, UNDO_OK, UNDO_NOT };

/* Why something stays; by: the entry that changed it, 0: nobody's. */
struct undo_conflict {
	const char *what, *why;
	uint64_t by;
	char *detail; /* a name, or places */
};

struct undo_value_set {
	const char *name;
	uint64_t no; /* 0: removed */
};

struct undo_move {
	const struct undo_name *from,
		*to;	       /* from NULL: link; to NULL: unlink */
	const char *from_name; /* a temporary one, else NULL */
	uint64_t from_parent;
};

/* src: as it was; dst: as the run left it; holder: what there is now. */
struct undo_item {
	enum undo_what what;
	enum undo_verdict verdict;
	struct undo_track *src, *dst, *holder;
	struct undo_track *foreign;    /* a holder that the run did not touch */
	const struct undo_name *place; /* of an old file in a new one's place */
	bool over;		       /* made in the place of dst */
	struct undo_part *parts;       /* of the content: an array of its own */
	size_t n_parts;
	uint64_t there; /* a directory that was made again: its inode */
	bool put, merge;
	bool set[UNDO_NUMBERS];
	struct undo_value_set *xattrs; /* to be set */
	size_t n_xattrs;
	struct undo_move *moves;
	size_t n_moves;
	struct undo_conflict *conflicts;
	size_t n_conflicts;
	size_t n_told; /* of these: it is made all the same */
};

int must_use undo_plan(struct undo *u);
void undo_plan_release(struct undo *u);
/* A name that it had and that was taken from it. */
bool undo_comes_back(const struct undo_name *n);
/*
 * The directory that a name comes back to, as it is now; 0: it will be made
 * again.  -ENOENT: it will not be there.
 */
int must_use undo_directory_for(struct undo *u, uint64_t *out, uint64_t parent);
int must_use undo_move_add(struct undo_item *i, const struct undo_name *from,
			   const struct undo_name *to);
struct undo_track *undo_find(struct undo *u, uint64_t ino);
int must_use undo_conflict(struct undo_item *i, const char *what,
			   const char *why, uint64_t by, const char *detail);

/* --- is it there already: undo_same.c --- */

/* What is dirty gets its version; it may be no file, or gone. */
int must_use undo_version_now(struct undo *u, uint64_t ino);
/* Is ino what t was, all but its times?  1, 0 or an error. */
int must_use undo_is_same(struct undo *u, const struct undo_track *t,
			  uint64_t ino);
/* The same of what i makes; of a directory it is enough that it is one. */
int must_use undo_made_again(struct undo *u, struct undo_item *i, uint64_t ino);
/*
 * What i makes is there and does not go (`made` was to remove it): of a
 * directory what is other than it was is put back, else names go that it has
 * got since.  1 or an error.
 */
int must_use undo_stays(struct undo *u, struct undo_item *i,
			struct undo_item *made);

/* --- what the run removed, as it was without it: undo_old.c --- */

int64_t undo_old_number(const struct undo_number *n);
const struct undo_value *undo_old_value(const struct undo_xattr *x);
/*
 * Its content as somebody else left it last; in that are the run's first
 * undo_old_parts() parts.
 */
struct undo_ref undo_old_content(const struct undo_track *t);
size_t undo_old_parts(const struct undo_track *t);
/*
 * What of i->src is made again: fills parts and merge, or notes what cannot be
 * told apart.  -ENODATA, -EACCES: of its bytes.
 */
int must_use undo_old_judge(struct undo *u, struct undo_item *i);
/* Does now (loaded, of a regular file) hold that?  1, 0 or an error. */
int must_use undo_old_is(struct undo *u, const struct undo_track *t,
			 const struct undo_track *now);

/* --- what is the same and what is not: undo_compare.c --- */

extern const char undo_changed_between[];
/* Fills what brings back numbers, attributes and content of a CHANGE. */
int must_use undo_compare(struct undo *u, struct undo_item *i);

/* --- undo_print.c --- */
int must_use undo_print(struct undo *u, struct spool *out);

#endif
