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
 * Invariant: nothing counts as durable by this (packfile.durable moves with
 * flushes alone), but an error here is one of a flush: it may not be told a
 * second time.
 *
 * Threads: who appends.
 */
#include "base/vio.h"
#include "fs/packfile.h"
#include "fs/packfile_int.h"

enum { PIECE = 512 << 10, PAGE = 4096 };

bool packfile_piece_due(struct packfile *f, struct packfile_piece *out)
{
	/* the last page is not full: it would be written twice */
	uint64_t to = f->end / PAGE * PAGE;

	if (to < f->pushed + PIECE)
		return false;
	out->from = f->pushed;
	out->to = to;
	f->pushed = to;
	return true;
}

int packfile_piece_write(struct vio_file *file, const struct packfile_piece *p)
{
	int rc = vio_writeback(file, 0, p->from, true);

	return rc < 0 ? rc :
			vio_writeback(file, p->from, p->to - p->from, false);
}
