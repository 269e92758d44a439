/*
 * ptable_writer.c - writes one sorted run; see ptable_run.h and the bytes in
 * ptable_format.h.  One thread per writer.
 *
 * A run that is not finished leaves no file behind, except after a crash:
 * such a file is named by no manifest and removed at the next open.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/ptable_format.h"
#include "base/ptable_run.h"
#include "base/vio.h"

enum { WRITER_PAGES = 64 };
enum { FILTER_BITS = 10 };    /* per record, where memory allows */
enum { FILTER_BITS_MIN = 5 }; /* fewer are not worth it */

struct ptable_writer {
	struct vio *vio;
	char name[LIMIT_PATH + 1];
	struct ptable_run *run;
	uint8_t *pages;
	uint32_t full_pages; /* of those in memory, complete */
	uint32_t in_page;    /* records in the one behind them */
	uint32_t fence_cap;
	struct ptable_rec last;
};

static void writer_free(struct ptable_writer *w)
{
	ptable_run_put(w->run);
	free(w->pages);
	free(w);
}

void ptable_writer_abort(struct ptable_writer *w)
{
	int rc;

	if (w == NULL)
		return;
	rc = vio_unlink(w->vio, w->name);
	(void)rc; /* removed at the next open, then */
	writer_free(w);
}

/* Blocks for so many records within the budget; 0 for none. */
static uint64_t filter_blocks(uint64_t recs, uint64_t max_bytes)
{
	uint64_t block_bits = (uint64_t)PTABLE_FILTER_BLOCK * 8;
	uint64_t blocks = (recs * FILTER_BITS + block_bits - 1) / block_bits;

	if (blocks > max_bytes / PTABLE_FILTER_BLOCK)
		blocks = max_bytes / PTABLE_FILTER_BLOCK;
	return blocks * block_bits >= recs * FILTER_BITS_MIN ? blocks : 0;
}

int ptable_writer_open(struct ptable_writer **out, struct vio *v,
		       const char *path, uint64_t id, uint64_t max_recs,
		       uint64_t max_filter)
{
	struct ptable_writer *w = calloc(1, sizeof(*w));
	struct ptable_run *r = calloc(1, sizeof(*r));
	int rc = -ENOMEM;

	*out = NULL;
	if (w == NULL || r == NULL) {
		free(w);
		free(r);
		return -ENOMEM;
	}
	w->vio = v;
	w->run = r;
	atomic_init(&r->refs, 1);
	r->id = id;
	r->nblocks = filter_blocks(max_recs, max_filter);
	snprintf(w->name, sizeof(w->name), "%s.run-%016llx", path,
		 (unsigned long long)id);
	w->pages = calloc(WRITER_PAGES, PTABLE_PAGE);
	if (r->nblocks > 0)
		r->filter = calloc((size_t)r->nblocks, PTABLE_FILTER_BLOCK);
	if (w->pages != NULL && (r->nblocks == 0 || r->filter != NULL))
		rc = vio_open(v, &r->file, w->name,
			      VIO_WRITE | VIO_CREATE | VIO_EXCL);
	if (rc < 0) {
		writer_free(w);
		return rc;
	}
	*out = w;
	return 0;
}

/* Writes the complete pages out. */
static int pages_out(struct ptable_writer *w)
{
	struct ptable_run *r = w->run;
	uint32_t n = w->full_pages;
	uint32_t first = r->npages - n;

	if (n == 0)
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		uint8_t *page = w->pages + (size_t)i * PTABLE_PAGE;
		struct bwriter bw;

		bwriter_init(&bw, page, 8);
		bwriter_u64(&bw, XXH64(page + 8, PTABLE_PAGE - 8,
				       r->id + first + i));
	}
	w->full_pages = 0;
	return vio_pwrite(r->file, w->pages, (size_t)n * PTABLE_PAGE,
			  (uint64_t)first * PTABLE_PAGE);
}

static void page_close(struct ptable_writer *w)
{
	uint8_t *page = w->pages + (size_t)w->full_pages * PTABLE_PAGE;
	struct bwriter bw;

	assert(w->in_page > 0 && w->in_page <= PTABLE_PAGE_RECS);
	bwriter_init(&bw, page + 8, 2);
	bwriter_u16(&bw, (uint16_t)w->in_page);
	w->full_pages++;
	w->in_page = 0;
}

