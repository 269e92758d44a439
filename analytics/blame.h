/*
 * blame.h - who wrote each line of a text, or each byte of any file: walked
 * from one version back to those before it, until every part is somebody's.
 *
 * It follows what had the path before: a file that was saved by renaming
 * another over it, as editors do, or made anew after it was removed.  A part
 * that is the same in both is the older one's, however it got there; in one
 * inode the ranges that a version says it wrote count, in a text its lines.
 *
 * It costs the versions that are walked, not the tree: one stops being walked
 * when all that was asked about is somebody's.  BLAME_STEPS_MAX of them are
 * looked at; what is not found by then, or lies before a version whose bytes
 * were released, is told as the oldest one's `or_older`.
 *
 * Memory: two texts of GIT_HELPER_MAX bytes, or the chunks of one version
 * (BLAME_CHUNKS_MAX of them; beyond that a replaced file is not searched), and
 * BLAME_PARTS_MAX parts.
 *
 * Any thread, with a reader of its own.
 */
#ifndef ANALYTICS_BLAME_H
#define ANALYTICS_BLAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/buf.h"
#include "index/idx_query.h"

enum {
	BLAME_STEPS_MAX = 100000,
	BLAME_PARTS_MAX = 1 << 20,
	BLAME_CHUNKS_MAX = 1 << 20,
};

struct core;
struct cred;
struct errmsg;
struct run_view;
struct spool;

struct blame_what {
	uint64_t ino, at;      /* as it was after that entry */
	bool bytes;	       /* also of a text */
	bool ranged;	       /* only these: */
	uint64_t first, until; /* lines or bytes from 0, until excluded */
};

/* A part and the version that brought it. */
struct blame_part {
	uint64_t first, n;
	uint32_t who;  /* in blame.who */
	bool or_older; /* nobody can tell any more */
};

struct blame {
	bool lines;   /* else bytes */
	uint64_t all; /* lines or bytes of the file */
	uint64_t ino;
	struct idx_version v;	  /* what was asked about */
	struct blame_part *parts; /* ascending; neighbours differ */
	size_t n_parts;
	struct idx_version *who;
	size_t n_who;
	uint64_t steps;
	struct buf text; /* of lines: those asked for */
};

/*
 * The caller frees *out.  -ENODATA in words: no version, or its bytes were
 * released; -ERANGE in words: it is not that long; -ETIMEDOUT.
 */
int must_use blame_make(struct blame **out, struct core *c,
			struct idx_reader *r, const struct run_view *v,
			const struct blame_what *what, struct errmsg *em);
void blame_free(struct blame *b); /* NULL ok */

/*
 * One JSON object (vouchfs-audit(5)).  cr: who asks (NULL: he sees all); what
 * he may not read is an input without a name.
 */
int must_use blame_json(const struct blame *b, struct core *c,
			struct idx_reader *r, const struct cred *cr,
			struct spool *out);

#endif
