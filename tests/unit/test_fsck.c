/*
 * test_fsck.c - what cannot be looked at is not said to be good.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "fs/core/core_internal.h"
#include "fs/core/file.h"
#include "fs/upkeep/fsck.h"
#include "tests/sim/vol.h"

enum { FILES = 12 };

/* Makes the read of a record fail, once, when the log is gone through again. */
struct second {
	struct vio_sim *sim;
	bool looking;
	unsigned left, struck;
};

static void on_progress(void *ctx, const char *part, uint64_t done,
			uint64_t all)
{
	struct second *s = ctx;

	(void)done;
	(void)all;
	s->looking = strcmp(part, "versions") == 0;
}

static void on_call(void *ctx, enum vio_sim_class class, const char *path)
{
	struct second *s = ctx;

	if (!s->looking || class != VIO_SIM_READ || s->left == 0 ||
	    (!strstr(path, "journal/") && !strstr(path, "wal/")))
		return;
	if (--s->left > 0)
		return;
	vio_sim_fail(s->sim, VIO_SIM_READ, 1, EIO, false);
	s->struck++;
}

static void make_files(struct core *c)
{
	for (int i = 0; i < FILES; i++) {
		struct handle *h = NULL;
		struct stat st;
		char name[16];

		snprintf(name, sizeof(name), "file%d", i);
		cr_assert_eq(core_create(c, &vol_cred, 1, name, 0644, O_RDWR,
					 &h, &st),
			     0);
		cr_assert_eq(core_write(c, &vol_cred, h, name, sizeof(name), 0,
					false, false),
			     0);
		core_release(c, h);
		cr_assert_eq(core_sync(c), 0);
	}
}

Test(fsck, a_record_that_cannot_be_read_again_is_an_error, .timeout = 60)
{
	struct second s = { .looking = false };
	struct fsck_report r;
	struct vol v;

	vol_init(&v, 1);
	cr_assert_eq(vol_mount(&v), 0);
	make_files(v.core);
	cr_assert_eq(vol_umount(&v), 0);
	cr_assert_eq(vol_mount(&v), 0);
	s.sim = v.sim;
	vio_sim_set_hook(v.sim, on_call, &s);
	for (unsigned nth = 1; nth < 100; nth++) {
		const struct fsck_options o = {
			.deep = true,
			.progress = on_progress,
			.ctx = &s,
		};
		struct errmsg em = ERRMSG_INIT;
		int rc;

		s = (struct second){ .sim = v.sim, .left = nth };
		rc = fsck_verify(core_ledger(v.core), core_store(v.core), &r,
				 &o, &em);
		cr_assert_eq(rc, s.struck ? -EIO : 0, "read %u: %d", nth, rc);
		cr_assert_eq(r.damaged, 0);
		if (!s.struck) {
			cr_assert_gt(nth, FILES);
			break;
		}
	}
	vio_sim_set_hook(v.sim, NULL, NULL);
	cr_assert_eq(vol_umount(&v), 0);
	vol_release(&v);
}

struct patience {
	unsigned asked, left;
	const char *part;
};

static void on_part(void *ctx, const char *part, uint64_t done, uint64_t all)
{
	struct patience *p = ctx;

	(void)done;
	(void)all;
	p->part = part;
}

static bool enough(void *ctx)
{
	struct patience *p = ctx;

	p->asked++;
	return p->left == 0 || --p->left == 0;
}

/* An unmount waits for nobody who looks at everything. */
Test(fsck, gives_up_when_told, .timeout = 60)
{
	bool at_end = false;
	struct vol v;

	vol_init(&v, 2);
	cr_assert_eq(vol_mount(&v), 0);
	make_files(v.core);
	for (unsigned n = 1; !at_end; n++) {
		struct patience p = { .left = n };
		const struct fsck_options o = {
			.deep = true,
			.progress = on_part,
			.stop = enough,
			.ctx = &p,
		};
		struct fsck_report r;
		int rc = fsck_verify(core_ledger(v.core), core_store(v.core),
				     &r, &o, NULL);

		at_end = p.left > 0;
		cr_assert_eq(rc, at_end ? 0 : -ECANCELED, "%u: %d", n, rc);
		cr_assert(at_end || p.asked == n, "it went on");
		cr_assert(!at_end || n > 3, "it is hardly asked");
	}
	cr_assert_eq(vol_umount(&v), 0);
	vol_release(&v);
}
