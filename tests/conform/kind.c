/*
 * kind.c - nodes of every kind, and getting rid of them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/conform/ctx.h"

enum { OWNER = 1001 };

static const char script[] = "#!/bin/sh\nexit 0\n";

static int put(const char *name, const char *text, size_t n, mode_t mode)
{
	int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, mode);
	int bad = fd < 0 || write(fd, text, n) != (ssize_t)n;

	if (fd >= 0)
		close(fd);
	return bad ? -1 : 0;
}

static int make(const char *kind, const char *name);

static int make_part(const char *kind, const char *name)
{
	return make(kind, name) < 0 ? -1 : lchown(name, OWNER, OWNER);
}

static int link_to(const char *name, const char *tail, const char *what)
{
	char to[NAME_MAX + 1];

	snprintf(to, sizeof(to), "%s%s", name, tail);
	if (what && make_part(what, to) < 0)
		return -1;
	return symlink(to, name);
}

static int hard(const char *name)
{
	char to[NAME_MAX + 1];

	snprintf(to, sizeof(to), "%s.2", name);
	return put(name, "0123456789", 10, 0644) < 0 ? -1 : link(name, to);
}

static int full(const char *name)
{
	char in[PATH_MAX];

	snprintf(in, sizeof(in), "%s/in", name);
	return mkdir(name, 0755) < 0 || make_part("file", in) < 0 ? -1 : 0;
}

/* How each is made; those with a number are mknod's. */
static int make(const char *kind, const char *name)
{
	const struct {
		const char *kind;
		mode_t type;
		dev_t dev;
	} nodes[] = {
		{ "fifo", S_IFIFO, 0 },
		{ "sock", S_IFSOCK, 0 },
		{ "chr", S_IFCHR, makedev(1, 3) },   /* the null device */
		{ "blk", S_IFBLK, makedev(240, 9) }, /* nobody's */
	};

	for (size_t i = 0; i < sizeof(nodes) / sizeof(*nodes); i++)
		if (!strcmp(kind, nodes[i].kind))
			return mknod(name, nodes[i].type | 0644, nodes[i].dev);
	if (!strcmp(kind, "file"))
		return put(name, "0123456789", 10, 0644);
	if (!strcmp(kind, "empty"))
		return put(name, "", 0, 0644);
	if (!strcmp(kind, "script"))
		return put(name, script, sizeof(script) - 1, 0755);
	if (!strcmp(kind, "hard"))
		return hard(name);
	if (!strcmp(kind, "dir"))
		return mkdir(name, 0755);
	if (!strcmp(kind, "full"))
		return full(name);
	if (!strcmp(kind, "link"))
		return link_to(name, ".to", "file");
	if (!strcmp(kind, "dirlink"))
		return link_to(name, ".to", "dir");
	if (!strcmp(kind, "dangling"))
		return link_to(name, ".none", NULL);
	if (!strcmp(kind, "loop"))
		return link_to(name, "", NULL);
	errno = EINVAL;
	return -1;
}

/*
 * As the owner, which spares a chown; devices are root's to make, and below
 * another directory the owner may have no right, or inherit a group.
 */
static int make_owned(const char *kind, const char *name)
{
	bool as_owner = !strchr(name, '/') && strcmp(kind, "chr") &&
			strcmp(kind, "blk");
	int rc;

	if (!as_owner)
		return make_part(kind, name);
	setfsgid(OWNER);
	setfsuid(OWNER);
	rc = make(kind, name);
	setfsuid(0);
	setfsgid(0);
	return rc;
}

int kind_make(const char *kind, const char *name, const char *mode)
{
	if (!strcmp(kind, "none"))
		return 0;
	if (make_owned(kind, name) < 0)
		return -1;
	return mode ? chmod(name, (mode_t)strtoul(mode, NULL, 8)) : 0;
}

const char *kind_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "dir";
	case S_IFLNK:
		return "link";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "sock";
	case S_IFCHR:
		return "chr";
	default:
		return "blk";
	}
}

void kind_remove(int dir_fd, const char *name)
{
	int fd;
	DIR *d;

	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return;
	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	d = fd < 0 ? NULL : fdopendir(fd);
	for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			kind_remove(fd, e->d_name);
	if (d)
		closedir(d);
	if (unlinkat(dir_fd, name, AT_REMOVEDIR) < 0)
		fprintf(stderr, "cannot remove %s: %s\n", name,
			strerror(errno));
}
