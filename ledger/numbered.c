/*
 * numbered.c - lists and names files called NNNNNNNN.suffix.  Any thread.
 */
#include "ledger/numbered.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/vio.h"

struct lister {
	struct numbered *out;
	const char *suffix;
};

void numbered_path(char out[NUMBERED_PATH_MAX], const char *dir,
		   uint32_t number, const char *suffix)
{
	int n = snprintf(out, NUMBERED_PATH_MAX, "%s/%08u%s", dir, number,
			 suffix);

	assert(number <= NUMBERED_LAST && n > 0 && n < NUMBERED_PATH_MAX);
	(void)n;
}

static int add(struct numbered *n, uint32_t number)
{
	if (n->n == n->cap) {
		size_t cap = n->cap ? 2 * n->cap : 64;
		uint32_t *v = reallocarray(n->v, cap, sizeof(*v));

		if (v == NULL)
			return -ENOMEM;
		n->v = v;
		n->cap = cap;
	}
	n->v[n->n++] = number;
	return 0;
}

static int on_name(void *ctx, const char *name)
{
	struct lister *l = ctx;
	uint32_t number = 0;

	for (int i = 0; i < 8; i++) {
		if (name[i] < '0' || name[i] > '9')
			return 0;
		number = number * 10 + (uint32_t)(name[i] - '0');
	}
	if (strcmp(name + 8, l->suffix) != 0)
		return 0;
	return add(l->out, number);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

int numbered_list(struct numbered *out, struct vio *v, const char *dir,
		  const char *suffix)
{
	struct lister l = { .out = out, .suffix = suffix };
	int rc = vio_list(v, dir, on_name, &l);

	if (rc < 0)
		return rc;
	if (out->n > 1)
		qsort(out->v, out->n, sizeof(*out->v), compare);
	return 0;
}

void numbered_release(struct numbered *n)
{
	free(n->v);
	*n = (struct numbered){ .v = NULL };
}
