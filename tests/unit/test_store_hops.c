/*
 * test_store_hops.c - bits that flip in memory while a chunk is read: at every
 * hop between the disk and who asked, once or for good.
 */
#include <criterion/criterion.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/limits.h"
#include "fs/store/pack.h"
#include "fs/store/store.h"
#include "tests/sim/prng.h"
#include "tests/sim/vio_sim.h"

enum { CHUNKS = 24, HOPS = STORE_HOP_COPY + 1 };

static struct {
	enum store_hop at;
	unsigned times; /* so many more flips */
	unsigned flips, told;
	struct prng rng;
} fault;

static void on_hop(void *ctx, enum store_hop at, void *p, size_t n)
{
	uint8_t *bytes = p;

	(void)ctx;
	if (fault.times == 0 || at != fault.at || n == 0)
		return;
	bytes[prng_below(&fault.rng, n)] ^=
		(uint8_t)(1 << prng_below(&fault.rng, 8));
	fault.times--;
	fault.flips++;
}

static void on_repair(void *ctx, const struct digest *id, const char *replica,
		      bool ok)
{
	(void)ctx;
	(void)id;
	(void)replica;
	cr_assert(!ok);
	fault.told++;
}

static struct store *store_on(struct vio_sim *sim)
{
	struct store_options o = {
		.vio = vio_sim_vio(sim),
		.on_hop = on_hop,
		.on_repair = on_repair,
	};
	struct store *s = NULL;
	struct errmsg em = ERRMSG_INIT;

	memset(o.volume_id, 7, sizeof(o.volume_id));
	cr_assert_eq(store_open(&s, &o, &em), 0, "%s", em.text);
	return s;
}

/* Chunk number k: every other one is compressed. */
static size_t bytes_of(uint8_t *p, uint64_t k)
{
	struct prng r = { 0 };
	size_t n = 0;

	prng_init(&r, k + 100);
	n = 9000 + prng_below(&r, k % 5 ? 20000 : 200000);
	prng_bytes(&r, p, n);
	for (size_t i = 0; k % 2 && i < n; i++)
		p[i] = "abcdefgh"[p[i] % 8];
	return n;
}

static void put_all(struct store *s, struct chunk_maker *m, uint8_t *p,
		    bool stage)
{
	struct store_writer *w = NULL;
	struct chunk c = { 0 };
	bool frame = false;

	cr_assert_eq(store_writer_open(s, &w), 0);
	for (uint64_t k = 0; k < CHUNKS; k++) {
		cr_assert_eq(chunk_make(&c, m, CHUNK_DATA, p, bytes_of(p, k)),
			     0);
		cr_assert_eq(stage ? store_stage(s, &c, &frame) :
				     store_writer_put(w, &c),
			     0);
	}
	cr_assert_eq(store_writer_flush(w), 0);
	store_writer_close(w);
}

/* 0 or the error of a read of a part; asserts that it is never wrong. */
static int read_part(struct store *s, uint64_t k, struct prng *r)
{
	autofree uint8_t *want = malloc(LIMIT_CHUNK);
	size_t n = bytes_of(want, k);
	size_t off = prng_chance(r, 30) ? 0 : prng_below(r, n);
	size_t len = 1 + prng_below(r, n - off);
	autofree uint8_t *got = malloc(len);
	struct digest id = { 0 };
	uint32_t whole = 0;
	int rc = 0;

	chunk_hash(&id, CHUNK_DATA, want, n);
	rc = store_read(s, got, &whole, &id, CHUNK_DATA, off, len,
			prng_chance(r, 30));
	if (rc < 0)
		return rc;
	cr_assert_eq(whole, n);
	cr_assert_eq(memcmp(got, want + off, len), 0, "wrong bytes of %lu",
		     (unsigned long)k);
	return 0;
}

static bool staged(enum store_hop at)
{
	return at == STORE_HOP_STAGED;
}

/* A store that has all chunks and nothing in its cache. */
static struct store *fill(struct vio_sim *sim, enum store_hop at)
{
	autofree uint8_t *p = malloc(LIMIT_CHUNK);
	struct chunk_maker *m = chunk_maker_new();
	struct store *s = store_on(sim);

	put_all(s, m, p, staged(at));
	if (!staged(at)) {
		store_close(s);
		s = store_on(sim);
	}
	chunk_maker_free(m);
	return s;
}

