/* dir_walk.c - see dir_walk.h. */
#include "mount-tools/dir_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

enum { DEPTH_MAX = 1024, STEP = 1 << 20, HOLE = 4096, PATH_BYTES = 1 << 16 };

/* --- walking --- */

struct walk {
	dir_walk_fn *fn;
	void *ctx;
	struct errmsg *em;
	bool real_only;
	char path[PATH_BYTES];
	size_t n;
};

static int walk_dir(struct walk *w, int parent, const char *name,
		    unsigned depth);

/* audit and its like, in a mount: by their inode numbers (ledger/entry.h). */
static bool is_virtual(const struct stat *st)
{
	return (uint64_t)st->st_ino >> 40 == (1 << 23) - 1;
}

bool dir_walk_is_virtual(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && is_virtual(&st);
}

static int walk_one(struct walk *w, int dir, const char *name, unsigned depth)
{
	size_t start = w->n, len = strlen(name);
	struct dir_walk_entry e = { .path = w->path, .dir = dir, .name = name };
	struct stat st;
	int rc;

	if (w->n + len + 2 > sizeof(w->path))
		return errmsg_set(w->em, -ENAMETOOLONG, "%.200s...: too deep",
				  w->path);
	if (w->n)
		w->path[w->n++] = '/';
	memcpy(w->path + w->n, name, len + 1);
	w->n += len;
	rc = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
	if (rc < 0)
		rc = errmsg_set(w->em, rc, "%s: %s", w->path, err_text(rc));
	e.st = &st;
	if (rc == 0 && w->real_only && is_virtual(&st))
		goto back;
	if (rc == 0)
		rc = w->fn(w->ctx, &e, w->em);
	if (rc == 0 && S_ISDIR(st.st_mode)) {
		rc = walk_dir(w, dir, name, depth + 1);
		e.leaving = true;
		if (rc == 0)
			rc = w->fn(w->ctx, &e, w->em);
	}
back:
	w->n = start;
	w->path[start] = '\0';
	return rc;
}

static int walk_dir(struct walk *w, int parent, const char *name,
		    unsigned depth)
{
	int fd =
		depth > DEPTH_MAX ?
			-ELOOP :
			openat(parent, name,
			       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;
	int rc = 0;

	if (!d) {
		rc = fd == -ELOOP ? fd : -errno;
		if (fd >= 0)
			close(fd);
		return errmsg_set(w->em, rc, "%s: %s", w->n ? w->path : name,
				  err_text(rc));
	}
	for (errno = 0; rc == 0 && (e = readdir(d)); errno = 0)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			rc = walk_one(w, fd, e->d_name, depth);
	if (rc == 0 && errno)
		rc = errmsg_set(w->em, -errno, "%s: %s", w->path,
				err_text(-errno));
	closedir(d);
	return rc;
}

static int walk(const char *top, bool real_only, dir_walk_fn *fn, void *ctx,
		struct errmsg *em)
{
	struct walk *w = calloc(1, sizeof(*w));
	char *real = realpath(top, NULL); /* the top itself may be a link */
	int rc = w ? 0 : -ENOMEM;

	if (rc == 0 && !real)
		rc = errmsg_set(em, -errno, "%s: %s", top, err_text(-errno));
	if (rc == 0) {
		w->fn = fn;
		w->ctx = ctx;
		w->em = em;
		w->real_only = real_only;
		rc = walk_dir(w, AT_FDCWD, real, 0);
	}
	free(real);
	free(w);
	return rc;
}

int dir_walk(const char *top, dir_walk_fn *fn, void *ctx, struct errmsg *em)
{
	return walk(top, false, fn, ctx, em);
}

int dir_walk_real(const char *top, dir_walk_fn *fn, void *ctx,
		  struct errmsg *em)
{
	return walk(top, true, fn, ctx, em);
}

/* --- bytes --- */

static bool is_zero(const uint8_t *p, size_t n)
{
	return n > 0 && p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

int dir_walk_put(int fd, const uint8_t *p, size_t n, uint64_t off)
{
	while (n > 0) {
		size_t step = n < HOLE ? n : HOLE;
		ssize_t done = (ssize_t)step;

		if (!is_zero(p, step))
			done = pwrite(fd, p, step, (off_t)off);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		p += done;
		n -= (size_t)done;
		off += (uint64_t)done;
	}
	return 0;
}

/* Reads all of it; to (-1: nowhere) gets what is read. */
static int pour(int from, int to, struct digest_sha256_ctx *sha, uint64_t *out)
{
	int rc = 0;

	autofree uint8_t *bytes = malloc(STEP);
	ssize_t n;

	*out = 0;
	if (!bytes)
		return -ENOMEM;
	while (rc == 0 && (n = read(from, bytes, STEP)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		digest_sha256_update(sha, bytes, (size_t)n);
		if (to >= 0)
			rc = dir_walk_put(to, bytes, (size_t)n, *out);
		*out += (uint64_t)n;
	}
	return rc == 0 && to >= 0 && ftruncate(to, (off_t)*out) < 0 ? -errno :
								      rc;
}

int dir_walk_pour(int from, int to, struct digest *out, uint64_t size)
{
	struct digest_sha256_ctx *sha = digest_sha256_new();
	uint64_t n = 0;
	int rc = sha ? pour(from, to, sha, &n) : -ENOMEM;

	if (rc == 0 && n != size)
		rc = -EAGAIN;
	if (rc == 0)
		digest_sha256_final(sha, out);
	digest_sha256_free(sha);
	return rc;
}

int dir_walk_open(const struct dir_walk_entry *e)
{
	int fd = openat(e->dir, e->name,
			O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd); /* something else took its place */
	return -EAGAIN;
}

int dir_walk_sha256(struct digest *out, const struct dir_walk_entry *e)
{
	int fd = dir_walk_open(e), rc = fd;

	if (fd >= 0) {
		rc = dir_walk_pour(fd, -1, out, (uint64_t)e->st->st_size);
		close(fd);
	}
	return rc;
}
