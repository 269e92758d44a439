/*
 * stress_content.c - one volume's content under many threads: streams,
 * scattered writers, appenders, readers, savers and versioners at once, with
 * little room for dirty bytes.  Run under the thread sanitizer.
 *
 * What is checked: a reader sees each 4096-block as one writer wrote it and
 * never older than what was there when the read began (writers stamp blocks
 * with ascending numbers and publish them after the write returned); appends
 * are whole and none is lost; every stream reads back, and so does a clone of
 * what there is of it; the version at the end is the canonical one; nothing stays buffered or charged.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/thread.h"
#include "base/vio.h"
#include "fs/content/content.h"
#include "fs/store/store.h"
#include "tests/sim/model_content.h"
#include "tests/sim/prng.h"
#include "tests/sim/tmp.h"

enum {
	BLOCK = 4096,
	BLOCKS = 256, /* scattered writes, one writer each half */
	ROUNDS = 1500,
	APPENDS = 600,
	RECORD = 300,
	STREAM = 6 << 20,
	WRITERS = 2,
	APPENDERS = 2,
	STREAMS = 2,
};

struct shared {
	struct store *store;
	struct content_pool *pool;
	struct content *random; /* scattered writes */
	struct content *log;	/* appends */
	struct content *stream[STREAMS];
	_Atomic uint64_t stamp[BLOCKS]; /* published */
	atomic_bool stop;
	uint64_t seed;
	struct mutex keeper[3]; /* save and version of one content: core's */
};

struct task {
	struct shared *s;
	unsigned no;
	struct thread thread;
};

#define must(cond)                                                       \
	do {                                                             \
		if (!(cond)) {                                           \
			fprintf(stderr, "stress_content: line %d: %s\n", \
				__LINE__, #cond);                        \
			abort();                                         \
		}                                                        \
	} while (0)

/* A block says who it is and how old, all over. */
static void stamp(uint8_t *p, uint64_t block, uint64_t value)
{
	for (size_t i = 0; i < BLOCK; i += 16) {
		memcpy(p + i, &block, 8);
		memcpy(p + i + 8, &value, 8);
	}
}

static uint64_t stamp_of(const uint8_t *p, uint64_t block)
{
	uint8_t want[BLOCK];
	uint64_t value = 0;

	memcpy(&value, p + 8, 8);
	if (value == 0 && memcmp(p, &value, 8) == 0)
		block = 0; /* never written: zeros */
	stamp(want, block, value);
	must(memcmp(p, want, BLOCK) == 0);
	return value;
}

static void scatter(void *arg)
{
	struct task *t = arg;
	struct shared *s = t->s;
	struct prng prng = { .seed = 0 };
	uint8_t p[BLOCK];
	uint64_t at = 0;

	prng_init(&prng, s->seed + t->no);
	for (uint64_t i = 1; i <= ROUNDS; i++) {
		uint64_t b =
			prng_below(&prng, BLOCKS / WRITERS) * WRITERS + t->no;

		stamp(p, b, i);
		must(content_write(s->random, p, BLOCK, b * BLOCK, false,
				   t->no + 1, &at) == 0);
		atomic_store(&s->stamp[b], i);
	}
}

static void watch(void *arg)
{
	struct task *t = arg;
	struct shared *s = t->s;
	struct prng prng = { .seed = 0 };
	uint8_t p[4 * BLOCK];

	prng_init(&prng, s->seed + 100 + t->no);
	while (!atomic_load(&s->stop)) {
		uint64_t b = prng_below(&prng, BLOCKS - 3);
		uint64_t least[4];
		ssize_t n = 0;

		for (int i = 0; i < 4; i++)
			least[i] = atomic_load(&s->stamp[b + i]);
		n = content_read(s->random, p, sizeof(p), b * BLOCK);
		must(n >= 0);
		for (int i = 0; i < 4; i++) {
			if (n < (i + 1) * BLOCK)
				must(least[i] == 0);
			else
				must(stamp_of(p + i * BLOCK, b + i) >=
				     least[i]);
		}
	}
}

static void append(void *arg)
{
	struct task *t = arg;
	uint8_t p[RECORD];
	uint64_t at = 0;

	memset(p, 'a' + (int)t->no, sizeof(p));
	for (unsigned i = 0; i < APPENDS; i++) {
		memcpy(p, &i, sizeof(i));
		must(content_write(t->s->log, p, RECORD, 0, true, t->no, &at) ==
		     0);
		must(at % RECORD == 0);
	}
}

/* The bytes of a stream are known by their place. */
static void stream_bytes(uint8_t *p, size_t n, uint64_t off, unsigned no)
{
	struct prng prng = { .seed = 0 };

	prng_init(&prng, off / 65536 * 10 + no);
	prng_bytes(&prng, p, n);
	if (off / 65536 % 7 == 3)
		memset(p, 0, n);
}

static void stream(void *arg)
{
	struct task *t = arg;
	struct content *c = t->s->stream[t->no];
	autofree uint8_t *p = malloc(65536);
	autofree uint8_t *q = malloc(65536);
	uint64_t at = 0;

	must(p && q);
	for (uint64_t off = 0; off < STREAM; off += 65536) {
		uint64_t back = off / 2 / 65536 * 65536;

		stream_bytes(p, 65536, off, t->no);
		must(content_write(c, p, 65536, off, false, 1, &at) == 0);
		stream_bytes(q, 65536, back, t->no);
		must(content_read(c, p, 65536, back) == 65536);
		must(memcmp(p, q, 65536) == 0);
	}
}

static void settle(struct shared *s, const struct digest *id, size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)store_frame(s->store, &id[i]);
	must(store_settle(s->store, id, n) == 0);
}

