/*
 * call_attr.c - steps that change or ask for attributes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/conform/call.h"

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

static int do_chmod(struct ctx *x, int n, char **arg)
{
	(void)x, (void)n;
	return chmod(arg[0], call_mode(arg[1]));
}

static int do_fchmod(struct ctx *x, int n, char **arg)
{
	(void)n;
	return fchmod(*call_held(x, arg[0]), call_mode(arg[1]));
}

static int do_fchmodat2(struct ctx *x, int n, char **arg)
{
	(void)x, (void)n;
	return (int)syscall(SYS_fchmodat2, AT_FDCWD, arg[0], call_mode(arg[1]),
			    (int)call_flags(arg[2]));
}

static int do_chown(struct ctx *x, int n, char **arg)
{
	(void)x, (void)n;
	return chown(arg[0], call_id(arg[1]), call_id(arg[2]));
}

static int do_lchown(struct ctx *x, int n, char **arg)
{
	(void)x, (void)n;
	return lchown(arg[0], call_id(arg[1]), call_id(arg[2]));
}

static int do_fchown(struct ctx *x, int n, char **arg)
{
	(void)n;
	return fchown(*call_held(x, arg[0]), call_id(arg[1]), call_id(arg[2]));
}

static int do_truncate(struct ctx *x, int n, char **arg)
{
	(void)x, (void)n;
	return truncate(arg[0], call_number(arg[1]));
}

static int do_ftruncate(struct ctx *x, int n, char **arg)
{
	(void)n;
	return ftruncate(*call_held(x, arg[0]), call_number(arg[1]));
}

/* now, omit, or SECONDS[.NANOSECONDS] */
static struct timespec time_of(const char *word)
{
	const char *dot = strchr(word, '.');
	char copy[64];

	if (!strcmp(word, "now"))
		return (struct timespec){ 0, UTIME_NOW };
	if (!strcmp(word, "omit"))
		return (struct timespec){ 0, UTIME_OMIT };
	snprintf(copy, sizeof(copy), "%.*s",
		 dot ? (int)(dot - word) : (int)strlen(word), word);
	return (struct timespec){ call_number(copy),
				  dot ? strtol(dot + 1, NULL, 10) : 0 };
}

/* utimens PATH null, utimens PATH ATIME MTIME [FLAGS] */
static int do_utimens(struct ctx *x, int n, char **arg)
{
	struct timespec t[2];

	(void)x;
	if (n == 2)
		return utimensat(AT_FDCWD, arg[0], NULL, 0);
	t[0] = time_of(arg[1]);
	t[1] = time_of(arg[2]);
	return utimensat(AT_FDCWD, arg[0], t,
			 n > 3 ? (int)call_flags(arg[3]) : 0);
}

static int do_futimens(struct ctx *x, int n, char **arg)
{
	struct timespec t[2];

	if (n == 2)
		return futimens(*call_held(x, arg[0]), NULL);
	t[0] = time_of(arg[1]);
	t[1] = time_of(arg[2]);
	return futimens(*call_held(x, arg[0]), t);
}

static int do_access(struct ctx *x, int n, char **arg)
{
	(void)x;
	return faccessat(AT_FDCWD, arg[0], (int)call_flags(arg[1]),
			 n > 2 ? (int)call_flags(arg[2]) : 0);
}

static int do_stat(struct ctx *x, int n, char **arg)
{
	struct stat st;

	(void)x, (void)n;
	return stat(arg[0], &st);
}

static int do_lstat(struct ctx *x, int n, char **arg)
{
	struct stat st;

	(void)x, (void)n;
	return lstat(arg[0], &st);
}

static int do_statx(struct ctx *x, int n, char **arg)
{
	struct statx st;

	(void)x, (void)n;
	return statx(AT_FDCWD, arg[0], (int)call_flags(arg[1]),
		     STATX_BASIC_STATS, &st);
}

static int do_statvfs(struct ctx *x, int n, char **arg)
{
	struct statvfs st;

	(void)x, (void)n;
	return statvfs(arg[0], &st);
}

const struct call call_attrs[] = {
	{ "chmod", 2, 2, do_chmod, false },
	{ "fchmod", 2, 2, do_fchmod, false },
	{ "fchmodat2", 3, 3, do_fchmodat2, false },
	{ "chown", 3, 3, do_chown, false },
	{ "lchown", 3, 3, do_lchown, false },
	{ "fchown", 3, 3, do_fchown, false },
	{ "truncate", 2, 2, do_truncate, false },
	{ "ftruncate", 2, 2, do_ftruncate, false },
	{ "utimens", 2, 4, do_utimens, false },
	{ "futimens", 2, 3, do_futimens, false },
	{ "access", 2, 3, do_access, false },
	{ "stat", 1, 1, do_stat, false },
	{ "lstat", 1, 1, do_lstat, false },
	{ "statx", 2, 2, do_statx, false },
	{ "statvfs", 1, 1, do_statvfs, false },
	{ 0 },
};
