/*
 * fuse_ll_caps.c - what we agree on with the kernel when it says hello.  Pure;
 * the yardsticks of tests/bench agree on the same.
 *
 * The kernel keeps attributes, names and pages for long: real files change
 * only through this mount.  There is no writeback cache: we want to know who
 * wrote.  Locks (fcntl, flock) are the kernel's own: all who use the files
 * come through this mount, and the kernel knows best who waits for whom, whom
 * a signal has called away and who is dead.
 */
#include "fs/fuse/fuse_ll_impl.h"

void fuse_ll_caps(struct fuse_conn_info *conn)
{
	static const uint64_t wanted[] = {
		FUSE_CAP_ASYNC_READ,
		FUSE_CAP_ATOMIC_O_TRUNC,
		FUSE_CAP_DONT_MASK,
		FUSE_CAP_PARALLEL_DIROPS,
		FUSE_CAP_POSIX_ACL,
		FUSE_CAP_HANDLE_KILLPRIV_V2,
		FUSE_CAP_EXPLICIT_INVAL_DATA,
		FUSE_CAP_CACHE_SYMLINKS,
		FUSE_CAP_READDIRPLUS,
		FUSE_CAP_READDIRPLUS_AUTO,
		FUSE_CAP_ASYNC_DIO,
		FUSE_CAP_SETXATTR_EXT,
		FUSE_CAP_DIRECT_IO_ALLOW_MMAP,
	};
	static const uint64_t unwanted[] = {
		FUSE_CAP_AUTO_INVAL_DATA, FUSE_CAP_SPLICE_READ,
		FUSE_CAP_SPLICE_WRITE,	  FUSE_CAP_SPLICE_MOVE,
		FUSE_CAP_WRITEBACK_CACHE, FUSE_CAP_HANDLE_KILLPRIV,
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		(void)fuse_set_feature_flag(conn, wanted[i]);
	for (size_t i = 0; i < sizeof(unwanted) / sizeof(unwanted[0]); i++)
		fuse_unset_feature_flag(conn, unwanted[i]);
	conn->max_write = FUSE_LL_IO_MAX;
	conn->max_background = 64;
	conn->congestion_threshold = 48;
	conn->no_interrupt = 1;
	conn->time_gran = 1;
}