static void save(struct shared *s, struct content *c)
{
	struct content_saved out = { .extents = NULL };

	must(content_save(c, &out) == 0);
	settle(s, out.staged, out.n_staged);
	content_saved_release(&out);
}

static void version(struct shared *s, struct content *c,
		    struct content_version *out)
{
	must(content_version(c, out) == 0);
	settle(s, out->staged, out->n_staged);
	content_versioned(c, out->gen);
	content_version_release(out);
}

/* Saves and versions whatever comes, as core's tick does. */
static void keep(void *arg)
{
	struct task *t = arg;
	struct shared *s = t->s;
	struct content *all[] = { s->random, s->log,
				  s->stream[t->no % STREAMS] };
	struct prng prng = { .seed = 0 };

	prng_init(&prng, s->seed + 200 + t->no);
	while (!atomic_load(&s->stop)) {
		unsigned i = (unsigned)prng_below(&prng, 3);
		unsigned lock = i < 2 ? i : 2;
		struct content_version v = { .gen = 0 };
		struct content_state st = { .dirty = false };

		mutex_lock(&s->keeper[lock]);
		if (prng_chance(&prng, 70))
			save(s, all[i]);
		else
			version(s, all[i], &v);
		mutex_unlock(&s->keeper[lock]);
		content_state(all[i], &st);
		(void)content_allocated(all[i]);
	}
}

/* Clones a stream while it is written: a prefix, with the right bytes. */
static void clone_once(struct shared *s)
{
	struct content *c = NULL;
	struct content_version v = { .gen = 0 };
	struct digest want = { 0 };
	autofree uint8_t *p = malloc(STREAM);
	autofree uint8_t *q = malloc(65536);
	uint64_t n = 0;

	must(p && q && !content_open(&c, s->pool, &digest_zero, 0));
	must(content_clone(c, 0, s->stream[0], 0, UINT64_MAX, &n) == 0);
	must(n % 65536 == 0 && content_read(c, p, STREAM, 0) == (ssize_t)n);
	for (uint64_t off = 0; off < n; off += 65536) {
		stream_bytes(q, 65536, off, 0);
		must(memcmp(p + off, q, 65536) == 0);
	}
	version(s, c, &v);
	model_content_root(&want, p, n);
	must(digest_eq(&want, &v.root));
	content_close(c);
}

static void clone_all(void *arg)
{
	struct task *t = arg;

	while (!atomic_load(&t->s->stop))
		clone_once(t->s);
}

/* Ends a content: reads all, makes the version, compares with the oracle. */
static uint8_t *finish(struct shared *s, struct content *c, uint64_t size)
{
	struct content_version v = { .gen = 0 };
	struct content_state st = { .dirty = true };
	struct digest want = { 0 };
	uint8_t *p = malloc(size + 1);

	must(p && content_size(c) == size);
	must(content_read(c, p, size + 1, 0) == (ssize_t)size);
	version(s, c, &v);
	model_content_root(&want, p, size);
	must(digest_eq(&want, &v.root) && v.size == size);
	content_state(c, &st);
	must(!st.dirty && !st.unsaved && st.buffered == 0);
	if (v.has_sha256) {
		digest_sha256(&want, p, size);
		must(digest_eq(&want, &v.sha256));
	}
	content_close(c);
	return p;
}

