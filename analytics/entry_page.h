/*
 * entry_page.h - entries of the index, so many at a time: a query fills a page
 * and is over before anything else is asked.
 */
#ifndef ANALYTICS_ENTRY_PAGE_H
#define ANALYTICS_ENTRY_PAGE_H

#include "index/idx_query.h"

enum { ENTRY_PAGE = 256 };

struct entry_page {
	struct idx_entry v[ENTRY_PAGE];
	unsigned n;
};

/* idx_entry_fn, ctx a struct entry_page; at most ENTRY_PAGE are asked for. */
int entry_page_add(void *ctx, const struct idx_entry *e);

#endif
