/*
 * blame_int.h - what the files of blame.h share.
 */
#ifndef ANALYTICS_BLAME_INT_H
#define ANALYTICS_BLAME_INT_H

#include "analytics/blame.h"

struct git_helper;

/* What a version has from the one before it: n of its own from `now` on. */
struct blame_same {
	uint64_t now, before, n;
};

struct blame_sames {
	struct blame_same *v; /* by `now`, disjoint */
	size_t n, cap;
};

/* Where a part of the file lay in a version that is looked at. */
struct blame_place {
	uint64_t file, here, n;
};

struct blame_places {
	struct blame_place *v; /* by `here` */
	size_t n, cap;
};

/* A version whose bytes were read last. */
struct blame_text {
	struct digest root;
	uint64_t size;
	bool there;
	struct buf bytes;
};

struct blame_walk {
	struct core *core;
	struct idx_reader *r;
	const struct run_view *view;
	struct blame *b;
	struct errmsg *em;
	struct git_helper *git; /* NULL: nothing was compared yet */
	struct blame_text texts[2];
	struct buf hunks;
};

int must_use blame_sames_add(struct blame_sames *s,
			     const struct blame_same *one);

/* --- lines --- */

/*
 * The bytes of a version, borrowed until the second next call.  1; 0: they
 * were released, or are too long.
 */
int must_use blame_read(struct blame_walk *w, const struct blame_text **out,
			const struct idx_version *v);
/*
 * The lines that `now` has from `before`: 1; 0: the bytes of `before` are not
 * there any more.
 */
int must_use blame_lines(struct blame_walk *w, struct blame_sames *out,
			 const struct idx_version *now,
			 const struct idx_version *before);
/* Where unified hunks say that two texts are the same. */
int must_use blame_hunks(struct blame_sames *out, const char *p, size_t n);

/* --- bytes --- */

/* The same of bytes.  own: `before` is the version before, of one inode. */
int must_use blame_bytes(struct blame_walk *w, struct blame_sames *out,
			 const struct idx_version *now,
			 const struct idx_version *before, bool own);

#endif