static void check_log(const uint8_t *p)
{
	unsigned next[APPENDERS] = { 0 };

	for (size_t i = 0; i < (size_t)APPENDS * APPENDERS; i++) {
		const uint8_t *r = p + i * RECORD;
		unsigned who = (unsigned)(r[RECORD - 1] - 'a');
		unsigned no = 0;

		memcpy(&no, r, sizeof(no));
		must(who < APPENDERS && no == next[who]);
		next[who]++;
		for (size_t k = sizeof(no); k < RECORD; k++)
			must(r[k] == r[RECORD - 1]);
	}
}

static void run(struct shared *s)
{
	struct task writer[WRITERS], appender[APPENDERS], streamer[STREAMS];
	struct task watcher = { .s = s };
	struct task cloner = { .s = s };
	struct task keeper[2];

	for (unsigned i = 0; i < 2; i++) {
		writer[i] = (struct task){ .s = s, .no = i };
		appender[i] = (struct task){ .s = s, .no = i };
		streamer[i] = (struct task){ .s = s, .no = i };
		keeper[i] = (struct task){ .s = s, .no = i };
		must(!thread_start(&writer[i].thread, "writer", scatter,
				   &writer[i]));
		must(!thread_start(&appender[i].thread, "appender", append,
				   &appender[i]));
		must(!thread_start(&streamer[i].thread, "stream", stream,
				   &streamer[i]));
		must(!thread_start(&keeper[i].thread, "keeper", keep,
				   &keeper[i]));
	}
	must(!thread_start(&watcher.thread, "watcher", watch, &watcher));
	must(!thread_start(&cloner.thread, "cloner", clone_all, &cloner));
	for (unsigned i = 0; i < 2; i++) {
		thread_join(&writer[i].thread);
		thread_join(&appender[i].thread);
		thread_join(&streamer[i].thread);
	}
	atomic_store(&s->stop, true);
	for (unsigned i = 0; i < 2; i++)
		thread_join(&keeper[i].thread);
	thread_join(&watcher.thread);
	thread_join(&cloner.thread);
}

static void check(struct shared *s)
{
	autofree uint8_t *r = NULL;
	autofree uint8_t *l = NULL;

	r = finish(s, s->random, content_size(s->random));
	for (uint64_t b = 0; b < BLOCKS; b++)
		if (atomic_load(&s->stamp[b]) > 0)
			must(stamp_of(r + b * BLOCK, b) ==
			     atomic_load(&s->stamp[b]));
	l = finish(s, s->log, (uint64_t)APPENDS * APPENDERS * RECORD);
	check_log(l);
	for (unsigned i = 0; i < STREAMS; i++)
		free(finish(s, s->stream[i], STREAM));
	must(content_pool_dirty(s->pool) == 0);
}

int main(void)
{
	struct shared s = { .seed = prng_seed("stress_content", 0) };
	struct store_options so = { .cache_bytes = 4 << 20 };
	struct content_pool_options po = { .workers = 2,
					   .dirty_bytes_max = 6 << 20 };
	struct errmsg em = ERRMSG_INIT;
	struct tmp tmp;
	struct vio *vio = NULL;

	tmp_init(&tmp);
	must(vio_posix_open(&vio, tmp.path) == 0);
	so.vio = vio;
	must(store_open(&s.store, &so, &em) == 0);
	po.store = s.store;
	po.vio = vio;
	must(content_pool_open(&s.pool, &po) == 0);
	must(!content_open(&s.random, s.pool, &digest_zero, 0));
	must(!content_open(&s.log, s.pool, &digest_zero, 0));
	for (int i = 0; i < STREAMS; i++)
		must(!content_open(&s.stream[i], s.pool, &digest_zero, 0));
	for (int i = 0; i < 3; i++)
		mutex_init(&s.keeper[i]);
	run(&s);
	check(&s);
	for (int i = 0; i < 3; i++)
		mutex_destroy(&s.keeper[i]);
	content_pool_close(s.pool);
	store_close(s.store);
	vio_free(vio);
	tmp_release(&tmp);
	return 0;
}
