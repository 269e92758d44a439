/*
 * test_content.c - what content.h promises, claim by claim, on a simulated
 * disk.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "fs/content/chunker.h"
#include "fs/content/content.h"
#include "fs/content/dirty.h"
#include "fs/store/store.h"
#include "index/state.h"
#include "tests/sim/content_box.h"
#include "tests/sim/model_content.h"
#include "tests/sim/prng.h"
#include "tests/sim/vio_sim.h"
#include "tests/unit/content_checks.h"

enum { KIB = 1 << 10, MIB = 1 << 20 };

Test(content, of_one_chunk_has_the_plain_hash_as_root)
{
	struct content_box b = { .sim = NULL };
	struct content_version v = { .gen = 0 };
	struct digest d = { .b = { 0 } };
	struct content *c = NULL;
	autofree uint8_t *p = noise(4096, 1);

	content_box_init(&b, 0);
	c = content_box_new(&b);
	put(c, p, 4096, 0);
	cr_assert(content_version(c, &v) == 0);
	digest_blake3(&d, p, 4096);
	cr_assert(digest_eq(&d, &v.root));
	cr_assert(v.n_staged == 1 && digest_eq(&v.staged[0], &d));
	digest_sha256(&d, p, 4096);
	cr_assert(v.has_sha256 && digest_eq(&d, &v.sha256));
	cr_assert(v.n_ranges == 1 && v.ranges[0].lo == 0 &&
		  v.ranges[0].hi == 4096 && !v.ranges_are_hull);
	content_version_release(&v);
	content_close(c);
	content_box_release(&b);
}

Test(content, empty_has_the_hash_of_nothing_as_root)
{
	struct content_box b = { .sim = NULL };
	struct content_version v = { .gen = 0 };
	struct content_state st = { .dirty = true };
	struct digest d = { .b = { 0 } };
	struct content *c = NULL;
	uint8_t x = 1;

	content_box_init(&b, 0);
	c = content_box_new(&b);
	content_state(c, &st);
	cr_assert(!st.dirty && !st.unsaved);
	cr_assert(content_read(c, &x, 1, 0) == 0);
	content_box_version(&b, c, &v);
	digest_blake3(&d, "", 0);
	cr_assert(digest_eq(&d, &v.root) && v.size == 0 && v.n_staged == 0);
	content_version_release(&v);
	content_close(c);
	c = content_box_open(&b, &d, 0);
	cr_assert(content_size(c) == 0);
	content_close(c);
	content_box_release(&b);
}

/* Writes p in slices of random size, some of them twice and out of order. */
static void put_in_slices(struct content_box *b, struct content *c,
			  const uint8_t *p, size_t n, struct prng *prng)
{
	size_t most = (size_t)1 << prng_range(prng, 6, 20);

	for (size_t at = 0; at < n;) {
		size_t part = prng_range(prng, 1, most);

		if (part > n - at)
			part = n - at;
		put(c, p + at, part, at);
		at += part;
		if (prng_chance(prng, 2)) {
			size_t back = prng_below(prng, at);

			put(c, p + back, at - back < 5000 ? at - back : 5000,
			    back);
		}
		if (prng_chance(prng, 1))
			content_box_save(b, c, NULL);
	}
}

Test(content, root_is_of_the_bytes_whatever_the_writes, .timeout = 120)
{
	static const size_t units[] = { 4096, 16384, 65536, 262144, 1048576 };
	uint64_t seed = prng_seed("content root", 0);
	struct content_box b = { .sim = NULL };
	struct prng prng = { .seed = 0 };

	prng_init(&prng, seed);
	content_box_init(&b, 0);
	for (int i = 0; i < 60; i++) {
		size_t n = units[i % 5] * prng_range(&prng, 1, 3) +
			   prng_below(&prng, 3) - 1;
		autofree uint8_t *p = malloc(n);
		struct content_version v = { .gen = 0 };
		struct content *c = content_box_new(&b);

		model_content_fill(&prng, p, n);
		put_in_slices(&b, c, p, n, &prng);
		content_box_version(&b, c, &v);
		cr_assert(v.size == n);
		same_root(&v.root, p, n);
		content_close(c);
		c = content_box_open(&b, &v.root, v.size);
		reads_as(c, p, n);
		content_version_release(&v);
		content_close(c);
	}
	content_box_release(&b);
}