static void start(enum store_hop at, unsigned times)
{
	fault.at = at;
	fault.times = times;
	fault.flips = 0;
	fault.told = 0;
}

Test(store_hops, a_bit_that_flips_once_is_read_again)
{
	struct prng r = { 0 };

	prng_init(&r, 1);
	prng_init(&fault.rng, 2);
	for (int at = 0; at < HOPS; at++) {
		struct vio_sim *sim = vio_sim_new(NULL);
		struct store *s = fill(sim, (enum store_hop)at);
		unsigned flips = 0;

		for (int round = 0; round < 3; round++) {
			for (uint64_t k = 0; k < CHUNKS; k++) {
				start((enum store_hop)at, 1);
				cr_assert_eq(read_part(s, k, &r), 0,
					     "hop %d, chunk %lu", at,
					     (unsigned long)k);
				cr_assert_eq(fault.told, 0);
				flips += fault.flips;
			}
		}
		cr_assert_geq(flips, CHUNKS, "hop %d: %u flips", at, flips);
		fault.times = 0;
		store_close(s);
		vio_sim_free(sim);
	}
}

/*
 * Cache and copy may have flipped where nobody asked, so that the part is good:
 * then it is right.
 */
Test(store_hops, bits_that_go_on_flipping_are_an_error_never_wrong_bytes)
{
	struct prng r = { 0 };

	for (int at = 0; at < HOPS; at++) {
		struct vio_sim *sim = vio_sim_new(NULL);
		struct store *s = fill(sim, (enum store_hop)at);
		unsigned refused = 0;

		/* for each hop: how often one is tried is no matter of another */
		prng_init(&r, 3);
		prng_init(&fault.rng, 4);
		for (uint64_t k = 0; k < CHUNKS; k++) {
			start((enum store_hop)at, UINT_MAX);
			refused += read_part(s, k, &r) < 0;
			cr_assert_gt(fault.flips, 0, "hop %d", at);
		}
		cr_assert_gt(refused, at == STORE_HOP_CACHED ? 0 : CHUNKS / 4,
			     "hop %d: %u", at, refused);
		/* memory is well again, and so is everything */
		fault.times = 0;
		for (uint64_t k = 0; k < CHUNKS; k++)
			cr_assert_eq(read_part(s, k, &r), 0, "hop %d", at);
		store_close(s);
		vio_sim_free(sim);
	}
}

Test(store_hops, a_staged_chunk_that_went_bad_is_an_error_and_told)
{
	autofree uint8_t *p = malloc(LIMIT_CHUNK);
	struct vio_sim *sim = vio_sim_new(NULL);
	struct store *s = fill(sim, STORE_HOP_STAGED);
	struct prng r = { 0 };
	struct digest id = { 0 };
	const struct chunk *c = NULL;

	prng_init(&r, 5);
	start(STORE_HOP_COPY, 0);
	chunk_hash(&id, CHUNK_DATA, p, bytes_of(p, 3));
	c = store_frame(s, &id);
	((uint8_t *)(uintptr_t)c->stored)[77] ^= 4;
	cr_assert_lt(read_part(s, 3, &r), 0);
	cr_assert_eq(fault.told, 1);
	cr_assert_eq(read_part(s, 4, &r), 0);
	/* and in the pack that it goes to */
	cr_assert_eq(store_settle(s, &id, 1), 0);
	cr_assert_lt(read_part(s, 3, &r), 0);
	store_close(s);
	vio_sim_free(sim);
}

/* Whether the chunk came past the cache; never wrong bytes. */
static bool read_direct(struct store *s, uint64_t k)
{
	autofree uint8_t *want = malloc(LIMIT_CHUNK);
	size_t n = bytes_of(want, k);
	autofree uint8_t *got = malloc(n);
	struct digest id = { 0 };
	uint32_t whole = 0;

	chunk_hash(&id, CHUNK_DATA, want, n);
	memset(got, 0, n);
	if (store_read_direct(s, got, &id, (uint32_t)n)) {
		cr_assert_eq(memcmp(got, want, n), 0, "wrong bytes");
		return true;
	}
	cr_assert_eq(store_read(s, got, &whole, &id, CHUNK_DATA, 0, n, true),
		     0);
	cr_assert_eq(memcmp(got, want, n), 0, "wrong bytes");
	return false;
}

