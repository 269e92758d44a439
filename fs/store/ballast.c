/*
 * ballast.c - see ballast.h.
 *
 * Its size is what was set aside.  Only this process changes the file, so what
 * `held` says is true while it lives; of a file that it finds nothing is
 * known (copies have holes where the blocks were), and it is asked for anew.
 * No error of it matters: there is less of it then.
 */
#include "fs/store/ballast.h"

#include <errno.h>

#include "base/vio.h"

void ballast_init(struct ballast *b, struct vio *vio)
{
	*b = (struct ballast){ .vio = vio };
	mutex_init(&b->mu);
}

void ballast_release(struct ballast *b)
{
	vio_close(b->file);
	mutex_destroy(&b->mu);
}

uint64_t ballast_held(const struct ballast *b)
{
	return atomic_load(&b->held);
}

bool ballast_shed(struct ballast *b, uint64_t bytes)
{
	bool less = false;

	mutex_lock(&b->mu);
	if (b->file && atomic_load(&b->held) > bytes &&
	    vio_truncate(b->file, bytes) == 0) {
		atomic_store(&b->held, bytes);
		less = true;
	}
	mutex_unlock(&b->mu);
	return less;
}

static int open_locked(struct ballast *b) requires_capability(&b->mu)
{
	int rc;

	if (b->file)
		return 0;
	rc = vio_open(b->vio, &b->file, BALLAST_NAME,
		      VIO_WRITE | VIO_CREATE | VIO_TRUNC);
	return rc == 0 ? vio_syncdir(b->vio, ".") : rc;
}

void ballast_grow(struct ballast *b, uint64_t bytes)
{
	uint64_t had;
	int rc = 0;

	mutex_lock(&b->mu);
	had = atomic_load(&b->held);
	if (!b->none && had < bytes) {
		rc = open_locked(b);
		if (rc == 0)
			rc = vio_allocate(b->file, had, bytes - had);
		b->none = rc == -ENOTSUP || rc == -ENOSYS || rc == -EOPNOTSUPP;
		if (rc == 0)
			rc = vio_fdatasync(b->file);
		if (rc == 0)
			atomic_store(&b->held, bytes);
		else if (b->file) /* what of it there is now is not known */
			rc = vio_truncate(b->file, had);
	}
	mutex_unlock(&b->mu);
}

void ballast_drop(struct vio *vio)
{
	int ignored = vio_unlink(vio, BALLAST_NAME);

	(void)ignored; /* the mount says what fails for want of room */
}
