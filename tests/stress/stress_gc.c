/*
 * stress_gc.c - gc again and again under writers that share their bytes: new
 * files, overwrites, copies by reference, versions brought back, files read
 * while they are written over, releases in between.  Run under the thread
 * sanitizer.  Every byte that is read must be one that was written there; at
 * the end the volume is closed, opened again, read and verified.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/err.h"
#include "base/thread.h"
#include "base/vio.h"
#include "fs/core/core.h"
#include "fs/core/core_storage.h"
#include "fs/upkeep/gc.h"
#include "ledger/entry.h"
#include "ledger/ledger.h"
#include "tests/sim/gc_box.h"
#include "tests/sim/prng.h"
#include "tests/sim/tmp.h"

enum { THREADS = 3, OPS = 120, FILES = 4, BYTES = 400000, TEXTS = 6 };

static struct core *core;
static uint64_t seed;
static atomic_int working;
static const struct cred cred = { .uid = 0, .gid = 0, .umask = 022 };
/* Files are written whole, with the bytes of a number: often the same ones. */
static uint8_t common[TEXTS][BYTES];

struct worker {
	struct thread t;
	unsigned id;
	uint64_t ino[FILES];
	uint64_t versions[FILES];
	uint64_t holds[FILES]; /* the number of its bytes */
	uint64_t unique;
	uint8_t *got, *want;
};

static void die(const char *what, int rc)
{
	fprintf(stderr, "stress_gc: SEED=%llu: %s: %s\n",
		(unsigned long long)seed, what, err_text(rc));
	exit(1);
}

static void must(const char *what, int rc)
{
	if (rc < 0)
		die(what, rc);
}

/* The bytes of a number, which stands in front of those made here. */
static const uint8_t *text_of(struct worker *w, uint64_t number)
{
	struct prng rng;

	if (number < TEXTS)
		return common[number];
	prng_init(&rng, number);
	prng_bytes(&rng, w->want, BYTES);
	memcpy(w->want, &number, sizeof(number));
	return w->want;
}

static struct handle *open_one(uint64_t ino)
{
	struct handle *h = NULL;
	bool keep;

	must("open",
	     core_open_file(core, &cred, ino, O_RDWR, false, &h, &keep));
	return h;
}

static void check(struct worker *w, unsigned k)
{
	struct handle *h = open_one(w->ino[k]);
	ssize_t n = core_read(core, h, w->got, BYTES, 0);

	must("read", (int)n);
	core_release(core, h);
	if (n != BYTES || memcmp(w->got, text_of(w, w->holds[k]), BYTES) != 0)
		die("other bytes were read", -ERR_CORRUPT);
}

static void write_text(struct worker *w, unsigned k, uint64_t which)
{
	struct handle *h = open_one(w->ino[k]);

	must("write", core_write(core, &cred, h, text_of(w, which), BYTES, 0,
				 false, false));
	core_release(core, h);
	w->holds[k] = which;
}

static void version(struct worker *w, unsigned k)
{
	struct stat st;

	must("version",
	     core_make_version(core, w->ino[k], ENTRY_REASON_DEMAND));
	must("stat", core_getattr(core, w->ino[k], &st));
	w->versions[k]++;
}

static void copy(struct worker *w, unsigned from, unsigned to)
{
	struct handle *a = open_one(w->ino[from]);
	struct handle *b = open_one(w->ino[to]);
	uint64_t done = 0;

	while (done < BYTES) {
		ssize_t n = core_copy_range(core, &cred, a, done, b, done,
					    BYTES - done);

		must("copy", (int)n);
		if (n == 0)
			die("copy", -ERR_SHORT);
		done += (uint64_t)n;
	}
	core_release(core, a);
	core_release(core, b);
	w->holds[to] = w->holds[from];
}

/* What a version held is not known here: the bytes of some number, whole. */
static void restore(struct worker *w, struct prng *rng, unsigned k)
{
	struct handle *h = NULL;
	uint64_t v = 1 + prng_below(rng, w->versions[k] + 1);
	bool same = false;
	int rc = core_storage_restore(core, &same, &cred, w->ino[k], w->ino[k],
				      v, "then");

	if (rc == -ENOENT || rc == -ENODATA || rc == -ERR_MISSING_CHUNK)
		return; /* perhaps it was released a moment ago */
	must("restore", rc);
	h = open_one(w->ino[k]);
	must("read", (int)core_read(core, h, w->got, BYTES, 0));
	core_release(core, h);
	for (uint64_t i = 0; i < TEXTS; i++)
		if (memcmp(w->got, common[i], BYTES) == 0) {
			w->holds[k] = i;
			return;
		}
	memcpy(&w->holds[k], w->got, sizeof(w->holds[k]));
	check(w, k);
}

