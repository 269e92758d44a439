/*
 * tree_out.h - the files of a volume, as they are or were, written out as
 * plain files: for `vouch export --tree`.  Nothing is mounted.
 */
#ifndef MOUNT_TOOLS_TREE_OUT_H
#define MOUNT_TOOLS_TREE_OUT_H

#include <stdint.h>

#include "base/auto.h"

struct errmsg;

struct tree_out_report {
	uint64_t files, dirs, others;
	uint64_t bytes;
	uint64_t released; /* files left out: their bytes are gone */
	uint64_t left_out; /* devices, sockets */
	uint64_t bits;	   /* files that were set-user-ID or set-group-ID */
};

/*
 * Writes the tree as of entry `at` (IDX_NOW) into `dir`, which must not be
 * there.  Bytes are verified as they are read; device nodes are left out.
 */
int must_use tree_out_write(struct tree_out_report *out, const char *store,
			    uint64_t at, const char *dir, struct errmsg *em);

#endif
