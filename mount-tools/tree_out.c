/*
 * tree_out.c - see tree_out.h.  Every name is made relative to an open
 * directory and never followed, so no symbolic link leads outside.
 */
#include "mount-tools/tree_out.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analytics/past.h"
#include "base/err.h"
#include "base/limits.h"
#include "fs/content/content.h"
#include "fs/core/core.h"
#include "index/idx_query.h"
#include "mount-tools/dir_walk.h"
#include "mount-tools/names.h"
#include "mount-tools/progress.h"

enum { STEP = 1 << 20, DEPTH_MAX = 2048 };

struct tree_out {
	struct core *core;
	struct idx_reader *r;
	uint64_t at;
	uint8_t *bytes;
	struct tree_out_report *report;
	struct progress bar;
	struct errmsg *em;
};

static int fail(struct tree_out *t, int rc, const char *name)
{
	return errmsg_set(t->em, rc, "%s: %s", name, err_text(rc));
}

static int copy(struct tree_out *t, const struct past *p, int fd)
{
	struct content *content = NULL;
	uint64_t off = 0;
	ssize_t n = 1;
	int rc = past_content(p, t->core, &content);

	while (rc == 0 && n > 0) {
		n = past_read(p, content, t->bytes, STEP, off);
		rc = n < 0 ? (int)n :
			     dir_walk_put(fd, t->bytes, (size_t)n, off);
		off += n > 0 ? (uint64_t)n : 0;
		t->report->bytes += n > 0 ? (uint64_t)n : 0;
		progress_set(&t->bar, t->report->bytes, 0);
	}
	content_close(content);
	if (rc == 0 && ftruncate(fd, (off_t)off) < 0)
		rc = -errno;
	return rc;
}

static void times(const struct past *p, struct timespec out[2])
{
	out[0] = (struct timespec){ p->atime_ns / 1000000000,
				    p->atime_ns % 1000000000 };
	out[1] = (struct timespec){ p->mtime_ns / 1000000000,
				    p->mtime_ns % 1000000000 };
	for (int i = 0; i < 2; i++)
		if (out[i].tv_nsec < 0) {
			out[i].tv_nsec += 1000000000;
			out[i].tv_sec--;
		}
}

static int write_file(struct tree_out *t, const struct past *p, int dir,
		      const char *name)
{
	struct timespec ts[2];
	int fd = openat(dir, name,
			O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			0600);
	int rc = fd < 0 ? -errno : copy(t, p, fd);

	times(p, ts);
	if (rc == 0 && (fchmod(fd, p->mode & 0777) < 0 || futimens(fd, ts) < 0))
		rc = -errno;
	if (fd >= 0 && close(fd) < 0 && rc == 0)
		rc = -errno;
	t->report->files += rc == 0;
	t->report->bits += rc == 0 && (p->mode & 06000);
	return rc;
}

static int write_one(struct tree_out *t, uint64_t ino, int dir,
		     const char *name, unsigned depth);

struct inside {
	struct tree_out *t;
	int dir;
	unsigned depth;
};

static int on_name(void *ctx, const char *name, uint64_t ino)
{
	struct inside *in = ctx;

	return write_one(in->t, ino, in->dir, name, in->depth + 1);
}

static int write_dir(struct tree_out *t, const struct past *p, uint64_t ino,
		     int parent, const char *name, unsigned depth)
{
	struct inside in = { .t = t, .depth = depth };
	struct timespec ts[2];
	int rc = mkdirat(parent, name, 0700) < 0 ? -errno : 0;
	int fd = rc == 0 ? openat(parent, name,
				  O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
					  O_CLOEXEC) :
			   -1;

	if (rc == 0 && fd < 0)
		rc = -errno;
	in.dir = fd;
	if (rc == 0)
		rc = names_at(t->r, ino, t->at, on_name, &in);
	times(p, ts);
	if (rc == 0 && (fchmod(fd, p->mode & 0777) < 0 || futimens(fd, ts) < 0))
		rc = -errno;
	if (fd >= 0)
		close(fd);
	t->report->dirs += rc == 0;
	return rc;
}

static int write_other(struct tree_out *t, const struct past *p, int dir,
		       const char *name)
{
	struct timespec ts[2];
	int rc = 0;

	if (S_ISLNK(p->mode) && p->target)
		rc = symlinkat(p->target, dir, name);
	else if (S_ISFIFO(p->mode))
		rc = mkfifoat(dir, name, p->mode & 0777);
	else {
		t->report->left_out++;
		return 0;
	}
	if (rc < 0)
		return -errno;
	times(p, ts);
	(void)utimensat(dir, name, ts, AT_SYMLINK_NOFOLLOW);
	t->report->others++;
	return 0;
}

static int write_kept(struct tree_out *t, const struct past *p, int dir,
		      const char *name)
{
	struct content *content = NULL;
	int rc = p->unreadable ? -ENODATA : past_content(p, t->core, &content);

	content_close(content);
	if (rc == 0)
		return write_file(t, p, dir, name);
	t->report->released += rc == -ENODATA && !p->unreadable;
	return rc == -ENODATA ? 0 : rc;
}

static int write_one(struct tree_out *t, uint64_t ino, int dir,
		     const char *name, unsigned depth)
{
	struct past *p = NULL;
	int rc = depth > DEPTH_MAX ? -ELOOP :
				     past_load(&p, t->core, t->r, ino, t->at);

	if (rc < 0)
		return fail(t, rc, name);
	if (S_ISDIR(p->mode))
		rc = write_dir(t, p, ino, dir, name, depth);
	else if (S_ISREG(p->mode))
		rc = write_kept(t, p, dir, name);
	else
		rc = write_other(t, p, dir, name);
	past_free(p);
	return rc < 0 ? fail(t, rc, name) : 0;
}

int tree_out_write(struct tree_out_report *out, const char *store, uint64_t at,
		   const char *dir, struct errmsg *em)
{
	const struct core_options o = { .store = store, .read_only = true };
	struct tree_out t = { .at = at, .report = out, .em = em };
	autofree uint8_t *bytes = malloc(STEP);
	int rc = bytes ? core_open(&t.core, &o, em) : -ENOMEM;

	*out = (struct tree_out_report){ .files = 0 };
	t.bytes = bytes;
	progress_start(&t.bar, "exporting", true);
	if (rc == 0)
		rc = core_reader_take(t.core, &t.r);
	if (rc == 0)
		rc = write_one(&t, STATE_ROOT_INO, AT_FDCWD, dir, 0);
	if (t.r)
		core_reader_give(t.core, t.r);
	if (t.core) {
		int closed = core_close(t.core, em);

		rc = rc == 0 ? closed : rc;
	}
	progress_end(&t.bar);
	return rc;
}
