/*
 * test_core_put.c - another content in the place of a file's: only on the
 * version that was seen, in one step, and as if it had always been so.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "fs/content/content.h"
#include "fs/core/core_internal.h"
#include "fs/core/core_storage.h"
#include "fs/store/lease.h"
#include "fs/store/store.h"
#include "index/idx_query.h"
#include "tests/sim/prng.h"
#include "tests/sim/vol.h"

enum { BIG = 300000 };

static uint64_t put_file(struct core *c, const char *name, const void *p,
			 size_t n, uint64_t ino)
{
	struct handle *h = NULL;
	struct stat st = { .st_ino = ino };
	bool keep;

	if (ino)
		cr_assert_eq(core_open_file(c, &vol_cred, ino,
					    O_WRONLY | O_TRUNC, false, &h,
					    &keep),
			     0);
	else
		cr_assert_eq(core_create(c, &vol_cred, 1, name, 0644, O_RDWR,
					 &h, &st),
			     0);
	if (n)
		cr_assert_eq(core_write(c, &vol_cred, h, p, n, 0, false, false),
			     0);
	core_release(c, h);
	cr_assert_eq(core_make_version(c, st.st_ino, ENTRY_REASON_DEMAND), 0);
	return st.st_ino;
}

static void holds(struct core *c, uint64_t ino, const void *want, size_t n)
{
	uint8_t *p = malloc(n + 1);
	struct handle *h = NULL;
	struct stat st;
	bool keep;

	cr_assert_eq(
		core_open_file(c, &vol_cred, ino, O_RDONLY, false, &h, &keep),
		0);
	cr_assert_eq(core_getattr(c, ino, &st), 0);
	cr_assert_eq(st.st_size, n);
	cr_assert_eq(core_read(c, h, p, n + 1, 0), n);
	cr_assert_eq(memcmp(p, want, n), 0);
	core_release(c, h);
	free(p);
}

/* Version `from` of ino in the place of its version `expect`. */
static int put_back(struct core *c, uint64_t ino, uint64_t from,
		    uint64_t expect)
{
	struct core_storage_put o = {
		.ino = ino, .expect = expect, .why = 2, .when = "a.1"
	};
	unsigned section = lease_enter(store_lease(core_store(c)));
	struct content *content = NULL;
	struct idx_version v;
	int rc;

	cr_assert_eq(core_settle_index(c), 0);
	cr_assert_eq(core_storage_version(c, &v, &o.subject, ino, from), 0);
	o.no = v.no;
	cr_assert_eq(content_open(&content, core_pool(c), &v.tree_root, v.size),
		     0);
	rc = core_storage_put(c, &vol_cred, &o, content);
	content_close(content);
	lease_leave(store_lease(core_store(c)), section);
	return rc;
}

Test(core_put, takes_effect_on_the_version_seen_and_on_no_other)
{
	uint8_t *big = malloc(BIG);
	struct prng p;
	struct vol v = { .quiet = false };
	uint64_t ino;

	prng_init(&p, 7);
	prng_bytes(&p, big, BIG);
	vol_init(&v, 3);
	cr_assert_eq(vol_mount(&v), 0);
	ino = put_file(v.core, "f", big, BIG, 0);
	put_file(v.core, "f", "short", 5, ino);
	put_file(v.core, "f", NULL, 0, ino);
	cr_assert_eq(put_back(v.core, ino, 1, 2), -EBUSY);
	holds(v.core, ino, "", 0);
	cr_assert_eq(put_back(v.core, ino, 1, 3), 0);
	holds(v.core, ino, big, BIG);
	cr_assert_eq(put_back(v.core, ino, 1, 3), -EBUSY);
	cr_assert_eq(put_back(v.core, ino, 2, 4), 0);
	holds(v.core, ino, "short", 5);
	cr_assert_eq(put_back(v.core, ino, 3, 5), 0);
	holds(v.core, ino, "", 0);
	cr_assert_eq(vol_umount(&v), 0);
	cr_assert_eq(vol_mount(&v), 0);
	holds(v.core, ino, "", 0);
	cr_assert_eq(put_back(v.core, ino, 1, 6), 0);
	holds(v.core, ino, big, BIG);
	cr_assert_eq(vol_umount(&v), 0);
	cr_assert_eq(vol_mount(&v), 0);
	holds(v.core, ino, big, BIG);
	cr_assert_eq(vol_umount(&v), 0);
	vol_release(&v);
	free(big);
}

Test(core_put, what_was_written_and_has_no_version_yet_is_not_lost)
{
	struct vol v = { .quiet = false };
	struct handle *h = NULL;
	uint64_t ino;
	bool keep;

	vol_init(&v, 4);
	cr_assert_eq(vol_mount(&v), 0);
	ino = put_file(v.core, "f", "one", 3, 0);
	put_file(v.core, "f", "two", 3, ino);
	cr_assert_eq(core_open_file(v.core, &vol_cred, ino, O_RDWR, false, &h,
				    &keep),
		     0);
	cr_assert_eq(
		core_write(v.core, &vol_cred, h, "more", 4, 3, false, false),
		0);
	cr_assert_eq(put_back(v.core, ino, 1, 2), -EBUSY);
	holds(v.core, ino, "twomore", 7);
	/* a descriptor that is open goes on with what is there then */
	cr_assert_eq(put_back(v.core, ino, 1, 3), 0);
	cr_assert_eq(core_write(v.core, &vol_cred, h, "XY", 2, 7, false, false),
		     0);
	holds(v.core, ino, "one\0\0\0\0XY", 9);
	core_release(v.core, h);
	cr_assert_eq(vol_umount(&v), 0);
	cr_assert_eq(vol_mount(&v), 0);
	holds(v.core, ino, "one\0\0\0\0XY", 9);
	cr_assert_eq(vol_umount(&v), 0);
	vol_release(&v);
}
