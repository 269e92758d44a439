/*
 * ptable_run.c - reading sorted runs: opening, searching, walking, merging.
 * Writing is in ptable_writer.c; the bytes are in ptable_format.h.
 *
 * Invariants:
 *  1. A run never changes; any thread may search it while it holds a
 *     reference.
 *  2. No page is believed before its checksum was verified, and the checksum
 *     is bound to the run and the page number.
 *  3. fence[] is ascending; records ascend over the whole file.
 */
#include "base/ptable_run.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/ptable_format.h"
#include "base/vio.h"

enum { CURSOR_PAGES = 16 };

struct ptable_run *ptable_run_get(struct ptable_run *r)
{
	atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
	return r;
}

void ptable_run_put(struct ptable_run *r)
{
	if (r == NULL ||
	    atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
		return;
	vio_close(r->file);
	free(r->fence);
	free(r->filter);
	free(r);
}

size_t ptable_run_bytes(const struct ptable_run *r)
{
	return sizeof(*r) + (size_t)r->npages * sizeof(r->fence[0]) +
	       (size_t)r->nblocks * PTABLE_FILTER_BLOCK;
}

/* Checks and decodes the meta section, which is n bytes. */
static int meta_decode(struct ptable_run *r, const uint8_t *p, size_t n)
{
	struct breader rd;
	uint64_t hash;

	breader_init(&rd, p + n - 8, 8);
	hash = breader_u64(&rd);
	if (hash != XXH64(p, n - 8, r->id) || hash != r->meta_hash)
		return -ERR_CORRUPT;
	breader_init(&rd, p, n - 8);
	if (breader_u64(&rd) != PTABLE_RUN_MAGIC || breader_u64(&rd) != r->id ||
	    breader_u64(&rd) != r->nrecs || breader_u32(&rd) != r->npages ||
	    breader_u32(&rd) != 0 || breader_u64(&rd) != r->nblocks)
		return -ERR_CORRUPT;
	for (uint32_t i = 0; i < r->npages; i++) {
		r->fence[i] = breader_u64(&rd);
		if (i > 0 && r->fence[i] < r->fence[i - 1])
			return -ERR_CORRUPT;
	}
	if (r->filter != NULL)
		breader_copy(&rd, r->filter,
			     (size_t)r->nblocks * PTABLE_FILTER_BLOCK);
	return breader_done(&rd) ? 0 : -ERR_CORRUPT;
}

static int meta_read(struct ptable_run *r)
{
	autofree uint8_t *p = NULL;
	struct vio_stat st;
	size_t n;
	int rc = vio_fstat(r->file, &st);

	if (rc < 0)
		return rc;
	/* What no writer makes is not asked memory for. */
	if (r->npages == 0 || r->npages > UINT32_MAX / 2 ||
	    r->nrecs > (uint64_t)r->npages * PTABLE_PAGE_RECS ||
	    r->nrecs <= (uint64_t)(r->npages - 1) * PTABLE_PAGE_RECS ||
	    r->nblocks > st.size / PTABLE_FILTER_BLOCK)
		return -ERR_CORRUPT;
	n = PTABLE_META_HEADER + (size_t)r->npages * 8 +
	    (size_t)r->nblocks * PTABLE_FILTER_BLOCK + 8;
	if (st.size != (uint64_t)r->npages * PTABLE_PAGE + n)
		return -ERR_CORRUPT;
	p = malloc(n);
	r->fence = malloc((size_t)r->npages * sizeof(r->fence[0]));
	if (r->nblocks > 0)
		r->filter = malloc((size_t)r->nblocks * PTABLE_FILTER_BLOCK);
	if (p == NULL || r->fence == NULL ||
	    (r->nblocks > 0 && r->filter == NULL))
		return -ENOMEM;
	rc = vio_pread_full(r->file, p, n, (uint64_t)r->npages * PTABLE_PAGE);
	if (rc < 0)
		return rc == -ERR_SHORT ? -ERR_CORRUPT : rc;
	return meta_decode(r, p, n);
}

int ptable_run_open(struct ptable_run **out, struct vio *v, const char *path,
		    const struct ptable_run *like)
{
	char name[LIMIT_PATH + 1];
	struct ptable_run *r = calloc(1, sizeof(*r));
	int rc;

	*out = NULL;
	if (r == NULL)
		return -ENOMEM;
	atomic_init(&r->refs, 1);
	r->id = like->id;
	r->nrecs = like->nrecs;
	r->npages = like->npages;
	r->level = like->level;
	r->nblocks = like->nblocks;
	r->meta_hash = like->meta_hash;
	snprintf(name, sizeof(name), "%s.run-%016llx", path,
		 (unsigned long long)r->id);
	rc = vio_open(v, &r->file, name, VIO_READ);
	if (rc == 0)
		rc = meta_read(r);
	else if (rc == -ENOENT)
		rc = -ERR_CORRUPT;
	if (rc < 0) {
		ptable_run_put(r);
		return rc;
	}
	*out = r;
	return 0;
}

bool ptable_run_may_have(const struct ptable_run *r, uint64_t key)
{
	const uint8_t *block;
	uint64_t h = ptable_mix(key);

	if (r->nblocks == 0)
		return true;
	block = r->filter + (size_t)((unsigned __int128)h * r->nblocks >> 64) *
				    PTABLE_FILTER_BLOCK;
	h = ptable_mix(h);
	for (int i = 0; i < 6; i++, h >>= 9)
		if (!(block[h >> 3 & 63] & 1u << (h & 7)))
			return false;
	return true;
}

/* Verifies page i; the number of its records or -ERR_CORRUPT. */
static int page_check(const struct ptable_run *r, const uint8_t *page,
		      uint32_t i)
{
	struct breader rd;
	uint64_t want = PTABLE_PAGE_RECS;
	uint16_t n;

	breader_init(&rd, page, PTABLE_PAGE_HEADER);
	if (breader_u64(&rd) != XXH64(page + 8, PTABLE_PAGE - 8, r->id + i))
		return -ERR_CORRUPT;
	n = breader_u16(&rd);
	if (i == r->npages - 1)
		want = r->nrecs - (uint64_t)i * PTABLE_PAGE_RECS;
	return n == want ? n : -ERR_CORRUPT;
}

static void page_rec(const uint8_t *page, uint32_t i, struct ptable_rec *out)
{
	struct breader rd;

	assert(i < PTABLE_PAGE_RECS);
	breader_init(&rd, page + PTABLE_PAGE_HEADER + i * PTABLE_REC,
		     PTABLE_REC);
	out->key = breader_u64(&rd);
	out->value = breader_u64(&rd);
	out->gone = (page[16 + i / 8] & 1u << i % 8) != 0;
}

/* Adds the records of the key in one page. */
static int page_find(const uint8_t *page, uint32_t n, uint64_t key,
		     struct ptable_hits *out)
{
	struct ptable_rec rec;
	uint32_t lo = 0;
	uint32_t hi = n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		page_rec(page, mid, &rec);
		if (rec.key < key)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < n; lo++) {
		int rc;

		page_rec(page, lo, &rec);
		if (rec.key != key)
			break;
		rc = ptable_hits_add(out, &rec);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int ptable_run_find(const struct ptable_run *r, uint64_t key,
		    struct ptable_hits *out)
{
	uint8_t page[PTABLE_PAGE];
	uint32_t lo = 0;
	uint32_t hi = r->npages;

	if (!ptable_run_may_have(r, key))
		return 0;
	/* The first page whose fence is >= key; the key may begin before. */
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (r->fence[mid] < key)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo > 0)
		lo--;
	for (; lo < r->npages && r->fence[lo] <= key; lo++) {
		int rc = vio_pread_full(r->file, page, sizeof(page),
					(uint64_t)lo * PTABLE_PAGE);

		if (rc == 0)
			rc = page_check(r, page, lo);
		if (rc >= 0)
			rc = page_find(page, (uint32_t)rc, key, out);
		if (rc < 0)
			return rc == -ERR_SHORT ? -ERR_CORRUPT : rc;
	}
	return 0;
}

int ptable_cursor_run(struct ptable_cursor *c, const struct ptable_run *r)
{
	memset(c, 0, sizeof(*c));
	c->run = r;
	c->n = r->nrecs;
	c->pages = malloc((size_t)CURSOR_PAGES * PTABLE_PAGE);
	return c->pages != NULL ? 0 : -ENOMEM;
}

void ptable_cursor_array(struct ptable_cursor *c, const struct ptable_rec *v,
			 size_t n)
{
	memset(c, 0, sizeof(*c));
	c->v = v;
	c->n = n;
}

void ptable_cursor_release(struct ptable_cursor *c)
{
	free(c->pages);
	c->pages = NULL;
}

/* Reads and checks the pages from number `first` on. */
static int cursor_fill(struct ptable_cursor *c, uint32_t first)
{
	const struct ptable_run *r = c->run;
	uint32_t n = r->npages - first;
	int rc;

	if (n > CURSOR_PAGES)
		n = CURSOR_PAGES;
	rc = vio_pread_full(r->file, c->pages, (size_t)n * PTABLE_PAGE,
			    (uint64_t)first * PTABLE_PAGE);
	if (rc < 0)
		return rc == -ERR_SHORT ? -ERR_CORRUPT : rc;
	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *page = c->pages + (size_t)i * PTABLE_PAGE;
		struct ptable_rec rec;

		rc = page_check(r, page, first + i);
		if (rc < 0)
			return rc;
		page_rec(page, 0, &rec);
		if (rec.key != r->fence[first + i])
			return -ERR_CORRUPT;
	}
	c->first_page = first;
	c->have_pages = n;
	return 0;
}

