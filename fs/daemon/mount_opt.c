/*
 * mount_opt.c - see mount_opt.h.
 *
 * One table says what the options are; what is not in it is handed on when
 * the kernel or libfuse knows it, dropped when it only concerns mount(8) and
 * fstab, refused otherwise.
 */
#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 17)
#include "fs/daemon/mount_opt.h"

#include <errno.h>
#include <fuse_log.h>
#include <fuse_opt.h>
#include <grp.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"

enum { THREADS_DEFAULT = 4 };
#define LONG_S 86400.0 /* real files change only through the mount */
#define LONG_S_MAX (366 * 86400.0)

enum key { KEY_DROP = 1, KEY_KERNEL };

/* What fuse_opt fills in: its integers are ints. */
struct raw {
	int read_only, debug, allow_other, every_write;
	char *virtual_name, *audit_group, *entries;
	unsigned threads;
	double attr_s, entry_s, negative_s;
	char *rest;
	struct errmsg *em;
	int rc;
};

#define OPT(text, field, value)                          \
	{                                                \
		text, offsetof(struct raw, field), value \
	}

static const struct fuse_opt table[] = {
	OPT("ro", read_only, 1),
	OPT("rw", read_only, 0),
	OPT("debug", debug, 1),
	OPT("allow_other", allow_other, 1),
	OPT("noallow_other", allow_other, 0),
	OPT("entries=%s", entries, 0),
	OPT("virtual=%s", virtual_name, 0),
	OPT("audit_group=%s", audit_group, 0),
	OPT("threads=%u", threads, 0),
	OPT("attr_timeout=%lf", attr_s, 0),
	OPT("entry_timeout=%lf", entry_s, 0),
	OPT("negative_timeout=%lf", negative_s, 0),
	/* the kernel's */
	FUSE_OPT_KEY("suid", KEY_KERNEL),
	FUSE_OPT_KEY("nosuid", KEY_KERNEL),
	FUSE_OPT_KEY("dev", KEY_KERNEL),
	FUSE_OPT_KEY("nodev", KEY_KERNEL),
	FUSE_OPT_KEY("exec", KEY_KERNEL),
	FUSE_OPT_KEY("noexec", KEY_KERNEL),
	FUSE_OPT_KEY("sync", KEY_KERNEL),
	FUSE_OPT_KEY("async", KEY_KERNEL),
	FUSE_OPT_KEY("dirsync", KEY_KERNEL),
	FUSE_OPT_KEY("noatime", KEY_KERNEL),
	FUSE_OPT_KEY("nodiratime", KEY_KERNEL),
	FUSE_OPT_KEY("symfollow", KEY_KERNEL),
	FUSE_OPT_KEY("nosymfollow", KEY_KERNEL),
	FUSE_OPT_KEY("context=", KEY_KERNEL),
	FUSE_OPT_KEY("fscontext=", KEY_KERNEL),
	FUSE_OPT_KEY("defcontext=", KEY_KERNEL),
	FUSE_OPT_KEY("rootcontext=", KEY_KERNEL),
	/* no effect here; access times are not kept by reading */
	FUSE_OPT_KEY("atime", KEY_DROP),
	FUSE_OPT_KEY("relatime", KEY_DROP),
	FUSE_OPT_KEY("norelatime", KEY_DROP),
	FUSE_OPT_KEY("strictatime", KEY_DROP),
	FUSE_OPT_KEY("nostrictatime", KEY_DROP),
	FUSE_OPT_KEY("lazytime", KEY_DROP),
	FUSE_OPT_KEY("diratime", KEY_DROP),
	FUSE_OPT_KEY("default_permissions", KEY_DROP), /* always */
	FUSE_OPT_KEY("fsname=", KEY_DROP),
	FUSE_OPT_KEY("subtype=", KEY_DROP),
	/* mount(8)'s and fstab's */
	FUSE_OPT_KEY("defaults", KEY_DROP),
	FUSE_OPT_KEY("auto", KEY_DROP),
	FUSE_OPT_KEY("noauto", KEY_DROP),
	FUSE_OPT_KEY("user", KEY_DROP),
	FUSE_OPT_KEY("user=", KEY_DROP),
	FUSE_OPT_KEY("nouser", KEY_DROP),
	FUSE_OPT_KEY("users", KEY_DROP),
	FUSE_OPT_KEY("owner", KEY_DROP),
	FUSE_OPT_KEY("group", KEY_DROP),
	FUSE_OPT_KEY("nofail", KEY_DROP),
	FUSE_OPT_KEY("_netdev", KEY_DROP),
	FUSE_OPT_KEY("comment=", KEY_DROP),
	FUSE_OPT_END,
};

/* What libfuse says of a bad value is said again, better, by us. */
__attribute__((format(printf, 2, 0))) static void
say_nothing(enum fuse_log_level level, const char *fmt, va_list ap)
{
	(void)level;
	(void)fmt;
	(void)ap;
}

static int refuse(struct raw *r, const char *arg)
{
	char shown[160];

	log_escape(shown, sizeof(shown), arg, strlen(arg));
	r->rc = errmsg_set(r->em, -ERR_USAGE,
			   "unknown mount option \"%s\" (see vouchfs(5))",
			   shown);
	return -1;
}

