/*
 * test_wal_mark.c - the mark of a log that is in use: its bytes, and that a
 * log which lacks what must be there is refused, by the mark or by the guard,
 * while one that lacks nothing opens.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/vio.h"
#include "ledger/guard.h"
#include "ledger/wal_mark.h"
#include "tests/sim/log_box.h"
#include "tests/sim/prng.h"
#include "tests/sim/vio_sim.h"

enum { SEGMENT = 64 << 10 };

static struct vio_sim *sim;
static struct vio *v;
static struct log_box box;

static void setup(void)
{
	sim = vio_sim_new(NULL);
	v = vio_sim_vio(sim);
	log_box_init(&box, v, v);
	box.wal_bytes = SEGMENT;
	cr_assert_eq(log_box_create(&box), 0, "%s", box.em.text);
}

static void teardown(void)
{
	log_box_close(&box);
	vio_sim_free(sim);
}

TestSuite(wal_mark, .init = setup, .fini = teardown);

/* --- bytes --- */

Test(wal_mark, has_one_encoding_and_every_flipped_bit_is_refused)
{
	struct wal_mark m = { .in_use = true,
			      .count = 3,
			      .volume_id = { 7 },
			      .sequence = 12,
			      .first = 90,
			      .number = 2 };
	struct wal_mark n;
	uint8_t page[WAL_MARK_PAGE];

	wal_mark_encode(page, &m);
	cr_assert_eq(wal_mark_decode(&n, page), 0);
	cr_assert_eq(memcmp(&m, &n, sizeof(m)), 0);
	for (size_t i = 0; i < sizeof(page); i++) {
		page[i] ^= (uint8_t)(1 << i % 8);
		cr_assert_lt(wal_mark_decode(&n, page), 0, "byte %zu", i);
		page[i] ^= (uint8_t)(1 << i % 8);
	}
	wal_mark_end_encode(page, m.volume_id, 91);
	cr_assert_eq(wal_mark_end_decode(page, m.volume_id), 91);
	for (size_t i = 0; i < sizeof(page); i++) {
		page[i] ^= (uint8_t)(1 << i % 8);
		cr_assert_eq(wal_mark_end_decode(page, m.volume_id), 0);
		page[i] ^= (uint8_t)(1 << i % 8);
	}
}

Test(wal_mark, of_version_1_decodes)
{
	static const uint8_t id[16] = { 0xa, 0xb, 0xc };
	struct wal_mark m = { .in_use = true,
			      .count = 5,
			      .sequence = 3,
			      .first = 1000,
			      .number = 2 };
	enum wal_mark_state state;
	struct buf file = BUF_INIT;
	uint8_t pages[WAL_MARK_SIZE];
	struct vio *top = NULL;
	struct wal_mark got;

	cr_assert_eq(vio_posix_open(&top, "tests/golden/wal-mark-v1"), 0);
	memcpy(m.volume_id, id, sizeof(id));
	wal_mark_encode(pages, &m);
	memcpy(pages + WAL_MARK_PAGE, pages, WAL_MARK_PAGE);
	wal_mark_end_encode(pages + WAL_MARK_SIZE - WAL_MARK_PAGE, id, 1020);
	cr_assert_eq(vio_read_file(top, &file, WAL_MARK, WAL_MARK_SIZE), 0);
	cr_assert_eq(file.n, sizeof(pages));
	cr_assert_eq(memcmp(file.p, pages, sizeof(pages)), 0);
	cr_assert_eq(wal_mark_read(&got, &state, top, id), 0);
	cr_assert_eq(state, WAL_MARK_WHOLE);
	cr_assert(got.in_use && got.sequence == 3 && got.end == 1020);
	buf_release(&file);
	vio_free(top);
}

/* --- what must be there --- */

/* Work that is acknowledged and not signed, then kill -9. */
static void killed(unsigned n)
{
	cr_assert_eq(log_box_open(&box), 0, "%s", box.em.text);
	cr_assert_eq(log_box_checkpoint(&box), 0);
	cr_assert_eq(log_box_settle(&box), 0);
	for (unsigned i = 0; i < n; i++)
		cr_assert_eq(log_box_commit(&box, 2, 1), 0);
	vio_sim_kill(sim);
	log_box_close(&box);
}

static void refused(const char *words)
{
	for (int i = 0; i < 2; i++) { /* asking changes nothing */
		cr_assert_eq(log_box_open_read_only(&box), -ERR_LOST, "%s",
			     box.em.text);
		cr_assert(strstr(box.em.text, words), "%s", box.em.text);
		cr_assert_eq(log_box_open(&box), -ERR_LOST, "%s", box.em.text);
		cr_assert(strstr(box.em.text, words), "%s", box.em.text);
	}
}

