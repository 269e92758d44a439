/*
 * run_cgroup.c - see run_cgroup.h.
 *
 * The cgroup of a run that left processes behind, or whose wrapper was
 * killed, stays.  The next run beside it takes it away when it is empty and
 * old enough to be nobody's who is about to use it.  Where somebody is in a
 * cgroup, nothing in it is touched: he may just have made it for a run.
 */
#include "mount-tools/run_cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "fs/run/run_table.h"

enum { STALE_S = 60, TEXT_MAX = 65536, DEPTH_MAX = 8 };

/* Reads a small file whole; bytes, or -errno. */
static ssize_t slurp(int dir, const char *path, char *out, size_t cap)
{
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	size_t n = 0;
	ssize_t got = 1;

	if (fd < 0)
		return -errno;
	while (got > 0 && n + 1 < cap) {
		got = read(fd, out + n, cap - 1 - n);
		if (got > 0)
			n += (size_t)got;
	}
	out[n] = '\0';
	close(fd);
	return (ssize_t)n;
}

/* Where in the hierarchy this process is. */
static int own_path(char *out, size_t cap)
{
	char text[2 * LIMIT_PATH], *save = NULL;
	ssize_t n = slurp(AT_FDCWD, "/proc/self/cgroup", text, sizeof(text));

	if (n < 0)
		return (int)n;
	for (char *s = strtok_r(text, "\n", &save); s;
	     s = strtok_r(NULL, "\n", &save))
		if (strncmp(s, "0::/", 4) == 0)
			return snprintf(out, cap, "%s", s + 3) < (int)cap ?
				       0 :
				       -ENAMETOOLONG;
	return -ENOENT;
}

/* The directory of that place: below the mount of version two. */
static int open_own(int *out)
{
	char line[3 * LIMIT_PATH], path[LIMIT_PATH + 1];
	char root[LIMIT_PATH + 1], dir[LIMIT_PATH + 1], all[2 * LIMIT_PATH + 4];
	int rc = own_path(path, sizeof(path));
	FILE *f = rc < 0 ? NULL : fopen("/proc/self/mountinfo", "re");

	if (rc < 0)
		return rc;
	rc = -ENOENT;
	while (f && rc == -ENOENT && fgets(line, sizeof(line), f)) {
		size_t n;

		if (!strstr(line, " - cgroup2 ") ||
		    sscanf(line, "%*d %*d %*s %4095s %4095s", root, dir) != 2)
			continue;
		n = strcmp(root, "/") == 0 ? 0 : strlen(root);
		if (strncmp(path, root, n) != 0 ||
		    (path[n] != '/' && path[n] != '\0'))
			continue;
		snprintf(all, sizeof(all), "%s%s", dir, path + n);
		*out = open(all, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		rc = *out < 0 ? -errno : 0;
	}
	if (f)
		fclose(f);
	return rc;
}

static bool populated(int events)
{
	char text[256];
	ssize_t n = pread(events, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return strstr(text, "populated 1") != NULL;
}

/* Is nobody in it, nor in what is inside it? */
static bool is_empty(int dir)
{
	int events = openat(dir, "cgroup.events", O_RDONLY | O_CLOEXEC);
	bool empty = events >= 0 && !populated(events);

	if (events >= 0)
		close(events);
	return empty;
}

static void remove_tree(int parent, const char *name, int depth, time_t before);

/* Runs inside it that are over. */
static void remove_inner(int parent, int depth, time_t before)
{
	int fd = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	struct stat st;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(d)))
		if (strncmp(e->d_name, RUN_CGROUP_PREFIX,
			    sizeof(RUN_CGROUP_PREFIX) - 1) == 0 &&
		    fstatat(parent, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_mtime < before)
			remove_tree(parent, e->d_name, depth, before);
	closedir(d);
}

static void remove_tree(int parent, const char *name, int depth, time_t before)
{
	int fd;

	if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || depth == DEPTH_MAX)
		return;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (is_empty(fd))
		remove_inner(fd, depth + 1, before);
	close(fd);
	(void)unlinkat(parent, name, AT_REMOVEDIR);
}

/* May processes be put there?  Threaded ones take none. */
static int usable(const struct run_cgroup *g)
{
	char type[64];

	if (faccessat(g->parent, "cgroup.procs", W_OK, AT_EACCESS) < 0)
		return -errno;
	if (slurp(g->dir, "cgroup.type", type, sizeof(type)) < 0 ||
	    strncmp(type, "domain\n", 7) != 0)
		return -EOPNOTSUPP;
	return 0;
}

int run_cgroup_make(struct run_cgroup *out, const char *id_hex)
{
	int rc;

	*out = (struct run_cgroup){ .parent = -1, .dir = -1 };
	rc = open_own(&out->parent);
	if (rc < 0)
		return rc;
	snprintf(out->name, sizeof(out->name), RUN_CGROUP_PREFIX "%s", id_hex);
	if (mkdirat(out->parent, out->name, 0755) < 0) {
		rc = -errno;
		out->name[0] = '\0';
	} else {
		out->dir = openat(out->parent, out->name,
				  O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		rc = out->dir < 0 ? -errno : usable(out);
	}
	if (rc < 0) {
		run_cgroup_remove(out);
		return rc;
	}
	remove_inner(out->parent, 0, time(NULL) - STALE_S);
	return 0;
}

int run_cgroup_enter(const struct run_cgroup *g)
{
	int fd = openat(g->dir, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	int rc = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, "0", 1) != 1)
		rc = -errno;
	close(fd);
	return rc;
}

static unsigned count(const struct run_cgroup *g)
{
	autofree char *text = malloc(TEXT_MAX);
	unsigned n = 0;

	if (!text || slurp(g->dir, "cgroup.procs", text, TEXT_MAX) < 0)
		return 1;
	for (const char *s = text; *s; s++)
		n += *s == '\n';
	return n ? n : 1; /* in a cgroup inside */
}

unsigned run_cgroup_left(const struct run_cgroup *g, int wait_ms)
{
	struct pollfd p = { .fd = -1, .events = POLLPRI };
	unsigned n = 0;

	if (g->dir < 0)
		return 0;
	p.fd = openat(g->dir, "cgroup.events", O_RDONLY | O_CLOEXEC);
	if (p.fd < 0)
		return 0;
	if (populated(p.fd))
		(void)poll(&p, 1, wait_ms);
	if (populated(p.fd))
		n = count(g);
	close(p.fd);
	return n;
}

void run_cgroup_remove(struct run_cgroup *g)
{
	if (g->dir >= 0)
		close(g->dir);
	if (g->parent >= 0) {
		if (g->name[0])
			remove_tree(g->parent, g->name, 0, time(NULL) + 1);
		close(g->parent);
	}
	*g = (struct run_cgroup){ .parent = -1, .dir = -1 };
}