Test(content, change_of_one_byte_costs_a_few_chunks, .timeout = 120)
{
	enum { N = 40 * MIB };
	struct content_box b = { .sim = NULL };
	struct content_version v = { .gen = 0 };
	struct content *c = NULL;
	autofree uint8_t *p = noise(N, 2);
	uint64_t before = 0;
	uint64_t reads = 0;

	content_box_init(&b, 0);
	c = content_box_new(&b);
	put(c, p, N, 0);
	content_box_version(&b, c, &v);
	same_root(&v.root, p, N);
	content_close(c);
	content_box_reopen(&b);
	c = content_box_open(&b, &v.root, N);
	content_version_release(&v);

	before = chunks(&b);
	reads = vio_sim_count(b.sim, VIO_SIM_READ);
	p[N / 2] ^= 1;
	put(c, p + N / 2, 1, N / 2);
	content_box_version(&b, c, &v);
	same_root(&v.root, p, N);
	cr_assert(v.n_ranges == 1 && v.ranges[0].lo == N / 2 &&
		  v.ranges[0].hi == N / 2 + 1);
	cr_assert(!v.has_sha256);
	/* some chunks, a node of each level; of 640 chunks and 10 nodes */
	cr_assert(chunks(&b) - before <= 12, "%lu", chunks(&b) - before);
	cr_assert(vio_sim_count(b.sim, VIO_SIM_READ) - reads <= 60);
	content_version_release(&v);
	content_close(c);
	content_box_release(&b);
}

Test(content, stream_needs_a_bounded_room_and_no_second_look, .timeout = 240)
{
	enum { N = 96, ROOM = 8 * MIB };
	struct content_box b = { .sim = NULL };
	struct content_version v = { .gen = 0 };
	struct content_state st = { .dirty = false };
	struct digest d = { .b = { 0 } };
	struct content *c = NULL;
	autofree uint8_t *p = noise(N * MIB, 3);
	uint64_t reads = 0;
	uint64_t made = 0;

	content_box_init(&b, ROOM);
	c = content_box_new(&b);
	reads = vio_sim_count(b.sim, VIO_SIM_READ);
	for (size_t i = 0; i < N; i++) {
		put(c, p + i * MIB, MIB, i * MIB);
		cr_assert(content_pool_dirty(b.pool) <= ROOM);
	}
	content_state(c, &st);
	cr_assert(st.buffered <= ROOM);
	made = chunks(&b);
	cr_assert(made >= (N * MIB - ROOM) / (256 * KIB));
	content_box_version(&b, c, &v);
	same_root(&v.root, p, N * MIB);
	digest_sha256(&d, p, N * MIB);
	cr_assert(!v.has_sha256 || digest_eq(&d, &v.sha256));
	/* what was cut while it streamed was neither read nor stored again */
	cr_assert(vio_sim_count(b.sim, VIO_SIM_READ) - reads < 200);
	cr_assert(v.n_staged == 0);
	content_version_release(&v);
	content_close(c);
	content_box_release(&b);
}