static void opens(void)
{
	cr_assert_eq(log_box_open(&box), 0, "%s", box.em.text);
	cr_assert(log_box_intact(&box));
	cr_assert_eq(log_box_commit(&box, 1, 1), 0);
	cr_assert_eq(log_box_settle(&box), 0);
	cr_assert_eq(log_box_checkpoint(&box), 0);
	cr_assert_eq(log_box_verify(&box, true), 0);
	log_box_close(&box);
}

static void zero(const char *path, uint64_t from, uint64_t n)
{
	struct vio_file *f = NULL;
	uint8_t zeros[4096] = { 0 };

	cr_assert_eq(vio_open(v, &f, path, VIO_WRITE), 0);
	for (uint64_t at = from; at < from + n; at += sizeof(zeros))
		cr_assert_eq(vio_pwrite(f, zeros, sizeof(zeros), at), 0);
	vio_close(f);
}

static void cut(const char *path, uint64_t size)
{
	struct vio_file *f = NULL;

	cr_assert_eq(vio_open(v, &f, path, VIO_WRITE), 0);
	cr_assert_eq(vio_truncate(f, size), 0);
	vio_close(f);
}

#define ONE "wal/00000001.wal"

Test(wal_mark, a_log_in_use_needs_its_segment)
{
	killed(3);
	cr_assert_eq(vio_unlink(v, ONE), 0);
	refused("wal/00000001.wal is gone");
}

Test(wal_mark, a_log_in_use_needs_the_segments_header)
{
	killed(3);
	zero(ONE, 0, 4096);
	cr_assert_eq(log_box_open(&box), 0, "one is enough: %s", box.em.text);
	cr_assert(log_box_intact(&box));
	log_box_close(&box);
	killed(3);
	zero(ONE, 0, 8192);
	refused("wal/00000001.wal has lost its header");
}

Test(wal_mark, a_log_in_use_needs_all_of_the_segment)
{
	killed(3);
	cut(ONE, SEGMENT / 2);
	refused("was cut to 32768 of 65536 bytes");
}

Test(wal_mark, frames_zeroed_to_the_end_are_missed)
{
	killed(3);
	zero(ONE, 8192, SEGMENT - 8192);
	refused("seals were flushed to wal/");
}

Test(wal_mark, the_last_frame_alone_is_missed)
{
	killed(3);
	/* of 1.. the last three are 2, 3, 4; each a page */
	zero(ONE, 8192 + 3 * 4096, 4096);
	refused("4 seals were flushed to wal/");
}

Test(wal_mark, the_guard_remembers_when_the_mark_is_gone_too)
{
	killed(3);
	cr_assert_eq(vio_unlink(v, ONE), 0);
	cr_assert_eq(vio_unlink(v, WAL_MARK), 0);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(log_box_open(&box), -ERR_LOST, "%s", box.em.text);
		cr_assert(strstr(box.em.text, "the guard knows of segment 1"),
			  "%s", box.em.text);
	}
}

Test(wal_mark, a_mark_that_is_gone_or_damaged_is_made_again)
{
	killed(3);
	cr_assert_eq(vio_unlink(v, WAL_MARK), 0);
	opens();
	killed(2);
	zero(WAL_MARK, 0, 8192);
	opens();
	killed(2);
	cut(WAL_MARK, 100);
	opens();
	killed(2);
	zero(WAL_MARK, 4096, 4096); /* one page is enough */
	cr_assert_eq(vio_unlink(v, ONE), 0);
	refused("wal/00000001.wal is gone");
}

/* All that there may be of wal/. */
static void unlink_wal(void)
{
	for (unsigned i = 1; i < 9; i++) {
		char path[32];
		int ignored;

		snprintf(path, sizeof(path), "wal/%08u.wal", i);
		ignored = vio_unlink(v, path);
		(void)ignored;
	}
}

Test(wal_mark, a_log_at_rest_needs_nothing_of_the_wal)
{
	struct guard g;

	cr_assert_eq(log_box_open(&box), 0);
	for (unsigned i = 0; i < 40; i++)
		cr_assert_eq(log_box_commit(&box, 2, 1), 0);
	cr_assert_eq(ledger_rest(box.l, NULL), 0);
	cr_assert_eq(log_box_settle(&box), 0);
	cr_assert_eq(ledger_rest(box.l, NULL), 0);
	cr_assert_eq(guard_read(&g, v, ledger_volume_id(box.l),
				ledger_origin(box.l), NULL),
		     0);
	cr_assert_neq(g.wal, 0, "it is not signed: not at rest");
	cr_assert_eq(log_box_checkpoint(&box), 0);
	cr_assert_eq(ledger_rest(box.l, NULL), 0);
	cr_assert_eq(guard_read(&g, v, ledger_volume_id(box.l),
				ledger_origin(box.l), NULL),
		     0);
	cr_assert_eq(g.wal, 0);
	log_box_close(&box);
	unlink_wal();
	opens();
}

