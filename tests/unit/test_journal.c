/*
 * test_journal.c - records settle: append, roll over, find, torn, damaged.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/vio.h"
#include "ledger/frame.h"
#include "ledger/journal.h"
#include "ledger/ledger.h"
#include "tests/sim/prng.h"
#include "tests/sim/vio_sim.h"

static const uint8_t volume_id[16] = { 9 };
static struct vio_sim *sim;
static struct vio *v;
static struct journal *j;
static struct errmsg em;

static int try_open(void)
{
	struct journal_options o = {
		.vio = v,
		.volume_id = volume_id,
		.segment_bytes = 20000,
		.create = true,
	};

	em = (struct errmsg)ERRMSG_INIT;
	return journal_open(&j, &o, &em);
}

static void setup(void)
{
	sim = vio_sim_new(NULL);
	v = vio_sim_vio(sim);
	cr_assert_eq(try_open(), 0, "%s", em.text);
	cr_assert_eq(journal_start(j), 0);
}

static void teardown(void)
{
	journal_close(j);
	vio_sim_free(sim);
}

TestSuite(journal, .init = setup, .fini = teardown);

static int append(uint64_t index, uint32_t size)
{
	static uint8_t seal[300], bytes[30000];
	struct frame f = {
		.index = index,
		.seal = seal,
		.seal_n = sizeof(seal),
		.count = 1,
		.entries = bytes,
		.entries_n = size + 4,
	};

	memset(seal, (int)index, sizeof(seal));
	memset(bytes, (int)(index + 1), size + 4);
	memcpy(bytes, &size, 4);
	return journal_append(j, &f);
}

static void fill(uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++)
		cr_assert_eq(append(i, 200 + (uint32_t)(i % 5) * 700), 0);
}

static void expect(uint64_t end)
{
	struct buf b = BUF_INIT;
	struct frame f;

	cr_assert_eq(journal_end(j), end);
	for (uint64_t i = 0; i < end; i++) {
		const uint8_t *seal = NULL;
		uint32_t n = 0;

		cr_assert_eq(journal_read(j, &b, &f, i), 0, "record %lu", i);
		cr_assert_eq(f.index, i);
		cr_assert_eq(f.seal[0], (uint8_t)i);
		cr_assert_eq(f.entries[4], (uint8_t)(i + 1));
		cr_assert_eq(journal_read_seal(j, &b, &seal, &n, i), 0);
		cr_assert_eq(n, 300);
		cr_assert_eq(seal[299], (uint8_t)i);
	}
	cr_assert_eq(journal_read(j, &b, &f, end), -ENOENT);
	buf_release(&b);
}

static void reopen(void)
{
	journal_close(j);
	cr_assert_eq(try_open(), 0, "%s", em.text);
}

Test(journal, finds_every_record_in_every_segment)
{
	fill(0, 120);
	expect(120);
	reopen();
	expect(120);
	cr_assert_eq(journal_start(j), 0);
	fill(120, 130);
	expect(130);
}

Test(journal, finds_a_record_of_a_sealed_segment_in_two_reads)
{
	struct buf b = BUF_INIT;
	struct frame f;
	uint64_t before;

	fill(0, 120);
	cr_assert_eq(journal_read(j, &b, &f, 3), 0);
	before = vio_sim_count(sim, VIO_SIM_READ);
	cr_assert_eq(journal_read(j, &b, &f, 5), 0);
	cr_assert_eq(vio_sim_count(sim, VIO_SIM_READ) - before, 2);
	buf_release(&b);
}

Test(journal, is_durable_when_it_was_synced)
{
	struct prng p;

	fill(0, 40);
	cr_assert_eq(journal_sync(j), 0);
	cr_assert_eq(journal_durable(j), 40);
	fill(40, 45);
	cr_assert_eq(journal_durable(j), 40);
	prng_init(&p, 1);
	vio_sim_crash(sim, &p);
	reopen();
	cr_assert_geq(journal_end(j), 40);
	expect(journal_end(j));
	cr_assert_eq(journal_start(j), 0);
	fill(journal_end(j), 60);
	reopen();
	expect(60);
}

static int on_object(void *ctx, uint32_t number, const char *path,
		     uint64_t size)
{
	uint64_t *sizes = ctx;

	(void)path;
	sizes[number] = size;
	return 0;
}

Test(journal, tells_only_durable_bytes_to_replicas)
{
	uint64_t a[64] = { 0 }, b[64] = { 0 };
	unsigned last = 0;

	fill(0, 30);
	cr_assert_eq(journal_sync(j), 0);
	cr_assert_eq(journal_objects(j, 1, on_object, a), 0);
	fill(30, 32);
	cr_assert_eq(journal_objects(j, 1, on_object, b), 0);
	while (a[last + 1] > 0)
		last++;
	cr_assert_gt(last, 1);
	for (unsigned i = 1; i < last; i++)
		cr_assert_eq(a[i], b[i]);
	cr_assert_leq(a[last], b[last]);
}

/* Damages one byte of a record in the middle of the last segment. */
Test(journal, tells_a_torn_tail_from_damage)
{
	struct vio_stat st;

	fill(0, 6);
	cr_assert_eq(vio_stat(v, "ledger/journal/00000001.vj", &st), 0);
	cr_assert_eq(
		vio_sim_flip(sim, "ledger/journal/00000001.vj", st.size - 3, 0),
		0);
	reopen();
	cr_assert_eq(journal_end(j), 5);
	cr_assert_gt(journal_torn_bytes(j), 0);
	cr_assert(!journal_damaged(j), "nothing valid follows");
	cr_assert_eq(
		vio_sim_flip(sim, "ledger/journal/00000001.vj", st.size - 3, 0),
		0);
	cr_assert_eq(vio_sim_flip(sim, "ledger/journal/00000001.vj", 700, 0),
		     0);
	reopen();
	cr_assert_leq(journal_end(j), 1);
	cr_assert(journal_damaged(j), "records follow");
}

