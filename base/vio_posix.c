/*
 * vio_posix.c - struct vio over a directory of a real filesystem.
 *
 * Invariants:
 *  1. Every path is resolved below the descriptor of the root directory, so
 *     renaming the root or changing the working directory moves nothing.
 *     Absolute paths are taken as they are (openat's rule).
 *  2. The last component of a path is never followed when it is a symlink.
 *  3. Every descriptor is close-on-exec.
 *  4. errno is taken on the line that failed.
 *
 * A file opened VIO_DIRECT has a second descriptor, past the page cache, where
 * the filesystem offers that: a frame of 8 KiB is durable in 80 us instead of
 * 100, for 30 us of CPU instead of 50.  Who reads it finds it on the disk.
 *
 * Locks are open-file-description locks: they belong to the struct vio_file,
 * hold against other opens in this process too, and end with the last close.
 * A filesystem without fallocate makes allocate return -ENOTSUP; it promises
 * space, nothing depends on it.  Threads: any; the kernel does the locking.
 */
#include "base/vio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct posix_vio {
	struct vio vio;
	int dirfd;
	/* what adjtimex said, and until when that is good enough */
	atomic_bool synced;
	atomic_int_least64_t synced_ns;
};

struct posix_file {
	struct vio_file file;
	int fd;
	int direct;   /* -1: none */
	void *bounce; /* DIRECT_MAX bytes, aligned; used by who appends */
};

enum { DIRECT_MAX = 64 << 10, DIRECT_PAGE = 4096 };

static int root_of(struct vio *v)
{
	return ((struct posix_vio *)v)->dirfd;
}

static int fd_of(struct vio_file *f)
{
	return ((struct posix_file *)f)->fd;
}

/* A hint: without it the other way is taken. */
static int open_direct(struct vio *v, const char *path, const struct stat *st)
{
	int fd = openat(root_of(v), path,
			O_WRONLY | O_DIRECT | O_DSYNC | O_CLOEXEC | O_NOFOLLOW |
				O_NONBLOCK);
	struct stat other;

	if (fd < 0)
		return -1;
	if (fstat(fd, &other) == 0 && other.st_dev == st->st_dev &&
	    other.st_ino == st->st_ino)
		return fd;
	close(fd);
	return -1;
}

static int posix_open(struct vio *v, struct vio_file **out, const char *path,
		      int flags)
{
	int how = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	struct posix_file *f;
	struct stat st;
	int rc = 0;

	how |= flags & VIO_WRITE ? O_RDWR : O_RDONLY;
	how |= flags & VIO_CREATE ? O_CREAT : 0;
	how |= flags & VIO_EXCL ? O_EXCL : 0;
	how |= flags & VIO_TRUNC ? O_TRUNC : 0;
	f = calloc(1, sizeof(*f));
	if (f == NULL)
		return -ENOMEM;
	f->file.vio = v;
	f->direct = -1;
	do {
		f->fd = openat(root_of(v), path, how,
			       flags & VIO_PRIVATE ? 0600 : 0644);
		rc = f->fd < 0 ? -errno : 0;
	} while (rc == -EINTR);
	if (rc < 0)
		goto fail;
	/* Not a FIFO, device or directory that somebody put there. */
	if (fstat(f->fd, &st) < 0) {
		rc = -errno;
		goto fail;
	}
	if (!S_ISREG(st.st_mode)) {
		rc = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
		goto fail;
	}
	if (flags & VIO_DIRECT)
		f->direct = open_direct(v, path, &st);
	*out = &f->file;
	return 0;
fail:
	if (f->fd >= 0)
		close(f->fd);
	free(f);
	return rc;
}

static void posix_close(struct vio_file *file)
{
	struct posix_file *f = (struct posix_file *)file;

	/* Nothing to learn from close: what matters was synced before. */
	(void)close(f->fd);
	if (f->direct >= 0)
		(void)close(f->direct);
	free(f->bounce);
	free(f);
}