Test(content, large_write_keeps_the_buffer_it_came_in)
{
	enum { N = 8 };
	struct content_box b = { .sim = NULL };
	struct content_version v = { .gen = 0 };
	struct dirty_buf *spare = NULL;
	struct content *c = NULL;
	autofree uint8_t *p = noise(N * MIB + 3, 17);
	uint64_t at = 0;
	size_t kept = 0;

	content_box_init(&b, 0);
	c = content_box_new(&b);
	for (size_t i = 0; i < N; i++) {
		if (!spare)
			spare = content_pool_spare(b.pool);
		cr_assert(spare && (uintptr_t)spare->p % 4096 == 0);
		memcpy(spare->p, p + i * MIB, MIB);
		cr_assert(content_write_spare(c, &spare, MIB, i * MIB, false, 1,
					      &at) == 0);
		kept += !spare;
	}
	cr_assert(kept == N);
	cr_assert(content_pool_dirty(b.pool) <= N * MIB);
	/* a few bytes are copied, and the buffer is there for the next */
	spare = content_pool_spare(b.pool);
	cr_assert(spare);
	memcpy(spare->p, p + N * MIB, 3);
	cr_assert(content_write_spare(c, &spare, 3, 0, true, 1, &at) == 0);
	cr_assert(spare && at == N * MIB);
	memset(spare->p, 0xee, 3);
	content_pool_unspare(b.pool, spare);
	reads_as(c, p, N * MIB + 3);
	content_box_version(&b, c, &v);
	same_root(&v.root, p, N * MIB + 3);
	content_version_release(&v);
	content_pool_trim(b.pool);
	reads_as(c, p, N * MIB + 3);
	content_close(c);
	content_box_release(&b);
}

/* Or a stream of such writes would take twice its bytes of the bound. */
Test(content, no_buffer_is_taken_at_the_cost_of_half_another)
{
	enum { N = 30, STEP = 600 * KIB };
	struct content_box b = { .sim = NULL };
	struct dirty_buf *spare = NULL;
	struct content *c = NULL;
	autofree uint8_t *p = noise(N * STEP, 23);
	uint64_t at = 0;
	uint64_t streams = 0;
	size_t kept = 0;

	content_box_init(&b, 0);
	c = content_box_new(&b);
	for (size_t i = 0; i < N; i++) {
		if (!spare)
			spare = content_pool_spare(b.pool);
		cr_assert(spare);
		memcpy(spare->p, p + i * STEP, STEP);
		cr_assert(content_write_spare(c, &spare, STEP, i * STEP, false,
					      1, &at) == 0);
		kept += !spare;
	}
	/* what tells that nothing is streamed: see core_idle.c */
	streams = content_pool_streams(b.pool);
	cr_assert_geq(streams, kept);
	reads_as(c, p, N * STEP);
	cr_assert_eq(content_pool_streams(b.pool), streams);
	/* of three, that fill two buffers, one */
	cr_assert(kept >= N / 3 && kept <= N / 3 + 1, "%zu", kept);
	content_pool_unspare(b.pool, spare);
	reads_as(c, p, N * STEP);
	content_close(c);
	content_box_release(&b);
}

Test(content, save_in_a_stream_breaks_nothing, .timeout = 240)
{
	enum { N = 24, STEP = 600 * KIB };
	struct content_box a = { .sim = NULL };
	struct content_version v = { .gen = 0 };
	struct content *c = NULL;
	autofree uint8_t *p = noise(N * STEP, 4);
	uint64_t plain = 0;
	struct digest d = { .b = { 0 } };

	for (int saves = 0; saves < 2; saves++) {
		content_box_init(&a, 0);
		c = content_box_new(&a);
		for (size_t i = 0; i < N; i++) {
			put(c, p + i * STEP, STEP, i * STEP);
			if (saves)
				content_box_save(&a, c, NULL);
		}
		content_box_version(&a, c, &v);
		same_root(&v.root, p, N * STEP);
		digest_sha256(&d, p, N * STEP);
		cr_assert(!v.has_sha256 || digest_eq(&d, &v.sha256));
		/* besides the tails that the saves had to write */
		if (!saves)
			plain = chunks(&a);
		else
			cr_assert(chunks(&a) <= plain + 2 * N);
		content_version_release(&v);
		content_close(c);
		content_box_release(&a);
	}
}