static int page_begin(struct ptable_writer *w, uint64_t key)
{
	struct ptable_run *r = w->run;
	int rc = 0;

	if (w->full_pages == WRITER_PAGES)
		rc = pages_out(w);
	if (rc < 0)
		return rc;
	if (r->npages == w->fence_cap) {
		uint32_t cap = w->fence_cap == 0 ? 64 : w->fence_cap * 2;
		uint64_t *f = realloc(r->fence, cap * sizeof(*f));

		if (f == NULL)
			return -ENOMEM;
		r->fence = f;
		w->fence_cap = cap;
	}
	r->fence[r->npages++] = key;
	memset(w->pages + (size_t)w->full_pages * PTABLE_PAGE, 0, PTABLE_PAGE);
	return 0;
}

static void filter_add(struct ptable_run *r, uint64_t key)
{
	uint64_t h = ptable_mix(key);
	uint8_t *block;

	if (r->nblocks == 0)
		return;
	block = r->filter + (size_t)((unsigned __int128)h * r->nblocks >> 64) *
				    PTABLE_FILTER_BLOCK;
	h = ptable_mix(h);
	for (int i = 0; i < 6; i++, h >>= 9)
		block[h >> 3 & 63] |= (uint8_t)(1u << (h & 7));
}

int ptable_writer_add(struct ptable_writer *w, const struct ptable_rec *rec)
{
	struct ptable_run *r = w->run;
	struct bwriter bw;
	uint8_t *page;

	assert(r->nrecs == 0 || ptable_rec_compare(&w->last, rec) < 0);
	if (w->in_page == 0) {
		int rc = page_begin(w, rec->key);

		if (rc < 0)
			return rc;
	}
	page = w->pages + (size_t)w->full_pages * PTABLE_PAGE;
	bwriter_init(&bw,
		     page + PTABLE_PAGE_HEADER +
			     (size_t)w->in_page * PTABLE_REC,
		     PTABLE_REC);
	bwriter_u64(&bw, rec->key);
	bwriter_u64(&bw, rec->value);
	if (rec->gone)
		page[16 + w->in_page / 8] |= (uint8_t)(1u << w->in_page % 8);
	filter_add(r, rec->key);
	w->last = *rec;
	r->nrecs++;
	if (++w->in_page == PTABLE_PAGE_RECS)
		page_close(w);
	return 0;
}

static int meta_out(struct ptable_run *r)
{
	struct buf b = BUF_INIT;
	int rc = -ENOMEM;

	buf_u64(&b, PTABLE_RUN_MAGIC);
	buf_u64(&b, r->id);
	buf_u64(&b, r->nrecs);
	buf_u32(&b, r->npages);
	buf_u32(&b, 0);
	buf_u64(&b, r->nblocks);
	for (uint32_t i = 0; i < r->npages; i++)
		buf_u64(&b, r->fence[i]);
	if (r->nblocks > 0)
		buf_add(&b, r->filter,
			(size_t)r->nblocks * PTABLE_FILTER_BLOCK);
	if (!b.bad) {
		r->meta_hash = XXH64(b.p, b.n, r->id);
		buf_u64(&b, r->meta_hash);
	}
	if (!b.bad)
		rc = vio_pwrite(r->file, b.p, b.n,
				(uint64_t)r->npages * PTABLE_PAGE);
	buf_release(&b);
	return rc;
}

int ptable_writer_finish(struct ptable_writer *w, struct ptable_run **out,
			 uint32_t level)
{
	struct ptable_run *r = w->run;
	int rc;

	*out = NULL;
	if (r->nrecs == 0) {
		ptable_writer_abort(w);
		return 0;
	}
	if (w->in_page > 0)
		page_close(w);
	rc = pages_out(w);
	if (rc == 0)
		rc = meta_out(r);
	if (rc == 0)
		rc = vio_fdatasync(r->file);
	if (rc < 0) {
		ptable_writer_abort(w);
		return rc;
	}
	r->level = level;
	*out = r;
	w->run = NULL;
	writer_free(w);
	return 0;
}
