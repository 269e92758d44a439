/*
 * alloc_content.c - content with the n-th allocation failing, for n = 1, 2,
 * ... until a run needs fewer: an operation then says -ENOMEM or goes through,
 * nothing acknowledged is lost, the version made afterwards is the canonical
 * one, and all room is given back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/vio.h"
#include "fs/content/content.h"
#include "fs/store/store.h"
#include "tests/sim/alloc.h"
#include "tests/sim/model_content.h"
#include "tests/sim/tmp.h"

#define must(cond)                                                      \
	do {                                                            \
		if (!(cond)) {                                          \
			fprintf(stderr, "alloc_content: line %d: %s\n", \
				__LINE__, #cond);                       \
			abort();                                        \
		}                                                       \
	} while (0)

enum { MAX = 3 << 20 };

struct run {
	struct store *store;
	struct content_pool *pool;
	struct content *c;
	uint8_t *p; /* the oracle */
	size_t n;
	uint8_t *src;
};

static void settle(struct run *r, const struct digest *id, size_t n)
{
	uint64_t keep = alloc_stop(); /* not content's business */

	for (size_t i = 0; i < n; i++)
		(void)store_frame(r->store, &id[i]);
	must(store_settle(r->store, id, n) == 0);
	alloc_fail(keep, false);
}

/* What failed may have been done in part: zeros or the bytes. */
static int put(struct run *r, size_t off, size_t n)
{
	uint64_t at = 0;
	int rc = content_write(r->c, r->src + off, n, off, false, 1, &at);

	must(rc == 0 || rc == -ENOMEM);
	if (rc < 0 && content_read(r->c, r->p + off, n, off) < 0)
		abort();
	if (rc == 0)
		memcpy(r->p + off, r->src + off, n);
	if (r->n < content_size(r->c))
		r->n = content_size(r->c);
	return rc;
}

static int version(struct run *r, struct content_version *v)
{
	int rc = content_version(r->c, v);

	must(rc == 0 || rc == -ENOMEM);
	if (rc == 0) {
		settle(r, v->staged, v->n_staged);
		content_versioned(r->c, v->gen);
		content_version_release(v);
	}
	return rc;
}

static void work(struct run *r)
{
	struct content_version v = { .gen = 0 };
	struct content_saved s = { .extents = NULL };

	for (size_t i = 0; i < 8; i++)
		(void)put(r, i * 200000, 200000);
	for (size_t i = 1; i < 40; i++)
		(void)put(r, i * 50000 + 3, 100);
	if (content_save(r->c, &s) == 0) {
		settle(r, s.staged, s.n_staged);
		content_saved_release(&s);
	}
	(void)version(r, &v);
	for (size_t i = 1; i < 10; i++)
		(void)put(r, i * 150000, 5000);
	if (content_truncate(r->c, 1500000) == 0) {
		memset(r->p + 1500000, 0, MAX - 1500000);
		r->n = 1500000;
	}
	(void)put(r, 1600000, 400000);
	(void)version(r, &v);
}

/* The same bytes, and the root that these bytes have. */
static void check(struct run *r)
{
	struct content_version v = { .gen = 0 };
	struct digest want = { .b = { 0 } };
	uint8_t *q = malloc(MAX);

	must(q && content_size(r->c) == r->n);
	must(content_read(r->c, q, MAX, 0) == (ssize_t)r->n);
	must(memcmp(q, r->p, r->n) == 0);
	must(version(r, &v) == 0);
	model_content_root(&want, r->p, r->n);
	must(digest_eq(&want, &v.root));
	free(q);
}

static bool one(long nth, struct vio *vio, struct store *store)
{
	struct content_pool_options po = { .store = store,
					   .vio = vio,
					   .workers = 1,
					   .dirty_bytes_max = 8 << 20 };
	struct run r = { .store = store };
	struct prng prng = { .seed = 0 };

	prng_init(&prng, (uint64_t)nth); /* no duplicates of the run before */
	r.p = calloc(1, MAX);
	r.src = malloc(MAX);
	must(r.p && r.src);
	model_content_fill(&prng, r.src, MAX);
	must(content_pool_open(&r.pool, &po) == 0);
	must(content_open(&r.c, r.pool, &digest_zero, 0) == 0);
	alloc_begin();
	alloc_fail((uint64_t)nth + 1, false);
	work(&r);
	(void)alloc_stop();
	check(&r);
	content_close(r.c);
	must(content_pool_dirty(r.pool) == 0);
	content_pool_close(r.pool);
	free(r.p);
	free(r.src);
	return alloc_failed();
}

int main(void)
{
	struct store_options so = { .cache_bytes = 1 << 20 };
	struct errmsg em = ERRMSG_INIT;
	struct store *store = NULL;
	struct vio *vio = NULL;
	struct tmp tmp;
	long n = 0;

	(void)alloc_stop();
	tmp_init(&tmp);
	must(vio_posix_open(&vio, tmp.path) == 0);
	so.vio = vio;
	must(store_open(&store, &so, &em) == 0);
	while (n < 100000 && one(n, vio, store))
		n += 1 + n / 16;
	must(n > 20); /* something was there to fail */
	must(store_failed(store) == 0);
	store_close(store);
	vio_free(vio);
	tmp_release(&tmp);
	printf("alloc_content: %ld allocations\n", n);
	return 0;
}
