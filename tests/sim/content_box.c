/*
 * content_box.c - see content_box.h.  One thread per box.
 */
#include "tests/sim/content_box.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "fs/content/content.h"
#include "fs/store/store.h"
#include "tests/sim/vio_sim.h"

#define must(cond)                                                    \
	do {                                                          \
		if (!(cond)) {                                        \
			fprintf(stderr, "content_box: line %d: %s\n", \
				__LINE__, #cond);                     \
			abort();                                      \
		}                                                     \
	} while (0)

static void open_all(struct content_box *b)
{
	struct vio *vio = vio_sim_vio(b->sim);
	struct store_options so = { .vio = vio, .cache_bytes = 2 << 20 };
	struct content_pool_options po = { .vio = vio,
					   .dirty_bytes_max = b->dirty_max,
					   .extents_max = b->extents_max,
					   .digests_later = b->digests_later };
	struct errmsg em = ERRMSG_INIT;

	must(store_open(&b->store, &so, &em) == 0);
	po.store = b->store;
	must(content_pool_open(&b->pool, &po) == 0);
}

void content_box_init(struct content_box *b, uint64_t dirty_max)
{
	b->sim = vio_sim_new(NULL);
	b->dirty_max = dirty_max;
	open_all(b);
}

static void close_all(struct content_box *b)
{
	must(content_pool_dirty(b->pool) == 0);
	content_pool_close(b->pool);
	store_close(b->store);
}

void content_box_release(struct content_box *b)
{
	close_all(b);
	vio_sim_free(b->sim);
}

void content_box_reopen(struct content_box *b)
{
	close_all(b);
	open_all(b);
}

struct content *content_box_open(struct content_box *b,
				 const struct digest *root, uint64_t size)
{
	struct content *c = NULL;

	must(content_open(&c, b->pool, root, size) == 0);
	return c;
}

struct content *content_box_new(struct content_box *b)
{
	return content_box_open(b, &digest_zero, 0);
}

void content_box_commit(struct content_box *b, const struct digest *id,
			size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)store_frame(b->store, &id[i]);
	must(store_settle(b->store, id, n) == 0);
	must(store_settle_flush(b->store) == 0);
}

void content_box_save(struct content_box *b, struct content *c,
		      struct content_saved *out)
{
	struct content_saved s = { .extents = NULL };

	must(content_save(c, &s) == 0);
	content_box_commit(b, s.staged, s.n_staged);
	if (out)
		*out = s;
	else
		content_saved_release(&s);
}

void content_box_version(struct content_box *b, struct content *c,
			 struct content_version *out)
{
	struct content_version v = { .gen = 0 };

	must(content_version(c, &v) == 0);
	content_box_commit(b, v.staged, v.n_staged);
	content_versioned(c, v.gen);
	if (out)
		*out = v;
	else
		content_version_release(&v);
}
