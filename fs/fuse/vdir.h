/*
 * vdir.h - virtual files: the interface that analytics implements and the
 * FUSE skin calls.  fs/ knows nothing of what the trees show.
 *
 * Virtual nodes have numbers of their own (VDIR_INO_BASE and up), given out
 * at lookup and taken back when the kernel forgets them.  The container (the
 * root, or the directory named by -o virtual=NAME) shows the `root` names of
 * the provider before the real ones; a real directory may also be `hybrid`:
 * names that it does not hold are asked from the provider.
 *
 * Nothing is computed in lookup, getattr or readdir beyond index look-ups.
 * Files of exact known size are cached by the kernel (immutable); live ones
 * use direct I/O and are one snapshot per open, made in `open`.
 *
 * Threads: all calls may come from several threads at once.  No call may
 * re-enter the mount through the kernel.
 */
#ifndef FS_VDIR_H
#define FS_VDIR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "fs/core/core.h"

#define VDIR_INO_BASE (0x7fffffULL << 40) /* mount_no 2^23 - 1 */
#define VDIR_IS_VIRTUAL(ino) (((ino) >> 40) == 0x7fffffULL)

struct vdir_file; /* an open virtual file */
struct vdir_list; /* an open virtual directory */

struct vdir_opened {
	bool direct_io;	 /* live: do not cache */
	bool keep_cache; /* immutable */
	bool nonseekable;
};

typedef int vdir_fill_fn(void *ctx, const char *name, uint32_t mode,
			 uint64_t ino, uint64_t next_off);

struct vdir_ops {
	/* Names at the container, NULL-terminated: {"audit", NULL}. */
	const char *const *root_names;
	/* The real directory inside the container whose misses we are asked
	 * for: "query"; NULL: none. Made at mount when missing. */
	const char *hybrid_name;

	/*
	 * parent: a virtual node, or 0 for a root name, or the real inode of
	 * the hybrid directory.  On success one lookup count is taken.  *out_ttl_ms:
	 * how long the kernel may keep name and attributes.
	 */
	int (*lookup)(void *ctx, const struct cred *cr, uint64_t parent,
		      const char *name, struct stat *out, uint32_t *out_ttl_ms);
	void (*forget)(void *ctx, uint64_t node, uint64_t n);
	int (*getattr)(void *ctx, const struct cred *cr, uint64_t node,
		       struct stat *out, uint32_t *out_ttl_ms);
	ssize_t (*readlink)(void *ctx, const struct cred *cr, uint64_t node,
			    char *out, size_t cap);
	int (*open)(void *ctx, const struct cred *cr, uint64_t node, int flags,
		    struct vdir_file **out, struct vdir_opened *how);
	ssize_t (*read)(void *ctx, struct vdir_file *f, void *p, size_t n,
			uint64_t off);
	/* SEEK_DATA or SEEK_HOLE as content_seek; -EINVAL: knows no holes. */
	int (*seek)(void *ctx, struct vdir_file *f, uint64_t off, bool hole,
		    uint64_t *out);
	void (*release)(void *ctx, struct vdir_file *f);
	/* node may be the hybrid directory: its virtual names only. */
	int (*opendir)(void *ctx, const struct cred *cr, uint64_t node,
		       struct vdir_list **out);
	/* Entries after `off` (0: from the start); fill nonzero stops. */
	int (*readdir)(void *ctx, struct vdir_list *l, uint64_t off,
		       vdir_fill_fn *fill, void *fill_ctx);
	void (*releasedir)(void *ctx, struct vdir_list *l);
	/* A real file inside the hybrid directory was written and closed,
	 * renamed or removed. */
	void (*changed)(void *ctx, uint64_t ino, const char *name);
	/* user.vouch.* attributes of a real inode, -ENODATA if not ours. */
	ssize_t (*getxattr)(void *ctx, const struct cred *cr, uint64_t ino,
			    const char *name, void *p, size_t cap);
	/*
	 * The same set: what that does is the provider's.  The kernel has seen
	 * that cr may write the inode.  -EPERM: it cannot be set.
	 */
	int (*setxattr)(void *ctx, const struct cred *cr, uint64_t ino,
			const char *name, const char *value, size_t n);
};

struct vdir {
	const struct vdir_ops *ops; /* NULL: no virtual files */
	void *ctx;
};

#endif
