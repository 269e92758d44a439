/* test_mounts.c - mountinfo is read as proc(5) says, odd names included. */
#include <criterion/criterion.h>
#include <string.h>

#include "mount-tools/mounts.c" /* mount-tools is no library */

static const char text[] =
	"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
	"30 22 0:40 / /mnt/a rw,nosuid - fuse.vouchfs /data/vol rw,user_id=0\n"
	"31 22 0:41 / /mnt/b\\040c\\134 rw shared:2 master:3 - fuse.vouchfs "
	"/data/v\\0401\\011 ro,user_id=1000,group_id=1000\n"
	"32 22 0:42 / /mnt/sshfs rw - fuse.sshfs host:/ rw\n"
	"33 30 0:41 /sub /mnt/a/inner rw - fuse.vouchfs /data/v2 rw\n"
	"34 22 0:43 / /short - fuse.vouchfs\n"
	"garbage\n";

Test(mounts, only_ours_are_listed_and_escapes_undone)
{
	struct mounts m;

	cr_assert_eq(mounts_parse(&m, text), 0);
	cr_assert_eq(m.n, 3);
	cr_assert_str_eq(m.v[0].store, "/data/vol");
	cr_assert_str_eq(m.v[1].dir, "/mnt/b c\\");
	cr_assert_str_eq(m.v[1].store, "/data/v 1\t");
	cr_assert_str_eq(m.v[2].root, "/sub");
	cr_assert_str_eq(m.v[0].device, "0:40");
	cr_assert_eq(m.v[0].uid, 0);
	cr_assert(!m.v[0].read_only);
	cr_assert_eq(m.v[1].uid, 1000);
	cr_assert(m.v[1].read_only);
	cr_assert(!m.v[2].read_only);
	mounts_release(&m);
}

Test(mounts, the_innermost_mount_is_found)
{
	struct mounts m;

	cr_assert_eq(mounts_parse(&m, text), 0);
	cr_assert_eq(mounts_over(&m, "/mnt/a/x/y"), &m.v[0]);
	cr_assert_eq(mounts_over(&m, "/mnt/a"), &m.v[0]);
	cr_assert_eq(mounts_over(&m, "/mnt/a/inner/z"), &m.v[2]);
	cr_assert_null(mounts_over(&m, "/mnt/ab"));
	cr_assert_null(mounts_over(&m, "/"));
	mounts_release(&m);
}

Test(mounts, empty_text_is_no_mount)
{
	struct mounts m;

	cr_assert_eq(mounts_parse(&m, ""), 0);
	cr_assert_eq(m.n, 0);
	mounts_release(&m);
}
