/*
 * content_box.h - a store and a pool of contents on a simulated disk, and
 * what core does with a save or a version: frames, settles.
 */
#ifndef TESTS_SIM_CONTENT_BOX_H
#define TESTS_SIM_CONTENT_BOX_H

#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

struct content;
struct content_pool;
struct content_saved;
struct content_version;
struct store;
struct vio_sim;

struct content_box {
	struct vio_sim *sim;
	struct store *store;
	struct content_pool *pool;
	uint64_t dirty_max;
	bool digests_later;   /* set before init */
	uint64_t extents_max; /* the same; 0: the default */
};

/* Aborts when anything fails; dirty_max 0: the default. */
void content_box_init(struct content_box *b, uint64_t dirty_max);
void content_box_release(struct content_box *b); /* contents are closed */
/* Closes and opens store and pool: nothing is cached any more. */
void content_box_reopen(struct content_box *b);
struct content *content_box_new(struct content_box *b);
struct content *content_box_open(struct content_box *b,
				 const struct digest *root, uint64_t size);
/* The commit thread and the settler. */
void content_box_commit(struct content_box *b, const struct digest *id,
			size_t n);
/* Save, version (and versioned): must succeed; out is released by the caller
 * unless NULL. */
void content_box_save(struct content_box *b, struct content *c,
		      struct content_saved *out);
void content_box_version(struct content_box *b, struct content *c,
			 struct content_version *out);

#endif
