/*
 * spool.c - rendered bytes in memory or in a nameless temporary file.
 */
#include "analytics/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/limits.h"

void spool_init(struct spool *s, const char *store_dir, uint64_t size_max)
{
	memset(s, 0, sizeof(*s));
	s->fd = -1;
	s->dir = store_dir;
	s->size_max = size_max;
}

void spool_release(struct spool *s)
{
	buf_release(&s->mem);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->size = 0;
}

static int open_file(struct spool *s)
{
	char path[LIMIT_PATH + 1];
	int n = snprintf(path, sizeof(path), "%s/cache", s->dir);

	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	s->fd = open(path, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	return s->fd < 0 ? -errno : 0;
}

static int write_all(struct spool *s, const uint8_t *p, size_t n, uint64_t off)
{
	while (n > 0) {
		ssize_t w = pwrite(s->fd, p, n, (off_t)off);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return w < 0 ? -errno : -EIO;
		p += w;
		n -= (size_t)w;
		off += (size_t)w;
	}
	return 0;
}

static int spill(struct spool *s)
{
	int rc = s->fd < 0 ? open_file(s) : 0;

	if (!rc)
		rc = write_all(s, s->mem.p, s->mem.n, s->size - s->mem.n);
	if (!rc)
		buf_clear(&s->mem);
	return rc;
}

void spool_add(struct spool *s, const void *p, size_t n)
{
	if (s->rc || !n)
		return;
	if (s->size_max && n > s->size_max - s->size) {
		s->rc = -ERR_LIMIT;
		return;
	}
	buf_add(&s->mem, p, n);
	if (s->mem.bad) {
		s->rc = -ENOMEM;
		return;
	}
	s->size += n;
	if (s->mem.n >= SPOOL_MEMORY)
		s->rc = spill(s);
}

void spool_buf(struct spool *s, struct buf *b)
{
	if (b->bad && !s->rc)
		s->rc = -ENOMEM;
	spool_add(s, b->p, b->n);
	buf_clear(b);
}

int spool_end(struct spool *s)
{
	if (!s->rc && s->fd >= 0 && s->mem.n)
		s->rc = spill(s);
	return s->rc;
}

int spool_keep(const struct spool *s, const char *path)
{
	char fd[64];

	if (s->fd < 0)
		return -ENOENT;
	snprintf(fd, sizeof(fd), "/proc/self/fd/%d", s->fd);
	return linkat(AT_FDCWD, fd, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0 ?
		       -errno :
		       0;
}

ssize_t spool_read(const struct spool *s, void *p, size_t n, uint64_t off)
{
	ssize_t got;

	if (off >= s->size)
		return 0;
	if (n > s->size - off)
		n = s->size - off;
	if (s->fd < 0) {
		memcpy(p, s->mem.p + off, n);
		return (ssize_t)n;
	}
	do
		got = pread(s->fd, p, n, (off_t)off);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}
