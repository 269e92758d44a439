/*
 * atomic_file.c - replace a small file so that any crash leaves the old bytes
 * or the new ones.
 *
 * Steps, each durable before the next can be seen: write a new file beside
 * the old one, fdatasync it, rename it over the old one, sync the directory.
 * The temporary name is random, so that two writers never share one and what
 * a crash left behind is never taken for anything ("PATH.tmp-" + 16 hex).
 * Any thread; two writers of one path: one of them wins whole.
 */
#include "base/atomic_file.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/vio.h"

static int sync_parent(struct vio *v, const char *path)
{
	char dir[LIMIT_PATH + 1];
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return vio_syncdir(v, ".");
	if (slash == path)
		return vio_syncdir(v, "/");
	snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
	return vio_syncdir(v, dir);
}

int atomic_file_write(struct vio *v, const char *path, const void *p, size_t n,
		      int flags)
{
	struct vio_file *f = NULL;
	char tmp[LIMIT_PATH + 1];
	char hex[17];
	uint8_t salt[8];
	int rc;

	assert((flags & ~VIO_PRIVATE) == 0);
	rc = vio_random(v, salt, sizeof(salt));
	if (rc < 0)
		return rc;
	digest_hex_bytes(hex, salt, sizeof(salt));
	if ((size_t)snprintf(tmp, sizeof(tmp), "%s.tmp-%s", path, hex) >=
	    sizeof(tmp))
		return -ENAMETOOLONG;
	rc = vio_open(v, &f, tmp, VIO_WRITE | VIO_CREATE | VIO_EXCL | flags);
	if (rc < 0)
		return rc;
	rc = vio_pwrite(f, p, n, 0);
	if (rc == 0)
		rc = vio_fdatasync(f);
	vio_close(f);
	if (rc == 0)
		rc = vio_rename(v, tmp, path);
	if (rc < 0) {
		int ignored = vio_unlink(v, tmp);

		(void)ignored; /* the first error counts */
		return rc;
	}
	return sync_parent(v, path);
}
