/* test_fuse_ll_raw.c - raw requests: KILL_SUIDGID is found, kinds are counted. */
#include <criterion/criterion.h>
#include <string.h>

#include "fs/fuse/fuse_ll_impl.h"
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

static uint64_t count_of(uint32_t opcode, unsigned at)
{
	_Atomic uint64_t counts[FUSE_LL_OPCODES] = { 0 };
	struct fuse_in_header h = { .opcode = opcode };

	fuse_ll_raw_count(counts, &h, sizeof(h) - 1);
	cr_assert(counts[at] == 0);
	fuse_ll_raw_count(counts, &h, sizeof(h));
	fuse_ll_raw_count(counts, &h, sizeof(h));
	return counts[at];
}

Test(fuse_ll_raw, each_kind_is_counted_and_strange_ones_together)
{
	cr_assert(count_of(FUSE_LOOKUP, FUSE_LOOKUP) == 2);
	cr_assert(count_of(FUSE_TMPFILE, FUSE_TMPFILE) == 2);
	cr_assert(count_of(FUSE_LL_OPCODES - 1, 0) == 2);
	cr_assert(count_of(FUSE_LL_OPCODES, 0) == 2);
	cr_assert(count_of(UINT32_MAX, 0) == 2);
}

Test(fuse_ll_raw, each_name_is_there_once)
{
	cr_assert_str_eq(fuse_ll_raw_name(FUSE_WRITE), "write");
	cr_assert_null(fuse_ll_raw_name(FUSE_LL_OPCODES));
	for (unsigned i = 0; i < FUSE_LL_OPCODES; i++)
		for (unsigned j = 0; fuse_ll_raw_name(i) && j < i; j++)
			cr_assert(!fuse_ll_raw_name(j) ||
				  strcmp(fuse_ll_raw_name(i),
					 fuse_ll_raw_name(j)));
}
