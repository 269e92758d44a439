/*
 * plain_known.h - plain digests (SHA-256) of trees that were made lately: the
 * same root is the same bytes, so a second copy of a file need not be hashed
 * again.
 *
 * Without SHA instructions a plain digest is a fifth of the daemon's CPU for
 * a tree of source files (12 us for 4 KiB, where BLAKE3 takes 2), and what is
 * unpacked, checked out, built or saved once more is mostly the same.
 *
 * A table of 16,384 places, 1.2 MiB; what comes takes the place of what was
 * there.  Each has a sum: memory that went bad is not believed.
 *
 * Threads: any; the lock inside is a leaf.
 */
#ifndef FS_PLAIN_KNOWN_H
#define FS_PLAIN_KNOWN_H

#include <stdbool.h>

#include "base/digest.h"
#include "base/thread.h"

struct plain_place;

struct plain_known {
	struct mutex mu;
	struct plain_place *place; /* NULL until the first, or without memory */
};

void plain_known_init(struct plain_known *k);
void plain_known_release(struct plain_known *k);
void plain_known_add(struct plain_known *k, const struct digest *root,
		     const struct digest *sha256);
bool must_use plain_known_find(struct plain_known *k, struct digest *out,
			       const struct digest *root);

#endif