static unsigned told, given, lost;

static int on_record(void *ctx, uint64_t index, const struct frame *f)
{
	uint64_t *next = ctx;

	cr_assert_eq(index, *next);
	(*next)++;
	given++;
	lost += f == NULL;
	return 0;
}

static void found(void *ctx, const char *words)
{
	(void)ctx;
	cr_assert(strstr(words, "repair from a replica") != NULL, "%s", words);
	told++;
}

Test(journal, check_goes_on_behind_a_damaged_record)
{
	uint64_t next = 0;
	struct journal_check c = { on_record, found, &next };

	fill(0, 60);
	cr_assert_eq(journal_check(j, &c), 0);
	cr_assert_eq(told, 0);
	cr_assert_eq(given, 60);
	cr_assert_eq(vio_sim_flip(sim, "ledger/journal/00000002.vj", 800, 2),
		     0);
	next = given = 0;
	cr_assert_eq(journal_check(j, &c), 0);
	cr_assert_eq(told, 1);
	cr_assert_eq(given, 60);
	cr_assert_eq(lost, 1);
}

Test(journal, a_full_disk_is_soft)
{
	int rc = 0;
	uint64_t n;

	vio_sim_set_space(sim, 48 << 10);
	for (n = 0; rc == 0; n++)
		rc = append(n, 3000);
	cr_assert_eq(rc, -ENOSPC);
	expect(--n);
	vio_sim_set_space(sim, UINT64_MAX);
	fill(n, n + 20);
	expect(n + 20);
	reopen();
	expect(n + 20);
}

