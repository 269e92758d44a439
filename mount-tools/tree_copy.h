/*
 * tree_copy.h - a directory tree copied as cp -a does: files with their holes,
 * directories, symbolic links, pipes; hard links among them; modes, times,
 * extended attributes and ACLs, and by root owners.  What leaves a mount and
 * what comes into one.
 *
 * Nothing that exists is replaced and no link followed, so nothing is made
 * outside; a file has its name once it is whole.  Set-user-ID and
 * set-group-ID bits of files, capabilities and devices are not copied: nothing
 * proves who set them.  One thread.
 */
#ifndef MOUNT_TOOLS_TREE_COPY_H
#define MOUNT_TOOLS_TREE_COPY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"

struct digest;
struct errmsg;
struct progress;

struct tree_copied {
	uint64_t files, dirs, others;
	uint64_t there;	   /* of the files: with the same bytes, before */
	uint64_t left_out; /* devices, sockets */
	uint64_t bits;	   /* files that were set-user-ID or set-group-ID */
};

struct tree_copy_options {
	bool from_mount; /* of ours: what is virtual is left out */
	bool look;	 /* only whether it could be done: makes nothing */
	bool onto;	 /* what is there already and the same is no error */
	/* NULL; of each file, before it has its name: 0 when it is right */
	int (*accept)(void *ctx, const char *path, const struct digest *sha256,
		      struct errmsg *em);
	void *ctx;
	struct progress *bar; /* NULL: none */
	uint64_t files;	      /* how many there are; 0: unknown */
};

/*
 * Copies what is below `from` into the directory `to`, which is there, or is
 * made, and does not lie in it.  -EEXIST in words.
 */
int must_use tree_copy(struct tree_copied *out, const char *from,
		       const char *to, const struct tree_copy_options *o,
		       struct errmsg *em);

#endif
