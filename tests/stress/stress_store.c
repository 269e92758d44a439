/*
 * stress_store.c - many threads on one store: bulk writers, stagers with a
 * settler, readers, two followers, a checker; and the same without followers,
 * where the checker takes packs in pieces.  Every chunk read back is compared;
 * at the end all of them are, after reopening too.
 *
 * timeout: 120
 */
#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/thread.h"
#include "base/vio.h"
#include "fs/store/replica.h"
#include "fs/replica/replicate.h"
#include "fs/store/store.h"
#include "tests/sim/prng.h"
#include "tests/sim/vio_sim.h"

enum { WRITERS = 2, STAGERS = 2, READERS = 2, CHUNKS = 600, BATCH = 20 };

static const uint8_t volume[16] = "stress volume 1";

struct stress {
	struct store *store;
	struct replicate *follow;
	atomic_uint_least64_t ready[WRITERS + STAGERS]; /* chunks of each */
	struct mutex settle_mu;
	atomic_bool stop;
	atomic_uint_least64_t reads;
	uint64_t seed;
};

struct worker {
	struct stress *s;
	unsigned number;
	struct thread thread;
};

#define check(x)                                                           \
	do {                                                               \
		if (!(x)) {                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, \
				#x);                                       \
			abort();                                           \
		}                                                          \
	} while (0)

/* Every fourth chunk is the same for all workers: duplicates in flight. */
static size_t content(uint8_t *p, unsigned worker, uint64_t k)
{
	struct prng r = { 0 };
	size_t n = 0;

	prng_init(&r, k % 4 ? worker * 100000 + k : k);
	n = 1 + prng_below(&r, 12000);
	prng_bytes(&r, p, n);
	if (k % 3 == 0)
		memset(p, 'x', n);
	p[0] = (uint8_t)k;
	return n;
}

static void verify(struct store *s, unsigned worker, uint64_t k)
{
	autofree uint8_t *p = malloc(LIMIT_CHUNK);
	size_t n = content(p, worker, k);
	struct store_ref ref = { .p = NULL };
	struct digest id = { 0 };

	chunk_hash(&id, CHUNK_DATA, p, n);
	check(store_get(s, &ref, &id, CHUNK_DATA) == 0);
	check(ref.n == n && memcmp(ref.p, p, n) == 0);
	store_release(&ref);
}

static void bulk(void *arg)
{
	struct worker *w = arg;
	struct chunk_maker *m = chunk_maker_new();
	autofree uint8_t *p = malloc(LIMIT_CHUNK);
	struct chunk c = { 0 };

	for (uint64_t k = 0; k < CHUNKS;) {
		struct store_writer *sw = NULL;

		check(store_writer_open(w->s->store, &sw) == 0);
		for (int i = 0; i < BATCH; i++, k++) {
			check(chunk_make(&c, m, CHUNK_DATA, p,
					 content(p, w->number, k)) == 0);
			check(store_writer_put(sw, &c) == 0);
		}
		check(store_writer_flush(sw) == 0);
		store_writer_close(sw);
		atomic_store(&w->s->ready[w->number], k);
		if (w->s->follow)
			replicate_mark(w->s->follow, k);
	}
	chunk_maker_free(m);
}

static void small(void *arg)
{
	struct worker *w = arg;
	struct chunk_maker *m = chunk_maker_new();
	autofree uint8_t *p = malloc(LIMIT_CHUNK);
	struct chunk c = { 0 };

	for (uint64_t k = 0; k < CHUNKS;) {
		struct digest ids[BATCH];
		size_t n = 0;
		uint64_t from = k;
		bool frame = false;

		for (int i = 0; i < BATCH; i++, k++) {
			check(chunk_make(&c, m, CHUNK_DATA, p,
					 content(p, w->number, k)) == 0);
			check(store_stage(w->s->store, &c, &frame) == 0);
			if (frame)
				ids[n++] = c.id;
		}
		while (from < k)
			verify(w->s->store, w->number, from++);
		mutex_lock(&w->s->settle_mu);
		for (size_t i = 0; i < n; i++)
			(void)store_frame(w->s->store, &ids[i]);
		check(store_settle(w->s->store, ids, n) == 0);
		check(store_settle_flush(w->s->store) == 0);
		mutex_unlock(&w->s->settle_mu);
		atomic_store(&w->s->ready[w->number], k);
	}
	chunk_maker_free(m);
}