Test(journal, a_missing_segment_and_a_bad_header_are_refused_in_words)
{
	fill(0, 60);
	cr_assert_eq(vio_sim_flip(sim, "ledger/journal/00000002.vj", 20, 2), 0);
	journal_close(j);
	j = NULL;
	cr_assert_eq(try_open(), -ERR_CORRUPT);
	cr_assert(strstr(em.text, "00000002.vj: header") != NULL, "%s",
		  em.text);
	cr_assert_eq(vio_unlink(v, "ledger/journal/00000002.vj"), 0);
	cr_assert_eq(try_open(), -ERR_CORRUPT);
	cr_assert(strstr(em.text, "journal segment 2 is missing") != NULL, "%s",
		  em.text);
}

/* --- settled twice --- */

static void load_segment(struct buf *out)
{
	buf_clear(out);
	cr_assert_eq(
		vio_read_file(v, out, "ledger/journal/00000001.vj", 1 << 20),
		0);
}

/* The first segment of another journal of the same volume. */
static void settle_anew(uint64_t to)
{
	uint64_t some;

	journal_close(j);
	vio_sim_free(sim);
	sim = vio_sim_new(NULL);
	v = vio_sim_vio(sim);
	for (uint64_t i = 0; i < to; i++) /* its epoch is another one */
		cr_assert_eq(vio_random(v, &some, sizeof(some)), 0);
	cr_assert_eq(try_open(), 0, "%s", em.text);
	cr_assert_eq(journal_start(j), 0);
	fill(0, to);
	cr_assert_eq(journal_sync(j), 0);
}

Test(journal, of_a_segment_settled_twice_both_are_the_same)
{
	struct buf a = BUF_INIT, b = BUF_INIT, full = BUF_INIT;

	fill(0, 6);
	load_segment(&a);
	settle_anew(9);
	load_segment(&b);
	settle_anew(60); /* the first one ends with its footer */
	load_segment(&full);
	cr_assert_neq(memcmp(a.p, b.p, 64), 0, "another epoch");
	cr_assert(journal_same(a.p, a.n, a.p, a.n));
	cr_assert(journal_same(b.p, b.n, a.p, a.n), "a beginning");
	cr_assert_not(journal_same(a.p, a.n, b.p, b.n), "it has more");
	cr_assert(journal_same(full.p, full.n, b.p, b.n), "and is complete");
	cr_assert(journal_same(full.p, full.n, full.p, full.n));
	for (size_t n = 0; n <= a.n; n++) /* copied so far */
		cr_assert(journal_same(b.p, b.n, a.p, n), "%zu bytes", n);
	buf_release(&a);
	buf_release(&b);
	buf_release(&full);
}

static bool is_sum(size_t at, const struct buf *of)
{
	uint32_t len = 0;

	if (at < 64)
		return (at >= 32 && at < 40) || at >= 56;
	for (size_t i = 64; i + 4 <= of->n; i += len) {
		memcpy(&len, of->p + i, 4);
		if (memcmp(of->p + i, "VJF1", 4) == 0)
			return at >= of->n - 16 && at < of->n - 8;
		if (at < i + len)
			return at >= i + 4 && at < i + 12;
	}
	return false;
}

/* Every byte of theirs counts but epoch and checksums; every one of ours. */
Test(journal, of_a_segment_settled_twice_every_byte_counts, .timeout = 120)
{
	struct buf a = BUF_INIT, b = BUF_INIT;

	fill(0, 60);
	load_segment(&a);
	settle_anew(60);
	load_segment(&b);
	cr_assert_eq(a.n, b.n);
	cr_assert(journal_same(b.p, b.n, a.p, a.n));
	for (size_t i = 0; i < a.n; i += i < 2000 || i + 300 > a.n ? 1 : 37) {
		a.p[i] ^= 1;
		cr_assert_eq(journal_same(b.p, b.n, a.p, a.n), is_sum(i, &a),
			     "theirs, byte %zu", i);
		a.p[i] ^= 1;
		b.p[i] ^= 1;
		cr_assert_not(journal_same(b.p, b.n, a.p, a.n),
			      "ours, byte %zu", i);
		b.p[i] ^= 1;
	}
	buf_release(&a);
	buf_release(&b);
}
