/*
 * sim_image.c - see sim_image.h.
 *
 * Invariants:
 *  1. A page with more than one reference is never written.
 *  2. Bytes of a page beyond the image's size are zero.
 * An image belongs to one thread at a time; pages may be shared by images of
 * several simulators, so their counts are atomic.  No memory: abort.
 */
#include "tests/sim/sim_image.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

struct sim_page {
	atomic_uint refs;
	_Atomic uint64_t hash; /* 0: to be computed */
	uint8_t b[SIM_PAGE];
};

static void *need(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

static void page_put(struct sim_page *pg)
{
	if (pg != NULL && atomic_fetch_sub(&pg->refs, 1) == 1)
		free(pg);
}

static struct sim_page *page_get(struct sim_page *pg)
{
	if (pg != NULL)
		atomic_fetch_add(&pg->refs, 1);
	return pg;
}

void sim_image_release(struct sim_image *img)
{
	for (size_t i = 0; i < img->npages; i++)
		page_put(img->page[i]);
	free(img->page);
	memset(img, 0, sizeof(*img));
}

static void grow(struct sim_image *img, size_t npages)
{
	size_t cap = img->npages;

	if (npages <= cap)
		return;
	cap = npages > cap * 2 ? npages : cap * 2;
	img->page = need(realloc(img->page, cap * sizeof(struct sim_page *)));
	memset(img->page + img->npages, 0,
	       (cap - img->npages) * sizeof(struct sim_page *));
	img->npages = cap;
}

void sim_image_copy(struct sim_image *to, const struct sim_image *from)
{
	struct sim_image out = { .size = from->size };
	size_t n = from->npages;

	while (n > 0 && from->page[n - 1] == NULL)
		n--;
	grow(&out, n);
	for (size_t i = 0; i < n; i++)
		out.page[i] = page_get(from->page[i]);
	sim_image_release(to);
	*to = out;
}

/* The page, ours alone. */
static struct sim_page *page_own(struct sim_image *img, size_t i)
{
	struct sim_page *old;
	struct sim_page *pg;

	grow(img, i + 1);
	old = img->page[i];
	if (old != NULL && atomic_load(&old->refs) == 1) {
		atomic_store(&old->hash, 0);
		return old;
	}
	if (old != NULL) {
		pg = need(malloc(sizeof(*pg)));
		memcpy(pg->b, old->b, SIM_PAGE);
		page_put(old);
	} else {
		pg = need(calloc(1, sizeof(*pg)));
	}
	atomic_init(&pg->refs, 1);
	atomic_init(&pg->hash, 0);
	img->page[i] = pg;
	return pg;
}

size_t sim_image_read(const struct sim_image *img, void *p, size_t n,
		      uint64_t off)
{
	uint8_t *to = p;
	size_t done = 0;

	if (off >= img->size)
		return 0;
	if (n > img->size - off)
		n = (size_t)(img->size - off);
	while (done < n) {
		size_t i = (size_t)((off + done) / SIM_PAGE);
		size_t at = (size_t)((off + done) % SIM_PAGE);
		size_t k = n - done < SIM_PAGE - at ? n - done : SIM_PAGE - at;

		if (i < img->npages && img->page[i] != NULL)
			memcpy(to + done, img->page[i]->b + at, k);
		else
			memset(to + done, 0, k);
		done += k;
	}
	return n;
}

void sim_image_write(struct sim_image *img, const void *p, size_t n,
		     uint64_t off)
{
	const uint8_t *from = p;

	if (n > 0 && off + n > img->size)
		img->size = off + n;
	while (n > 0) {
		size_t at = (size_t)(off % SIM_PAGE);
		size_t k = n < SIM_PAGE - at ? n : SIM_PAGE - at;

		memcpy(page_own(img, (size_t)(off / SIM_PAGE))->b + at, from,
		       k);
		from += k;
		off += k;
		n -= k;
	}
}

void sim_image_truncate(struct sim_image *img, uint64_t size)
{
	size_t keep = (size_t)((size + SIM_PAGE - 1) / SIM_PAGE);
	size_t at = (size_t)(size % SIM_PAGE);

	if (size < img->size) {
		for (size_t i = keep; i < img->npages; i++) {
			page_put(img->page[i]);
			img->page[i] = NULL;
		}
		if (at != 0 && keep <= img->npages &&
		    img->page[keep - 1] != NULL)
			memset(page_own(img, keep - 1)->b + at, 0,
			       SIM_PAGE - at);
	}
	img->size = size;
}

void sim_image_share(struct sim_image *to, const struct sim_image *from,
		     uint64_t off, uint64_t n)
{
	if (n == 0)
		return;
	for (uint64_t i = off / SIM_PAGE; i <= (off + n - 1) / SIM_PAGE; i++) {
		struct sim_page *pg = NULL;

		if (i < from->npages)
			pg = page_get(from->page[i]);
		if (pg != NULL)
			grow(to, (size_t)i + 1);
		if (i < to->npages) {
			page_put(to->page[i]);
			to->page[i] = pg;
		}
	}
}

bool sim_image_has_page(const struct sim_image *img, uint64_t i)
{
	return i < img->npages && img->page[i] != NULL;
}

const uint8_t *sim_image_page(const struct sim_image *img, uint64_t i)
{
	return sim_image_has_page(img, i) ? img->page[i]->b : NULL;
}

uint64_t sim_image_page_hash(const struct sim_image *img, uint64_t i)
{
	static const uint8_t zeros[SIM_PAGE];
	struct sim_page *pg = i < img->npages ? img->page[i] : NULL;
	uint64_t h;

	if (pg == NULL)
		return SIM_PAGE_ZERO;
	h = atomic_load(&pg->hash);
	if (h == 0) {
		h = memcmp(pg->b, zeros, SIM_PAGE) == 0 ?
			    SIM_PAGE_ZERO :
			    XXH3_64bits(pg->b, SIM_PAGE) | 2;
		atomic_store(&pg->hash, h);
	}
	return h;
}

uint64_t sim_image_pages(const struct sim_image *img)
{
	uint64_t n = 0;

	for (size_t i = 0; i < img->npages; i++)
		n += img->page[i] != NULL;
	return n;
}
