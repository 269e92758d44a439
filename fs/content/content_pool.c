/*
 * content_pool.c - what all contents of a volume share: worker threads, the
 * bound on dirty bytes, scratch memory, bulk writers.
 *
 * The pool lists the contents that hold buffered bytes, oldest first; when
 * the room is nearly gone a worker turns their bytes into chunks in that
 * order (content_press_work).
 *
 * Threads: all calls are thread-safe; pool->mu is a leaf.
 */
#include "fs/content/content_internal.h"

#include <assert.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/vio.h"
#include "fs/store/pack.h"

enum {
	SHA_TRY = 64 << 10,
	SHA_TRY_NS = 64 * 1000, /* 1 GB/s */
	CORES_ENOUGH = 4,	/* one for SHA-256 is one to spare */
	THIN_NS = 100000000,	/* a write waits so long, at most */
	THIN_LONG = 2,		/* so many of them at a time, ... */
	THIN_SHORT_NS = 2000000 /* ... and the others so long */
};

/* A writer waits for room: cut streams first, then whatever is oldest. */
static void press(void *ctx)
{
	struct content_pool *p = ctx;

	workers_push(p->workers, &p->press);
}

/*
 * Is a plain digest better left for later?  A stream takes 1.2 to 2 ms of CPU
 * for each MiB; without SHA instructions SHA-256 takes 2.5 more, from the very
 * writer where there are two cores for all.  The shortest of some tries counts:
 * others may run meanwhile.
 */
static bool digests_cost(struct vio *vio)
{
	uint8_t *p = calloc(1, SHA_TRY);
	int64_t best = INT64_MAX;

	for (int i = 0; p && i < 4; i++) {
		struct digest d = { .b = { 0 } };
		int64_t ns = vio_mono_ns(vio);

		digest_sha256(&d, p, SHA_TRY);
		ns = vio_mono_ns(vio) - ns;
		best = ns < best ? ns : best;
	}
	free(p);
	return best > SHA_TRY_NS && thread_cores(CORES_ENOUGH) < CORES_ENOUGH;
}

static void scratch_free(struct scratch *s)
{
	if (!s)
		return;
	chunk_maker_free(s->maker);
	free(s->window);
	free(s);
}

int content_pool_open(struct content_pool **out,
		      const struct content_pool_options *o)
{
	struct content_pool *p = calloc(1, sizeof(*p));
	uint64_t max = o->dirty_bytes_max;
	int rc = 0;

	*out = NULL;
	if (!p)
		return -ENOMEM;
	p->store = o->store;
	p->vio = o->vio;
	p->press.fn = content_press_work;
	p->digests_later = o->digests_later || digests_cost(o->vio);
	mutex_init(&p->mu);
	plain_known_init(&p->known);
	cond_init(&p->unpinned);
	cond_init(&p->thinned);
	p->extents_max = o->extents_max ? o->extents_max : LIMIT_HELD_EXTENTS;
	dirty_init(&p->dirty, p->store, max ? max : LIMIT_DIRTY_BYTES, press,
		   p);
	rc = workers_open(&p->workers, o->workers ? o->workers : 2);
	if (rc < 0)
		goto fail;
	*out = p;
	return 0;
fail:
	content_pool_close(p);
	return rc;
}

void content_pool_close(struct content_pool *p)
{
	if (!p)
		return;
	assert(p->contents == 0 && !p->head);
	workers_close(p->workers);
	while (p->scratch) {
		struct scratch *s = p->scratch;

		p->scratch = s->next;
		scratch_free(s);
	}
	while (p->n_reader > 0)
		content_reader_free(p->reader[--p->n_reader]);
	while (p->writer) {
		struct writer *w = p->writer;

		p->writer = w->next;
		store_writer_close(w->w);
		free(w);
	}
	dirty_release(&p->dirty);
	plain_known_release(&p->known);
	cond_destroy(&p->thinned);
	cond_destroy(&p->unpinned);
	mutex_destroy(&p->mu);
	free(p);
}

struct dirty_buf *content_pool_spare(struct content_pool *p)
{
	return dirty_spare(&p->dirty);
}

void content_pool_unspare(struct content_pool *p, struct dirty_buf *b)
{
	dirty_spare_free(&p->dirty, b);
}

void content_pool_trim(struct content_pool *p)
{
	dirty_rest(&p->dirty);
}

uint64_t content_pool_dirty(struct content_pool *p)
{
	return dirty_bytes(&p->dirty);
}

uint64_t content_pool_extents(struct content_pool *p)
{
	return atomic_load(&p->extents);
}

uint64_t content_pool_extents_max(const struct content_pool *p)
{
	return p->extents_max;
}

/*
 * Versions are on their way: core's tick asks for them above half the bound,
 * though not of a file whose last one failed a moment ago.  Where none can be
 * made, as on a full disk, a write takes long, but ends.
 *
 * Who waits here is one of the few threads that answer all requests: with all
 * of them asleep a lookup waited for them, too, and the mount answered 40
 * requests a second.  So no more than two wait long; the others only for as
 * long as it takes that extents grow more slowly than versions end them.
 */
void content_pool_thin(struct content_pool *p)
{
	bool is_long = false;

	if (atomic_load(&p->extents) <= p->extents_max)
		return;
	mutex_lock(&p->mu);
	if (atomic_load(&p->extents) > p->extents_max) {
		is_long = p->thinning < THIN_LONG;
		p->thinning += is_long;
		cond_timedwait_ns(&p->thinned, &p->mu,
				  is_long ? THIN_NS : THIN_SHORT_NS);
		p->thinning -= is_long;
	}
	mutex_unlock(&p->mu);
}

