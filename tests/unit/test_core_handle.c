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

/* The pages of a mapping may come long after the capability was given. */
Test(core_handle, pages_of_a_mapping_take_no_capability)
{
	char out[8];
	struct handle *h;
	struct vol v;

	start(&v, 3);
	h = make(v.core, "a", O_RDWR);
	cr_assert_eq(core_setxattr(v.core, &vol_cred, core_handle_ino(h),
				   CORE_CAPABILITY, "cap", 3, 0, false),
		     0);
	cr_assert_eq(core_write(v.core, &vol_cred, h, "1", 1, 0, false, true),
		     0);
	cr_assert_eq(core_getxattr(v.core, core_handle_ino(h), CORE_CAPABILITY,
				   out, sizeof(out)),
		     3);
	core_release(v.core, h);
	end(&v);
}

/* --- what may be closed already, as RELEASE comes when it likes --- */

/* The newest version of what h is a handle of. */
static void assert_version(const struct handle *h, uint64_t version,
			   uint64_t size)
{
	cr_assert_eq(h->inode->row.version, version, "version %llu",
		     (unsigned long long)h->inode->row.version);
	cr_assert_eq(h->inode->row.size, size);
}

static void cut(struct core *c, const struct handle *h, off_t size)
{
	struct stat in = { .st_size = size }, out;

	cr_assert_eq(core_setattr(c, &vol_cred, core_handle_ino(h),
				  CORE_SET_SIZE, &in, &out),
		     0);
}

Test(core_handle, emptied_when_opened_and_closed_is_a_version)
{
	struct handle *h, *again;
	struct vol v;

	start(&v, 4);
	h = make(v.core, "a", O_WRONLY);
	put(v.core, h, "one", 3, 0);
	core_release(v.core, h);
	h = open_named(v.core, "a", O_WRONLY | O_TRUNC);
	assert_version(h, 1, 3);
	again = open_named(v.core, "a", O_WRONLY);
	assert_version(h, 2, 0);
	core_release(v.core, h);
	core_release(v.core, again);
	end(&v);
}

Test(core_handle, cut_after_it_was_written_and_closed_is_a_version)
{
	struct handle *h, *again;
	struct vol v;

	start(&v, 5);
	h = make(v.core, "a", O_WRONLY);
	put(v.core, h, "one", 3, 0);
	cut(v.core, h, 1);
	again = open_named(v.core, "a", O_WRONLY | O_TRUNC);
	assert_version(h, 1, 1);
	core_release(v.core, h);
	core_release(v.core, again);
	end(&v);
}

/* What may be mapped tells of its close: nobody has to guess. */
Test(core_handle, cut_by_who_reads_too_is_no_version_when_opened_again)
{
	struct handle *h, *again;
	struct vol v;

	start(&v, 6);
	h = make(v.core, "a", O_RDWR);
	put(v.core, h, "one", 3, 0);
	cut(v.core, h, 1);
	again = open_named(v.core, "a", O_RDONLY);
	assert_version(h, 0, 0);
	cr_assert_eq(core_flush(v.core, h), 0);
	core_release(v.core, again);
	again = open_named(v.core, "a", O_RDONLY);
	assert_version(h, 1, 1);
	core_release(v.core, h);
	core_release(v.core, again);
	end(&v);
}

/* Who keeps a log open, writes it, and looks at it now and then. */
Test(core_handle, log_that_is_held_makes_no_version_each_time_it_is_looked_at)
{
	struct handle *h, *again;
	struct vol v;

	start(&v, 7);
	h = make(v.core, "a", O_WRONLY);
	for (unsigned i = 0; i < 20; i++) {
		put(v.core, h, "line", 4, 4 * i);
		again = open_named(v.core, "a", O_RDONLY);
		core_release(v.core, again);
		assert_version(h, 1, 4);
	}
	vio_sim_advance(v.sim, 1000000000LL);
	again = open_named(v.core, "a", O_RDONLY);
	assert_version(h, 2, 80);
	put(v.core, h, "end", 3, 80);
	core_release(v.core, again);
	again = open_named(v.core, "a", O_WRONLY | O_TRUNC);
	assert_version(h, 3, 83);
	core_release(v.core, h);
	core_release(v.core, again);
	end(&v);
}

/* Written and closed over and over, and each RELEASE comes too late. */
Test(core_handle, each_that_is_closed_is_a_version_however_late_that_is_told)
{
	struct handle *h[6];
	struct vol v;

	start(&v, 8);
	h[0] = make(v.core, "a", O_WRONLY);
	for (unsigned i = 0; i < 5; i++) {
		put(v.core, h[i], "states", i + 1, 0);
		h[i + 1] = open_named(v.core, "a", O_WRONLY | O_TRUNC);
		assert_version(h[i + 1], i + 1, i + 1);
	}
	for (unsigned i = 0; i < 6; i++)
		core_release(v.core, h[i]);
	end(&v);
}

/* --- what goes round the kernel's page cache --- */

static unsigned forgotten; /* how often the kernel was told to */

