/*
 * vio.c - thin wrappers over struct vio_ops, and what is built from them.
 * The rules of each call stand in vio.h; threads: as the vio behind.
 */
#include "base/vio.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"

void vio_free(struct vio *v)
{
	if (v != NULL)
		v->ops->free(v);
}

/* What a quota refuses: to who asks that is a disk that is full. */
static int full(int rc)
{
	return rc == -EDQUOT ? -ENOSPC : rc;
}

int vio_open(struct vio *v, struct vio_file **out, const char *path, int flags)
{
	assert(v != NULL && out != NULL && path != NULL);
	*out = NULL;
	return full(v->ops->open(v, out, path, flags));
}

void vio_close(struct vio_file *f)
{
	if (f != NULL)
		f->vio->ops->close(f);
}

ssize_t vio_pread(struct vio_file *f, void *p, size_t n, uint64_t off)
{
	return f->vio->ops->pread(f, p, n, off);
}

int vio_pread_full(struct vio_file *f, void *p, size_t n, uint64_t off)
{
	ssize_t got = f->vio->ops->pread(f, p, n, off);

	if (got < 0)
		return (int)got;
	return (size_t)got == n ? 0 : -ERR_SHORT;
}

int vio_pwrite(struct vio_file *f, const void *p, size_t n, uint64_t off)
{
	return full(f->vio->ops->pwrite(f, p, n, off));
}

int vio_pwritev(struct vio_file *f, const struct vio_piece *v, int n,
		uint64_t off)
{
	assert(n > 0 && n <= VIO_PIECES);
	return full(f->vio->ops->pwritev(f, v, n, off));
}

int vio_fdatasync(struct vio_file *f)
{
	return full(f->vio->ops->fdatasync(f));
}

int vio_truncate(struct vio_file *f, uint64_t size)
{
	return full(f->vio->ops->truncate(f, size));
}

/* What is lost is not known: no such failure is soft. */
static int hard(int rc)
{
	return rc == -ENOSPC || rc == -EDQUOT || rc == -ENOMEM ? -EIO : rc;
}

int vio_flush(struct vio_file *f)
{
	return hard(vio_fdatasync(f));
}

int vio_write_through(struct vio_file *f, const void *p, size_t n, uint64_t off)
{
	int rc;

	if (f->vio->ops->write_through)
		return hard(f->vio->ops->write_through(f, p, n, off));
	rc = vio_pwrite(f, p, n, off);
	return rc < 0 ? rc : vio_flush(f);
}

int vio_writeback(struct vio_file *f, uint64_t off, uint64_t n, bool wait)
{
	if (!f->vio->ops->writeback)
		return 0;
	return hard(f->vio->ops->writeback(f, off, n, wait));
}

int vio_allocate(struct vio_file *f, uint64_t off, uint64_t n)
{
	return full(f->vio->ops->allocate(f, off, n));
}

void vio_advise(struct vio_file *f, enum vio_advice advice)
{
	if (f->vio->ops->advise)
		f->vio->ops->advise(f, advice);
}

void vio_forget(struct vio_file *f, uint64_t off, uint64_t n)
{
	if (f->vio->ops->forget && n > 0)
		f->vio->ops->forget(f, off, n);
}

int vio_fstat(struct vio_file *f, struct vio_stat *out)
{
	return f->vio->ops->fstat(f, out);
}

int vio_lock(struct vio_file *f)
{
	return f->vio->ops->lock(f);
}

int vio_stat(struct vio *v, const char *path, struct vio_stat *out)
{
	return v->ops->stat(v, path, out);
}

int vio_rename(struct vio *v, const char *from, const char *to)
{
	return full(v->ops->rename(v, from, to));
}

int vio_unlink(struct vio *v, const char *path)
{
	return v->ops->unlink(v, path);
}

int vio_mkdir(struct vio *v, const char *path)
{
	return full(v->ops->mkdir(v, path));
}

/* Makes one level and makes it durable in its parent. */
static int mkdir_durable(struct vio *v, char *path)
{
	char *slash;
	int rc = vio_mkdir(v, path);

	if (rc == -EEXIST)
		return 0;
	if (rc < 0)
		return rc;
	slash = strrchr(path, '/');
	if (slash == NULL)
		return v->ops->syncdir(v, ".");
	if (slash == path)
		return v->ops->syncdir(v, "/");
	*slash = '\0';
	rc = v->ops->syncdir(v, path);
	*slash = '/';
	return rc;
}

int vio_mkdirs(struct vio *v, const char *path)
{
	char p[LIMIT_PATH + 1];
	size_t n = strlen(path);
	int rc = 0;

	if (n == 0 || n > LIMIT_PATH)
		return n == 0 ? -ENOENT : -ENAMETOOLONG;
	memcpy(p, path, n + 1);
	while (n > 1 && p[n - 1] == '/')
		p[--n] = '\0';
	for (size_t i = 1; i < n && rc == 0; i++) {
		if (p[i] != '/' || p[i - 1] == '/')
			continue;
		p[i] = '\0';
		rc = mkdir_durable(v, p);
		p[i] = '/';
	}
	return rc < 0 ? rc : mkdir_durable(v, p);
}

int vio_rmdir(struct vio *v, const char *path)
{
	return v->ops->rmdir(v, path);
}

int vio_list(struct vio *v, const char *dir, vio_list_fn *fn, void *ctx)
{
	return v->ops->list(v, dir, fn, ctx);
}

int vio_syncdir(struct vio *v, const char *dir)
{
	return v->ops->syncdir(v, dir);
}

int vio_space(struct vio *v, struct vio_space *out)
{
	return v->ops->space(v, out);
}

int64_t vio_wall_ns(struct vio *v)
{
	return v->ops->wall_ns(v);
}

int64_t vio_mono_ns(struct vio *v)
{
	return v->ops->mono_ns(v);
}

bool vio_wall_synced(struct vio *v)
{
	return v->ops->wall_synced(v);
}

int vio_random(struct vio *v, void *p, size_t n)
{
	return v->ops->random(v, p, n);
}

int vio_read_file(struct vio *v, struct buf *out, const char *path, size_t max)
{
	struct vio_file *f = NULL;
	struct vio_stat st;
	size_t start = out->n;
	uint8_t *p;
	ssize_t got;
	int rc;

	rc = vio_open(v, &f, path, VIO_READ);
	if (rc < 0)
		return rc;
	rc = vio_fstat(f, &st);
	if (rc < 0)
		goto done;
	if (st.size > max) {
		rc = -ERR_LIMIT;
		goto done;
	}
	p = buf_grow(out, (size_t)st.size);
	if (p == NULL) {
		rc = -ENOMEM;
		goto done;
	}
	/* The file may have become shorter since: what was read counts. */
	got = vio_pread(f, p, (size_t)st.size, 0);
	if (got < 0) {
		out->n = start;
		out->p[start] = '\0';
		rc = (int)got;
		goto done;
	}
	out->n = start + (size_t)got;
	out->p[out->n] = '\0';
done:
	vio_close(f);
	return rc;
}
