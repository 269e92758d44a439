/*
 * test_wal.c - segments of frames: append, scan, reuse, torn and damaged.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/vio.h"
#include "ledger/frame.h"
#include "ledger/ledger.h"
#include "ledger/wal.h"
#include "tests/sim/prng.h"
#include "tests/sim/vio_sim.h"

static const uint8_t volume_id[16] = { 9 };
static struct vio_sim *sim;
static struct vio *v;
static struct wal *w;
static struct errmsg em;
static uint64_t segment_bytes = 64 << 10;

static void open_wal(void)
{
	struct wal_options o = {
		.vio = v,
		.volume_id = volume_id,
		.segment_bytes = segment_bytes,
		.create = true,
	};

	em = (struct errmsg)ERRMSG_INIT;
	cr_assert_eq(wal_open(&w, &o, &em), 0, "%s", em.text);
}

static void setup(void)
{
	sim = vio_sim_new(NULL);
	v = vio_sim_vio(sim);
	open_wal();
}

static void teardown(void)
{
	wal_close(w);
	vio_sim_free(sim);
}

TestSuite(wal, .init = setup, .fini = teardown);

/* A frame whose bytes follow from its index. */
static uint32_t make(struct buf *out, uint64_t index, uint32_t size)
{
	static uint8_t seal[300], bytes[60000];
	struct ledger_entry e = { .bytes = bytes, .len = size };
	struct frame_parts parts = {
		.index = index,
		.seal = seal,
		.seal_n = sizeof(seal),
		.entries = &e,
		.n = 1,
	};
	uint32_t len = 0;

	memset(seal, (int)index, sizeof(seal));
	memset(bytes, (int)(index + 1), size);
	cr_assert_eq(frame_build(out, &len, &parts), 0);
	return len;
}

static int append(uint64_t index, uint32_t size)
{
	struct buf b = BUF_INIT;
	uint32_t len = make(&b, index, size);
	int rc = wal_append(w, &b, len, index);

	buf_release(&b);
	return rc;
}

static void expect(uint64_t first, uint64_t end)
{
	struct buf b = BUF_INIT, want = BUF_INIT;
	struct frame f;

	cr_assert_eq(wal_end(w), end);
	cr_assert_leq(wal_first(w), first);
	for (uint64_t i = first; i < end; i++) {
		cr_assert_eq(wal_read(w, &b, &f, i), 0, "frame %lu", i);
		cr_assert_eq(f.index, i);
		cr_assert_eq(f.seal[0], (uint8_t)i);
		cr_assert_eq(f.entries[4], (uint8_t)(i + 1));
	}
	cr_assert_eq(wal_read(w, &b, &f, end), -ENOENT);
	buf_release(&b);
	buf_release(&want);
}

static void reopen(uint64_t end)
{
	wal_close(w);
	open_wal();
	cr_assert_eq(wal_start(w, end), 0);
}

static unsigned files(void)
{
	struct vio_stat st;
	unsigned n = 0;
	char path[32];

	for (unsigned i = 1; i < 100; i++) {
		snprintf(path, sizeof(path), "wal/%08u.wal", i);
		n += vio_stat(v, path, &st) == 0;
	}
	return n;
}

Test(wal, holds_what_was_appended_across_segments_and_restarts)
{
	cr_assert_eq(wal_start(w, 0), 0);
	for (uint64_t i = 0; i < 60; i++)
		cr_assert_eq(append(i, 100 + (uint32_t)(i % 7) * 1000), 0);
	expect(0, 60);
	cr_assert_gt(files(), 3);
	wal_close(w);
	vio_sim_kill(sim);
	open_wal();
	expect(0, 60);
	cr_assert_eq(wal_start(w, 60), 0);
	cr_assert_eq(append(60, 5000), 0);
	expect(0, 61);
}

Test(wal, one_write_and_one_flush_commit_a_frame)
{
	uint64_t writes, syncs;

	cr_assert_eq(wal_start(w, 0), 0);
	cr_assert_eq(append(0, 100), 0);
	writes = vio_sim_count(sim, VIO_SIM_WRITE);
	syncs = vio_sim_count(sim, VIO_SIM_SYNC);
	cr_assert_eq(append(1, 100), 0);
	/* the other one is the end in the mark, which nobody waits for */
	cr_assert_eq(vio_sim_count(sim, VIO_SIM_WRITE) - writes, 2);
	cr_assert_eq(vio_sim_count(sim, VIO_SIM_SYNC) - syncs, 1);
	cr_assert_eq(vio_sim_count(sim, VIO_SIM_TRUNCATE), 0);
}

