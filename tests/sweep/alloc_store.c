/*
 * alloc_store.c - fails the n-th allocation of a store's life, for every n
 * until none fails: each call answers 0 or -ENOMEM, the store does not turn
 * read-only, what was flushed is there, and nothing leaks (asan).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/vio.h"
#include "fs/store/replica.h"
#include "fs/replica/replicate.h"
#include "fs/store/store.h"
#include "tests/sim/alloc.h"
#include "tests/sim/tmp.h"

enum { CHUNKS = 6, SMALL = 3, SIZE = 20000 };

static void expect(bool ok, long n, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "allocation %ld: %s\n", n, what);
	abort();
}

static void fill(uint8_t *p, unsigned k)
{
	for (size_t i = 0; i < SIZE; i++)
		p[i] = (uint8_t)(k * 7 + i % (k + 3));
}

struct done {
	bool flushed, settled;
};

static int bulk(struct store *s, struct chunk_maker *m, uint8_t *p)
{
	struct store_writer *w = NULL;
	struct chunk c = { 0 };
	int rc = store_writer_open(s, &w);

	for (unsigned k = 0; rc == 0 && k < CHUNKS; k++) {
		fill(p, k);
		rc = chunk_make(&c, m, CHUNK_DATA, p, SIZE);
		if (rc == 0)
			rc = store_writer_put(w, &c);
	}
	if (rc == 0)
		rc = store_writer_flush(w);
	store_writer_close(w);
	return rc;
}

static int small(struct store *s, struct chunk_maker *m, uint8_t *p)
{
	struct digest ids[SMALL];
	struct chunk c = { 0 };
	bool frame = false;
	int rc = 0;

	for (unsigned k = 0; rc == 0 && k < SMALL; k++) {
		fill(p, 100 + k);
		rc = chunk_make(&c, m, CHUNK_DATA, p, SIZE);
		ids[k] = c.id;
		if (rc == 0)
			rc = store_stage(s, &c, &frame);
	}
	if (rc == 0)
		rc = store_settle(s, ids, SMALL);
	return rc == 0 ? store_settle_flush(s) : rc;
}

static int follow(struct store *s, struct vio *home, const char *dir)
{
	static const uint8_t volume[16] = "alloc volume";
	struct replicate_options o = {
		.store = s,
		.vio = home,
		.no_threads = true,
	};
	struct replicate *r = NULL;
	struct replica *one = NULL;
	int rc = replicate_open(&r, &o);

	if (rc == 0)
		rc = replica_dir_open(&one, dir, volume, 1, NULL);
	if (rc == 0) {
		rc = replicate_add(r, one, NULL);
		if (rc < 0)
			replica_close(one);
	}
	if (rc == 0)
		rc = replicate_step(r);
	replicate_close(r);
	return rc;
}

static int get(struct store *s, uint8_t *p, unsigned k)
{
	struct store_ref ref = { .p = NULL };
	struct digest id = { 0 };
	int rc = 0;

	fill(p, k);
	chunk_hash(&id, CHUNK_DATA, p, SIZE);
	rc = store_get(s, &ref, &id, CHUNK_DATA);
	if (rc == 0 && (ref.n != SIZE || memcmp(ref.p, p, SIZE) != 0))
		rc = -ERR_HASH;
	store_release(&ref);
	return rc;
}

static int check(struct store *s)
{
	struct store_check_options o = { .repair = true };
	struct store_check_report rep = { 0 };
	int rc = store_check(s, &rep, &o, NULL);

	return rc == 0 && rep.bad ? -ERR_CORRUPT : rc;
}

static void soft(int rc, long n, const char *what)
{
	expect(rc == 0 || rc == -ENOMEM, n, what);
}

static void work(struct done *d, struct vio *v, const char *dir, long n)
{
	struct store_options o = { .vio = v, .cache_bytes = 1 << 20 };
	struct chunk_maker *m = chunk_maker_new();
	uint8_t p[SIZE];
	struct store *s = NULL;
	int rc = m ? store_open(&s, &o, NULL) : -ENOMEM;

	soft(rc, n, "store_open");
	if (rc == 0) {
		rc = bulk(s, m, p);
		soft(rc, n, "bulk");
		d->flushed = rc == 0;
		rc = small(s, m, p);
		soft(rc, n, "small");
		d->settled = rc == 0;
		for (unsigned k = 0; d->flushed && k < CHUNKS; k++)
			soft(get(s, p, k), n, "get");
		soft(follow(s, v, dir), n, "follow");
		soft(check(s), n, "check");
		expect(store_failed(s) == 0, n, "the store failed");
	}
	store_close(s);
	chunk_maker_free(m);
}

int main(void)
{
	long n = 0;

	do {
		struct tmp t;
		char path[PATH_MAX + 16];
		struct vio *v = NULL;
		struct store *s = NULL;
		struct store_options o = { 0 };
		struct done d = { .flushed = false };
		uint8_t p[SIZE];

		tmp_init(&t);
		snprintf(path, sizeof(path), "%s/store", t.path);
		expect(vio_posix_open(&v, t.path) == 0, n, "tmp");
		expect(vio_mkdirs(v, "store") == 0, n, "tmp");
		vio_free(v);
		expect(vio_posix_open(&v, path) == 0, n, "tmp");
		snprintf(path, sizeof(path), "%s/replica", t.path);
		alloc_begin();
		alloc_fail((uint64_t)++n, false);
		work(&d, v, path, n);
		alloc_stop();
		o.vio = v;
		expect(store_open(&s, &o, NULL) == 0, n, "open again");
		for (unsigned k = 0; d.flushed && k < CHUNKS; k++)
			expect(get(s, p, k) == 0, n, "flushed and lost");
		for (unsigned k = 0; d.settled && k < SMALL; k++)
			expect(get(s, p, 100 + k) == 0, n, "settled and lost");
		store_close(s);
		vio_free(v);
		tmp_release(&t);
	} while (alloc_failed());
	expect(n > 50, n, "too few allocations to be true");
	printf("%ld allocations failed in turn\n", n - 1);
	return 0;
}
