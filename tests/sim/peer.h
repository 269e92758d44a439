/*
 * peer.h - the session of a file system that ours is measured against
 * (tests/bench/memfs.c, passfs.c): the low-level API, the options, the
 * capabilities, the request sizes, the threads, the loop and the timeouts of
 * ours, taken from the same functions where there are any.
 */
#ifndef TESTS_SIM_PEER_H
#define TESTS_SIM_PEER_H

#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 17)
#include <fuse_lowlevel.h>
#include <stddef.h>

/*
 * Mounts and serves in the foreground until unmounted; the exit status.  ops
 * are completed with `init`.  counts: a file that becomes an array of 64-bit
 * numbers, requests by opcode, FUSE_LL_OPCODES for each thread, kept up to
 * date while it runs; NULL: none.
 */
int peer_serve(const char *name, struct fuse_lowlevel_ops *ops, const char *dir,
	       const char *counts);
/* How long the kernel may keep attributes and names, there or not. */
double peer_timeout(void);
/* Memory of the calling worker, at least n bytes. */
void *peer_scratch(size_t n);

#endif
