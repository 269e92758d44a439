/*
 * test_guard.c - the guard file, and every row of the table of LEDGER.md 3 on
 * a real directory: restored backups, copies, moves, double mounts.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/vio.h"
#include "ledger/guard.h"
#include "ledger/note.h"
#include "ledger/trust.h"
#include "tests/sim/log_box.h"
#include "tests/sim/tmp.h"

/* --- the file --- */

static struct guard sample(void)
{
	struct guard g = {
		.origin = "example.org/log",
		.size = 9120,
		.root = { { 1, 2, 3 } },
		.fsid = UINT64_MAX,
		.lock_ino = 12,
		.lock_btime_ns = -5,
	};

	memset(g.volume_id, 7, 16);
	memset(g.incarnation, 8, 16);
	return g;
}

Test(guard, has_one_encoding_and_every_flipped_bit_is_refused)
{
	struct guard g = sample(), h;
	struct buf b = BUF_INIT;

	guard_encode(&b, &g);
	cr_assert_eq(guard_decode(&h, b.p, b.n), 0);
	cr_assert_eq(memcmp(&g, &h, sizeof(g)), 0);
	for (size_t i = 0; i < b.n; i++) {
		for (int bit = 0; bit < 8; bit++) {
			b.p[i] ^= (uint8_t)(1 << bit);
			cr_assert_lt(guard_decode(&h, b.p, b.n), 0,
				     "byte %zu bit %d", i, bit);
			b.p[i] ^= (uint8_t)(1 << bit);
		}
	}
	for (size_t n = 0; n < b.n; n++)
		cr_assert_lt(guard_decode(&h, b.p, n), 0);
	buf_release(&b);
}

Test(guard, of_a_log_in_use_names_a_segment_and_only_then)
{
	static const char line[] = "wal 12\n";
	struct guard g = sample(), h;
	struct buf b = BUF_INIT;

	guard_encode(&b, &g);
	cr_assert(memmem(b.p, b.n, "\nwal ", 5) == NULL);
	buf_clear(&b);
	g.wal = 12;
	guard_encode(&b, &g);
	cr_assert(memmem(b.p, b.n, line, strlen(line)) != NULL);
	cr_assert_eq(guard_decode(&h, b.p, b.n), 0);
	cr_assert_eq(memcmp(&g, &h, sizeof(g)), 0);
	for (size_t i = 0; i < b.n; i++) {
		b.p[i] ^= 1;
		cr_assert_lt(guard_decode(&h, b.p, b.n), 0, "byte %zu", i);
		b.p[i] ^= 1;
	}
	buf_release(&b);
}

Test(guard, of_a_newer_version_is_told_apart_from_damage)
{
	static const char newer[] = "vouchfs-guard-v2\nwhatever\n";
	struct guard g;

	cr_assert_eq(guard_decode(&g, newer, sizeof(newer) - 1), -ERR_NEWER);
	cr_assert_eq(guard_decode(&g, "x", 1), -ERR_FORMAT);
}

Test(guard, speaks_of_an_older_copy_with_both_numbers)
{
	struct guard g = sample();
	struct errmsg em = ERRMSG_INIT;

	cr_assert_eq(guard_check_size(&g, 8700, NULL, &em), -ERR_ROLLBACK);
	cr_assert_str_eq(em.text, "this is an older copy: 9,120 were signed, "
				  "the store has 8,700");
	em = (struct errmsg)ERRMSG_INIT;
	cr_assert_eq(guard_check_size(&g, 9120, &digest_zero, &em),
		     -ERR_ROLLBACK);
	cr_assert(strstr(em.text, "another history") != NULL);
	cr_assert_eq(guard_check_size(&g, 1234567, &g.root, NULL), 0);
}

/* --- the table --- */

static struct tmp top;
static struct vio *guard_vio, *vio;
static struct log_box box;

static struct vio *at(const char *name)
{
	char path[PATH_MAX + 16];
	struct vio *v = NULL;

	snprintf(path, sizeof(path), "%s/%s", top.path, name);
	cr_assert_eq(vio_posix_open(&v, path), 0, "%s", path);
	return v;
}