uint64_t content_pool_streams(struct content_pool *p)
{
	return dirty_streams(&p->dirty);
}

uint64_t content_pool_uses(struct content_pool *p)
{
	return atomic_load(&p->uses);
}

int content_pool_scratch(struct content_pool *p, struct scratch **out)
{
	struct scratch *s = NULL;

	mutex_lock(&p->mu);
	s = p->scratch;
	if (s) {
		p->scratch = s->next;
		p->n_scratch--;
	}
	mutex_unlock(&p->mu);
	*out = s;
	if (s)
		return 0;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->maker = chunk_maker_new();
	s->window = malloc(CONTENT_WINDOW);
	if (!s->maker || !s->window) {
		scratch_free(s);
		return -ENOMEM;
	}
	*out = s;
	return 0;
}

void content_pool_unscratch(struct content_pool *p, struct scratch *s)
{
	if (!s)
		return;
	mutex_lock(&p->mu);
	if (p->n_scratch < CONTENT_SCRATCHES) {
		s->next = p->scratch;
		p->scratch = s;
		p->n_scratch++;
		s = NULL;
	}
	mutex_unlock(&p->mu);
	scratch_free(s);
}

int content_pool_writer(struct content_pool *p, struct writer **out)
{
	struct writer *w = NULL;
	int rc = 0;

	mutex_lock(&p->mu);
	w = p->writer;
	if (w) {
		p->writer = w->next;
		p->n_writer--;
	}
	mutex_unlock(&p->mu);
	*out = w;
	if (w)
		return 0;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	rc = store_writer_open(p->store, &w->w);
	if (rc < 0) {
		free(w);
		return rc;
	}
	*out = w;
	return 0;
}

void content_pool_unwriter(struct content_pool *p, struct writer *w)
{
	if (!w)
		return;
	mutex_lock(&p->mu);
	if (p->n_writer < CONTENT_WRITERS) {
		w->next = p->writer;
		p->writer = w;
		p->n_writer++;
		w = NULL;
	}
	mutex_unlock(&p->mu);
	if (w)
		store_writer_close(w->w);
	free(w);
}

void content_pool_rest(struct content_pool *p)
{
	struct writer *idle = NULL;

	mutex_lock(&p->mu);
	idle = p->writer;
	p->writer = NULL;
	p->n_writer = 0;
	mutex_unlock(&p->mu);
	while (idle) {
		struct writer *w = idle;

		idle = w->next;
		store_writer_close(w->w);
		free(w);
	}
}

/* --- what contents rely on --- */

static void each_extent_locked(struct content *c,
			       const struct content_each *fns)
	requires_capability(&c->mu)
{
	for (int i = 0; i < 2; i++) {
		const struct extents *m = &c->layer[i].ext;
		const struct extent *e = extents_seek(m, 0);

		for (; e; e = extents_seek(m, e->off + e->len))
			if (e->kind == EXTENT_CHUNK)
				fns->chunk(fns->ctx, &e->id);
	}
}

static int each_of(struct content *c, const struct content_each *fns)
{
	int rc = 0;

	mutex_lock(&c->mu);
	each_extent_locked(c, fns);
	if (c->root_size > 0)
		rc = fns->root(fns->ctx, &c->root, c->root_size);
	if (rc == 0 && c->low && c->low_size > 0 &&
	    !digest_is_zero(&c->low_root))
		rc = fns->root(fns->ctx, &c->low_root, c->low_size);
	mutex_unlock(&c->mu);
	return rc;
}

int content_pool_each(struct content_pool *p, const struct content_each *fns)
{
	struct content *c = NULL;
	int rc = 0;

	mutex_lock(&p->mu);
	for (c = p->all; c && rc == 0;) {
		struct content *next = NULL;

		c->pins++; /* stays, and so does its place in the list */
		mutex_unlock(&p->mu);
		rc = each_of(c, fns);
		mutex_lock(&p->mu);
		next = c->all_next;
		c->pins--;
		cond_broadcast(&p->unpinned);
		c = next;
	}
	mutex_unlock(&p->mu);
	return rc;
}

/* --- the bulk writer of one content --- */

int content_bulk_put(struct content *c, const struct chunk *chunk, bool forget)
{
	struct store *store = c->pool->store;
	struct packfile *filling = NULL;
	struct chunk k = *chunk;
	int rc = 0;

	/*
	 * Not under the lock, and so is the disk's time: several threads make
	 * chunks of one stream, and took turns where they could have worked.
	 */
	if (!store_has(store, &k.id)) {
		chunk_pack(&k);
		pack_chunk_check(&k);
	}

	mutex_lock(&c->wmu);
	if (!c->writer)
		rc = content_pool_writer(c->pool, &c->writer);
	if (rc == 0) {
		c->unflushed = true;
		rc = store_writer_add(c->writer->w, &filling, &k);
	}
	mutex_unlock(&c->wmu);
	return rc < 0 || !filling ? rc : store_pace(store, filling, forget);
}

int content_bulk_flush(struct content *c)
{
	int rc = 0;

	mutex_lock(&c->wmu);
	if (c->unflushed)
		rc = store_writer_flush(c->writer->w);
	if (rc == 0) {
		c->unflushed = false;
		content_pool_unwriter(c->pool, c->writer);
		c->writer = NULL;
	}
	mutex_unlock(&c->wmu);
	return rc;
}
