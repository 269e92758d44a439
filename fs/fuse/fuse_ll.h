/*
 * fuse_ll.h - the skin: kernel requests become calls of the core, or of the
 * virtual directories.  Nothing else knows FUSE.
 *
 * Node id = inode number (the root is 1), so real inodes need no state here;
 * virtual nodes have numbers and lookup counts of their own (fs/fuse/vdir.h).
 *
 * Threads: fuse_ll_run() makes the workers and returns when they are gone;
 * fuse_ll_stop() and fuse_ll_invalidate() may be called from any thread.
 */
#ifndef FS_FUSE_LL_H
#define FS_FUSE_LL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"

struct core;
struct errmsg;
struct fuse_ll;
struct vdir;

enum { FUSE_LL_OPCODES = 64 };

struct fuse_ll_options {
	struct core *core;
	const struct vdir *vdir; /* NULL: no virtual files; borrowed */
	uint64_t container; /* the directory that shows the virtual names */
	uint64_t hybrid;    /* see struct vdir_ops; 0: none */
	unsigned threads;
	double attr_timeout_s, entry_timeout_s, negative_timeout_s;
	bool debug, allow_other;
	const char *source; /* what mountinfo shows: STORE's absolute path */
	const char *rest;   /* further options, comma-separated */
	void (*ready)(void *ctx); /* the kernel has said hello */
	void *ctx;
};

int must_use fuse_ll_open(struct fuse_ll **out, const struct fuse_ll_options *o,
			  struct errmsg *em);
int must_use fuse_ll_mount(struct fuse_ll *l, const char *dir,
			   struct errmsg *em);
/* Serves until unmounted or stopped.  0, or what broke. */
int must_use fuse_ll_run(struct fuse_ll *l);
/* Workers finish what they have and leave; the mount point stays. */
void fuse_ll_stop(struct fuse_ll *l);
/*
 * The kernel shall forget the attributes it caches of an inode, and its pages
 * if `content`.  Done soon by another thread; without `content` before the
 * request is answered from within which it was called.
 */
void fuse_ll_invalidate(struct fuse_ll *l, uint64_t ino, bool content);
/* Requests of one kind so far; those without a name are 0.  Any thread. */
uint64_t fuse_ll_requests(const struct fuse_ll *l, unsigned opcode);
/* What the kernel's header calls it, "lookup"; NULL when nothing does. */
const char *fuse_ll_raw_name(unsigned opcode);
/* Detaches the mount if it is still there, and frees.  NULL ok. */
void fuse_ll_close(struct fuse_ll *l);

#endif
