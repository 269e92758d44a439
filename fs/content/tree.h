/*
 * tree.h - the canonical tree of chunk references of one file version.
 *
 * Pure: nodes are read and written through callbacks.  Three parts:
 *   - codec: tree_node_encode/_decode, strict (tree_format.h);
 *   - cursor: finds the reference at an offset, walks on; O(log n) reads,
 *     one decoded node per level in memory;
 *   - builder: takes references in file order, puts out nodes bottom-up.
 *     tree_builder_copy() takes a range of an old version instead: nodes that
 *     come out the same are taken over whole, neither read nor written, so
 *     that a small change to a huge file costs O(log n) of both.
 *
 * Invariant: the root depends on the list of references alone (touching holes
 * merged), never on which calls made it; a copy gives what a from-scratch build
 * would give.
 *
 * Threads: each object is used by one thread at a time.
 */
#ifndef FS_TREE_H
#define FS_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"
#include "fs/content/tree_format.h"

/* One reference: `len` bytes of the file. */
struct tree_ref {
	uint64_t len;
	bool hole;
	struct digest id; /* zero for a hole */
};

struct tree_node {
	uint8_t level;
	uint16_t count;
	uint64_t len; /* of all references together */
	struct tree_ref refs[TREE_REFS_MAX];
};

/* --- codec --- */

/* Writes at most TREE_NODE_MAX bytes, returns how many. */
size_t tree_node_encode(uint8_t *out, const struct tree_node *n);
/* -ERR_FORMAT, -ERR_NEWER or -ERR_NONCANON. */
int must_use tree_node_decode(struct tree_node *out, const void *p, size_t n);
/* True when a node that holds `count` references ends with this one. */
bool tree_ref_ends(const struct tree_ref *ref, unsigned count);
/* Id of a node from its bytes. */
void tree_node_id(struct digest *out, const void *p, size_t n);
/* Root of the empty file. */
void tree_empty_root(struct digest *out);

/* --- where nodes come from and go to --- */

struct tree_source {
	/*
	 * Reads the record `id`, already verified against it, into out (room
	 * for TREE_NODE_MAX) and sets *out_n.  Returns 0 for a node and 1 for
	 * a plain chunk: then *out_n is its length and out is left alone.
	 */
	int (*read)(void *ctx, uint8_t *out, size_t *out_n,
		    const struct digest *id);
	void *ctx;
};

struct tree_sink {
	/* Stores a node; p is borrowed for the call. */
	int (*write)(void *ctx, const struct digest *id, const void *p,
		     size_t n);
	void *ctx;
};

/* --- reading --- */

struct tree_cursor;

/* A reference and where it lies in the file. */
struct tree_at {
	uint64_t off;
	struct tree_ref ref;
};

/*
 * Opens a cursor on the version (root, size).  Reads the root; the source is
 * borrowed until the close.  -ERR_CORRUPT when root and size do not agree.
 */
int must_use tree_cursor_open(struct tree_cursor **out,
			      const struct tree_source *source,
			      const struct digest *root, uint64_t size);
void tree_cursor_close(struct tree_cursor *c); /* NULL is a no-op */
/*
 * Moves to the reference that covers `off` and fills *out.  Returns 1, or 0
 * at or behind the end.  Errors of the source, -ERR_CORRUPT.
 */
int must_use tree_cursor_seek(struct tree_cursor *c, struct tree_at *out,
			      uint64_t off);
/* Moves to the next reference (the first, after open); as _seek. */
int must_use tree_cursor_next(struct tree_cursor *c, struct tree_at *out);
/*
 * Finds the largest node that starts at `off`, ends before `hi` and is of
 * level <= level_max, without reading it.  Returns 1 with its level and a
 * reference to it, 0 when there is none.  Errors as _seek.
 */
int must_use tree_cursor_subtree(struct tree_cursor *c, struct tree_ref *out,
				 uint8_t *out_level, uint64_t off, uint64_t hi,
				 int level_max);
/*
 * Are the nodes in memory what was decoded?  Who keeps a cursor from one use to
 * another asks first: nothing else would notice a length that flipped (a sum
 * of some 4 KiB a level).
 */
bool tree_cursor_good(const struct tree_cursor *c);
uint64_t tree_cursor_size(const struct tree_cursor *c);

/*
 * Visits every node and chunk of a version, for gc, verification and export.
 * Each node is visited before what is below it; the visitor answers 1 to skip
 * what is below, 0 to go on, < 0 to stop with that error.  For a hole id is
 * NULL.  level is -1 for a chunk or hole.
 */
int must_use tree_walk(const struct tree_source *source,
		       const struct digest *root, uint64_t size,
		       int (*visit)(void *ctx, const struct digest *id,
				    int level, uint64_t off, uint64_t len),
		       void *ctx);

/* --- building --- */

struct tree_builder;

/* The sink is borrowed until _close. */
int must_use tree_builder_open(struct tree_builder **out,
			       const struct tree_sink *sink);
void tree_builder_close(struct tree_builder *b); /* NULL is a no-op */
/* Appends one reference; touching holes are merged. */
int must_use tree_builder_put(struct tree_builder *b,
			      const struct tree_ref *ref);
/*
 * Appends the references that cover [lo, hi) of the version under `old`; both
 * ends must lie between references (or at its end).  -EINVAL when not.  The
 * place in the new file may differ (but holes stay aligned to 4096).
 */
int must_use tree_builder_copy(struct tree_builder *b, struct tree_cursor *old,
			       uint64_t lo, uint64_t hi);
/* Bytes of the file so far. */
uint64_t tree_builder_size(const struct tree_builder *b);
/* Ends the file: its root and size.  The builder can only be closed then. */
int must_use tree_builder_finish(struct tree_builder *b,
				 struct digest *out_root, uint64_t *out_size);

#endif
