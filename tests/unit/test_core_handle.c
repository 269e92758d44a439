/*
 * test_core_handle.c - what handles do beside one another: which state of a
 * file counts as closed, what goes round the kernel's page cache, and what a
 * write takes away.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "fs/core/core_internal.h"
#include "fs/core/file.h"
#include "ledger/ledger.h"
#include "tests/sim/vol.h"

static struct handle *make(struct core *c, const char *name, int flags)
{
	struct handle *h = NULL;
	struct stat st;

	cr_assert_eq(core_create(c, &vol_cred, 1, name, 0644, flags, &h, &st),
		     0);
	return h;
}

static struct handle *open_named(struct core *c, const char *name, int flags)
{
	struct handle *h = NULL;
	struct stat st;
	bool keep;

	cr_assert_eq(core_lookup(c, 1, name, &st), 0);
	cr_assert_eq(core_open_file(c, &vol_cred, st.st_ino, flags, false, &h,
				    &keep),
		     0);
	return h;
}

static void put(struct core *c, struct handle *h, const void *p, size_t n,
		uint64_t off)
{
	cr_assert_eq(core_write(c, &vol_cred, h, p, n, off, false, false), 0);
}

static void start(struct vol *v, uint64_t seed)
{
	vol_init(v, seed);
	cr_assert_eq(vol_mount(v), 0);
}

static void end(struct vol *v)
{
	cr_assert_eq(vol_umount(v), 0);
	vol_release(v);
}

/* --- what a write takes away --- */

Test(core_handle, capability_set_before_the_file_was_opened_goes_with_a_write)
{
	char out[8];
	struct handle *h;
	struct vol v;
	uint64_t ino;

	start(&v, 1);
	h = make(v.core, "a", O_RDWR);
	ino = core_handle_ino(h);
	cr_assert_eq(core_setxattr(v.core, &vol_cred, ino, CORE_CAPABILITY,
				   "cap", 3, 0, false),
		     0);
	core_release(v.core, h);
	cr_assert_eq(vol_umount(&v), 0);
	cr_assert_eq(vol_mount(&v), 0);
	h = open_named(v.core, "a", O_RDWR);
	put(v.core, h, "1", 1, 0);
	cr_assert_eq(
		core_getxattr(v.core, ino, CORE_CAPABILITY, out, sizeof(out)),
		-ENODATA);
	cr_assert_not(atomic_load(&h->file->capable));
	core_release(v.core, h);
	end(&v);
}

Test(core_handle, attributes_that_are_no_capability_are_looked_at_once)
{
	struct handle *h;
	struct vol v;

	start(&v, 2);
	h = make(v.core, "a", O_RDWR);
	cr_assert_eq(core_setxattr(v.core, &vol_cred, core_handle_ino(h),
				   "user.x", "y", 1, 0, false),
		     0);
	cr_assert_not(atomic_load(&h->file->capable));
	core_release(v.core, h);
	cr_assert_eq(vol_umount(&v), 0);
	cr_assert_eq(vol_mount(&v), 0);
	h = open_named(v.core, "a", O_RDWR);
	cr_assert(atomic_load(&h->file->capable), "it is not known yet");
	put(v.core, h, "1", 1, 0);
	cr_assert_not(atomic_load(&h->file->capable));
	core_release(v.core, h);
	end(&v);
}

Test(core_handle, a_removed_file_loses_its_capability_too)
{
	char out[8];
	struct handle *h;
	struct vol v;
	uint64_t ino;

	start(&v, 3);
	h = make(v.core, "a", O_RDWR);
	ino = core_handle_ino(h);
	cr_assert_eq(core_unlink(v.core, &vol_cred, 1, "a"), 0);
	cr_assert_eq(core_setxattr(v.core, &vol_cred, ino, CORE_CAPABILITY,
				   "cap", 3, 0, false),
		     0);
	put(v.core, h, "1", 1, 0);
	cr_assert_eq(
		core_getxattr(v.core, ino, CORE_CAPABILITY, out, sizeof(out)),
		-ENODATA);
	core_release(v.core, h);
	end(&v);
}