Test(wal, a_segment_is_made_piece_by_piece)
{
	uint64_t before = vio_sim_count(sim, VIO_SIM_WRITEBACK);

	wal_close(w);
	segment_bytes = 4 << 20;
	open_wal();
	cr_assert_eq(wal_start(w, 0), 0);
	cr_assert_eq(append(0, 100), 0);
	cr_assert_geq(vio_sim_count(sim, VIO_SIM_WRITEBACK) - before, 8);
	expect(0, 1);
	for (uint64_t i = 1; wal_bytes(w, 0) <= 2 << 20; i++)
		cr_assert_eq(append(i, 50000), 0);
	/* it fails as a flush does: never softly */
	vio_sim_fail(sim, VIO_SIM_WRITEBACK, 3, ENOSPC, false);
	cr_assert_eq(wal_prepare(w), -EIO);
}

/* Room is found wanting when the zeros go to the disk, not before. */
static void fill_disk(void *ctx, enum vio_sim_class class, const char *path)
{
	(void)ctx;
	if (class == VIO_SIM_WRITE && strstr(path, ".wal") != NULL)
		vio_sim_fail(sim, VIO_SIM_WRITEBACK | VIO_SIM_SYNC, 1, ENOSPC,
			     false);
}

Test(wal, a_full_disk_is_soft_where_room_cannot_be_taken_before)
{
	unsigned before;

	wal_close(w);
	segment_bytes = 4 << 20;
	open_wal();
	cr_assert_eq(wal_start(w, 0), 0);
	for (uint64_t i = 0; i == 0 || wal_bytes(w, 0) <= 2 << 20; i++)
		cr_assert_eq(append(i, 50000), 0);
	before = files();
	vio_sim_fail(sim, VIO_SIM_ALLOCATE, 1, EOPNOTSUPP, false);
	vio_sim_set_hook(sim, fill_disk, NULL);
	cr_assert_eq(wal_prepare(w), -ENOSPC);
	vio_sim_set_hook(sim, NULL, NULL);
	cr_assert_eq(files(), before);
	cr_assert_eq(wal_prepare(w), 0);
}

Test(wal, released_segments_are_used_again_and_stay_few)
{
	cr_assert_eq(wal_start(w, 0), 0);
	for (uint64_t i = 0; i < 400; i++) {
		cr_assert_eq(append(i, 3000), 0);
		if (i % 10 == 9)
			wal_release(w, i);
	}
	cr_assert_leq(files(), 5);
	expect(399, 400);
	reopen(400);
	expect(399, 400);
	cr_assert_eq(append(400, 3000), 0);
	expect(399, 401);
}

/* From the frame `at` on, until there is no room: the next one's index. */
static uint64_t append_until_full(uint64_t at)
{
	int rc = 0;

	for (; rc == 0; at += rc == 0)
		rc = append(at, 3000);
	cr_assert_eq(rc, -ENOSPC);
	return at;
}

Test(wal, without_room_for_another_the_settled_segment_goes_on)
{
	uint64_t end = 0, next = 0;

	cr_assert_eq(wal_start(w, 0), 0);
	cr_assert_eq(append(0, 3000), 0);
	vio_sim_set_space(sim, 0);
	end = append_until_full(1);
	wal_release(w, end - 1);
	cr_assert_eq(append(end, 3000), -ENOSPC, "one is not settled");
	expect(0, end);
	for (unsigned round = 0; round < 3; round++) {
		wal_release(w, end);
		next = append_until_full(end);
		cr_assert_gt(next, end + 5);
		expect(end, next);
		vio_sim_kill(sim);
		reopen(next);
		expect(end, next);
		end = next;
	}
	cr_assert_eq(files(), 1);
	/* torn while it begins anew: all is durable elsewhere, nothing false */
	for (uint64_t cut = 1; cut < 4; cut++) {
		struct prng p;

		wal_release(w, end);
		vio_sim_stop_at(sim, cut);
		(void)!append(end, 3000);
		vio_sim_stop_at(sim, 0);
		prng_init(&p, cut);
		vio_sim_crash(sim, &p);
		reopen(end);
		wal_release(w, end); /* as whoever opened knows */
		vio_sim_set_space(sim, 0);
		cr_assert_eq(append(end, 3000), 0, "cut %lu", cut);
		end = append_until_full(end + 1);
		expect(end - 1, end);
	}
}