__attribute__((format(printf, 1, 2))) static void shell(const char *fmt, ...)
{
	char command[3 * PATH_MAX], inside[PATH_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(inside, sizeof(inside), fmt, ap);
	va_end(ap);
	snprintf(command, sizeof(command), "cd '%s' && %s", top.path, inside);
	cr_assert_eq(system(command), 0, "%s", command);
}

static void setup(void)
{
	tmp_init(&top);
	shell("mkdir store guard");
	vio = at("store");
	guard_vio = at("guard");
	log_box_init(&box, vio, guard_vio);
	cr_assert_eq(log_box_create(&box), 0, "%s", box.em.text);
}

static void teardown(void)
{
	log_box_close(&box);
	vio_free(box.vio == vio ? NULL : box.vio);
	vio_free(vio);
	vio_free(guard_vio);
	tmp_release(&top);
}

static void work(unsigned n)
{
	cr_assert_eq(log_box_open(&box), 0, "%s", box.em.text);
	for (unsigned i = 0; i < n; i++)
		cr_assert_eq(log_box_commit(&box, 2, 1), 0);
	cr_assert_eq(log_box_settle(&box), 0);
	cr_assert_eq(log_box_checkpoint(&box), 0);
	log_box_close(&box);
}

static void use(const char *name)
{
	if (box.vio != vio)
		vio_free(box.vio);
	box.vio = at(name);
}

static void refused(int rc, const char *words)
{
	int got = log_box_open(&box);

	cr_assert_eq(got, rc, "%d: %s", got, box.em.text);
	cr_assert(strstr(box.em.text, words) != NULL, "%s", box.em.text);
}

static int adopt(void)
{
	struct ledger_options o = { .vio = box.vio, .guard_vio = box.guard };

	box.em = (struct errmsg)ERRMSG_INIT;
	return ledger_adopt(&o, &box.em);
}

static int fork_box(struct ledger_fork_report *r)
{
	struct ledger_options o = {
		.vio = box.vio,
		.guard_vio = box.guard,
		.wal_segment_bytes = box.wal_bytes,
	};

	box.em = (struct errmsg)ERRMSG_INIT;
	return ledger_fork(r, &o, "two", NULL, &box.em);
}

TestSuite(guard_rows, .init = setup, .fini = teardown);

Test(guard_rows, an_old_backup_restored_in_place_is_refused_at_every_step)
{
	work(3);
	for (unsigned i = 0; i < 4; i++) {
		shell("cp -a store backup%u", i);
		work(2);
	}
	for (unsigned i = 0; i < 4; i++) {
		/* Contents restored into the same files: identity kept. */
		shell("rm -rf store/ledger store/wal && cp -a backup%u/ledger "
		      "backup%u/wal store/",
		      i, i);
		refused(-ERR_ROLLBACK, "this is an older copy: 12 were signed");
		cr_assert_eq(adopt(), -ERR_ROLLBACK, "adopt heals no rollback");
	}
}

Test(guard_rows, a_copy_is_refused_and_the_original_goes_on)
{
	work(3);
	shell("cp -a store copy");
	use("copy");
	refused(-ERR_COPY, "this is a copy: `vouch adopt STORE` if it moved, "
			   "`vouch fork STORE` for a new volume");
	use("store");
	work(1);
}

Test(guard_rows, a_renamed_store_is_the_same_store)
{
	work(3);
	shell("mv store elsewhere && ln -s elsewhere store");
	use("elsewhere");
	work(1);
}

Test(guard_rows, a_store_that_moved_is_adopted_and_the_old_place_is_out)
{
	work(3);
	shell("cp -a store moved");
	use("moved");
	refused(-ERR_COPY, "copy");
	cr_assert_eq(adopt(), 0, "%s", box.em.text);
	work(2);
	cr_assert_eq(log_box_open(&box), 0);
	cr_assert(log_box_intact(&box));
	cr_assert(log_box_consistent(&box));
	log_box_close(&box);
	use("store");
	refused(-ERR_ROLLBACK, "older copy");
}

Test(guard_rows, a_store_on_a_machine_that_never_saw_it_is_refused)
{
	work(3);
	shell("mkdir other");
	box.guard = at("other");
	refused(-ERR_COPY, "never used on this machine");
	cr_assert_eq(adopt(), 0, "%s", box.em.text);
	work(1);
	vio_free(box.guard);
	box.guard = guard_vio;
}

Test(guard_rows, a_damaged_guard_is_refused_with_words)
{
	work(3);
	shell("for f in guard/*; do printf x >>$f; done");
	refused(-ERR_FORMAT, "guard file");
	cr_assert_eq(adopt(), 0, "%s", box.em.text);
	work(1);
}

Test(guard_rows,
     without_a_guard_directory_there_is_no_protection_and_it_says_so)
{
	work(3);
	box.guard = NULL;
	cr_assert_eq(log_box_open(&box), 0, "%s", box.em.text);
	cr_assert(!ledger_guarded(box.l));
	log_box_close(&box);
}

Test(guard_rows, a_volume_made_without_a_guard_opens_with_one_around)
{
	shell("mkdir plain");
	use("plain");
	box.guard = NULL;
	cr_assert_eq(log_box_create(&box), 0, "%s", box.em.text);
	box.guard = guard_vio;
	cr_assert_eq(log_box_open(&box), 0, "%s", box.em.text);
	cr_assert(!ledger_guarded(box.l));
	log_box_close(&box);
	cr_assert_eq(adopt(), 0, "%s", box.em.text);
	cr_assert_eq(log_box_open(&box), 0, "%s", box.em.text);
	cr_assert(ledger_guarded(box.l), "adopting turns it on");
	log_box_close(&box);
}

Test(guard_rows, a_store_mounted_twice_is_refused)
{
	static struct log_box second;

	cr_assert_eq(log_box_open(&box), 0);
	memcpy(&second, &box, sizeof(second));
	cr_assert_eq(log_box_open(&second), -ERR_BUSY);
	cr_assert(strstr(second.em.text, "already mounted by pid") != NULL);
	shell("ln -s store alias");
	second.vio = at("alias");
	cr_assert_eq(log_box_open(&second), -ERR_BUSY);
	vio_free(second.vio);
}

Test(guard_rows, a_rewritten_history_of_the_same_length_is_refused)
{
	work(3);
	shell("cp -a store old");
	work(2); /* signs 6 */
	/* The old state, and other batches behind it, with the real keys. */
	shell("mkdir elsewhere && cp -a old elsewhere/store");
	use("elsewhere/store");
	box.guard = NULL;
	box.n = 4;
	box.counter = 500000;
	work(4);
	shell("rm -rf store/ledger store/wal && cp -a elsewhere/store/ledger "
	      "elsewhere/store/wal store/");
	use("store");
	box.guard = guard_vio;
	refused(-ERR_ROLLBACK, "another history");
}

/* --- fork --- */

Test(guard_rows, a_fork_of_a_copy_has_its_own_origin_and_keys)
{
	struct ledger_fork_report r;
	struct buf trust = BUF_INIT;

	work(3);
	shell("cp -a store copy");
	use("copy");
	cr_assert_eq(fork_box(&r), 0, "%s", box.em.text);
	cr_assert_str_eq(r.old_origin, "example.org/box");
	cr_assert_str_eq(r.new_origin, "example.org/box/two");
	cr_assert_eq(r.lost_size, 4);
	box.n++; /* the NEW_ORIGIN batch */
	work(3);
	cr_assert_eq(log_box_open(&box), 0);
	cr_assert_str_eq(ledger_origin(box.l), "example.org/box/two");
	cr_assert_eq(log_box_verify(&box, true), 0);
	cr_assert_eq(ledger_trust(box.l, &trust), 0);
	cr_assert(strstr((char *)trust.p, "log example.org/box+") != NULL);
	cr_assert(strstr((char *)trust.p, "log example.org/box/two+") != NULL);
	log_box_close(&box);
	buf_release(&trust);

	/* The original still goes on, under its own name. */
	use("store");
	box.n = 4;
	work(1);
	cr_assert_eq(log_box_open(&box), 0);
	cr_assert_str_eq(ledger_origin(box.l), "example.org/box");
	log_box_close(&box);
}

Test(guard_rows, an_accepted_rollback_names_what_was_lost)
{
	struct ledger_fork_report r;

	work(3);
	shell("cp -a store backup");
	work(5); /* signs 9 */
	shell("rm -rf store/ledger store/wal && cp -a backup/ledger "
	      "backup/wal store/");
	refused(-ERR_ROLLBACK, "9 were signed, the store has 4");
	cr_assert_eq(fork_box(&r), 0, "%s", box.em.text);
	cr_assert_eq(r.lost_size, 9);
	cr_assert_eq(r.size, 4);
	box.n = 5;
	box.n_notes = 0;
	work(2);
	cr_assert_eq(log_box_open(&box), 0);
	cr_assert_eq(log_box_verify(&box, true), 0);
	log_box_close(&box);
}

Test(guard_rows, a_fork_needs_the_admin_key)
{
	struct ledger_fork_report r;

	work(1);
	shell("cp -a store copy && rm copy/keys/admin.key");
	use("copy");
	cr_assert_eq(fork_box(&r), -ERR_KEY);
	cr_assert(strstr(box.em.text, "admin key") != NULL, "%s", box.em.text);
}
