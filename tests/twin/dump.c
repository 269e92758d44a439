/*
 * dump.c - a tree as text, one line a name, in the order of the names.
 *
 * Bytes are told as a hash; names of one file as the first of them.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/twin/world.h"

static struct named {
	ino_t ino;
	char *name;
} * files;
static size_t n_files;

/* The first name of the file in this dump. */
static const char *first_name(const struct stat *st, const char *path)
{
	for (size_t i = 0; i < n_files; i++)
		if (files[i].ino == st->st_ino)
			return files[i].name;
	files = realloc(files, (n_files + 1) * sizeof(*files));
	if (!files)
		abort();
	files[n_files].ino = st->st_ino;
	files[n_files++].name = strdup(path);
	return path;
}

static uint64_t hash_more(uint64_t h, const void *p, size_t n)
{
	const unsigned char *c = p;

	for (size_t i = 0; i < n; i++)
		h = (h ^ c[i]) * 0x100000001b3u;
	return h;
}

/* What lies between the data is zero, and may be long: only data is read. */
static int hash_file(const char *path, uint64_t *h)
{
	static unsigned char page[1 << 16];
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	off_t at = 0, data_at;
	ssize_t n = 0;

	if (fd < 0)
		return -1;
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); /* ask, not remember */
	while ((data_at = lseek(fd, at, SEEK_DATA)) >= 0) {
		at = data_at & ~4095;
		n = pread(fd, page, 4096, at);
		if (n <= 0)
			break;
		for (ssize_t i = 0; i < n; i++) {
			uint64_t where = (uint64_t)(at + i);

			if (page[i]) {
				*h = hash_more(*h, &where, sizeof(where));
				*h = hash_more(*h, &page[i], 1);
			}
		}
		at += n;
	}
	close(fd);
	return n < 0 ? -1 : 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int dump_xattrs(const char *path)
{
	char names[4096], value[70000], *sorted[100];
	ssize_t n = llistxattr(path, names, sizeof(names)), v;
	size_t count = 0;

	if (n < 0)
		return -1;
	for (char *p = names; p < names + n && count < 100; p += strlen(p) + 1)
		sorted[count++] = p;
	qsort(sorted, count, sizeof(*sorted), by_name);
	for (size_t i = 0; i < count; i++) {
		v = lgetxattr(path, sorted[i], value, sizeof(value));
		if (v < 0)
			return -1;
		printf(" %s=%zd,%016llx", sorted[i], v,
		       (unsigned long long)hash_more(0, value, (size_t)v));
	}
	return 0;
}

static void dump_all(const char *path)
{
	struct statx x;

	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW,
		  STATX_BASIC_STATS | STATX_BTIME, &x) < 0)
		return;
	printf(" m%lld.%u c%lld.%u a%lld.%u ino %llu",
	       (long long)x.stx_mtime.tv_sec, x.stx_mtime.tv_nsec,
	       (long long)x.stx_ctime.tv_sec, x.stx_ctime.tv_nsec,
	       (long long)x.stx_atime.tv_sec, x.stx_atime.tv_nsec,
	       (unsigned long long)x.stx_ino);
	if (x.stx_mask & STATX_BTIME)
		printf(" b%lld.%u", (long long)x.stx_btime.tv_sec,
		       x.stx_btime.tv_nsec);
}

static void print_name(const char *path)
{
	for (; *path; path++) {
		if (*path > ' ' && *path < 127 && *path != '\\')
			putchar(*path);
		else
			printf("\\%02x", (unsigned char)*path);
	}
}

static int dump_node(const char *path, const char *shown, bool all)
{
	char target[PATH_MAX];
	struct stat st;
	uint64_t h = 0;
	ssize_t n;

	if (lstat(path, &st) < 0)
		return -1;
	print_name(shown);
	printf(" %o %u:%u %lu", st.st_mode, st.st_uid, st.st_gid,
	       (unsigned long)st.st_nlink);
	if (!S_ISDIR(st.st_mode)) {
		printf(" %lld %llx is ", (long long)st.st_size,
		       (unsigned long long)st.st_rdev);
		print_name(first_name(&st, shown));
	}
	if (S_ISREG(st.st_mode)) {
		if (hash_file(path, &h) < 0)
			return -1;
		printf(" %016llx", (unsigned long long)h);
	}
	if (S_ISLNK(st.st_mode)) {
		n = readlink(path, target, sizeof(target) - 1);
		if (n < 0)
			return -1;
		target[n] = '\0';
		printf(" -> ");
		print_name(target);
	}
	if (dump_xattrs(path) < 0)
		return -1;
	if (all)
		dump_all(path);
	putchar('\n');
	return 0;
}

static int dump_dir(const char *shown, bool all);

static int dump_entry(const char *dir, const char *name, bool all)
{
	size_t cap = strlen(dir) + strlen(name) + 2;
	char *shown = malloc(cap), at[NAME_MAX + 3];
	struct stat st;
	int rc;

	if (!shown)
		return -1;
	snprintf(shown, cap, "%s/%s", dir, name);
	snprintf(at, sizeof(at), "./%s", name);
	rc = dump_node(at, shown, all);
	if (rc < 0)
		printf("%s: %s\n", shown, strerror(errno));
	if (rc == 0 && lstat(at, &st) == 0 && S_ISDIR(st.st_mode)) {
		int back = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		rc = back < 0 || chdir(at) < 0 ? -1 : dump_dir(shown, all);
		if (back < 0 || fchdir(back) < 0)
			abort();
		close(back);
	}
	free(shown);
	return rc;
}

/* The working directory: paths may be longer than a call takes. */
static int dump_dir(const char *shown, bool all)
{
	struct dirent **e;
	int n = scandir(".", &e, NULL, alphasort), rc = 0;

	for (int i = 0; i < n; i++) {
		if (strcmp(e[i]->d_name, ".") != 0 &&
		    strcmp(e[i]->d_name, "..") != 0 &&
		    dump_entry(shown, e[i]->d_name, all) < 0)
			rc = -1;
		free(e[i]);
	}
	if (n >= 0)
		free(e);
	return n < 0 ? -1 : rc;
}

int dump_tree(const char *dir, bool all)
{
	if (chdir(dir) < 0 || dump_node(".", ".", all) < 0) {
		perror(dir);
		return -1;
	}
	return dump_dir("", all);
}
