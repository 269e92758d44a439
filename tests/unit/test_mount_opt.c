/* test_mount_opt.c - mount options: taken, dropped or refused in words. */
#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "fs/daemon/mount_opt.h"

static struct mount_opt parsed(const char *text, bool root)
{
	struct mount_opt o;
	struct errmsg em = ERRMSG_INIT;
	int rc = mount_opt_parse(&o, text, root, &em);

	cr_assert_eq(rc, 0, "%s: %s", text, errmsg_text(&em, rc));
	return o;
}

Test(mount_opt, nothing_said_gives_defaults)
{
	struct mount_opt o = parsed(NULL, true);

	cr_assert(!o.read_only && !o.entries_every_write && !o.debug);
	cr_assert(o.allow_other);
	cr_assert_null(o.virtual_name);
	cr_assert_eq(o.audit_gid, UINT32_MAX);
	cr_assert_geq(o.threads, 2);
	cr_assert_gt(o.attr_timeout_s, 3600.0);
	cr_assert_str_eq(o.rest, "");
	mount_opt_release(&o);
	o = parsed("", false);
	cr_assert(!o.allow_other);
	mount_opt_release(&o);
}

Test(mount_opt, each_is_understood)
{
	struct mount_opt o = parsed("ro,entries=every-write,virtual=.v,"
				    "audit_group=0,threads=8,attr_timeout=1.5,"
				    "entry_timeout=0,negative_timeout=2,debug,"
				    "noallow_other",
				    true);

	cr_assert(o.read_only && o.entries_every_write && o.debug);
	cr_assert(!o.allow_other);
	cr_assert_str_eq(o.virtual_name, ".v");
	cr_assert_eq(o.audit_gid, 0);
	cr_assert_eq(o.threads, 8);
	cr_assert_float_eq(o.attr_timeout_s, 1.5, 1e-9);
	cr_assert_float_eq(o.entry_timeout_s, 0.0, 1e-9);
	cr_assert_float_eq(o.negative_timeout_s, 2.0, 1e-9);
	cr_assert_str_eq(o.rest, "ro");
	mount_opt_release(&o);
}

Test(mount_opt, fstab_words_are_dropped_and_kernel_words_kept)
{
	struct mount_opt o = parsed("rw,defaults,nofail,_netdev,noauto,user,"
				    "x-systemd.automount,x-gvfs-hide,comment=a,"
				    "relatime,nosuid,dev,noexec,noatime",
				    true);

	cr_assert_str_eq(o.rest, "nosuid,dev,noexec,noatime");
	mount_opt_release(&o);
}

Test(mount_opt, later_words_win)
{
	struct mount_opt o = parsed("ro,rw,threads=3,threads=5", true);

	cr_assert(!o.read_only);
	cr_assert_eq(o.threads, 5);
	mount_opt_release(&o);
}

Test(mount_opt, escaped_comma_belongs_to_the_name)
{
	struct mount_opt o = parsed("virtual=a\\,b", true);

	cr_assert_str_eq(o.virtual_name, "a,b");
	mount_opt_release(&o);
}

Test(mount_opt, mistakes_are_told)
{
	static const char *const bad[] = {
		"frob",
		"threads=1",
		"threads=999",
		"virtual=",
		"virtual=a/b",
		"virtual=..",
		"entries=some",
		"attr_timeout=-1",
		"attr_timeout=nan",
		"audit_group=no-such-group-here",
		"threads=x",
		"entry_timeout=1e99",
		"ro=yes",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct mount_opt o;
		struct errmsg em = ERRMSG_INIT;
		cr_assert_eq(mount_opt_parse(&o, bad[i], true, &em), -ERR_USAGE,
			     "%s", bad[i]);
		cr_assert_gt(strlen(em.text), 0, "%s", bad[i]);
	}
}
