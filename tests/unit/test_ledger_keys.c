/*
 * test_ledger_keys.c - keys come and go: rotation, revocation, crashes in
 * between, wrong and missing key files.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "base/buf.h"
#include "base/vio.h"
#include "ledger/key.h"
#include "tests/sim/log_box.h"
#include "tests/sim/prng.h"
#include "tests/sim/vio_sim.h"

static struct log_box box;
static struct vio_sim *sim;
static struct errmsg em;

static void use(struct vio_sim *s)
{
	sim = s;
	box.vio = box.guard = vio_sim_vio(s);
}

static void setup(void)
{
	struct vio_sim *s = vio_sim_new(NULL);

	log_box_init(&box, vio_sim_vio(s), vio_sim_vio(s));
	use(s);
	cr_assert_eq(log_box_create(&box), 0, "%s", box.em.text);
	cr_assert_eq(log_box_open(&box), 0, "%s", box.em.text);
	cr_assert_eq(log_box_commit(&box, 2, 0), 0);
	em = (struct errmsg)ERRMSG_INIT;
}

static void teardown(void)
{
	log_box_close(&box);
	vio_sim_free(sim);
}

/* A batch that did not come from log_box_commit. */
static void foreign_batch(void)
{
	box.count[box.n++] = 0;
}

static void reopen(void)
{
	log_box_close(&box);
	cr_assert_eq(log_box_open(&box), 0, "%s", box.em.text);
}

struct listed {
	struct ledger_key_info k[16];
	unsigned n;
};

static int on_key(void *ctx, const struct ledger_key_info *k)
{
	struct listed *l = ctx;

	l->k[l->n++] = *k;
	return 0;
}

static struct listed list(void)
{
	struct listed l = { .n = 0 };

	cr_assert_eq(ledger_keys(box.l, on_key, &l), 0);
	return l;
}

TestSuite(ledger_keys, .init = setup, .fini = teardown);

Test(ledger_keys, a_rotated_mount_key_signs_from_the_next_batch_on)
{
	struct listed l;

	cr_assert_eq(ledger_rotate(box.l, KEY_MOUNT, NULL, &em), 0, "%s",
		     em.text);
	foreign_batch();
	cr_assert_eq(log_box_commit(&box, 1, 0), 0);
	reopen();
	cr_assert_eq(log_box_commit(&box, 1, 0), 0);
	l = list();
	cr_assert_eq(l.n, 3);
	cr_assert_eq(l.k[0].until, 2);
	cr_assert_eq(l.k[0].revoked, 255);
	cr_assert_eq(l.k[2].from, 3);
	cr_assert_eq(l.k[2].until, UINT64_MAX);
	cr_assert_eq(log_box_verify(&box, true), 0);
}

Test(ledger_keys, a_rotated_log_key_signs_the_next_checkpoint)
{
	struct buf trust = BUF_INIT;
	const char *first, *second;

	cr_assert_eq(ledger_rotate(box.l, KEY_LOG, NULL, &em), 0, "%s",
		     em.text);
	foreign_batch();
	reopen();
	cr_assert_str_eq(ledger_notes(box.l), "");
	cr_assert_eq(log_box_commit(&box, 1, 0), 0);
	cr_assert_eq(log_box_checkpoint(&box), 0);
	cr_assert_eq(log_box_verify(&box, true), 0);
	cr_assert_eq(ledger_trust(box.l, &trust), 0);
	first = strstr((char *)trust.p, "log ");
	cr_assert_not_null(first);
	second = strstr(first + 1, "log ");
	cr_assert_not_null(second, "the retired key stays trusted");
	buf_release(&trust);
}

Test(ledger_keys, a_rotation_is_all_or_nothing_wherever_it_is_cut)
{
	struct vio_sim *base, *s;
	struct prng dice;
	unsigned cut = 0;

	log_box_close(&box);
	base = sim;
	vio_sim_sync_all(base);
	prng_init(&dice, 7);
	for (unsigned role = KEY_MOUNT; role <= KEY_LOG; role++) {
		for (uint64_t n = 1;; n++) {
			bool stopped;
			uint64_t size;

			s = vio_sim_clone(base);
			use(s);
			cr_assert_eq(log_box_open(&box), 0);
			vio_sim_stop_at(s, n);
			(void)!ledger_rotate(box.l, role, NULL, NULL);
			stopped = vio_sim_stopped(s);
			vio_sim_stop_at(s, 0);
			vio_sim_crash(s, &dice);
			log_box_close(&box);
			cr_assert_eq(log_box_open(&box), 0, "%u at %lu: %s",
				     role, n, box.em.text);
			size = ledger_size(box.l);
			cr_assert(size == 2 || size == 3);
			box.n = size;
			cr_assert_eq(log_box_commit(&box, 1, 0), 0);
			cr_assert_eq(log_box_checkpoint(&box), 0);
			cr_assert_eq(log_box_verify(&box, true), 0);
			log_box_close(&box);
			vio_sim_free(s);
			box.n = 2;
			if (!stopped)
				break;
			cut++;
		}
	}
	use(base);
	cr_assert_gt(cut, 20);
}

