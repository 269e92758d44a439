/*
 * leafcell.c - see leafcell.h.
 */
#include "fs/commit/leafcell.h"

#include <assert.h>
#include <stdlib.h>

struct leafcell *leafcell_new(void)
{
	struct leafcell *c = calloc(1, sizeof(*c));

	if (c)
		atomic_init(&c->refs, 1);
	return c;
}

struct leafcell *leafcell_known_new(const struct digest *leaf,
				    uint64_t entry_no)
{
	struct leafcell *c = leafcell_new();

	if (c) {
		leafcell_set(c, leaf);
		atomic_store(&c->entry_no, entry_no);
	}
	return c;
}

struct leafcell *leafcell_hold(struct leafcell *c)
{
	if (c)
		atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

void leafcell_drop(struct leafcell *c)
{
	if (c && atomic_fetch_sub(&c->refs, 1) == 1)
		free(c);
}

void leafcell_set(struct leafcell *c, const struct digest *leaf)
{
	assert(!leafcell_known(c));
	c->leaf = *leaf;
	atomic_store_explicit(&c->known, true, memory_order_release);
}

bool leafcell_known(const struct leafcell *c)
{
	return atomic_load_explicit(&c->known, memory_order_acquire);
}