Test(content, small_write_saves_as_one_small_chunk)
{
	struct content_box b = { .sim = NULL };
	struct content_saved s = { .extents = NULL };
	struct content_version v = { .gen = 0 };
	struct content *c = NULL;
	autofree uint8_t *p = noise(MIB, 5);
	uint64_t before = 0;

	content_box_init(&b, 0);
	c = content_box_new(&b);
	put(c, p, MIB, 0);
	content_box_version(&b, c, &v);
	content_version_release(&v);
	before = vio_sim_count(b.sim, VIO_SIM_READ);
	put(c, p, 4096, 40960);
	put(c, p + 4096, 4096, 45056);
	put(c, p + 9000, 100, 500001);
	cr_assert(content_save(c, &s) == 0);
	/* the store looks into its table; the file is not read */
	cr_assert(vio_sim_count(b.sim, VIO_SIM_READ) <= before + 8);
	cr_assert(s.n == 2 && s.n_staged == 2 && !s.size_changed);
	cr_assert(s.extents[0].off == 40960 && s.extents[0].len == 8192 &&
		  s.extents[0].chunk_off == 0);
	cr_assert(s.extents[1].off == 500001 && s.extents[1].len == 100);
	cr_assert(digest_eq(&s.staged[0], &s.extents[0].chunk));
	content_box_commit(&b, s.staged, s.n_staged);
	content_saved_release(&s);
	cr_assert(content_save(c, &s) == 0);
	cr_assert(s.n == 0 && s.n_staged == 0);
	content_saved_release(&s);
	content_close(c);
	content_box_release(&b);
}

Test(content, truncated_bytes_never_come_back)
{
	struct content_box b = { .sim = NULL };
	struct content_saved s = { .extents = NULL };
	struct content_version v = { .gen = 0 };
	struct content *c = NULL;
	autofree uint8_t *p = noise(300000, 6);

	content_box_init(&b, 0);
	c = content_box_new(&b);
	put(c, p, 300000, 0);
	content_box_version(&b, c, &v);
	cr_assert(content_truncate(c, 100) == 0);
	content_box_save(&b, c, NULL);
	cr_assert(content_truncate(c, 200000) == 0);
	memset(p + 100, 0, 300000 - 100);
	reads_as(c, p, 200000);
	/* the report says so too, for who has the version and the extents */
	cr_assert(content_save(c, &s) == 0);
	cr_assert(s.n == 1 && s.size == 200000 && s.size_changed);
	cr_assert(s.extents[0].off == 100 && s.extents[0].len == 199900 &&
		  digest_is_zero(&s.extents[0].chunk));
	content_close(c);
	c = content_box_open(&b, &v.root, v.size);
	cr_assert(content_recover(c, s.extents, s.n) == 0);
	content_recover_size(c, s.size);
	reads_as(c, p, 200000);
	content_saved_release(&s);
	content_version_release(&v);
	content_box_version(&b, c, &v);
	same_root(&v.root, p, 200000);
	content_version_release(&v);
	content_close(c);
	content_box_release(&b);
}

Test(content, holes_of_terabytes_cost_nothing)
{
	const uint64_t size = (1ULL << 42) + 77;
	struct content_box b = { .sim = NULL };
	struct content_version v = { .gen = 0 };
	struct content *c = NULL;
	uint64_t at = 0;
	uint8_t x[9] = "";

	content_box_init(&b, 0);
	c = content_box_new(&b);
	cr_assert(content_truncate(c, size) == 0);
	put(c, "abcdefgh", 8, 1ULL << 41);
	cr_assert(content_allocated(c) < 10000);
	content_box_version(&b, c, &v);
	cr_assert(v.size == size && v.allocated == 4096);
	content_close(c);
	c = content_box_open(&b, &v.root, v.size);
	cr_assert(content_read(c, x, 9, (1ULL << 41) - 1) == 9);
	cr_assert(memcmp(x, "\0abcdefgh", 9) == 0);
	cr_assert(content_seek(c, 0, false, &at) == 0 && at == 1ULL << 41);
	cr_assert(content_seek(c, at, true, &at) == 0);
	cr_assert(at == (1ULL << 41) + 4096);
	cr_assert(content_seek(c, size, true, &at) == -ENXIO);
	cr_assert(content_allocated(c) == 4096);
	cr_assert(content_truncate(c, 1ULL << 62) == 0);
	content_version_release(&v);
	content_box_version(&b, c, &v);
	cr_assert(v.size == 1ULL << 62);
	content_version_release(&v);
	content_close(c);
	content_box_release(&b);
}