Test(wal, stale_frames_of_an_earlier_use_never_pass)
{
	cr_assert_eq(wal_start(w, 0), 0);
	for (uint64_t i = 0; i < 40; i++)
		cr_assert_eq(append(i, 100), 0);
	wal_release(w, 40);
	/* The log goes on elsewhere: old frames have the same indices. */
	reopen(20);
	cr_assert_eq(append(20, 100), 0);
	cr_assert_eq(append(21, 100), 0);
	expect(20, 22);
	reopen(22);
	expect(20, 22);
}

Test(wal, a_torn_frame_is_not_there)
{
	struct prng p;

	cr_assert_eq(wal_start(w, 0), 0);
	for (uint64_t i = 0; i < 5; i++)
		cr_assert_eq(append(i, 9000), 0);
	vio_sim_stop_at(sim, vio_sim_count(sim, 0) + 1);
	cr_assert_lt(append(5, 20000), 0);
	prng_init(&p, 3);
	vio_sim_stop_at(sim, 0);
	vio_sim_crash(sim, &p);
	wal_close(w);
	open_wal();
	cr_assert_geq(wal_end(w), 5);
	cr_assert_leq(wal_end(w), 6);
	cr_assert_eq(wal_start(w, wal_end(w)), 0);
	cr_assert_eq(append(wal_end(w), 100), 0);
	expect(0, wal_end(w));
}

Test(wal, a_damaged_frame_with_valid_ones_behind_it_is_a_gap)
{
	cr_assert_eq(wal_start(w, 0), 0);
	for (uint64_t i = 0; i < 10; i++)
		cr_assert_eq(append(i, 100), 0);
	wal_close(w);
	cr_assert_eq(
		vio_sim_flip(sim, "wal/00000001.wal", 8192 + 4 * 4096 + 50, 1),
		0);
	open_wal();
	cr_assert_eq(wal_first(w), 5);
	cr_assert_eq(wal_end(w), 10);
}

/* A file's bytes may lie here as an old frame's small chunk. */
Test(wal, what_only_looks_like_a_head_is_not_read_to_its_end)
{
	enum { SEGMENT = 8 << 20, CLAIM = 2 << 20, PAGE = 4096 };
	struct vio_file *f = NULL;
	uint8_t head[FRAME_HEAD_SIZE] = { 0 };
	unsigned before;

	teardown();
	segment_bytes = SEGMENT;
	setup();
	cr_assert_eq(wal_start(w, 0), 0);
	for (uint64_t i = 0; i < 3; i++)
		cr_assert_eq(append(i, 100), 0);
	wal_close(w);
	/* little-endian: len, checksum, index */
	head[2] = CLAIM >> 16;
	head[12] = 7;
	cr_assert_eq(vio_open(v, &f, "wal/00000001.wal", VIO_WRITE), 0);
	for (uint64_t at = 1 << 16; at + CLAIM < SEGMENT; at += PAGE)
		cr_assert_eq(vio_pwrite(f, head, sizeof(head), at), 0);
	vio_close(f);
	before = vio_sim_count(sim, VIO_SIM_READ);
	open_wal();
	cr_assert_lt(vio_sim_count(sim, VIO_SIM_READ) - before, 40);
	cr_assert_eq(wal_start(w, 3), 0);
	expect(0, 3);
}

Test(wal, another_volumes_and_a_newer_segment_are_refused)
{
	static const uint8_t other[16] = { 8 };
	struct wal_options o = { .vio = v, .volume_id = other };
	struct wal *x = NULL;

	cr_assert_eq(wal_start(w, 0), 0);
	cr_assert_eq(append(0, 100), 0);
	cr_assert_eq(wal_open(&x, &o, &em), -ERR_CORRUPT);
	cr_assert(strstr(em.text, "another volume") != NULL);
}

Test(wal, a_full_disk_is_soft_and_leaves_nothing_behind)
{
	int rc = 0;
	uint64_t n;

	cr_assert_eq(wal_start(w, 0), 0);
	vio_sim_set_space(sim, 150 << 10);
	for (n = 0; rc == 0; n++)
		rc = append(n, 3000);
	cr_assert_eq(rc, -ENOSPC);
	n--;
	cr_assert_gt(n, 10);
	expect(0, n);
	vio_sim_set_space(sim, UINT64_MAX);
	cr_assert_eq(append(n, 3000), 0);
	reopen(n + 1);
	expect(0, n + 1);
}
