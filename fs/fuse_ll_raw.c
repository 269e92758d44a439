/*
 * fuse_ll_raw.c - reads from a raw request what libfuse 3.17 does not hand
 * on to its callbacks: the flags by which HANDLE_KILLPRIV_V2 tells that
 * set-id bits must go.  Pure; any thread.
 */
#include "fs/fuse_ll_impl.h"
#include <linux/fuse.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

bool fuse_ll_raw_kill(const void *p, size_t n);

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