Test(store_hops, past_the_cache_a_flipped_bit_is_seen_too)
{
	static const enum store_hop hops[] = { STORE_HOP_RECORD,
					       STORE_HOP_DECODED };

	prng_init(&fault.rng, 6);
	for (size_t i = 0; i < 2; i++) {
		struct vio_sim *sim = vio_sim_new(NULL);
		struct store *s = fill(sim, hops[i]);

		for (uint64_t k = 0; k < CHUNKS; k++) {
			start(hops[i], 0);
			cr_assert(read_direct(s, k));
			start(hops[i], 1);
			cr_assert_not(read_direct(s, k));
			cr_assert_eq(fault.flips, 1);
			cr_assert_eq(fault.told, 0);
		}
		store_close(s);
		vio_sim_free(sim);
	}
}

Test(store_hops, only_plain_chunks_go_past_the_cache)
{
	struct vio_sim *sim = vio_sim_new(NULL);
	struct store *s = fill(sim, STORE_HOP_STAGED);

	start(STORE_HOP_COPY, 0);
	for (uint64_t k = 0; k < CHUNKS; k++)
		cr_assert_not(read_direct(s, k));
	store_close(s);
	vio_sim_free(sim);
}

/* The header of the first record, which holds raw bytes, says `codec`. */
static void forge_codec(struct vio_sim *sim, uint8_t codec)
{
	struct vio_file *file = NULL;
	uint8_t head[PACK_RECORD_SIZE];
	struct pack_record r = { 0 };

	cr_assert_eq(vio_open(vio_sim_vio(sim), &file, "packs/00000001.pack",
			      VIO_WRITE),
		     0);
	cr_assert_eq(vio_pread_full(file, head, sizeof(head), PACK_HEADER_SIZE),
		     0);
	cr_assert_eq(pack_record_decode(&r, head, sizeof(head)), 0);
	cr_assert_eq(r.codec, CHUNK_RAW);
	r.codec = codec;
	r.raw_len++;
	pack_record_encode(head, &r);
	cr_assert_eq(vio_pwrite(file, head, sizeof(head), PACK_HEADER_SIZE), 0);
	vio_close(file);
}

/* Nobody else could read it: what is verified is not that place. */
Test(store_hops, bytes_under_a_header_of_other_bytes_are_no_copy)
{
	autofree uint8_t *p = malloc(LIMIT_CHUNK);
	autofree uint8_t *got = malloc(LIMIT_CHUNK);
	struct vio_sim *sim = vio_sim_new(NULL);
	struct store *s = fill(sim, STORE_HOP_RECORD);
	struct digest id = { 0 };
	uint32_t n = (uint32_t)bytes_of(p, 0);

	start(STORE_HOP_COPY, 0);
	chunk_hash(&id, CHUNK_DATA, p, n);
	store_close(s);
	forge_codec(sim, CHUNK_ZSTD);
	s = store_on(sim);
	cr_assert_not(store_read_direct(s, got, &id, n));
	store_close(s);
	vio_sim_free(sim);
}

/* Good bytes that nothing would find do not count as a copy. */
Test(store_hops, dedup_is_not_against_a_record_whose_header_is_bad)
{
	autofree uint8_t *p = malloc(LIMIT_CHUNK);
	autofree uint8_t *got = malloc(LIMIT_CHUNK);
	struct vio_sim *sim = vio_sim_new(NULL);
	struct store *s = fill(sim, STORE_HOP_RECORD);
	struct chunk_maker *m = chunk_maker_new();
	struct prng r = { 0 };
	struct digest id = { 0 };
	uint32_t n = (uint32_t)bytes_of(p, 0);

	prng_init(&r, 7);
	start(STORE_HOP_COPY, 0);
	chunk_hash(&id, CHUNK_DATA, p, n);
	cr_assert(store_read_direct(s, got, &id, n));
	store_close(s);
	cr_assert_eq(vio_sim_flip(sim, "packs/00000001.pack",
				  PACK_HEADER_SIZE + 50, 3),
		     0);
	s = store_on(sim);
	cr_assert_not(store_read_direct(s, got, &id, n));
	put_all(s, m, p, false);
	store_close(s);
	s = store_on(sim);
	cr_assert_eq(read_part(s, 0, &r), 0);
	store_close(s);
	chunk_maker_free(m);
	vio_sim_free(sim);
}
