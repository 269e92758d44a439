/*
 * sim_image.h - the bytes of a simulated file: sparse, in pages of 4 KiB that
 * images share until one of them writes.
 */
#ifndef TESTS_SIM_SIM_IMAGE_H
#define TESTS_SIM_SIM_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SIM_PAGE = 4096, SIM_PAGE_ZERO = 1 };

struct sim_page;

struct sim_image {
	uint64_t size;
	struct sim_page **page; /* NULL: a hole */
	size_t npages;
};

/* A zeroed struct is an empty image. */
void sim_image_release(struct sim_image *img);
/* `to` is released and becomes a copy that shares all pages. */
void sim_image_copy(struct sim_image *to, const struct sim_image *from);
/* Bytes read; short at the end. */
size_t sim_image_read(const struct sim_image *img, void *p, size_t n,
		      uint64_t off);
void sim_image_write(struct sim_image *img, const void *p, size_t n,
		     uint64_t off);
void sim_image_truncate(struct sim_image *img, uint64_t size);
/* Makes `to` see the same pages as `from` in the range; sizes are untouched. */
void sim_image_share(struct sim_image *to, const struct sim_image *from,
		     uint64_t off, uint64_t n);
bool sim_image_has_page(const struct sim_image *img, uint64_t i);
/* The bytes of page i, zeros beyond the end; NULL: a hole. */
const uint8_t *sim_image_page(const struct sim_image *img, uint64_t i);
/* Of page i's bytes; kept with the page.  SIM_PAGE_ZERO: zeros, or a hole. */
uint64_t sim_image_page_hash(const struct sim_image *img, uint64_t i);
uint64_t sim_image_pages(const struct sim_image *img);

#endif
