/*
 * watch.c - what a call did to the times of what it touched: whether they
 * moved must be the same here and there, and they never go back.
 *
 * Looking asks both filesystems, and what was asked is remembered: only some
 * calls are watched, so that others meet what the kernel does not know.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/twin/world.h"

enum { WATCHED = 8 };

static struct watched {
	int at[2];
	char path[PATH_MAX * 2];
	bool there[2];
	struct stat was[2];
} all[WATCHED];
static int n_all;

static bool look(const struct watched *w, int s, struct stat *out)
{
	bool there;

	side_enter(s);
	there = fstatat(w->at[s], w->path, out,
			AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) == 0;
	return there;
}

static void add(const int at[2], const char *path)
{
	struct watched *w = &all[n_all];

	if (n_all == WATCHED)
		return;
	n_all++;
	memcpy(w->at, at, sizeof(w->at));
	snprintf(w->path, sizeof(w->path), "%s", path);
	as_root();
	for (int s = 0; s < 2; s++)
		w->there[s] = look(w, s, &w->was[s]);
	as_self();
}

void watch_slot(const struct slot *sl)
{
	if (sl->fd[0] >= 0)
		add(sl->fd, "");
}

/* The name, and the directory it is in. */
void watch_path(const struct place *p)
{
	char dir[PATH_MAX * 2], *slash;

	add(p->at, p->path);
	snprintf(dir, sizeof(dir), "%s", p->path);
	slash = strrchr(dir, '/');
	if (slash)
		*slash = '\0';
	else
		snprintf(dir, sizeof(dir), ".");
	add(p->at, dir);
}

static int moved(const struct timespec *was, const struct timespec *is)
{
	return was->tv_sec != is->tv_sec || was->tv_nsec != is->tv_nsec;
}

static void compare(const struct watched *w, const struct stat is[2])
{
	const struct stat *was = w->was;
	int m[2], c[2];

	stats_same(is, w->path);
	if (was[0].st_ino != is[0].st_ino || was[1].st_ino != is[1].st_ino)
		return; /* another one by now; that it is so is in the stats */
	/* S_NOCMTIME: the kernel leaves times to us, and asks no one of a pipe */
	if (S_ISFIFO(is[0].st_mode))
		return;
	for (int s = 0; s < 2; s++) {
		m[s] = moved(&was[s].st_mtim, &is[s].st_mtim);
		c[s] = moved(&was[s].st_ctim, &is[s].st_ctim);
	}
	if (m[0] != m[1])
		differ("%s: mtime moved %s", w->path,
		       m[0] ? "here" : "there alone");
	if (c[0] != c[1])
		differ("%s: ctime moved %s", w->path,
		       c[0] ? "here" : "there alone");
	if (is[0].st_ctim.tv_sec < was[0].st_ctim.tv_sec ||
	    (is[0].st_ctim.tv_sec == was[0].st_ctim.tv_sec &&
	     is[0].st_ctim.tv_nsec < was[0].st_ctim.tv_nsec))
		differ("%s: ctime went back", w->path);
}

void watch_compare(void)
{
	struct stat is[2];
	bool there[2];

	as_root();
	for (int i = 0; i < n_all; i++) {
		for (int s = 0; s < 2; s++)
			there[s] = look(&all[i], s, &is[s]);
		if (there[0] != there[1])
			differ("%s: is %s", all[i].path,
			       there[0] ? "here" : "there alone");
		if (there[0] && all[i].there[0] && all[i].there[1])
			compare(&all[i], is);
	}
	as_self();
	n_all = 0;
}

void watch_forget(void)
{
	n_all = 0;
}
