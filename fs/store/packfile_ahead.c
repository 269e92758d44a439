/*
 * packfile_ahead.c - tells the kernel how a pack is being read.
 *
 * Left to itself it reads 128 KiB around a lone chunk of 64, and a random read
 * of 4 KiB costs more disk and page cache than it must (103 instead of 67 KiB
 * on the average).  So packs are opened as read at random, and when reads
 * follow one another they are a stream, with twice the usual readahead: 2.5
 * times the speed of a cold disk, in half the CPU, since pages come in large
 * folios.  The kernel asks for several pieces of a file at once, so the request
 * threads read up to 5 MiB apart; taken for strangers, which they were within
 * half a MiB, every other read turned the stream off again.
 *
 * A lone small read, of a node of the file's tree, ends no stream.
 *
 * All of it is hints: no lock, and a race costs a hint.
 *
 * Threads: any, with the file pinned.
 */
#include "base/vio.h"
#include "fs/store/packfile.h"
#include "fs/store/packfile_int.h"

enum {
	NEAR = 8 << 20,	  /* from the end of the last read: goes on */
	STREAK = 2,	  /* so many of them are a stream */
	SMALL = 16 << 10, /* = CHUNKER_MIN: no chunk of a stream is less */
};

void packfile_ahead(struct packfile *f, struct vio_file *file, uint64_t off,
		    uint64_t n)
{
	uint64_t next = atomic_load(&f->next);
	bool far = off + NEAR < next || off > next + NEAR;

	if (far && n < SMALL)
		return;
	atomic_store(&f->next, off + n);
	if (far) {
		if (atomic_exchange(&f->streak, 0) > STREAK)
			vio_advise(file, VIO_RANDOM);
	} else if (atomic_fetch_add(&f->streak, 1) == STREAK) {
		vio_advise(file, VIO_STREAM);
	}
}
