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
#include "base/limits.h"

enum { DEPTH_MAX = 1024, STEP = 1 << 20, PATH_BYTES = 1 << 16 };

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
	if (rc == 0 && S_ISDIR(st.st_mode))
		rc = walk_dir(w, dir, name, depth + 1);
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

/* --- bytes --- */

/* Reads all of it; to (-1: nowhere) gets what is read. */
static int pour(int from, int to, struct digest_sha256_ctx *sha, uint64_t *out)
{
	autofree uint8_t *bytes = malloc(STEP);
	ssize_t n, done;

	*out = 0;
	if (!bytes)
		return -ENOMEM;
	while ((n = read(from, bytes, STEP)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (sha)
			digest_sha256_update(sha, bytes, (size_t)n);
		*out += (uint64_t)n;
		for (ssize_t at = 0; to >= 0 && at < n; at += done) {
			done = write(to, bytes + at, (size_t)(n - at));
			if (done < 0 && errno == EINTR)
				done = 0;
			if (done < 0)
				return -errno;
		}
	}
	return 0;
}

int dir_walk_sha256(struct digest *out, const struct dir_walk_entry *e)
{
	struct digest_sha256_ctx *sha = digest_sha256_new();
	int fd = openat(e->dir, e->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int rc = fd < 0 ? -errno : sha ? 0 : -ENOMEM;
	uint64_t n;

	if (rc == 0)
		rc = pour(fd, -1, sha, &n);
	if (rc == 0 && n != (uint64_t)e->st->st_size)
		rc = -EAGAIN;
	if (rc == 0)
		digest_sha256_final(sha, out);
	digest_sha256_free(sha);
	if (fd >= 0)
		close(fd);
	return rc;
}

/* --- copying --- */

struct copy {
	int to;
	struct dir_walk_copied *out;
};

/*
 * The directory below `to` that a path lies in, no link followed.  Each
 * component is opened anew: a tree is copied once, and descriptors are few.
 */
static int parent_of(const struct copy *c, const char *path, const char **name)
{
	int fd = fcntl(c->to, F_DUPFD_CLOEXEC, 0), next;
	const char *slash;
	char part[LIMIT_NAME + 1];

	for (; fd >= 0 && (slash = strchr(path, '/')); path = slash + 1) {
		size_t n = (size_t)(slash - path);

		if (n > LIMIT_NAME) {
			close(fd);
			return -ENAMETOOLONG;
		}
		memcpy(part, path, n);
		part[n] = '\0';
		next = openat(fd, part,
			      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		next = next < 0 ? -errno : next;
		close(fd);
		fd = next;
	}
	*name = path;
	return fd;
}

static int copy_file(int dir, const char *name, const struct dir_walk_entry *e)
{
	const struct timespec t[2] = { e->st->st_atim, e->st->st_mtim };
	int from = openat(e->dir, e->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int to = from < 0 ? -1 :
			    openat(dir, name,
				   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
					   O_CLOEXEC,
				   0600);
	int rc = from < 0 || to < 0 ? -errno : 0;
	uint64_t n;

	if (rc == 0)
		rc = pour(from, to, NULL, &n);
	if (rc == 0 && (fchmod(to, (e->st->st_mode & 0777) | 0200) < 0 ||
			futimens(to, t) < 0))
		rc = -errno;
	if (to >= 0 && close(to) < 0 && rc == 0)
		rc = -errno;
	if (from >= 0)
		close(from);
	return rc;
}

static int copy_link(int dir, const char *name, const struct dir_walk_entry *e)
{
	char target[LIMIT_PATH + 1];
	ssize_t n = readlinkat(e->dir, e->name, target, sizeof(target));

	if (n < 0)
		return -errno;
	if ((size_t)n == sizeof(target))
		return -ENAMETOOLONG;
	target[n] = '\0';
	return symlinkat(target, dir, name) < 0 ? -errno : 0;
}

static int copy_one(void *ctx, const struct dir_walk_entry *e,
		    struct errmsg *em)
{
	struct copy *c = ctx;
	const char *name;
	int dir = parent_of(c, e->path, &name), rc = dir < 0 ? dir : 0;

	if (rc < 0)
		return errmsg_set(em, rc, "%s: %s", e->path, err_text(rc));
	if (S_ISREG(e->st->st_mode)) {
		rc = copy_file(dir, name, e);
		c->out->files++;
	} else if (S_ISDIR(e->st->st_mode)) {
		rc = mkdirat(dir, name, (e->st->st_mode & 0777) | 0700) < 0 &&
				     errno != EEXIST ?
			     -errno :
			     0;
		c->out->dirs++;
	} else if (S_ISLNK(e->st->st_mode)) {
		rc = copy_link(dir, name, e);
		c->out->links++;
	} else {
		c->out->others++;
	}
	close(dir);
	return rc < 0 ? errmsg_set(em, rc, "%s: %s", e->path, err_text(rc)) : 0;
}

/* Is `to` the directory `from`, or does it lie in it? */
static bool is_inside(const char *from, const char *to)
{
	autofree char *top = realpath(from, NULL);
	autofree char *real = realpath(to, NULL);
	size_t n = top ? strlen(top) : 0;

	return top && real && strncmp(real, top, n) == 0 &&
	       (n == 1 || real[n] == '/' || !real[n]);
}

int dir_walk_copy(struct dir_walk_copied *out, const char *from, const char *to,
		  struct errmsg *em)
{
	struct copy c = { .out = out };
	int rc = mkdir(to, 0777) < 0 && errno != EEXIST ? -errno : 0;

	memset(out, 0, sizeof(*out));
	c.to = rc == 0 ? open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (rc == 0 && c.to < 0)
		rc = -errno;
	if (rc < 0)
		return errmsg_set(em, rc, "%s: %s", to, err_text(rc));
	if (is_inside(from, to)) { /* it would find its own copies, for ever */
		close(c.to);
		return errmsg_set(em, -EINVAL, "%s lies in %s: not into itself",
				  to, from);
	}
	rc = walk(from, true, copy_one, &c, em);
	close(c.to);
	return rc;
}