/* The same past the cache, where that is possible. */
static void verify_direct(struct store *s, unsigned worker, uint64_t k)
{
	autofree uint8_t *p = malloc(LIMIT_CHUNK);
	autofree uint8_t *got = malloc(LIMIT_CHUNK);
	size_t n = content(p, worker, k);
	struct digest id = { 0 };

	check(p && got);
	chunk_hash(&id, CHUNK_DATA, p, n);
	if (store_read_direct(s, got, &id, (uint32_t)n))
		check(memcmp(got, p, n) == 0);
}

static void reader(void *arg)
{
	struct worker *w = arg;
	struct prng r = { 0 };

	prng_init(&r, w->s->seed + w->number);
	while (!atomic_load(&w->s->stop)) {
		unsigned who = (unsigned)prng_below(&r, WRITERS + STAGERS);
		uint64_t n = atomic_load(&w->s->ready[who]);

		if (n == 0)
			continue;
		if (prng_chance(&r, 50))
			verify(w->s->store, who, prng_below(&r, n));
		else
			verify_direct(w->s->store, who, prng_below(&r, n));
		atomic_fetch_add(&w->s->reads, 1);
	}
}

static void checker(void *arg)
{
	struct worker *w = arg;

	while (!atomic_load(&w->s->stop)) {
		struct store_check_options o = { .repair = true };
		struct store_check_report rep = { 0 };

		check(store_check(w->s->store, &rep, &o, NULL) == 0);
		check(rep.bad == 0);
	}
}

static void start(struct worker *w, struct stress *s, unsigned number,
		  void (*fn)(void *))
{
	*w = (struct worker){ .s = s, .number = number };
	check(thread_start(&w->thread, "stress", fn, w) == 0);
}

static void open_store(struct stress *s, struct vio *v)
{
	struct store_options o = { .vio = v, .cache_bytes = 1 << 20 };

	memcpy(o.volume_id, volume, 16);
	check(store_open(&s->store, &o, NULL) == 0);
}

static void follow(struct stress *s, struct vio_sim *home,
		   struct vio_sim *away[2])
{
	struct replicate_options ro = { .store = s->store,
					.vio = vio_sim_vio(home),
					.interval_ms = 5 };

	check(replicate_open(&s->follow, &ro) == 0);
	for (int i = 0; i < 2; i++) {
		struct replica *r = NULL;

		check(replica_dir_open_vio(&r, vio_sim_vio(away[i]),
					   i ? "b" : "a", volume, 1,
					   NULL) == 0);
		check(replicate_add(s->follow, r, NULL) == 0);
	}
}

static void work(struct stress *s)
{
	struct worker w[WRITERS + STAGERS + READERS + 1];
	unsigned n = 0;

	while (n < WRITERS + STAGERS + READERS) {
		start(&w[n], s, n,
		      n < WRITERS	    ? bulk :
		      n < WRITERS + STAGERS ? small :
					      reader);
		n++;
	}
	start(&w[n], s, n, checker);
	for (n = 0; n < WRITERS + STAGERS; n++)
		thread_join(&w[n].thread);
	if (s->follow)
		check(replicate_remove(s->follow, "a") == 0);
	atomic_store(&s->stop, true);
	for (; n <= WRITERS + STAGERS + READERS; n++)
		thread_join(&w[n].thread);
}

static void run(bool followed)
{
	struct vio_sim *home = vio_sim_new(NULL);
	struct vio_sim *away[2] = { vio_sim_new(NULL), vio_sim_new(NULL) };
	struct stress s = { .seed = prng_seed("stress_store", 0) };

	mutex_init(&s.settle_mu);
	open_store(&s, vio_sim_vio(home));
	if (followed)
		follow(&s, home, away);
	work(&s);
	if (followed) {
		replicate_mark(s.follow, 1000000);
		check(replicate_catch_up(s.follow, 1000000, 60000000000) == 0);
		replicate_close(s.follow);
	}
	for (int again = 0; again < 2; again++) {
		for (unsigned who = 0; who < WRITERS + STAGERS; who++)
			for (uint64_t k = 0; k < CHUNKS; k++)
				verify(s.store, who, k);
		store_close(s.store);
		if (again == 0)
			open_store(&s, vio_sim_vio(home));
	}
	printf("%" PRIu64 " reads meanwhile\n", atomic_load(&s.reads));
	mutex_destroy(&s.settle_mu);
	vio_sim_free(home);
	vio_sim_free(away[0]);
	vio_sim_free(away[1]);
}

int main(void)
{
	run(true);
	run(false);
	return 0;
}