Test(ledger_keys, a_fork_is_all_or_nothing_wherever_it_is_cut)
{
	struct ledger_options o;
	struct vio_sim *base, *s;
	struct prng dice;
	unsigned cut = 0, forked = 0;

	log_box_close(&box);
	base = sim;
	vio_sim_sync_all(base);
	prng_init(&dice, 8);
	for (uint64_t n = 1;; n++) {
		struct ledger_fork_report r;
		bool stopped;

		s = vio_sim_clone(base);
		use(s);
		o = (struct ledger_options){ .vio = box.vio,
					     .guard_vio = box.guard,
					     .wal_segment_bytes =
						     box.wal_bytes };
		vio_sim_stop_at(s, n);
		(void)!ledger_fork(&r, &o, "b", NULL, NULL);
		stopped = vio_sim_stopped(s);
		vio_sim_stop_at(s, 0);
		vio_sim_crash(s, &dice);
		cr_assert_eq(log_box_open(&box), 0, "at %lu: %s", n,
			     box.em.text);
		box.n = ledger_size(box.l);
		forked += box.n == 3;
		cr_assert_eq(strcmp(ledger_origin(box.l),
				    box.n == 3 ? "example.org/box/b" :
						 "example.org/box"),
			     0);
		cr_assert_eq(log_box_commit(&box, 1, 0), 0);
		cr_assert_eq(log_box_checkpoint(&box), 0, "%s", box.em.text);
		cr_assert_eq(log_box_verify(&box, true), 0);
		log_box_close(&box);
		vio_sim_free(s);
		box.n = 2;
		if (!stopped)
			break;
		cut++;
	}
	use(base);
	cr_assert_gt(cut, 20);
	cr_assert_gt(forked, 5);
	cr_assert_lt(forked, cut);
}

Test(ledger_keys, the_active_key_cannot_be_revoked_an_old_one_can)
{
	struct ledger_revocation r = { .reason = 3, .suspect_since_ns = 5 };
	struct listed l = list();

	memcpy(r.key_id, l.k[0].id, 16);
	cr_assert_eq(ledger_revoke(box.l, &r, NULL, &em), -ERR_USAGE);
	cr_assert(strstr(em.text, "rotate") != NULL);
	cr_assert_eq(ledger_rotate(box.l, KEY_MOUNT, NULL, NULL), 0);
	foreign_batch();
	em = (struct errmsg)ERRMSG_INIT;
	cr_assert_eq(ledger_revoke(box.l, &r, NULL, &em), 0, "%s", em.text);
	foreign_batch();
	reopen();
	l = list();
	cr_assert_eq(l.k[0].revoked, 3);
	cr_assert_eq(l.k[0].suspect_since_ns, 5);
	cr_assert_eq(log_box_commit(&box, 1, 0), 0);
	cr_assert_eq(log_box_verify(&box, true), 0);
}

Test(ledger_keys, of_other_mounts_are_certified_under_a_new_number)
{
	uint8_t seed[32] = { 1 };
	struct key *k = NULL;
	uint32_t no = 0;

	cr_assert_eq(key_from_seed(&k, KEY_MOUNT, seed), 0);
	cr_assert_eq(ledger_key_add(box.l, &no, KEY_MOUNT, key_public(k),
				    "second", NULL, &em),
		     0, "%s", em.text);
	cr_assert_eq(no, 2);
	foreign_batch();
	em = (struct errmsg)ERRMSG_INIT;
	cr_assert_lt(ledger_key_add(box.l, &no, KEY_MOUNT, key_public(k),
				    "again", NULL, &em),
		     0, "the same key twice");
	cr_assert_eq(log_box_commit(&box, 1, 0), 0,
		     "what was refused left no trace");
	cr_assert_eq(log_box_verify(&box, true), 0);
	key_free(k);
}

/* --- files --- */

Test(ledger_keys, a_missing_wrong_or_readable_key_file_is_refused_in_words)
{
	struct vio *v = box.vio;

	log_box_close(&box);
	cr_assert_eq(vio_sim_chmod(sim, "keys/mount.key", 0644), 0);
	cr_assert_eq(log_box_open(&box), -ERR_KEYPERM);
	cr_assert(strstr(box.em.text, "keys/mount.key") != NULL);
	cr_assert_eq(vio_sim_chmod(sim, "keys/mount.key", 0600), 0);

	cr_assert_eq(vio_sim_copy(sim, "keys/mount.key", "keep"), 0);
	cr_assert_eq(vio_unlink(v, "keys/mount.key"), 0);
	cr_assert_eq(log_box_open(&box), -ERR_KEY);
	cr_assert(strstr(box.em.text, "mount.key is missing") != NULL, "%s",
		  box.em.text);

	cr_assert_eq(vio_sim_copy(sim, "keys/log.key", "keys/mount.key"), 0);
	cr_assert_eq(log_box_open(&box), -ERR_KEY);
	cr_assert(strstr(box.em.text, "wrong role") != NULL, "%s", box.em.text);

	cr_assert_eq(vio_sim_copy(sim, "keep", "keys/mount.key"), 0);
	cr_assert_eq(vio_sim_chmod(sim, "keys/mount.key", 0600), 0);
	cr_assert_eq(log_box_open(&box), 0, "%s", box.em.text);
}

Test(ledger_keys, another_volumes_key_is_refused)
{
	struct key *k = NULL;

	log_box_close(&box);
	cr_assert_eq(key_generate(&k, KEY_MOUNT, box.vio), 0);
	cr_assert_eq(key_save(k, box.vio, "keys/mount.key", NULL), 0);
	key_free(k);
	cr_assert_eq(log_box_open(&box), -ERR_KEY);
	cr_assert(strstr(box.em.text, "not the active mount key") != NULL);
}