static void forget(void *ctx, uint64_t ino, bool content)
{
	(void)ctx;
	(void)ino;
	forgotten += content;
}

static bool goes_round(struct core *c, struct handle *h, bool made, bool *keep)
{
	*keep = true;
	return core_handle_bypass(c, h, made, keep);
}

Test(core_handle, nobody_has_pages_while_a_second_writer_goes_round_them)
{
	struct handle *maker, *also, *in;
	struct vol v;
	bool keep;

	start(&v, 9);
	maker = make(v.core, "a", O_WRONLY);
	cr_assert(goes_round(v.core, maker, true, &keep));
	also = open_named(v.core, "a", O_WRONLY | O_APPEND);
	cr_assert(goes_round(v.core, also, false, &keep));
	core_release(v.core, maker);
	in = open_named(v.core, "a", O_RDONLY);
	cr_assert(goes_round(v.core, in, false, &keep));
	core_release(v.core, also);
	core_release(v.core, in);
	in = open_named(v.core, "a", O_RDONLY);
	cr_assert_not(goes_round(v.core, in, false, &keep));
	core_release(v.core, in);
	end(&v);
}

Test(core_handle, pages_are_not_kept_until_the_kernel_has_forgotten_the_old)
{
	struct handle *maker, *in, *other;
	struct vol v;
	char out[4];
	bool keep;

	start(&v, 10);
	v.core->o.invalidate = forget;
	forgotten = 0;
	maker = make(v.core, "a", O_WRONLY);
	cr_assert(goes_round(v.core, maker, true, &keep));
	put(v.core, maker, "one", 3, 0);
	in = open_named(v.core, "a", O_RDONLY);
	cr_assert(goes_round(v.core, in, false, &keep));
	core_release(v.core, in);
	cr_assert_eq(forgotten, 0);
	core_release(v.core, maker);
	cr_assert_eq(forgotten, 1);
	/* nobody has it open, and who opens it is faster */
	in = open_named(v.core, "a", O_RDONLY);
	cr_assert_not(goes_round(v.core, in, false, &keep));
	cr_assert_not(keep);
	other = open_named(v.core, "a", O_RDONLY);
	cr_assert_not(goes_round(v.core, other, false, &keep));
	cr_assert_not(keep, "the answer to the first may be on its way");
	cr_assert_eq(core_read(v.core, in, out, sizeof(out), 0), 3);
	core_release(v.core, other);
	other = open_named(v.core, "a", O_RDONLY);
	cr_assert_not(goes_round(v.core, other, false, &keep));
	cr_assert(keep);
	core_release(v.core, other);
	core_release(v.core, in);
	end(&v);
}

Test(core_handle, pages_filled_beside_a_writer_are_forgotten_when_it_writes)
{
	struct handle *maker, *in;
	struct vol v;
	char out[4];
	bool keep;

	start(&v, 11);
	v.core->o.invalidate = forget;
	forgotten = 0;
	maker = make(v.core, "a", O_WRONLY);
	cr_assert(goes_round(v.core, maker, true, &keep));
	in = open_named(v.core, "a", O_RDONLY);
	cr_assert(goes_round(v.core, in, false, &keep));
	for (unsigned i = 0; i < 3; i++) {
		put(v.core, maker, "one", 3, 0);
		cr_assert_eq(forgotten, i, "no page, nothing to forget");
		core_handle_fills(in);
		cr_assert_eq(core_read(v.core, in, out, sizeof(out), 0), 3);
		cr_assert_eq(core_write(v.core, &vol_cred, maker, "two", 3, 0,
					false, true),
			     0);
		cr_assert_eq(forgotten, i, "it was the kernel's own page");
		put(v.core, maker, "two", 3, 0);
		cr_assert_eq(forgotten, i + 1);
	}
	core_release(v.core, in);
	core_release(v.core, maker);
	end(&v);
}

/* --- who hears of what failed late --- */

Test(core_handle, close_is_told_where_a_failure_is_known_or_to_be_feared)
{
	struct handle *h, *in;
	struct vol v;

	start(&v, 12);
	h = make(v.core, "a", O_WRONLY);
	in = open_named(v.core, "a", O_RDONLY);
	cr_assert_not(core_handle_doubts(v.core, h));
	atomic_store(&h->file->deferred, -EIO);
	cr_assert(core_handle_doubts(v.core, h));
	cr_assert_not(core_handle_doubts(v.core, in));
	cr_assert_eq(core_flush(v.core, h), -EIO);
	cr_assert_not(core_handle_doubts(v.core, h));
	vio_sim_set_space(v.sim, 200 << 20);
	vio_sim_advance(v.sim, 1000000000LL);
	cr_assert(core_handle_doubts(v.core, h));
	vio_sim_set_space(v.sim, UINT64_MAX);
	vio_sim_advance(v.sim, 1000000000LL);
	cr_assert_not(core_handle_doubts(v.core, h));
	core_release(v.core, h);
	core_release(v.core, in);
	end(&v);
}
