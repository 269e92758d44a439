/*
 * call_observe.c - steps that only look.  Each asks twice, for what the
 * kernel remembers and for what the filesystem says: they must agree.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/conform/call.h"

static int look(struct ctx *x, const char *path, struct stat *out)
{
	int rc = times_stat(path, out);

	if (rc == -2)
		call_say(x, "remembered-wrongly");
	return rc == -2 ? 0 : rc;
}

static int do_kind(struct ctx *x, int n, char **arg)
{
	struct stat st;

	(void)n;
	if (look(x, arg[0], &st) < 0)
		return -1;
	call_say(x, "%s", kind_of(st.st_mode));
	return 0;
}

static int do_mode(struct ctx *x, int n, char **arg)
{
	struct stat st;

	(void)n;
	if (look(x, arg[0], &st) < 0)
		return -1;
	call_say(x, "%04o", st.st_mode & 07777);
	return 0;
}

static int do_nlink(struct ctx *x, int n, char **arg)
{
	struct stat st;

	(void)n;
	if (look(x, arg[0], &st) < 0)
		return -1;
	call_say(x, "%lu", (unsigned long)st.st_nlink);
	return 0;
}

static int do_owner(struct ctx *x, int n, char **arg)
{
	struct stat st;

	(void)n;
	if (look(x, arg[0], &st) < 0)
		return -1;
	call_say(x, "%u:%u", st.st_uid, st.st_gid);
	return 0;
}

static int do_size(struct ctx *x, int n, char **arg)
{
	struct stat st;

	(void)n;
	if (look(x, arg[0], &st) < 0)
		return -1;
	call_say(x, "%lld", (long long)st.st_size);
	return 0;
}

static int do_rdev(struct ctx *x, int n, char **arg)
{
	struct stat st;

	(void)n;
	if (look(x, arg[0], &st) < 0)
		return -1;
	call_say(x, "%u:%u", major(st.st_rdev), minor(st.st_rdev));
	return 0;
}

static int do_moved(struct ctx *x, int n, char **arg)
{
	struct stat st;

	(void)n;
	if (look(x, arg[0], &st) < 0)
		return -1;
	call_say(x, "%s", times_moved(x, &st));
	return 0;
}

static void say_time(struct ctx *x, struct timespec t)
{
	call_say(x, "%lld", (long long)t.tv_sec);
	if (t.tv_nsec)
		call_say(x, ".%09ld", t.tv_nsec);
}

static int do_atime(struct ctx *x, int n, char **arg)
{
	struct stat st;

	(void)n;
	if (look(x, arg[0], &st) < 0)
		return -1;
	say_time(x, st.st_atim);
	return 0;
}

static int do_mtime(struct ctx *x, int n, char **arg)
{
	struct stat st;

	(void)n;
	if (look(x, arg[0], &st) < 0)
		return -1;
	say_time(x, st.st_mtim);
	return 0;
}

/* Are these two names of one node? */
static int do_same(struct ctx *x, int n, char **arg)
{
	struct stat a, b;

	(void)n;
	if (look(x, arg[0], &a) < 0 || look(x, arg[1], &b) < 0)
		return -1;
	call_say(x, a.st_ino == b.st_ino ? "same" : "others");
	return 0;
}

/* A held descriptor: "nlink:mode:size"; a directory's size means nothing. */
static int do_fstat(struct ctx *x, int n, char **arg)
{
	struct stat st;

	(void)n;
	if (fstat(*call_held(x, arg[0]), &st) < 0)
		return -1;
	call_say(x, "%lu:%04o", (unsigned long)st.st_nlink, st.st_mode & 07777);
	if (!S_ISDIR(st.st_mode))
		call_say(x, ":%lld", (long long)st.st_size);
	return 0;
}

static int do_fmoved(struct ctx *x, int n, char **arg)
{
	struct stat st;

	(void)n;
	if (fstat(*call_held(x, arg[0]), &st) < 0)
		return -1;
	call_say(x, "%s", times_moved(x, &st));
	return 0;
}

static int do_fkind(struct ctx *x, int n, char **arg)
{
	struct stat st;

	(void)n;
	if (fstat(*call_held(x, arg[0]), &st) < 0)
		return -1;
	call_say(x, "%s", kind_of(st.st_mode));
	return 0;
}

const struct call call_observe[] = {
	{ "kind", 1, 1, do_kind, true },   { "mode", 1, 1, do_mode, true },
	{ "nlink", 1, 1, do_nlink, true }, { "owner", 1, 1, do_owner, true },
	{ "size", 1, 1, do_size, true },   { "rdev", 1, 1, do_rdev, true },
	{ "moved", 1, 1, do_moved, true }, { "atime", 1, 1, do_atime, true },
	{ "mtime", 1, 1, do_mtime, true }, { "same", 2, 2, do_same, true },
	{ "fstat", 1, 1, do_fstat, true }, { "fmoved", 1, 1, do_fmoved, true },
	{ "fkind", 1, 1, do_fkind, true }, { 0 },
};
