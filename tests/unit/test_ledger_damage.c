/*
 * test_ledger_damage.c - a flipped bit anywhere in journal, WAL, tiles or
 * checkpoint is refused at open in words, or reported by verification; and no
 * read ever gives other bytes.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/vio.h"
#include "tests/sim/log_box.h"
#include "tests/sim/vio_sim.h"

static struct log_box start, box;
static struct vio_sim *base;

static void setup(void)
{
	base = vio_sim_new(NULL);
	log_box_init(&start, vio_sim_vio(base), vio_sim_vio(base));
	start.journal_bytes = 48 << 10;
	cr_assert_eq(log_box_create(&start), 0);
	cr_assert_eq(log_box_open(&start), 0);
	for (unsigned i = 0; i < 258; i++)
		cr_assert_eq(log_box_commit(&start, 1, 0), 0);
	cr_assert_eq(log_box_settle(&start), 0);
	for (unsigned i = 0; i < 3; i++)
		cr_assert_eq(log_box_commit(&start, 2, 1), 0);
	cr_assert_eq(log_box_checkpoint(&start), 0);
	log_box_close(&start);
	vio_sim_sync_all(base);
}

static void teardown(void)
{
	vio_sim_free(base);
}

TestSuite(ledger_damage, .init = setup, .fini = teardown);

static uint64_t size_of(const char *path)
{
	struct vio_stat st;

	cr_assert_eq(vio_stat(start.vio, path, &st), 0, "%s", path);
	return st.size;
}

static struct vio_sim *copy(void)
{
	struct vio_sim *s = vio_sim_clone(base);

	memcpy(&box, &start, sizeof(box));
	box.vio = box.guard = vio_sim_vio(s);
	return s;
}

/* What can be read is what was written. */
static void no_lies(void)
{
	for (uint64_t i = 0; i < box.n; i += 13) {
		struct ledger_record r;
		struct buf want = BUF_INIT;
		struct digest leaf;
		const uint8_t *p = NULL;
		uint32_t n = 0;

		if (ledger_read(box.l, &r, i) < 0)
			continue;
		if (box.count[i] > 0) {
			log_box_entry(&want, &leaf, box.first[i]);
			cr_assert_eq(ledger_record_entry(&r, 0, &p, &n), 0);
			cr_assert(n == want.n && memcmp(p, want.p, n) == 0);
		}
		buf_release(&want);
		ledger_record_release(&r);
	}
}

static void flip(const char *path, uint64_t off, bool read_only)
{
	struct vio_sim *s = copy();
	int64_t damaged;
	int rc;

	cr_assert_eq(vio_sim_flip(s, path, off, (unsigned)(off % 8)), 0);
	rc = read_only ? log_box_open_read_only(&box) : log_box_open(&box);
	if (rc < 0) {
		cr_assert(box.em.text[0] != '\0');
	} else {
		damaged = log_box_verify(&box, false);
		cr_assert_gt(damaged, 0, "%s byte %lu: nobody noticed", path,
			     off);
		no_lies();
	}
	log_box_close(&box);
	vio_sim_free(s);
}

/* All of [from, to), or every `stride`th byte. */
static unsigned flips(const char *path, uint64_t from, uint64_t to,
		      uint64_t stride)
{
	unsigned n = 0;

	for (uint64_t off = from; off < to; off += stride, n++)
		flip(path, off, n % 4 != 3);
	return n;
}

Test(ledger_damage, of_the_journal_is_noticed_wherever_it_is)
{
	uint64_t size = size_of("ledger/journal/00000001.vj");
	unsigned n = 0;

	n += flips("ledger/journal/00000001.vj", 0, 100, 1);
	n += flips("ledger/journal/00000001.vj", 100, size - 40, 997);
	n += flips("ledger/journal/00000001.vj", size - 40, size, 1);
	size = size_of("ledger/journal/00000003.vj");
	n += flips("ledger/journal/00000003.vj", 0, size - 20, 691);
	n += flips("ledger/journal/00000003.vj", size - 20, size, 1);
	cr_assert_gt(n, 200);
}

Test(ledger_damage, of_tiles_is_noticed_wherever_it_is)
{
	unsigned n = 0;

	n += flips("ledger/tile/0/000", 0, 8192, 409);
	n += flips("ledger/tile/entries/000", 0,
		   size_of("ledger/tile/entries/000"), 3001);
	cr_assert_gt(n, 40);
}

Test(ledger_damage, of_every_byte_of_the_checkpoint_is_noticed)
{
	flips("ledger/checkpoint", 0, size_of("ledger/checkpoint"), 1);
}