Test(wal_mark, segments_are_released_and_used_again_under_it)
{
	cr_assert_eq(log_box_open(&box), 0);
	for (unsigned i = 0; i < 200; i++) {
		cr_assert_eq(log_box_commit(&box, 2, 1), 0);
		if (i % 7 == 6)
			cr_assert_eq(log_box_settle(&box), 0);
	}
	vio_sim_kill(sim);
	log_box_close(&box);
	opens();
}

Test(wal_mark, what_a_fork_gives_up_is_not_missed)
{
	struct ledger_options o = { .vio = v,
				    .guard_vio = v,
				    .wal_segment_bytes = SEGMENT };
	struct ledger_fork_report r;

	killed(3);
	zero(ONE, 8192 + 2 * 4096, 2 * 4096);
	refused("seals were flushed to wal/");
	cr_assert_eq(ledger_fork(&r, &o, "two", NULL, NULL), 0);
	cr_assert_eq(log_box_open(&box), 0, "%s", box.em.text);
	log_box_close(&box);
}

/* Has the log the new origin? */
static bool is_forked(const struct ledger_options *o)
{
	struct ledger_options reading = { .vio = o->vio, .read_only = true };
	struct ledger *l = NULL;
	bool is = ledger_open(&l, &reading, NULL) == 0 &&
		  strstr(ledger_origin(l), "/two") != NULL;

	ledger_close(l);
	return is;
}

/* The guard is of a log with many segments; a fork begins at the first. */
Test(wal_mark, a_fork_that_is_cut_short_opens)
{
	struct ledger_options o = { .guard_vio = NULL };
	struct ledger_fork_report r;
	unsigned forked = 0;
	int rc = -1;

	cr_assert_eq(log_box_open(&box), 0, "%s", box.em.text);
	for (unsigned i = 0; i < 40; i++)
		cr_assert_eq(log_box_commit(&box, 2, 1), 0);
	cr_assert_eq(log_box_settle(&box), 0);
	cr_assert_eq(log_box_checkpoint(&box), 0);
	vio_sim_kill(sim);
	log_box_close(&box);
	unlink_wal();
	refused(" is gone");
	for (uint64_t at = 1; rc < 0; at++) {
		struct vio_sim *disk = vio_sim_clone(sim);
		struct ledger *l = NULL;

		o = (struct ledger_options){ .vio = vio_sim_vio(disk),
					     .guard_vio = vio_sim_vio(disk),
					     .wal_segment_bytes = SEGMENT };
		vio_sim_stop_at(disk, at);
		rc = ledger_fork(&r, &o, "two", NULL, NULL);
		vio_sim_kill(disk);
		vio_sim_stop_at(disk, 0);
		if (is_forked(&o)) {
			forked++;
			box.em = (struct errmsg)ERRMSG_INIT;
			cr_assert_eq(ledger_open(&l, &o, &box.em), 0,
				     "cut at %llu: %s", (unsigned long long)at,
				     box.em.text);
		}
		ledger_close(l);
		vio_sim_free(disk);
	}
	cr_assert_gt(forked, 5);
}

Test(wal_mark, a_segment_that_was_cut_at_rest_is_no_loss_later)
{
	cr_assert_eq(log_box_open(&box), 0);
	cr_assert_eq(log_box_commit(&box, 2, 1), 0);
	cr_assert_eq(log_box_settle(&box), 0);
	cr_assert_eq(log_box_checkpoint(&box), 0);
	cr_assert_eq(ledger_rest(box.l, NULL), 0);
	log_box_close(&box);
	cut(ONE, SEGMENT / 2);
	killed(3);
	opens();
}

Test(wal_mark, costs_no_flush_of_a_commit)
{
	uint64_t syncs;

	cr_assert_eq(log_box_open(&box), 0);
	cr_assert_eq(log_box_commit(&box, 1, 0), 0);
	syncs = vio_sim_count(sim, VIO_SIM_SYNC);
	cr_assert_eq(log_box_commit(&box, 1, 0), 0);
	cr_assert_eq(vio_sim_count(sim, VIO_SIM_SYNC) - syncs, 1);
}