Test(content, zeroed_blocks_become_holes)
{
	struct content_box b = { .sim = NULL };
	struct content_version v = { .gen = 0 };
	struct content *c = NULL;
	autofree uint8_t *p = noise(200000, 7);
	uint64_t at = 0;

	content_box_init(&b, 0);
	c = content_box_new(&b);
	put(c, p, 200000, 0);
	content_box_version(&b, c, &v);
	content_version_release(&v);
	cr_assert(content_zero(c, 50000, 30000, true) == 0);
	cr_assert(content_zero(c, 199000, 5000, true) == 0);
	memset(p + 50000, 0, 30000);
	memset(p + 199000, 0, 1000);
	cr_assert(content_size(c) == 200000);
	content_box_version(&b, c, &v);
	same_root(&v.root, p, 200000);
	content_version_release(&v);
	cr_assert(content_seek(c, 0, true, &at) == 0 && at == 53248);
	cr_assert(content_seek(c, at, false, &at) == 0 && at == 77824);
	cr_assert(content_zero(c, 199000, 5000, false) == 0);
	cr_assert(content_size(c) == 204000);
	content_close(c);
	content_box_release(&b);
}

Test(content, clone_of_a_whole_file_reads_and_stores_nothing)
{
	enum { N = 6 * MIB };
	struct content_box b = { .sim = NULL };
	struct content_version v = { .gen = 0 };
	struct content_version w = { .gen = 0 };
	struct content_saved s = { .extents = NULL };
	struct content *from = NULL;
	struct content *to = NULL;
	autofree uint8_t *p = noise(N, 8);
	uint64_t before = 0;
	uint64_t len = 0;

	content_box_init(&b, 0);
	from = content_box_new(&b);
	put(from, p, N, 0);
	content_box_version(&b, from, &v);
	to = content_box_new(&b);
	before = chunks(&b);
	cr_assert(content_clone(to, 0, from, 0, UINT64_MAX, &len) == 0);
	cr_assert(len == N);
	reads_as(to, p, N);
	cr_assert(content_save(to, &s) == 0);
	cr_assert(s.n > 20 && s.n_staged == 0 && s.size == N);
	content_saved_release(&s);
	content_box_version(&b, to, &w);
	cr_assert(digest_eq(&v.root, &w.root));
	cr_assert(chunks(&b) == before);
	content_version_release(&w);

	/* a part at another place shares chunks too */
	cr_assert(content_truncate(to, 0) == 0);
	cr_assert(content_clone(to, 8192, from, 0, 4 * MIB, &len) == 0);
	content_box_version(&b, to, &w);
	cr_assert(chunks(&b) - before <= 8, "%lu", chunks(&b) - before);
	content_version_release(&v);
	content_version_release(&w);
	content_close(from);
	content_close(to);
	content_box_release(&b);
}

Test(content, writes_between_version_and_versioned_stay)
{
	struct content_box b = { .sim = NULL };
	struct content_version v = { .gen = 0 };
	struct content_state st = { .dirty = false };
	struct content *c = NULL;
	autofree uint8_t *p = noise(200000, 9);

	content_box_init(&b, 0);
	c = content_box_new(&b);
	put(c, p, 100000, 0);
	cr_assert(content_version(c, &v) == 0);
	same_root(&v.root, p, 100000);
	put(c, p + 100000, 100000, 100000);
	p[5] ^= 1;
	put(c, p + 5, 1, 5);
	reads_as(c, p, 200000);
	content_box_commit(&b, v.staged, v.n_staged);
	content_versioned(c, v.gen);
	content_version_release(&v);
	reads_as(c, p, 200000);
	content_state(c, &st);
	cr_assert(st.dirty && st.unsaved && st.buffered == 100001);
	content_box_version(&b, c, &v);
	same_root(&v.root, p, 200000);
	content_state(c, &st);
	cr_assert(!st.dirty && !st.unsaved && st.extents == 0);
	content_version_release(&v);
	content_close(c);
	content_box_release(&b);
}