static void work(void *arg)
{
	struct worker *w = arg;
	struct prng rng;

	prng_init(&rng, seed + w->id);
	for (unsigned i = 0; i < OPS; i++) {
		unsigned k = (unsigned)prng_below(&rng, FILES);
		unsigned j = (unsigned)prng_below(&rng, FILES);

		check(w, k);
		switch (prng_below(&rng, 6)) {
		case 0:
			write_text(w, k, prng_below(&rng, TEXTS));
			break;
		case 1:
			write_text(w, k, ++w->unique);
			version(w, k);
			break;
		case 2:
			version(w, k);
			break;
		case 3:
			if (j != k)
				copy(w, k, j);
			break;
		case 4:
			restore(w, &rng, k);
			break;
		default:
			must("sync", core_sync(core));
		}
		check(w, k);
	}
	atomic_fetch_sub(&working, 1);
}

static void release_and_run(uint64_t ino, uint64_t *out_freed)
{
	const struct core_gc_options o = { .live_percent = 95 };
	struct core_gc_report r;

	must("release", gc_box_release(core, ino, 1, 1000000));
	must("gc", gc_box_run(core, &r, &o));
	*out_freed += r.bytes_freed;
}

/* Releases old versions and takes their bytes, until the others are done. */
static unsigned collect(struct worker *w, uint64_t *out_freed)
{
	struct prng rng;
	unsigned runs = 0;

	prng_init(&rng, ~seed);
	while (atomic_load(&working) > 0) {
		struct worker *x = &w[prng_below(&rng, THREADS)];
		uint64_t ino = x->ino[prng_below(&rng, FILES)];

		release_and_run(ino, out_freed);
		runs++;
	}
	/* and what is left when all is quiet */
	for (unsigned i = 0; i < THREADS; i++)
		for (unsigned k = 0; k < FILES; k++)
			release_and_run(w[i].ino[k], out_freed);
	return runs;
}

static void open_volume(const char *path)
{
	struct core_options o = { .store = path, .no_actors = true };
	struct errmsg em = ERRMSG_INIT;
	int rc = core_open(&core, &o, &em);

	if (rc < 0)
		die(errmsg_text(&em, rc), rc);
}

static void make_files(struct worker *w)
{
	w->got = malloc(BYTES);
	w->want = malloc(BYTES);
	w->unique = (w->id + 1ULL) << 32;
	for (unsigned k = 0; k < FILES; k++) {
		char name[32];
		struct handle *h;
		struct stat st;

		snprintf(name, sizeof(name), "w%u-%u", w->id, k);
		must("create",
		     core_create(core, &cred, 1, name, 0644, O_RDWR, &h, &st));
		core_release(core, h);
		w->ino[k] = st.st_ino;
		write_text(w, k, k % TEXTS);
	}
}

static void make_store(const char *path)
{
	struct ledger_create_options lo = {
		.origin = "stress.test/gc",
		.keys_dir = "keys",
		.root_mode = 0755,
		.wal_segment_bytes = 4 << 20,
	};
	struct errmsg em = ERRMSG_INIT;
	int rc;

	must("vio", vio_posix_open(&lo.vio, path));
	rc = ledger_create(&lo, &em);
	if (rc < 0)
		die(errmsg_text(&em, rc), rc);
	vio_free(lo.vio);
}

int main(void)
{
	struct worker w[THREADS] = { { .id = 0 } };
	struct errmsg em = ERRMSG_INIT;
	struct prng rng;
	struct tmp tmp;
	uint64_t freed = 0;
	unsigned runs = 0;

	if (sodium_init() < 0)
		return 1;
	seed = prng_seed("stress_gc", 0);
	prng_init(&rng, seed);
	for (unsigned i = 0; i < TEXTS; i++)
		prng_bytes(&rng, common[i], BYTES);
	tmp_init(&tmp);
	make_store(tmp.path);
	open_volume(tmp.path);
	atomic_store(&working, THREADS);
	for (unsigned i = 0; i < THREADS; i++) {
		w[i].id = i;
		make_files(&w[i]);
	}
	for (unsigned i = 0; i < THREADS; i++)
		must("thread", thread_start(&w[i].t, "work", work, &w[i]));
	runs = collect(w, &freed);
	for (unsigned i = 0; i < THREADS; i++)
		thread_join(&w[i].t);
	must("close", core_close(core, &em));
	open_volume(tmp.path);
	for (unsigned i = 0; i < THREADS; i++) {
		for (unsigned k = 0; k < FILES; k++)
			check(&w[i], k);
		free(w[i].got);
		free(w[i].want);
	}
	if (gc_box_damage(core) != 0)
		die("verification complains", -ERR_CORRUPT);
	must("close", core_close(core, &em));
	tmp_release(&tmp);
	printf("stress_gc: %d threads, %d operations each, %u runs of gc, %llu "
	       "bytes freed\n",
	       THREADS, OPS, runs, (unsigned long long)freed);
	return runs > 0 && freed > 0 ? 0 : 1;
}
