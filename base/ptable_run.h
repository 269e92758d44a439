/*
 * ptable_run.h - one sorted, immutable file of a ptable: written once from a
 * sorted stream, then searched with one page read per lookup.  Private to
 * ptable; the bytes are in ptable_format.h.
 */
#ifndef BASE_PTABLE_RUN_H
#define BASE_PTABLE_RUN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/ptable_mem.h"

struct vio;
struct vio_file;

struct ptable_run {
	atomic_uint refs;
	uint64_t id;
	uint64_t nrecs;
	uint32_t npages;
	uint32_t level;
	uint64_t nblocks; /* of the filter */
	uint64_t meta_hash;
	struct vio_file *file;
	uint64_t *fence; /* first key of each page */
	uint8_t *filter; /* NULL when nblocks is 0 */
};

struct ptable_run *ptable_run_get(struct ptable_run *r);
/* Closes the file with the last reference; NULL is a no-op. */
void ptable_run_put(struct ptable_run *r);
/*
 * Opens the run that `like` (a row of the manifest: id, nrecs, npages, level,
 * nblocks, meta_hash) tells of.  Expected error: -ERR_CORRUPT.
 */
int must_use ptable_run_open(struct ptable_run **out, struct vio *v,
			     const char *path, const struct ptable_run *like);
/* Adds what the run says of the key.  Any thread. */
int must_use ptable_run_find(const struct ptable_run *r, uint64_t key,
			     struct ptable_hits *out);
/* False: the key is not in the run. */
bool ptable_run_may_have(const struct ptable_run *r, uint64_t key);
/* Bytes of memory. */
size_t ptable_run_bytes(const struct ptable_run *r);

/* Reads a run, or a sorted array, from the first record to the last. */
struct ptable_cursor {
	const struct ptable_run *run; /* NULL: the array */
	const struct ptable_rec *v;
	uint64_t n; /* of the array or the run */
	uint64_t at;
	uint8_t *pages;
	uint32_t first_page; /* of those in memory */
	uint32_t have_pages;
	struct ptable_rec rec;
	bool end;
};

int must_use ptable_cursor_run(struct ptable_cursor *c,
			       const struct ptable_run *r);
void ptable_cursor_array(struct ptable_cursor *c, const struct ptable_rec *v,
			 size_t n);
void ptable_cursor_release(struct ptable_cursor *c);
/* Moves on; sets end after the last.  Checks every page it reads. */
int must_use ptable_cursor_next(struct ptable_cursor *c);

/*
 * Merges n cursors, newest first, into one stream without doubles: the newest
 * word on a pair wins.  Records that say "gone" are passed on unless
 * drop_gone.  fn: nonzero stops and is returned.
 */
typedef int ptable_rec_fn(void *ctx, const struct ptable_rec *rec);
int must_use ptable_merge(struct ptable_cursor *v, size_t n, bool drop_gone,
			  ptable_rec_fn *fn, void *ctx);

/* Writes a run from a sorted stream. */
struct ptable_writer;
/* max_recs sizes the filter: at most max_filter bytes. */
int must_use ptable_writer_open(struct ptable_writer **out, struct vio *v,
				const char *path, uint64_t id,
				uint64_t max_recs, uint64_t max_filter);
int must_use ptable_writer_add(struct ptable_writer *w,
			       const struct ptable_rec *rec);
/*
 * Makes the bytes durable (not the name) and gives the run, or NULL when no
 * record was added (there is no file then).  The writer is over either way.
 */
int must_use ptable_writer_finish(struct ptable_writer *w,
				  struct ptable_run **out, uint32_t level);
/* Gives up and deletes the file; NULL is a no-op. */
void ptable_writer_abort(struct ptable_writer *w);

#endif