/* The last segment of the WAL; frames are 4096 long here or 8192. */
Test(ledger_damage, of_the_wal_is_noticed_where_frames_wait)
{
	char path[32];
	uint8_t page[4096];
	unsigned n = 0, waiting = 0;

	/* Frames of seals 259.. are the ones that are nowhere else. */
	for (unsigned i = 1; i < 9; i++) {
		struct vio_file *f = NULL;

		snprintf(path, sizeof(path), "wal/%08u.wal", i);
		if (vio_open(start.vio, &f, path, VIO_READ) < 0)
			continue;
		for (uint64_t at = 8192; at < start.wal_bytes; at += 4096) {
			uint64_t index;
			uint32_t len;

			cr_assert_eq(vio_pread_full(f, page, 4096, at), 0);
			memcpy(&len, page, 4);
			memcpy(&index, page + 12, 8);
			if (len < 300 || len > 8192 || index < 259 ||
			    index >= start.n)
				continue;
			waiting++;
			n += flips(path, at, at + len, 89);
		}
		vio_close(f);
	}
	cr_assert_eq(waiting, 3);
	cr_assert_gt(n, 25);
}

Test(ledger_damage, of_a_wal_header_hides_no_frame)
{
	char path[32];

	for (unsigned i = 1; i < 9; i++) {
		struct vio_stat st;

		snprintf(path, sizeof(path), "wal/%08u.wal", i);
		if (vio_stat(start.vio, path, &st) < 0)
			continue;
		for (uint64_t off = 0; off < 8192; off += off < 128 ? 5 : 251) {
			struct vio_sim *s = copy();

			cr_assert_eq(vio_sim_flip(s, path, off, 3), 0);
			cr_assert_eq(log_box_open(&box), 0, "%s", box.em.text);
			cr_assert_eq(ledger_size(box.l), start.n);
			log_box_close(&box);
			vio_sim_free(s);
		}
	}
}

Test(ledger_damage, of_volume_conf_is_refused_or_put_right_from_the_log)
{
	uint64_t size = size_of("volume.conf");

	for (uint64_t off = 0; off < size; off++) {
		struct vio_sim *s = copy();
		int rc;

		cr_assert_eq(vio_sim_flip(s, "volume.conf", off, 1), 0);
		rc = log_box_open(&box);
		if (rc < 0)
			cr_assert(box.em.text[0] != '\0');
		else
			cr_assert_str_eq(ledger_origin(box.l),
					 "example.org/box");
		log_box_close(&box);
		vio_sim_free(s);
	}
}

Test(ledger_damage, a_lost_segment_is_refused_with_what_to_do)
{
	struct vio_sim *s = copy();

	cr_assert_eq(vio_unlink(box.vio, "ledger/journal/00000001.vj"), 0);
	cr_assert_lt(log_box_open(&box), 0);
	cr_assert(strstr(box.em.text, "repair from a replica") != NULL, "%s",
		  box.em.text);
	vio_sim_free(s);
	s = copy();
	cr_assert_eq(vio_unlink(box.vio, "ledger/journal/00000002.vj"), 0);
	cr_assert_lt(log_box_open(&box), 0);
	cr_assert(strstr(box.em.text, "repair from a replica") != NULL, "%s",
		  box.em.text);
	vio_sim_free(s);
}

Test(ledger_damage, below_the_signed_size_is_never_cut)
{
	struct vio_sim *s = copy();

	/* The WAL is gone: the last three were signed. */
	for (unsigned i = 1; i < 9; i++) {
		char path[32];

		snprintf(path, sizeof(path), "wal/%08u.wal", i);
		(void)!vio_unlink(box.vio, path);
	}
	cr_assert_eq(log_box_open(&box), -ERR_CORRUPT);
	cr_assert(strstr(box.em.text,
			 "journal damaged below signed size 262") != NULL,
		  "%s", box.em.text);
	vio_sim_free(s);
}

Test(ledger_damage, a_store_of_a_newer_format_is_told_apart)
{
	struct vio_sim *s = copy();
	struct vio_file *f = NULL;

	cr_assert_eq(vio_open(box.vio, &f, "volume.conf", VIO_WRITE), 0);
	cr_assert_eq(vio_pwrite(f, "vouchfs-volume-v2", 17, 0), 0);
	vio_close(f);
	cr_assert_eq(log_box_open(&box), -ERR_NEWER);
	cr_assert(strstr(box.em.text, "newer version") != NULL);
	vio_sim_free(s);
}