Test(content, version_that_was_not_entered_is_made_anew)
{
	struct content_box b = { .sim = NULL };
	struct content_version v = { .gen = 0 };
	struct content_version w = { .gen = 0 };
	struct content *c = NULL;
	autofree uint8_t *p = noise(100000, 10);

	content_box_init(&b, 0);
	c = content_box_new(&b);
	put(c, p, 100000, 0);
	cr_assert(content_version(c, &v) == 0);
	p[70000] ^= 1;
	put(c, p + 70000, 1, 70000);
	cr_assert(content_version(c, &w) == 0);
	cr_assert(w.gen != v.gen);
	same_root(&w.root, p, 100000);
	content_versioned(c, v.gen); /* too late: means nothing */
	reads_as(c, p, 100000);
	content_versioned(c, w.gen);
	reads_as(c, p, 100000);
	content_version_release(&v);
	content_version_release(&w);
	content_close(c);
	content_box_release(&b);
}

Test(content, more_than_eight_ranges_are_their_hull)
{
	struct content_box b = { .sim = NULL };
	struct content_version v = { .gen = 0 };
	struct content *c = NULL;
	autofree uint8_t *p = noise(MIB, 11);

	content_box_init(&b, 0);
	c = content_box_new(&b);
	put(c, p, MIB, 0);
	content_box_version(&b, c, NULL);
	for (uint64_t i = 8; i > 0; i--)
		put(c, "x", 1, i * 50000);
	put(c, "y", 1, 50001);
	content_box_version(&b, c, &v);
	cr_assert(v.n_ranges == 8 && !v.ranges_are_hull);
	cr_assert(v.ranges[0].lo == 50000 && v.ranges[0].hi == 50002);
	cr_assert(v.ranges[7].lo == 400000);
	content_version_release(&v);
	for (uint64_t i = 1; i < 10; i++)
		put(c, "z", 1, i * 50000);
	content_box_version(&b, c, &v);
	cr_assert(v.n_ranges == 1 && v.ranges_are_hull);
	cr_assert(v.ranges[0].lo == 50000 && v.ranges[0].hi == 450001);
	content_version_release(&v);
	content_close(c);
	content_box_release(&b);
}

/* Makes a version and says whether it knew the plain digest. */
static bool has_sha(struct content_box *b, struct content *c)
{
	struct content_version v = { .gen = 0 };
	struct digest d = { .b = { 0 } };
	bool has = false;

	content_box_version(b, c, &v);
	has = v.has_sha256;
	if (has) {
		cr_assert(content_sha256(b->pool, &d, &v.root, v.size, NULL,
					 NULL) == 0);
		cr_assert(digest_eq(&d, &v.sha256));
	}
	content_version_release(&v);
	return has;
}

/* Until the workers have cut what they can. */
static void wait_for_workers(struct content *c)
{
	struct content_state st = { .dirty = false };

	do {
		usleep(200);
		content_state(c, &st);
	} while (st.buffered > MIB);
}

Test(content, plain_digest_is_streamed_behind_a_writer_it_keeps_up_with)
{
	enum { N = 20 };
	struct content_box b = { .sim = NULL };
	struct content *c = NULL;
	autofree uint8_t *p = noise(N * MIB, 20);
	uint64_t reads = 0;

	content_box_init(&b, 0);
	c = content_box_new(&b);
	reads = vio_sim_count(b.sim, VIO_SIM_READ);
	for (size_t i = 0; i < N; i++) {
		put(c, p + i * MIB, MIB, i * MIB);
		wait_for_workers(c);
	}
	cr_assert(vio_sim_count(b.sim, VIO_SIM_READ) - reads < 50);
	cr_assert(has_sha(&b, c));
	content_close(c);
	content_box_release(&b);
}

