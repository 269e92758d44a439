/*
 * times.c - attributes, and which times have moved.
 *
 * A clock that ticks slowly would hide a change: times_mark() waits for its
 * next tick before it lets the case go on.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "tests/conform/ctx.h"

static struct timespec of(struct statx_timestamp t)
{
	return (struct timespec){ t.tv_sec, t.tv_nsec };
}

static bool same(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

int times_stat(const char *path, struct stat *out)
{
	struct statx s;

	if (lstat(path, out) < 0)
		return -1;
	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_STATX_FORCE_SYNC,
		  STATX_BASIC_STATS, &s) < 0)
		return -1;
	return s.stx_mode == out->st_mode && s.stx_nlink == out->st_nlink &&
			       s.stx_uid == out->st_uid &&
			       s.stx_gid == out->st_gid &&
			       s.stx_size == (uint64_t)out->st_size &&
			       s.stx_ino == out->st_ino &&
			       makedev(s.stx_rdev_major, s.stx_rdev_minor) ==
				       out->st_rdev &&
			       same(of(s.stx_atime), out->st_atim) &&
			       same(of(s.stx_mtime), out->st_mtim) &&
			       same(of(s.stx_ctime), out->st_ctim) ?
		       0 :
		       -2;
}

static void mark(struct ctx *x, const char *path)
{
	struct mark *m = &x->marks[x->n_marks];
	struct stat st;

	if (x->n_marks == CTX_MARKS || lstat(path, &st) < 0)
		return;
	*m = (struct mark){ st.st_ino, st.st_atim, st.st_mtim, st.st_ctim };
	x->n_marks++;
}

static void mark_dir(struct ctx *x, const char *dir, bool deeper)
{
	DIR *d = opendir(dir);

	for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
		char path[PATH_MAX];

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (deeper && e->d_type == DT_DIR)
			mark_dir(x, path, false);
	}
	if (d)
		rewinddir(d);
	/* reading a directory may move its atime: look after it was read */
	for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
		char path[PATH_MAX];

		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			mark(x, path);
	}
	if (d)
		closedir(d);
}

void times_mark(struct ctx *x)
{
	struct timespec before, now, nap = { 0, 500000 };

	x->n_marks = 0;
	mark_dir(x, ".", true);
	mark(x, ".");
	clock_gettime(CLOCK_REALTIME_COARSE, &before);
	do {
		nanosleep(&nap, NULL);
		clock_gettime(CLOCK_REALTIME_COARSE, &now);
	} while (same(before, now));
}

const char *times_moved(const struct ctx *x, const struct stat *st)
{
	static char text[4];
	char *p = text;

	for (unsigned i = 0; i < x->n_marks; i++) {
		const struct mark *m = &x->marks[i];

		if (m->ino != st->st_ino)
			continue;
		if (!same(m->atime, st->st_atim))
			*p++ = 'a';
		if (!same(m->mtime, st->st_mtim))
			*p++ = 'm';
		if (!same(m->ctime, st->st_ctim))
			*p++ = 'c';
		if (p == text)
			*p++ = '-';
		*p = '\0';
		return text;
	}
	return "new";
}
