/* entry_page.c - see entry_page.h. */
#include "analytics/entry_page.h"

int entry_page_add(void *ctx, const struct idx_entry *e)
{
	struct entry_page *g = ctx;

	g->v[g->n++] = *e;
	return 0;
}
