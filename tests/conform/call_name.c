/*
 * call_name.c - steps that make, move and remove names.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/conform/call.h"

static int do_make(struct ctx *x, int n, char **arg)
{
	(void)x;
	return kind_make(arg[0], arg[1], n > 2 ? arg[2] : NULL);
}

static int do_mkdir(struct ctx *x, int n, char **arg)
{
	(void)x;
	return mkdir(arg[0], n > 1 ? call_mode(arg[1]) : 0755);
}

static int do_rmdir(struct ctx *x, int n, char **arg)
{
	(void)x, (void)n;
	return rmdir(arg[0]);
}

static int do_unlink(struct ctx *x, int n, char **arg)
{
	(void)x;
	if (n > 1)
		return unlinkat(AT_FDCWD, arg[0], (int)call_flags(arg[1]));
	return unlink(arg[0]);
}

static int do_link(struct ctx *x, int n, char **arg)
{
	(void)x;
	if (n > 2)
		return linkat(AT_FDCWD, arg[0], AT_FDCWD, arg[1],
			      (int)call_flags(arg[2]));
	return link(arg[0], arg[1]);
}

/* linkat of a held descriptor, by the empty path */
static int do_linkfd(struct ctx *x, int n, char **arg)
{
	(void)n;
	return linkat(*call_held(x, arg[0]), "", AT_FDCWD, arg[1],
		      AT_EMPTY_PATH);
}

/* and by its name in /proc */
static int do_linkproc(struct ctx *x, int n, char **arg)
{
	char path[64];

	(void)n;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", *call_held(x, arg[0]));
	return linkat(AT_FDCWD, path, AT_FDCWD, arg[1], AT_SYMLINK_FOLLOW);
}

static int do_symlink(struct ctx *x, int n, char **arg)
{
	(void)x, (void)n;
	return symlink(arg[0], arg[1]);
}

static int do_readlink(struct ctx *x, int n, char **arg)
{
	char to[PATH_MAX + 1];
	ssize_t k = readlink(arg[0], to,
			     n > 1 ? (size_t)call_number(arg[1]) : PATH_MAX);

	if (k < 0)
		return -1;
	if (k > 100)
		call_say(x, "%zd", k);
	else
		call_say(x, "%.*s", (int)k, to);
	return 0;
}

/* mknod PATH KIND MODE [MAJOR:MINOR] */
static int do_mknod(struct ctx *x, int n, char **arg)
{
	static const struct {
		const char *name;
		mode_t type;
	} types[] = {
		{ "file", S_IFREG }, { "fifo", S_IFIFO }, { "sock", S_IFSOCK },
		{ "chr", S_IFCHR },  { "blk", S_IFBLK },  { "dir", S_IFDIR },
		{ "link", S_IFLNK }, { "0", 0 },
	};
	unsigned major = 1, minor = 3;

	(void)x;
	if (n > 3 && sscanf(arg[3], "%u:%u", &major, &minor) != 2)
		call_number("device");
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (!strcmp(types[i].name, arg[1]))
			return mknod(arg[0], types[i].type | call_mode(arg[2]),
				     makedev(major, minor));
	call_number(arg[1]);
	return -1;
}

static int do_mkfifo(struct ctx *x, int n, char **arg)
{
	(void)x;
	return mkfifo(arg[0], n > 1 ? call_mode(arg[1]) : 0644);
}

static int do_bind(struct ctx *x, int n, char **arg)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), rc, e;

	(void)x, (void)n;
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", arg[0]);
	rc = bind(fd, (struct sockaddr *)&a, sizeof(a));
	e = errno;
	close(fd);
	errno = e;
	return rc;
}

static int do_rename(struct ctx *x, int n, char **arg)
{
	(void)x;
	if (n > 2)
		return renameat2(AT_FDCWD, arg[0], AT_FDCWD, arg[1],
				 (unsigned)call_flags(arg[2]));
	return rename(arg[0], arg[1]);
}

static int do_chdir(struct ctx *x, int n, char **arg)
{
	(void)x, (void)n;
	return chdir(arg[0]);
}

static int do_umask(struct ctx *x, int n, char **arg)
{
	(void)x, (void)n;
	umask(call_mode(arg[0]));
	return 0;
}

const struct call call_names[] = {
	{ "make", 2, 3, do_make, false },
	{ "mkdir", 1, 2, do_mkdir, false },
	{ "rmdir", 1, 1, do_rmdir, false },
	{ "unlink", 1, 2, do_unlink, false },
	{ "link", 2, 3, do_link, false },
	{ "linkfd", 2, 2, do_linkfd, false },
	{ "linkproc", 2, 2, do_linkproc, false },
	{ "symlink", 2, 2, do_symlink, false },
	{ "readlink", 1, 2, do_readlink, false },
	{ "mknod", 3, 4, do_mknod, false },
	{ "mkfifo", 1, 2, do_mkfifo, false },
	{ "bind", 1, 1, do_bind, false },
	{ "rename", 2, 3, do_rename, false },
	{ "chdir", 1, 1, do_chdir, false },
	{ "umask", 1, 1, do_umask, false },
	{ 0 },
};