int ptable_cursor_next(struct ptable_cursor *c)
{
	struct ptable_rec last = c->rec;
	uint32_t page;
	int rc;

	if (c->at == c->n) {
		c->end = true;
		return 0;
	}
	if (c->run == NULL) {
		c->rec = c->v[c->at++];
		return 0;
	}
	page = (uint32_t)(c->at / PTABLE_PAGE_RECS);
	if (page >= c->first_page + c->have_pages) {
		rc = cursor_fill(c, page);
		if (rc < 0)
			return rc;
	}
	page_rec(c->pages + (size_t)(page - c->first_page) * PTABLE_PAGE,
		 (uint32_t)(c->at % PTABLE_PAGE_RECS), &c->rec);
	if (c->at > 0 && ptable_rec_compare(&last, &c->rec) >= 0)
		return -ERR_CORRUPT;
	c->at++;
	return 0;
}

int ptable_merge(struct ptable_cursor *v, size_t n, bool drop_gone,
		 ptable_rec_fn *fn, void *ctx)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = ptable_cursor_next(&v[i]);
	while (rc == 0) {
		struct ptable_cursor *best = NULL;
		struct ptable_rec rec;

		/* The first of equals is the newest. */
		for (size_t i = 0; i < n; i++)
			if (!v[i].end &&
			    (best == NULL ||
			     ptable_rec_compare(&v[i].rec, &best->rec) < 0))
				best = &v[i];
		if (best == NULL)
			break;
		rec = best->rec;
		if (!rec.gone || !drop_gone)
			rc = fn(ctx, &rec);
		for (size_t i = 0; i < n && rc == 0; i++)
			if (!v[i].end &&
			    ptable_rec_compare(&v[i].rec, &rec) == 0)
				rc = ptable_cursor_next(&v[i]);
	}
	return rc;
}
