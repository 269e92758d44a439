/*
 * packfile_flush.c - flushes of one pack: an error of its file fails all who
 * could have been told it.
 *
 * The kernel tells an error of writing to the disk once for each open file, to
 * who asks first.  A flush, a pace and a repair may ask at the same time, and
 * all but one are answered 0, though what they wrote is lost.  So the first
 * error makes the pack broken, one flush runs at a time, and a flush counts
 * only when the paces that ran beside it are over and none was told an error.
 *
 * Who comes while a flush runs waits for it, and needs none of his own if it
 * was begun after his appends.
 *
 * Invariant: once broken, no flush of the pack succeeds, and `durable` stays.
 *
 * Threads: any.  mu is not held while the disk works.
 */
#include <errno.h>

#include "base/vio.h"
#include "fs/store/packfile.h"
#include "fs/store/packfile_int.h"

int packfile_quiet_locked(struct packfile *f)
{
	while (f->flushing || f->pacing > 0)
		cond_wait(&f->quiet, &f->mu);
	return f->broken ? -EIO : 0;
}

/* The flush that set `flushing` returned rc; what does it say of all? */
static int end_locked(struct packfile *f, int rc) requires_capability(&f->mu)
{
	if (rc < 0)
		f->broken = true;
	f->ending = true; /* or paces could follow one another for ever */
	while (f->pacing > 0)
		cond_wait(&f->quiet, &f->mu);
	f->ending = false;
	f->flushing = false;
	cond_broadcast(&f->quiet);
	return rc == 0 && f->broken ? -EIO : rc;
}

int packfile_flush_file(struct packfile *f, struct vio_file *file)
{
	int rc;

	mutex_lock(&f->mu);
	while (f->flushing)
		cond_wait(&f->quiet, &f->mu);
	f->flushing = true;
	mutex_unlock(&f->mu);
	rc = vio_flush(file);
	mutex_lock(&f->mu);
	rc = end_locked(f, rc);
	mutex_unlock(&f->mu);
	return rc;
}

int packfile_flush(struct packfile *f)
{
	struct vio_file *file = NULL;
	uint64_t want = 0;
	int rc = 0;

	mutex_lock(&f->mu);
	want = f->end;
	while (f->flushing && f->durable < want)
		cond_wait(&f->quiet, &f->mu);
	if (f->broken)
		rc = -EIO;
	else if (f->durable < want)
		rc = packfile_pin(f, &file);
	if (!file)
		goto unlock;
	want = f->end; /* with what others appended while we waited */
	f->flushing = true;
	mutex_unlock(&f->mu);
	rc = vio_flush(file);
	packfile_unpin(f);
	mutex_lock(&f->mu);
	rc = end_locked(f, rc);
	if (rc == 0 && f->durable < want)
		f->durable = want;
unlock:
	mutex_unlock(&f->mu);
	return rc;
}
