/*
 * fuse_ll_raw.c - reads from a raw request what libfuse 3.17 does not hand
 * on to its callbacks: the flags by which HANDLE_KILLPRIV_V2 tells that
 * set-id bits must go; and which kind of request it is, for counting.  Pure;
 * any thread.
 */
#include "fs/fuse/fuse_ll_impl.h"
#include <linux/fuse.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Copies the arguments of a request if all of them are there. */
static bool args(void *out, size_t want, const void *p, size_t n)
{
	if (n < sizeof(struct fuse_in_header) + want)
		return false;
	memcpy(out, (const char *)p + sizeof(struct fuse_in_header), want);
	return true;
}

bool fuse_ll_raw_kill(const void *p, size_t n)
{
	struct fuse_in_header h;
	union {
		struct fuse_open_in open;
		struct fuse_create_in create;
		struct fuse_write_in write;
		struct fuse_setxattr_in xattr;
	} in;

	if (n < sizeof(h))
		return false;
	memcpy(&h, p, sizeof(h));
	switch (h.opcode) {
	case FUSE_OPEN:
		return args(&in, sizeof(in.open), p, n) &&
		       (in.open.open_flags & FUSE_OPEN_KILL_SUIDGID);
	case FUSE_CREATE:
		return args(&in, sizeof(in.create), p, n) &&
		       (in.create.open_flags & FUSE_OPEN_KILL_SUIDGID);
	case FUSE_WRITE:
		return args(&in, sizeof(in.write), p, n) &&
		       (in.write.write_flags & FUSE_WRITE_KILL_SUIDGID);
	case FUSE_SETXATTR:
		return args(&in, sizeof(in.xattr), p, n) &&
		       (in.xattr.setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID);
	default:
		return false;
	}
}

unsigned fuse_ll_raw_kind(const void *p, size_t n)
{
	struct fuse_in_header h;

	if (n < sizeof(h))
		return 0;
	memcpy(&h, p, sizeof(h));
	return h.opcode;
}

void fuse_ll_raw_count(_Atomic uint64_t counts[FUSE_LL_OPCODES], const void *p,
		       size_t n)
{
	unsigned kind = fuse_ll_raw_kind(p, n);
	_Atomic uint64_t *c = &counts[fuse_ll_raw_name(kind) ? kind : 0];

	if (n < sizeof(struct fuse_in_header))
		return;
	/* One writer: a load and a store, which others may read meanwhile. */
	atomic_store_explicit(c,
			      atomic_load_explicit(c, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

const char *fuse_ll_raw_name(unsigned opcode)
{
	static const char *const name[FUSE_LL_OPCODES] = {
		[0] = "other",
		[FUSE_LOOKUP] = "lookup",
		[FUSE_FORGET] = "forget",
		[FUSE_GETATTR] = "getattr",
		[FUSE_SETATTR] = "setattr",
		[FUSE_READLINK] = "readlink",
		[FUSE_SYMLINK] = "symlink",
		[FUSE_MKNOD] = "mknod",
		[FUSE_MKDIR] = "mkdir",
		[FUSE_UNLINK] = "unlink",
		[FUSE_RMDIR] = "rmdir",
		[FUSE_RENAME] = "rename",
		[FUSE_LINK] = "link",
		[FUSE_OPEN] = "open",
		[FUSE_READ] = "read",
		[FUSE_WRITE] = "write",
		[FUSE_STATFS] = "statfs",
		[FUSE_RELEASE] = "release",
		[FUSE_FSYNC] = "fsync",
		[FUSE_SETXATTR] = "setxattr",
		[FUSE_GETXATTR] = "getxattr",
		[FUSE_LISTXATTR] = "listxattr",
		[FUSE_REMOVEXATTR] = "removexattr",
		[FUSE_FLUSH] = "flush",
		[FUSE_INIT] = "init",
		[FUSE_OPENDIR] = "opendir",
		[FUSE_READDIR] = "readdir",
		[FUSE_RELEASEDIR] = "releasedir",
		[FUSE_FSYNCDIR] = "fsyncdir",
		[FUSE_GETLK] = "getlk",
		[FUSE_SETLK] = "setlk",
		[FUSE_SETLKW] = "setlkw",
		[FUSE_ACCESS] = "access",
		[FUSE_CREATE] = "create",
		[FUSE_INTERRUPT] = "interrupt",
		[FUSE_BMAP] = "bmap",
		[FUSE_DESTROY] = "destroy",
		[FUSE_IOCTL] = "ioctl",
		[FUSE_POLL] = "poll",
		[FUSE_NOTIFY_REPLY] = "notify_reply",
		[FUSE_BATCH_FORGET] = "batch_forget",
		[FUSE_FALLOCATE] = "fallocate",
		[FUSE_READDIRPLUS] = "readdirplus",
		[FUSE_RENAME2] = "rename2",
		[FUSE_LSEEK] = "lseek",
		[FUSE_COPY_FILE_RANGE] = "copy_file_range",
		[FUSE_SYNCFS] = "syncfs",
		[FUSE_TMPFILE] = "tmpfile",
		/* newer than some headers */
		[52] = "statx",
		[53] = "copy_file_range_64",
	};

	return opcode < FUSE_LL_OPCODES ? name[opcode] : NULL;
}
