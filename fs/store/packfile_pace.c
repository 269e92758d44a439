/*
 * packfile_pace.c - a pack that is being filled goes to the disk in small
 * pieces, all along.
 *
 * Left to the flush when it is full, 64 MiB stand in the disk's queue at once,
 * and whoever wants a few KiB flushed waits behind them: an fsync beside a
 * stream took up to 50 ms, on a disk that writes 1.3 GB/s.  So each piece is
 * begun when it is there, after the one before it is written: no more than
 * two are ever not on the disk, and one of them in its queue.  A disk that is
 * slower than the stream is as busy as ever, for the next piece fills meanwhile.
 *
 * What a long stream has brought to the disk is also forgotten by the kernel's
 * page cache.  It would push out what others use, and the next piece gets its
 * pages, which are in the processor's cache still.  In a virtual machine that
 * has its free memory taken away a new page is a fault of the host: copying
 * into packs took 0.2 to 1.2 ms a MiB, and takes 0.17.
 *
 * Invariant: nothing counts as durable by this (packfile.durable moves with
 * flushes alone), but an error here is one of a flush, and not told a second
 * time: the pack is broken by it (packfile_flush.c).
 *
 * Threads: who appends, when he holds no lock: others append meanwhile.
 */
#include <errno.h>

#include "base/vio.h"
#include "fs/store/packfile.h"
#include "fs/store/packfile_int.h"

enum { PIECE = 512 << 10, PAGE = 4096 };

/*
 * True when the bytes [*from, *to) are to be begun; nobody else begins them.
 * They are not to be forgotten, or else those in [f->forgotten, *from) are, now.
 */
static bool due_locked(struct packfile *f, uint64_t *from, uint64_t *to)
	requires_capability(&f->mu)
{
	*from = f->pushed;
	/* the last page is not full: it would be written twice */
	*to = f->end / PAGE * PAGE;
	if (f->state != PACK_OPEN || f->ending || *to < *from + PIECE)
		return false;
	f->pushed = *to;
	return true;
}

int packfile_pace(struct packfile *f, bool forget)
{
	struct vio_file *file = NULL;
	uint64_t forgotten = 0;
	uint64_t from = 0;
	uint64_t to = 0;
	int rc = 0;

	mutex_lock(&f->mu);
	if (f->broken)
		rc = -EIO;
	else if (due_locked(f, &from, &to))
		rc = packfile_pin(f, &file);
	f->pacing += file != NULL;
	if (file) {
		forgotten = f->forgotten;
		f->forgotten = forget ? from : to;
	}
	mutex_unlock(&f->mu);
	if (!file)
		return rc;
	rc = vio_writeback(file, 0, from, true);
	if (rc == 0 && forget && forgotten < from)
		vio_forget(file, forgotten, from - forgotten);
	if (rc == 0)
		rc = vio_writeback(file, from, to - from, false);
	packfile_unpin(f);
	mutex_lock(&f->mu);
	if (rc < 0)
		f->broken = true;
	if (--f->pacing == 0)
		cond_broadcast(&f->quiet);
	mutex_unlock(&f->mu);
	return rc;
}
