/*
 * pend.c - see pend.h.
 */
#include "fs/commit/pend.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "fs/commit/leafcell.h"

struct pend *pend_new(uint16_t kind, size_t cap)
{
	struct pend *p = calloc(1, sizeof(*p) + cap + 1);

	if (!p)
		return NULL;
	p->cell = leafcell_new();
	if (!p->cell) {
		free(p);
		return NULL;
	}
	p->e.core.kind = kind;
	p->e.body.kind = kind;
	p->cap_data = cap;
	return p;
}

const uint8_t *pend_bytes(struct pend *p, const void *s, size_t n)
{
	char *at = p->data + p->n_data;

	assert(n <= p->cap_data - p->n_data);
	if (n > 0)
		memcpy(at, s, n);
	p->n_data += n;
	return (const uint8_t *)at;
}

struct entry_str pend_str(struct pend *p, const char *s, size_t n)
{
	return (struct entry_str){
		.p = (const char *)pend_bytes(p, s, n),
		.n = n,
	};
}

void pend_free(struct pend *p)
{
	if (!p)
		return;
	leafcell_drop(p->cell);
	leafcell_drop(p->actor);
	leafcell_drop(p->reads);
	leafcell_drop(p->extents);
	leafcell_drop(p->subject);
	if (p->items) {
		for (unsigned i = 0; i < p->e.body.reads.n; i++)
			leafcell_drop(p->items[i]);
		free(p->items);
	}
	free(p->staged);
	free(p->arrays);
	free(p);
}
