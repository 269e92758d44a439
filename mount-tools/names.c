/* names.c - see names.h. */
#include "mount-tools/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "index/idx_query.h"

enum { NAMES = 256 };

struct page {
	struct {
		char name[LIMIT_NAME + 1];
		uint64_t ino;
	} v[NAMES];
	unsigned n;
};

static int on_name(void *ctx, const struct name_row *row, const char *name,
		   uint16_t len)
{
	struct page *l = ctx;

	memcpy(l->v[l->n].name, name, len);
	l->v[l->n].name[len] = '\0';
	l->v[l->n++].ino = row->ino;
	return 0;
}

int names_at(struct idx_reader *r, uint64_t dir, uint64_t at, names_fn *fn,
	     void *ctx)
{
	autofree struct page *l = calloc(1, sizeof(*l));
	char after[LIMIT_NAME + 1] = "";
	int rc = l ? 1 : -ENOMEM;

	while (rc > 0) {
		l->n = 0;
		rc = idx_names_at(r, dir, after, (uint16_t)strlen(after), NAMES,
				  at, on_name, l);
		if (l->n > 0)
			memcpy(after, l->v[l->n - 1].name, sizeof(after));
		for (unsigned i = 0; rc >= 0 && i < l->n; i++) {
			int one = fn(ctx, l->v[i].name, l->v[i].ino);

			rc = one < 0 ? one : rc;
		}
	}
	return rc;
}
