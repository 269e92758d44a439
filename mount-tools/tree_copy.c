/* tree_copy.c - see tree_copy.h. */
#include "mount-tools/tree_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/err.h"
#include "base/limits.h"
#include "mount-tools/dir_walk.h"
#include "mount-tools/progress.h"

enum { NAMES_BYTES = 1 << 16, VALUE_BYTES = 1 << 16, DEPTH_MAX = 1100 };

/* The first name of a file that has several. */
struct linked {
	dev_t dev;
	ino_t ino;
	char *path;
};

struct copy {
	int to;
	const struct tree_copy_options *o;
	struct tree_copied *out;
	struct linked *links; /* a hash table, half full at most */
	size_t n, cap;
	bool was[DEPTH_MAX]; /* this directory on the way was there before */
	char *names, *value; /* of extended attributes */
};

/*
 * The directory below `to` that a path lies in, no link followed.  Each
 * component is opened anew: a tree is copied once, and descriptors are few.
 */
static int parent_of(const struct copy *c, const char *path, const char **name)
{
	int fd = c->to < 0 ? -ENOENT : fcntl(c->to, F_DUPFD_CLOEXEC, 0), next;
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

/* --- what it is like --- */

static bool is_kept_attr(const char *name)
{
	return strncmp(name, "user.vouch.", 11) != 0 &&
	       strncmp(name, "security.", 9) != 0;
}

/* As far as the target takes them: it may have none, or not from us. */
static int copy_attrs(struct copy *c, int from, int to)
{
	ssize_t all = flistxattr(from, c->names, NAMES_BYTES);

	for (ssize_t at = 0; at < all;) {
		const char *name = c->names + at;
		ssize_t n;

		at += (ssize_t)strlen(name) + 1;
		if (!is_kept_attr(name))
			continue;
		n = fgetxattr(from, name, c->value, VALUE_BYTES);
		if (n >= 0 && fsetxattr(to, name, c->value, (size_t)n, 0) < 0 &&
		    errno != ENOTSUP && errno != EPERM && errno != EACCES)
			return -errno;
	}
	return 0;
}

static mode_t mode_of(const struct stat *st)
{
	return st->st_mode & (S_ISDIR(st->st_mode) ? 03777 : 0777);
}

/* Owner before mode before ACL: each changes what comes before. */
static int dress(struct copy *c, int from, int to, const struct stat *st)
{
	const struct timespec t[2] = { st->st_atim, st->st_mtim };
	int rc;

	if (geteuid() == 0 && fchown(to, st->st_uid, st->st_gid) < 0 &&
	    errno != EPERM && errno != EINVAL)
		return -errno;
	if (fchmod(to, mode_of(st)) < 0)
		return -errno;
	rc = copy_attrs(c, from, to);
	return rc == 0 && futimens(to, t) < 0 ? -errno : rc;
}

/* --- files --- */

/* Its place in the table: taken by it, or free (no path). */
static struct linked *place_of(const struct copy *c, dev_t dev, ino_t ino)
{
	uint64_t h = ((uint64_t)ino ^ (uint64_t)dev) * 0x9e3779b97f4a7c15ULL;
	size_t i = (size_t)(h >> 20) & (c->cap - 1);

	while (c->links[i].path &&
	       (c->links[i].dev != dev || c->links[i].ino != ino))
		i = (i + 1) & (c->cap - 1);
	return &c->links[i];
}

static int grow(struct copy *c)
{
	struct copy more = { .cap = c->cap ? 2 * c->cap : 64 };

	more.links = calloc(more.cap, sizeof(*more.links));
	if (!more.links)
		return -ENOMEM;
	for (size_t i = 0; i < c->cap; i++)
		if (c->links[i].path)
			*place_of(&more, c->links[i].dev, c->links[i].ino) =
				c->links[i];
	free(c->links);
	c->links = more.links;
	c->cap = more.cap;
	return 0;
}

static const char *first_name(const struct copy *c, const struct stat *st)
{
	return c->n && st->st_nlink > 1 ?
		       place_of(c, st->st_dev, st->st_ino)->path :
		       NULL;
}

static int keep_name(struct copy *c, const struct dir_walk_entry *e)
{
	struct linked v = { e->st->st_dev, e->st->st_ino, NULL };
	int rc = 0;

	if (e->st->st_nlink < 2 || first_name(c, e->st))
		return 0;
	if (2 * c->n >= c->cap)
		rc = grow(c);
	if (rc == 0) {
		v.path = strdup(e->path);
		rc = v.path ? 0 : -ENOMEM;
	}
	if (rc == 0) {
		*place_of(c, v.dev, v.ino) = v;
		c->n++;
	}
	return rc;
}

static int link_to(const struct copy *c, const char *first, int dir,
		   const char *name)
{
	const char *old;
	int fd = parent_of(c, first, &old), rc;

	if (fd < 0)
		return fd;
	rc = linkat(fd, old, dir, name, 0) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

static int accept_file(const struct copy *c, const struct dir_walk_entry *e,
		       const struct digest *sha256, struct errmsg *em)
{
	return c->o->accept ? c->o->accept(c->o->ctx, e->path, sha256, em) : 0;
}

/* Whole, then named: where files without a name cannot be, named at once. */
static int fill_file(struct copy *c, int dir, const char *name,
		     const struct dir_walk_entry *e, struct errmsg *em)
{
	char self[64];
	struct digest sha256;
	int from = dir_walk_open(e), to = -1, rc = from < 0 ? from : 0;
	bool named = false;

	if (rc == 0)
		to = openat(dir, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
	if (rc == 0 && to < 0) {
		to = openat(dir, name,
			    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
				    O_CLOEXEC,
			    0600);
		named = to >= 0;
		rc = to < 0 ? -errno : 0;
	}
	if (rc == 0)
		rc = dir_walk_pour(from, to, &sha256, (uint64_t)e->st->st_size);
	if (rc == 0)
		rc = accept_file(c, e, &sha256, em);
	if (rc == 0)
		rc = dress(c, from, to, e->st);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", to);
	if (rc == 0 && !named) {
		named = linkat(AT_FDCWD, self, dir, name, AT_SYMLINK_FOLLOW) ==
			0;
		rc = named ? 0 : -errno;
	}
	if (to >= 0 && close(to) < 0 && rc == 0)
		rc = -errno;
	if (rc < 0 && named)
		(void)unlinkat(dir, name, 0);
	if (from >= 0)
		close(from);
	return rc;
}

/* It is there: with the same bytes? */
static int same_file(const struct copy *c, int dir, const char *name,
		     const struct dir_walk_entry *e, struct errmsg *em)
{
	struct stat st;
	const struct dir_walk_entry there = { .dir = dir,
					      .name = name,
					      .st = &st };
	struct digest a, b;
	int rc = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;

	if (rc == 0 && (!S_ISREG(st.st_mode) || st.st_size != e->st->st_size))
		return -EEXIST;
	if (rc == 0)
		rc = dir_walk_sha256(&a, e);
	if (rc == 0)
		rc = accept_file(c, e, &a, em);
	if (rc == 0)
		rc = dir_walk_sha256(&b, &there);
	return rc == 0 && !digest_eq(&a, &b) ? -EEXIST : rc;
}

static int copy_file(struct copy *c, int dir, const char *name,
		     const struct dir_walk_entry *e, struct errmsg *em)
{
	const char *first = first_name(c, e->st);
	int rc = first ? link_to(c, first, dir, name) :
			 fill_file(c, dir, name, e, em);

	c->out->bits += rc == 0 && (e->st->st_mode & 06000);
	return rc == 0 && !first ? keep_name(c, e) : rc;
}

/* --- the others --- */

static int copy_link(int dir, const char *name, const struct dir_walk_entry *e,
		     bool there)
{
	char target[LIMIT_PATH + 1], old[LIMIT_PATH + 1];
	ssize_t n = readlinkat(e->dir, e->name, target, sizeof(target));

	if (n < 0)
		return -errno;
	if ((size_t)n == sizeof(target))
		return -ENAMETOOLONG;
	target[n] = '\0';
	if (there)
		return readlinkat(dir, name, old, sizeof(old)) == n &&
				       memcmp(old, target, (size_t)n) == 0 ?
			       0 :
			       -EEXIST;
	return symlinkat(target, dir, name) < 0 ? -errno : 0;
}

/* What is not opened: links and pipes. */
static int dress_name(int dir, const char *name, const struct stat *st)
{
	const struct timespec t[2] = { st->st_atim, st->st_mtim };

	if (geteuid() == 0 &&
	    fchownat(dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) <
		    0 &&
	    errno != EPERM && errno != EINVAL)
		return -errno;
	return utimensat(dir, name, t, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/*
 * One that is made here is dressed when all is in it; the mode it has before,
 * as who is stopped half way will find it there and leave it as it is.
 */
static int copy_dir(struct copy *c, int dir, const char *name,
		    const struct dir_walk_entry *e, bool *was)
{
	int from, to, rc;

	if (*was)
		return 0;
	if (!e->leaving)
		return mkdirat(dir, name, 0700 | (e->st->st_mode & 0777)) < 0 ?
			       -errno :
			       0;
	from = openat(e->dir, e->name,
		      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	to = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	rc = from < 0 || to < 0 ? -errno : dress(c, from, to, e->st);
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
	return rc;
}

/* --- all --- */

static int copy_new(struct copy *c, int dir, const char *name,
		    const struct dir_walk_entry *e, struct errmsg *em)
{
	int rc;

	if (S_ISREG(e->st->st_mode))
		return copy_file(c, dir, name, e, em);
	if (S_ISLNK(e->st->st_mode))
		rc = copy_link(dir, name, e, false);
	else /* its mode, whatever the umask */
		rc = mkfifoat(dir, name, 0600) < 0 ||
				     fchmodat(dir, name, mode_of(e->st),
					      AT_SYMLINK_NOFOLLOW) < 0 ?
			     -errno :
			     0;
	return rc == 0 ? dress_name(dir, name, e->st) : rc;
}

/* What is there already is the same, or an error. */
static int compare(struct copy *c, int dir, const char *name, mode_t there,
		   const struct dir_walk_entry *e, struct errmsg *em)
{
	int rc = 0;

	if (!c->o->onto || ((there ^ e->st->st_mode) & S_IFMT))
		return -EEXIST;
	if (S_ISLNK(there))
		rc = copy_link(dir, name, e, true);
	else if (S_ISREG(there))
		rc = same_file(c, dir, name, e, em);
	if (rc == 0 && S_ISREG(there) && !c->o->look)
		rc = keep_name(c, e); /* its other names may be missing */
	c->out->there += rc == 0 && S_ISREG(there);
	return rc;
}

static unsigned depth_of(const char *path)
{
	unsigned n = 0;

	while ((path = strchr(path, '/'))) {
		path++;
		n++;
	}
	return n;
}

static int copy_at(struct copy *c, int dir, const char *name,
		   const struct dir_walk_entry *e, struct errmsg *em)
{
	unsigned depth = depth_of(e->path);
	bool *was = &c->was[depth < DEPTH_MAX ? depth : DEPTH_MAX - 1];
	struct stat st;
	bool there =
		dir >= 0 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	bool is_dir = S_ISDIR(e->st->st_mode);

	if (is_dir && !e->leaving)
		*was = there;
	if (there && !(is_dir && S_ISDIR(st.st_mode)))
		return compare(c, dir, name, st.st_mode, e, em);
	if (c->o->look)
		return 0;
	return is_dir ? copy_dir(c, dir, name, e, was) :
			copy_new(c, dir, name, e, em);
}

static int copy_one(void *ctx, const struct dir_walk_entry *e,
		    struct errmsg *em)
{
	struct copy *c = ctx;
	struct errmsg why = ERRMSG_INIT;
	mode_t kind = e->st->st_mode & S_IFMT;
	const char *name = NULL;
	int dir, rc;

	if (kind != S_IFREG && kind != S_IFDIR && kind != S_IFLNK &&
	    kind != S_IFIFO) {
		c->out->left_out++;
		return 0;
	}
	dir = parent_of(c, e->path, &name);
	/* a directory that is not there: so it is when one only looks */
	rc = dir < 0 && !(c->o->look && dir == -ENOENT) ? dir : 0;
	if (rc == 0)
		rc = copy_at(c, dir, name, e, &why);
	if (dir >= 0)
		close(dir);
	c->out->files += kind == S_IFREG;
	c->out->dirs += kind == S_IFDIR && !e->leaving;
	c->out->others += kind == S_IFLNK || kind == S_IFIFO;
	if (c->o->bar && kind == S_IFREG)
		progress_set(c->o->bar, c->out->files, c->o->files);
	if (rc == -EEXIST && !why.text[0])
		return errmsg_set(em, rc,
				  "%s: exists there, and is another: nothing "
				  "is replaced",
				  e->path);
	return rc < 0 ? errmsg_set(em, rc, "%s: %s", e->path,
				   errmsg_text(&why, rc)) :
			0;
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

static int open_target(struct copy *c, const char *from, const char *to,
		       struct errmsg *em)
{
	int rc = 0;

	if (!c->o->look && mkdir(to, 0777) < 0 && errno != EEXIST)
		rc = -errno;
	c->to = rc == 0 ? open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (rc == 0 && c->to < 0 && !(c->o->look && errno == ENOENT))
		rc = -errno;
	if (rc < 0)
		return errmsg_set(em, rc, "%s: %s", to, err_text(rc));
	if (is_inside(from, to)) /* it would find its own copies, for ever */
		return errmsg_set(em, -EINVAL, "%s lies in %s: not into itself",
				  to, from);
	return 0;
}

int tree_copy(struct tree_copied *out, const char *from, const char *to,
	      const struct tree_copy_options *o, struct errmsg *em)
{
	struct copy *c = calloc(1, sizeof(*c));
	mode_t mask;
	int rc;

	*out = (struct tree_copied){ .files = 0 };
	if (!c)
		return -ENOMEM;
	c->o = o;
	c->out = out;
	c->to = -1;
	c->names = malloc(NAMES_BYTES);
	c->value = malloc(VALUE_BYTES);
	rc = c->names && c->value ? open_target(c, from, to, em) : -ENOMEM;
	mask = umask(0); /* modes are those of there */
	if (rc == 0)
		rc = (o->from_mount ? dir_walk_real : dir_walk)(from, copy_one,
								c, em);
	(void)umask(mask);
	if (c->to >= 0)
		close(c->to);
	for (size_t i = 0; i < c->cap; i++)
		free(c->links[i].path);
	free(c->links);
	free(c->names);
	free(c->value);
	free(c);
	return rc;
}
