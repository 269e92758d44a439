/*
 * test_ledger_golden.c - a log written by the first version opens, verifies
 * and reads for ever: journal segments with and without footer, WAL segments
 * used more than once, checkpoint, guard file, volume.conf.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/vio.h"
#include "ledger/guard.h"
#include "ledger/journal.h"
#include "tests/sim/log_box.h"
#include "tests/sim/vio_sim.h"

#define GOLDEN "tests/golden/"

static const char *const files[] = {
	"volume.conf",
	"ledger/checkpoint",
	"ledger/rules.state",
	"ledger/journal/00000001.vj",
	"ledger/journal/00000002.vj",
	"ledger/journal/00000003.vj",
	"wal/00000001.wal",
	"wal/00000002.wal",
	"wal/00000003.wal",
};

static void get(struct vio *disk, struct buf *out, const char *path)
{
	buf_clear(out);
	cr_assert_eq(vio_read_file(disk, out, path, 1 << 20), 0, "%s", path);
}

static void put(struct vio *v, const char *path, const struct buf *b)
{
	struct vio_file *f = NULL;

	cr_assert_eq(vio_open(v, &f, path, VIO_WRITE | VIO_CREATE), 0);
	cr_assert_eq(vio_pwrite(f, b->p, b->n, 0), 0);
	vio_close(f);
}

static struct vio_sim *store(void)
{
	struct vio_sim *s = vio_sim_new(NULL);
	struct vio *v = vio_sim_vio(s), *disk = NULL;
	struct buf b = BUF_INIT;

	cr_assert_eq(vio_posix_open(&disk, GOLDEN "store-v1"), 0);
	cr_assert_eq(vio_mkdirs(v, "ledger/journal"), 0);
	cr_assert_eq(vio_mkdirs(v, "wal"), 0);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		get(disk, &b, files[i]);
		put(v, files[i], &b);
	}
	buf_release(&b);
	vio_free(disk);
	return s;
}

static void check(struct vio_sim *s)
{
	static const unsigned counts[] = { 0, 1, 2, 3, 1, 2, 3, 1, 2, 2, 1 };
	static struct log_box box;
	uint64_t counter = 0;

	log_box_init(&box, vio_sim_vio(s), NULL);
	cr_assert_eq(log_box_open_read_only(&box), 0, "%s", box.em.text);
	cr_assert_str_eq(ledger_notes(box.l), "");
	cr_assert_eq(ledger_size(box.l), 11);
	for (unsigned i = 0; i < 11; i++) {
		box.first[i] = counter;
		box.count[i] = counts[i];
		counter += counts[i];
	}
	box.n = 11;
	cr_assert(log_box_intact(&box));
	cr_assert_eq(log_box_verify(&box, true), 0);
	log_box_keep_note(&box);
	cr_assert_eq(box.n_notes, 1);
	cr_assert(log_box_consistent(&box));
	log_box_close(&box);
}

Test(ledger_golden, a_store_of_version_1_opens_and_verifies)
{
	struct vio_sim *s = store();

	check(s);
	/* Without the cache of the rules everything is replayed. */
	cr_assert_eq(vio_unlink(vio_sim_vio(s), "ledger/rules.state"), 0);
	check(s);
	vio_sim_free(s);
}

static void check_guard(const char *name, uint64_t wal)
{
	struct vio *disk = NULL;
	struct buf b = BUF_INIT, again = BUF_INIT;
	struct guard g;

	cr_assert_eq(vio_posix_open(&disk, GOLDEN), 0);
	get(disk, &b, name);
	cr_assert_eq(guard_decode(&g, b.p, b.n), 0);
	cr_assert_eq(g.wal, wal);
	cr_assert_str_eq(g.origin, "example.org/box");
	guard_encode(&again, &g);
	cr_assert(again.n == b.n && memcmp(again.p, b.p, b.n) == 0);
	buf_release(&b);
	buf_release(&again);
	vio_free(disk);
}

Test(ledger_golden, a_guard_of_version_1_decodes)
{
	check_guard("guard-v1", 0);
	check_guard("guard-v1-in-use", 4);
}
