/*
 * twin_tree.h - are two trees the same?  Header only: a helper here is one
 * program of one file.
 */
#ifndef TESTS_MOUNT_TWIN_TREE_H
#define TESTS_MOUNT_TWIN_TREE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* NULL, or what differs in words (valid until the next call). */
static inline const char *twin_stat_differs(const struct stat *a,
					    const struct stat *b)
{
	static char text[200];

	if (a->st_mode != b->st_mode)
		snprintf(text, sizeof(text), "mode %o, not %o", a->st_mode,
			 b->st_mode);
	else if (a->st_uid != b->st_uid || a->st_gid != b->st_gid)
		snprintf(text, sizeof(text), "owner %u:%u, not %u:%u",
			 a->st_uid, a->st_gid, b->st_uid, b->st_gid);
	else if (!S_ISDIR(a->st_mode) && a->st_nlink != b->st_nlink)
		snprintf(text, sizeof(text), "%lu links, not %lu",
			 (unsigned long)a->st_nlink,
			 (unsigned long)b->st_nlink);
	else if (!S_ISDIR(a->st_mode) && a->st_size != b->st_size)
		snprintf(text, sizeof(text), "size %lld, not %lld",
			 (long long)a->st_size, (long long)b->st_size);
	else if (a->st_rdev != b->st_rdev)
		snprintf(text, sizeof(text), "another device");
	else
		return NULL;
	return text;
}

static inline int twin_file_compare(int a, int b, const char *name)
{
	static char buf[2][1 << 16];
	off_t at = 0;
	ssize_t n[2];
	int fd[2] = { openat(a, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC),
		      openat(b, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) };
	int rc = 0;

	if ((fd[0] < 0) != (fd[1] < 0)) {
		printf("%s: opens on one side only\n", name);
		rc = -1;
	}
	if (fd[0] >= 0) /* ask the daemon, not the page cache */
		posix_fadvise(fd[0], 0, 0, POSIX_FADV_DONTNEED);
	while (rc == 0 && fd[0] >= 0) {
		n[0] = pread(fd[0], buf[0], sizeof(buf[0]), at);
		n[1] = pread(fd[1], buf[1], sizeof(buf[1]), at);
		if (n[0] != n[1] ||
		    (n[0] > 0 && memcmp(buf[0], buf[1], (size_t)n[0]) != 0)) {
			printf("%s: bytes differ after %lld (%zd, %zd)\n", name,
			       (long long)at, n[0], n[1]);
			rc = -1;
		}
		if (n[0] <= 0)
			break;
		at += n[0];
	}
	if (fd[0] >= 0)
		close(fd[0]);
	if (fd[1] >= 0)
		close(fd[1]);
	return rc;
}

static inline int twin_entry_compare(int a, int b, const char *name);

static inline int twin_names_compare(DIR *da, DIR *db)
{
	const struct dirent *e;
	struct stat st;
	int na = 0, nb = 0, rc = 0;

	while (rc == 0 && (e = readdir(da))) {
		na++;
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (fstatat(dirfd(db), e->d_name, &st, AT_SYMLINK_NOFOLLOW)) {
			printf("%s: on the first side only\n", e->d_name);
			return -1;
		}
		rc = twin_entry_compare(dirfd(da), dirfd(db), e->d_name);
	}
	while ((e = readdir(db)))
		nb++;
	if (rc == 0 && na != nb) {
		printf("%d names, not %d\n", na, nb);
		rc = -1;
	}
	return rc;
}

/* 0 when the trees at the two descriptors are the same; prints what is not. */
static inline int twin_tree_compare(int a, int b)
{
	int fa = openat(a, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fb = openat(b, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *da = fa < 0 ? NULL : fdopendir(fa);
	DIR *db = fb < 0 ? NULL : fdopendir(fb);
	int rc = -1;

	if (!da || !db)
		rc = !da && !db ? 0 : -1;
	else
		rc = twin_names_compare(da, db);
	if (da)
		closedir(da);
	if (db)
		closedir(db);
	return rc;
}

static inline int twin_entry_compare(int a, int b, const char *name)
{
	struct stat st[2];
	char link[2][PATH_MAX];
	const char *what;
	ssize_t n[2];
	int sub[2], rc = 0;

	if (fstatat(a, name, &st[0], AT_SYMLINK_NOFOLLOW) ||
	    fstatat(b, name, &st[1], AT_SYMLINK_NOFOLLOW)) {
		printf("%s: %s\n", name, strerror(errno));
		return -1;
	}
	if ((what = twin_stat_differs(&st[0], &st[1]))) {
		printf("%s: %s\n", name, what);
		return -1;
	}
	if (S_ISLNK(st[0].st_mode)) {
		n[0] = readlinkat(a, name, link[0], PATH_MAX);
		n[1] = readlinkat(b, name, link[1], PATH_MAX);
		rc = n[0] == n[1] && memcmp(link[0], link[1], (size_t)n[0]) ==
					     0 ?
			     0 :
			     -1;
	} else if (S_ISREG(st[0].st_mode)) {
		rc = twin_file_compare(a, b, name);
	} else if (S_ISDIR(st[0].st_mode)) {
		sub[0] = openat(a, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		sub[1] = openat(b, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (sub[0] >= 0 && sub[1] >= 0)
			rc = twin_tree_compare(sub[0], sub[1]);
		else if (sub[0] != sub[1])
			rc = -1;
		if (sub[0] >= 0)
			close(sub[0]);
		if (sub[1] >= 0)
			close(sub[1]);
	}
	if (rc)
		printf("  in %s\n", name);
	return rc;
}

#endif