static int on_option(void *data, const char *arg, int key,
		     struct fuse_args *args)
{
	struct raw *r = data;

	(void)args;
	if (key == KEY_DROP || strncmp(arg, "x-", 2) == 0)
		return 0;
	if (key != KEY_KERNEL)
		return refuse(r, arg);
	if (fuse_opt_add_opt_escaped(&r->rest, arg) < 0) {
		r->rc = -ENOMEM;
		return -1;
	}
	return 0;
}

static int check_name(const char *name, struct errmsg *em)
{
	size_t n = strlen(name);

	if (n == 0 || n > LIMIT_NAME || strchr(name, '/') ||
	    strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return errmsg_set(em, -ERR_USAGE,
				  "virtual=NAME: one name, without slash");
	return 0;
}

static int check_timeout(const char *name, double s, struct errmsg *em)
{
	if (isnan(s) || s < 0 || s > LONG_S_MAX)
		return errmsg_set(em, -ERR_USAGE, "%s: seconds, at least 0",
				  name);
	return 0;
}

static int find_group(uint32_t *out, const char *name, struct errmsg *em)
{
	struct group *g = getgrnam(name);
	uint64_t gid;

	if (!g && text_u64_parse(&gid, name) == 0 && gid < UINT32_MAX)
		*out = (uint32_t)gid;
	else if (g)
		*out = (uint32_t)g->gr_gid;
	else
		return errmsg_set(em, -ERR_USAGE,
				  "audit_group: no such group: %s", name);
	return 0;
}

static int check(struct mount_opt *out, const struct raw *r, struct errmsg *em)
{
	int rc = 0;

	if (r->entries && strcmp(r->entries, "every-write") == 0)
		out->entries_every_write = true;
	else if (r->entries && strcmp(r->entries, "batched") != 0)
		rc = errmsg_set(em, -ERR_USAGE,
				"entries=: every-write or batched");
	if (rc == 0 && (out->threads < 2 || out->threads > MOUNT_THREADS_MAX))
		rc = errmsg_set(em, -ERR_USAGE, "threads=: 2 to %d",
				MOUNT_THREADS_MAX);
	if (rc == 0 && out->virtual_name)
		rc = check_name(out->virtual_name, em);
	if (rc == 0)
		rc = check_timeout("attr_timeout", out->attr_timeout_s, em);
	if (rc == 0)
		rc = check_timeout("entry_timeout", out->entry_timeout_s, em);
	if (rc == 0)
		rc = check_timeout("negative_timeout", out->negative_timeout_s,
				   em);
	if (rc == 0 && out->audit_group)
		rc = find_group(&out->audit_gid, out->audit_group, em);
	return rc;
}

/* Hands what was parsed over; *r keeps nothing but `entries`. */
static int fill(struct mount_opt *out, struct raw *r)
{
	*out = (struct mount_opt){
		.read_only = r->read_only,
		.debug = r->debug,
		.allow_other = r->allow_other,
		.virtual_name = take(r->virtual_name),
		.audit_group = take(r->audit_group),
		.audit_gid = UINT32_MAX,
		.threads = r->threads,
		.attr_timeout_s = r->attr_s,
		.entry_timeout_s = r->entry_s,
		.negative_timeout_s = r->negative_s,
		.rest = take(r->rest),
	};
	if (out->read_only && fuse_opt_add_opt(&out->rest, "ro") < 0)
		return -ENOMEM;
	if (!out->rest)
		out->rest = calloc(1, 1);
	return out->rest ? 0 : -ENOMEM;
}

int mount_opt_parse(struct mount_opt *out, const char *text, bool is_root,
		    struct errmsg *em)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct raw r = {
		.allow_other = is_root,
		.threads = THREADS_DEFAULT,
		.attr_s = LONG_S,
		.entry_s = LONG_S,
		.negative_s = LONG_S,
		.em = em,
	};
	int rc = -ENOMEM;

	*out = (struct mount_opt){ 0 };
	if (fuse_opt_add_arg(&args, "vouchfs") < 0)
		goto done;
	if (text && *text &&
	    (fuse_opt_add_arg(&args, "-o") < 0 ||
	     fuse_opt_add_arg(&args, text) < 0))
		goto done;
	fuse_set_log_func(say_nothing);
	if (fuse_opt_parse(&args, &r, table, on_option) < 0)
		rc = r.rc ? r.rc :
			    errmsg_set(em, -ERR_USAGE,
				       "mount options not understood: %s",
				       text);
	else
		rc = fill(out, &r);
	if (rc == 0)
		rc = check(out, &r, em);
done:
	fuse_set_log_func(NULL);
	free(r.virtual_name);
	free(r.audit_group);
	free(r.entries);
	free(r.rest);
	fuse_opt_free_args(&args);
	if (rc < 0)
		mount_opt_release(out);
	return rc;
}

void mount_opt_release(struct mount_opt *o)
{
	free(o->virtual_name);
	free(o->audit_group);
	free(o->rest);
	*o = (struct mount_opt){ 0 };
}