static ssize_t posix_pread(struct vio_file *f, void *p, size_t n, uint64_t off)
{
	uint8_t *to = p;
	size_t done = 0;

	if (off > INT64_MAX - n)
		return -EINVAL;
	while (done < n) {
		ssize_t got = pread(fd_of(f), to + done, n - done,
				    (off_t)(off + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

static int posix_pwrite(struct vio_file *f, const void *p, size_t n,
			uint64_t off)
{
	const uint8_t *from = p;

	if (off > INT64_MAX - n)
		return -EFBIG;
	while (n > 0) {
		ssize_t put = pwrite(fd_of(f), from, n, (off_t)off);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		if (put == 0)
			return -EIO;
		from += put;
		n -= (size_t)put;
		off += (uint64_t)put;
	}
	return 0;
}

static int posix_pwritev(struct vio_file *f, const struct vio_piece *v, int n,
			 uint64_t off)
{
	struct iovec iov[VIO_PIECES];
	size_t all = 0;
	ssize_t put;
	int rc = 0;

	for (int i = 0; i < n; i++) {
		iov[i].iov_base = (void *)(uintptr_t)v[i].p;
		iov[i].iov_len = v[i].n;
		all += v[i].n;
	}
	if (off > INT64_MAX - all)
		return -EFBIG;
	do {
		put = pwritev(fd_of(f), iov, n, (off_t)off);
	} while (put < 0 && errno == EINTR);
	if (put < 0)
		return -errno;
	/* what a short write left */
	for (int i = 0; rc == 0 && i < n; i++) {
		size_t done = (size_t)put < v[i].n ? (size_t)put : v[i].n;

		rc = posix_pwrite(f, (const uint8_t *)v[i].p + done,
				  v[i].n - done, off + done);
		put -= (ssize_t)done;
		off += v[i].n;
	}
	return rc;
}

static int posix_fdatasync(struct vio_file *f)
{
	/* Not again after an error: the kernel forgets it, we must not. */
	return fdatasync(fd_of(f)) < 0 ? -errno : 0;
}

/* 1: done; 0: it does not go that way. */
static int write_direct(struct posix_file *f, const void *p, size_t n,
			uint64_t off)
{
	ssize_t put;

	if (f->direct < 0 || n > DIRECT_MAX || n % DIRECT_PAGE != 0 ||
	    off % DIRECT_PAGE != 0 || off > INT64_MAX - n)
		return 0;
	if (f->bounce == NULL)
		f->bounce = aligned_alloc(DIRECT_PAGE, DIRECT_MAX);
	if (f->bounce == NULL)
		return 0;
	memcpy(f->bounce, p, n);
	do {
		put = pwrite(f->direct, f->bounce, n, (off_t)off);
	} while (put < 0 && errno == EINTR);
	if (put < 0 && errno != EINVAL)
		return -errno;
	if (put < 0) { /* nothing was written: larger blocks than ours */
		(void)close(f->direct);
		f->direct = -1;
	}
	return put == (ssize_t)n;
}

static int posix_write_through(struct vio_file *f, const void *p, size_t n,
			       uint64_t off)
{
	int rc = write_direct((struct posix_file *)f, p, n, off);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = posix_pwrite(f, p, n, off);
	return rc < 0 ? rc : posix_fdatasync(f);
}

static int posix_writeback(struct vio_file *f, uint64_t off, uint64_t n,
			   bool wait)
{
	unsigned how =
		wait ? SYNC_FILE_RANGE_WAIT_BEFORE : SYNC_FILE_RANGE_WRITE;

	if (n == 0) /* it would mean all that follows */
		return 0;
	if (off > INT64_MAX || n > INT64_MAX - off)
		return -EFBIG;
	if (sync_file_range(fd_of(f), (off_t)off, (off_t)n, how) == 0)
		return 0;
	/* a filesystem that knows it not is left to flush it all at once */
	return errno == ENOSYS || errno == ESPIPE ? 0 : -errno;
}

static int posix_truncate(struct vio_file *f, uint64_t size)
{
	int rc;

	if (size > INT64_MAX)
		return -EFBIG;
	do {
		rc = ftruncate(fd_of(f), (off_t)size) < 0 ? -errno : 0;
	} while (rc == -EINTR);
	return rc;
}

static void posix_advise(struct vio_file *f, enum vio_advice advice)
{
	(void)posix_fadvise(fd_of(f), 0, 0,
			    advice == VIO_RANDOM ? POSIX_FADV_RANDOM :
						   POSIX_FADV_SEQUENTIAL);
}

static void posix_forget(struct vio_file *f, uint64_t off, uint64_t n)
{
	(void)posix_fadvise(fd_of(f), (off_t)off, (off_t)n,
			    POSIX_FADV_DONTNEED);
}

static int posix_allocate(struct vio_file *f, uint64_t off, uint64_t n)
{
	int rc;

	if (n == 0)
		return 0;
	if (n > INT64_MAX || off > INT64_MAX - n)
		return -EFBIG;
	do {
		rc = fallocate(fd_of(f), 0, (off_t)off, (off_t)n) < 0 ? -errno :
									0;
	} while (rc == -EINTR);
	return rc;
}

static uint64_t fsid_of(const struct statvfs *s)
{
	return (uint64_t)s->f_fsid;
}

static int64_t time_of(const struct statx_timestamp *t)
{
	return t->tv_sec * 1000000000 + t->tv_nsec;
}

static void stat_fill(struct vio_stat *out, const struct statx *sx,
		      const struct statvfs *vfs)
{
	memset(out, 0, sizeof(*out));
	out->size = sx->stx_size;
	out->ino = sx->stx_ino;
	out->mtime_ns = time_of(&sx->stx_mtime);
	if (sx->stx_mask & STATX_BTIME)
		out->btime_ns = time_of(&sx->stx_btime);
	out->fsid = fsid_of(vfs);
	out->mode = sx->stx_mode;
	out->uid = sx->stx_uid;
}

static int posix_fstat(struct vio_file *f, struct vio_stat *out)
{
	struct statvfs vfs;
	struct statx sx;

	if (statx(fd_of(f), "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME,
		  &sx) < 0)
		return -errno;
	if (fstatvfs(fd_of(f), &vfs) < 0)
		return -errno;
	stat_fill(out, &sx, &vfs);
	return 0;
}

static int posix_stat(struct vio *v, const char *path, struct vio_stat *out)
{
	struct statvfs vfs;
	struct statx sx;
	int fd = openat(root_of(v), path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
	int rc = 0;

	if (fd < 0)
		return -errno;
	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &sx) <
	    0)
		rc = -errno;
	else if (fstatvfs(fd, &vfs) < 0)
		rc = -errno;
	close(fd);
	if (rc == 0)
		stat_fill(out, &sx, &vfs);
	return rc;
}

static int posix_lock(struct vio_file *f)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd_of(f), F_OFD_SETLK, &fl) == 0)
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

static int posix_rename(struct vio *v, const char *from, const char *to)
{
	return renameat(root_of(v), from, root_of(v), to) < 0 ? -errno : 0;
}

static int posix_unlink(struct vio *v, const char *path)
{
	return unlinkat(root_of(v), path, 0) < 0 ? -errno : 0;
}

static int posix_mkdir(struct vio *v, const char *path)
{
	return mkdirat(root_of(v), path, 0700) < 0 ? -errno : 0;
}

static int posix_rmdir(struct vio *v, const char *path)
{
	return unlinkat(root_of(v), path, AT_REMOVEDIR) < 0 ? -errno : 0;
}

static int dir_open(struct vio *v, const char *path, int *out)
{
	/* "" means the root itself, as "." does. */
	*out = openat(root_of(v), path[0] != '\0' ? path : ".",
		      O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *out < 0 ? -errno : 0;
}

static int posix_list(struct vio *v, const char *dir, vio_list_fn *fn,
		      void *ctx)
{
	struct dirent *e;
	DIR *d;
	int fd;
	int rc = dir_open(v, dir, &fd);

	if (rc < 0)
		return rc;
	d = fdopendir(fd);
	if (d == NULL) {
		rc = -errno;
		close(fd);
		return rc;
	}
	for (;;) {
		errno = 0;
		e = readdir(d);
		if (e == NULL) {
			rc = -errno;
			break;
		}
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		rc = fn(ctx, e->d_name);
		if (rc != 0)
			break;
	}
	closedir(d);
	return rc;
}

static int posix_syncdir(struct vio *v, const char *dir)
{
	int fd;
	int rc = dir_open(v, dir, &fd);

	if (rc < 0)
		return rc;
	if (fsync(fd) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

static int posix_space(struct vio *v, struct vio_space *out)
{
	struct statvfs s;

	if (fstatvfs(root_of(v), &s) < 0)
		return -errno;
	out->total_bytes = (uint64_t)s.f_blocks * s.f_frsize;
	out->free_bytes = (uint64_t)s.f_bavail * s.f_frsize;
	return 0;
}

static int64_t clock_ns(clockid_t id)
{
	struct timespec ts = { 0 };

	/* Fails for no clock that Linux always has. */
	if (clock_gettime(id, &ts) < 0)
		abort();
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int64_t posix_wall_ns(struct vio *v)
{
	(void)v;
	return clock_ns(CLOCK_REALTIME);
}

static int64_t posix_mono_ns(struct vio *v)
{
	(void)v;
	return clock_ns(CLOCK_MONOTONIC);
}

/* Asked once a second: every commit wants to know, and it is a system call. */
static bool posix_wall_synced(struct vio *v)
{
	struct posix_vio *p = (struct posix_vio *)v;
	int64_t now = clock_ns(CLOCK_MONOTONIC);
	struct timex tx = { .modes = 0 };
	int state;

	if (now < atomic_load(&p->synced_ns))
		return atomic_load(&p->synced);
	state = adjtimex(&tx);
	atomic_store(&p->synced, state >= 0 && state != TIME_ERROR &&
					 !(tx.status & STA_UNSYNC));
	atomic_store(&p->synced_ns, now + 1000000000);
	return atomic_load(&p->synced);
}

static int posix_random(struct vio *v, void *p, size_t n)
{
	(void)v;
	randombytes_buf(p, n);
	return 0;
}

static void posix_free(struct vio *v)
{
	close(root_of(v));
	free(v);
}

static const struct vio_ops posix_ops = {
	.open = posix_open,
	.close = posix_close,
	.pread = posix_pread,
	.pwrite = posix_pwrite,
	.pwritev = posix_pwritev,
	.fdatasync = posix_fdatasync,
	.write_through = posix_write_through,
	.writeback = posix_writeback,
	.truncate = posix_truncate,
	.allocate = posix_allocate,
	.advise = posix_advise,
	.forget = posix_forget,
	.fstat = posix_fstat,
	.lock = posix_lock,
	.stat = posix_stat,
	.rename = posix_rename,
	.unlink = posix_unlink,
	.mkdir = posix_mkdir,
	.rmdir = posix_rmdir,
	.list = posix_list,
	.syncdir = posix_syncdir,
	.space = posix_space,
	.wall_ns = posix_wall_ns,
	.mono_ns = posix_mono_ns,
	.wall_synced = posix_wall_synced,
	.random = posix_random,
	.free = posix_free,
};

int vio_posix_open(struct vio **out, const char *root)
{
	struct posix_vio *v;
	int rc;

	*out = NULL;
	if (sodium_init() < 0)
		return -EIO;
	v = calloc(1, sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	v->vio.ops = &posix_ops;
	v->dirfd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (v->dirfd < 0) {
		rc = -errno;
		free(v);
		return rc;
	}
	*out = &v->vio;
	return 0;
}