/* A save hashes nothing: so nobody does, when no step is worth a worker. */
Test(content, plain_digest_is_given_up_when_it_falls_behind)
{
	enum { STEP = 400 * KIB };
	struct content_box b = { .sim = NULL };
	struct content *c = NULL;
	autofree uint8_t *p = noise(20 * STEP, 21);

	content_box_init(&b, 0);
	for (int n = 5; n <= 15; n += 10) {
		c = content_box_new(&b);
		for (int i = 0; i < n; i++) {
			put(c, p + (size_t)i * STEP, STEP, (uint64_t)i * STEP);
			content_box_save(&b, c, NULL);
		}
		cr_assert(has_sha(&b, c) == (n == 5));
		put(c, p + (size_t)n * STEP, STEP, (uint64_t)n * STEP);
		cr_assert(has_sha(&b, c) == (n == 5));
		cr_assert(content_truncate(c, 0) == 0);
		put(c, p, STEP, 0);
		cr_assert(has_sha(&b, c), "a file begun anew");
		content_close(c);
	}
	content_box_release(&b);
}

Test(content, plain_digest_is_of_one_handle_that_wrote_in_order)
{
	struct content_box b = { .sim = NULL };
	struct content *c = NULL;
	autofree uint8_t *p = noise(3 * MIB, 12);
	uint64_t at = 0;

	content_box_init(&b, 0);
	c = content_box_new(&b);
	cr_assert(has_sha(&b, c));
	put(c, p, 1000, 0);
	put(c, p + 1000, 2 * MIB, 1000);
	cr_assert(has_sha(&b, c));
	put(c, p, 300000, 1000 + 2 * MIB); /* goes on after a version */
	cr_assert(has_sha(&b, c));
	put(c, p, 1, 0); /* not in order */
	cr_assert(!has_sha(&b, c));
	cr_assert(content_truncate(c, 0) == 0); /* begins anew */
	put(c, p, 5000, 0);
	cr_assert(has_sha(&b, c));
	cr_assert(content_write(c, p, 1, 5000, false, 2, &at) == 0);
	cr_assert(!has_sha(&b, c)); /* another handle */
	cr_assert(content_truncate(c, 0) == 0);
	put(c, p, 5000, 0);
	cr_assert(content_truncate(c, 6000) == 0); /* zeros nobody wrote */
	cr_assert(!has_sha(&b, c));
	content_close(c);
	content_box_release(&b);
}

Test(content, append_writes_at_the_end_whatever_the_offset)
{
	struct content_box b = { .sim = NULL };
	struct content *c = NULL;
	autofree uint8_t *p = noise(9 * MIB, 13);
	uint64_t at = 0;

	content_box_init(&b, 16 * MIB);
	c = content_box_new(&b);
	cr_assert(content_write(c, p, 10, 999, true, 1, &at) == 0 && at == 0);
	cr_assert(content_write(c, p + 10, 9 * MIB - 10, 0, true, 1, &at) ==
			  0 &&
		  at == 10);
	reads_as(c, p, 9 * MIB);
	cr_assert(content_write(c, p, 2, INT64_MAX, false, 1, &at) == -EFBIG);
	cr_assert(content_truncate(c, UINT64_MAX) == -EFBIG);
	content_close(c);
	content_box_release(&b);
}

Test(content, read_version_reads_any_part)
{
	struct content_box b = { .sim = NULL };
	struct content_version v = { .gen = 0 };
	struct content *c = NULL;
	autofree uint8_t *p = noise(700000, 14);
	uint8_t q[3000];

	content_box_init(&b, 0);
	memset(p + 100000, 0, 200000);
	c = content_box_new(&b);
	put(c, p, 700000, 0);
	content_box_version(&b, c, &v);
	content_close(c);
	for (uint64_t off = 0; off < 700000; off += 20011) {
		size_t n = 700000 - off < 3000 ? 700000 - off : 3000;

		cr_assert(content_read_version(b.pool, q, 3000, off, &v.root,
					       v.size) == (ssize_t)n);
		cr_assert(memcmp(q, p + off, n) == 0);
	}
	cr_assert(content_read_version(b.pool, q, 1, 700000, &v.root, v.size) ==
		  0);
	content_version_release(&v);
	content_box_release(&b);
}
