/* test_fuse_ll_raw.c - KILL_SUIDGID is found in raw requests, short ones too. */
#include <criterion/criterion.h>
#include <string.h>

#include "fs/fuse_ll_impl.h"
#include <linux/fuse.h>

struct request {
	struct fuse_in_header h;
	union {
		struct fuse_open_in open;
		struct fuse_create_in create;
		struct fuse_write_in write;
		struct fuse_setxattr_in xattr;
		char bytes[256];
	} u;
};

static bool kill(struct request *r, uint32_t opcode)
{
	r->h.opcode = opcode;
	return fuse_ll_raw_kill(r, sizeof(*r));
}

Test(fuse_ll_raw, each_flag_is_found)
{
	struct request r = { 0 };

	cr_assert(!kill(&r, FUSE_OPEN));
	r.u.open.open_flags = FUSE_OPEN_KILL_SUIDGID;
	cr_assert(kill(&r, FUSE_OPEN));
	cr_assert(!kill(&r, FUSE_GETATTR));
	memset(&r, 0, sizeof(r));
	r.u.create.open_flags = FUSE_OPEN_KILL_SUIDGID;
	cr_assert(kill(&r, FUSE_CREATE));
	memset(&r, 0, sizeof(r));
	r.u.write.write_flags = FUSE_WRITE_CACHE;
	cr_assert(!kill(&r, FUSE_WRITE));
	r.u.write.write_flags |= FUSE_WRITE_KILL_SUIDGID;
	cr_assert(kill(&r, FUSE_WRITE));
	memset(&r, 0, sizeof(r));
	r.u.xattr.setxattr_flags = FUSE_SETXATTR_ACL_KILL_SGID;
	cr_assert(kill(&r, FUSE_SETXATTR));
}

Test(fuse_ll_raw, short_request_has_no_flag)
{
	struct request r;

	memset(&r, 0xff, sizeof(r));
	r.h.opcode = FUSE_WRITE;
	for (size_t n = 0; n < sizeof(r.h) + sizeof(r.u.write); n++)
		cr_assert(!fuse_ll_raw_kill(&r, n));
}
