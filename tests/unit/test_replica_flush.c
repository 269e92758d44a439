/*
 * test_replica_flush.c - a replica's flush fails: what it may have lost is
 * copied again, whoever asked for the flush, and never believed.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/vio.h"
#include "fs/store/replica.h"
#include "fs/store/store_int.h"
#include "tests/sim/prng.h"
#include "tests/sim/replica_site.h"

/* After a good round nothing may be missing on the disk: power fails now. */
static void same_after_power_loss(struct site *x, uint64_t seed)
{
	struct prng r = { 0 };

	prng_init(&r, seed);
	(void)!replicate_remove(x->follow, "first");
	vio_sim_crash(x->away[0], &r);
	cr_assert(site_same(x->home, x->away[0], "packs/00000001.pack"));
	cr_assert(site_same(x->home, x->away[0], "ledger/journal/00000001.vj"));
}

static uint64_t bytes_of(struct vio_sim *s, const char *name)
{
	struct vio_stat st = { 0 };

	cr_assert_eq(vio_stat(vio_sim_vio(s), name, &st), 0);
	return st.size;
}

Test(replica_flush, what_a_failed_flush_lost_is_copied_again, .timeout = 120)
{
	bool reached_end = false;
	unsigned failed = 0;

	for (uint64_t n = 1; !reached_end || n < 8; n++) {
		struct site x;

		site_new(&x, 1);
		site_put(x.store, 0, 6);
		vio_sim_fail(x.away[0], VIO_SIM_SYNC, n, EIO, false);
		for (uint64_t k = 0; k < 3; k++) {
			site_journal(&x, "one more record\n");
			site_put(x.store, 10 + k, 11 + k);
			replicate_mark(x.follow, k + 1);
			failed += replicate_step(x.follow) < 0;
		}
		reached_end = !vio_sim_failed(x.away[0]);
		vio_sim_fail(x.away[0], VIO_SIM_SYNC, UINT64_MAX, EIO, false);
		cr_assert_eq(replicate_step(x.follow), 0);
		site_have(&x, 3, 1);
		same_after_power_loss(&x, n);
		cr_assert_eq(bytes_of(x.away[0], "ledger/journal/00000001.vj"),
			     x.journal);
		site_free(&x);
	}
	cr_assert_gt(failed, 3);
}

Test(replica_flush, of_a_directory_that_failed_is_counted, .timeout = 60)
{
	struct site x;
	struct store_replica *r = NULL;
	uint64_t before;

	site_new(&x, 1);
	r = store_replica_next(x.store, NULL);
	before = r->replica->losses;
	cr_assert_eq(r->replica->ops->append(r->replica, "keys/new", 0, "x", 1),
		     0);
	vio_sim_fail(x.away[0], VIO_SIM_SYNCDIR, 1, EIO, false);
	cr_assert_eq(r->replica->ops->sync(r->replica), -EIO);
	cr_assert_eq(r->replica->losses, before + 1);
	cr_assert_eq(r->replica->ops->sync(r->replica), 0);
	store_replica_put(x.store, r);
	site_free(&x);
}

/* Somebody else, a scrub, flushes while a round runs, and that fails. */
struct meddler {
	struct vio_sim *away;
	struct replica *replica;
	unsigned left, failed;
};

static void meddle(void *ctx, enum vio_sim_class class, const char *path)
{
	struct meddler *m = ctx;

	if (class != VIO_SIM_READ || strstr(path, ".pack") == NULL ||
	    m->left == 0 || --m->left > 0)
		return;
	vio_sim_fail(m->away, VIO_SIM_SYNC, 1, EIO, false);
	m->failed += m->replica->ops->sync(m->replica) < 0;
}

Test(replica_flush, anothers_failed_flush_is_no_good_round)
{
	struct site x;

	for (unsigned n = 1; n < 5; n++) {
		struct meddler m = { .left = n };
		struct store_replica *r = NULL;

		site_new(&x, 1);
		site_put(x.store, 0, 200); /* more than one step of copying */
		m.away = x.away[0];
		r = store_replica_next(x.store, NULL);
		m.replica = r->replica;
		vio_sim_set_hook(x.home, meddle, &m);
		replicate_mark(x.follow, 1);
		cr_assert_eq(replicate_step(x.follow) < 0, m.failed > 0);
		site_have(&x, 1, m.failed == 0);
		vio_sim_set_hook(x.home, NULL, NULL);
		cr_assert_eq(replicate_step(x.follow), 0);
		site_have(&x, 1, 1);
		store_replica_put(x.store, r);
		same_after_power_loss(&x, n);
		site_free(&x);
		if (m.failed == 0) {
			cr_assert_gt(n, 1);
			return;
		}
	}
}

/* A follower's flush between a scrub's patch and the scrub's own, and it fails.
 */
struct between {
	struct vio_sim *away;
	struct replica *replica;
	bool patched;
	unsigned failed;
};

static void flush_between(void *ctx, enum vio_sim_class class, const char *path)
{
	struct between *b = ctx;

	if (strstr(path, ".pack") == NULL)
		return;
	if (class == VIO_SIM_WRITE)
		b->patched = true;
	if (class != VIO_SIM_READ || !b->patched || b->failed > 0)
		return;
	b->failed++;
	vio_sim_fail(b->away, VIO_SIM_SYNC, 1, EIO, false);
	cr_assert_lt(b->replica->ops->sync(b->replica), 0);
}

static void scrub(struct site *x, struct store_check_report *out)
{
	const struct store_check_options o = { .repair = true };

	cr_assert_eq(store_check(x->store, out, &o, NULL), 0);
}

Test(replica_flush, what_a_flush_lost_of_a_repair_is_repaired_again)
{
	for (unsigned seed = 1; seed < 8; seed++) {
		struct between b = { .failed = 0 };
		struct store_check_report rep;
		struct store_replica *r = NULL;
		struct site x;

		site_new(&x, 1);
		site_put(x.store, 0, 20);
		replicate_mark(x.follow, 1);
		cr_assert_eq(replicate_step(x.follow), 0);
		cr_assert_eq(vio_sim_flip(x.away[0], "packs/00000001.pack",
					  PACK_HEADER_SIZE + PACK_RECORD_SIZE,
					  0),
			     0);
		r = store_replica_next(x.store, NULL);
		b.away = x.away[0];
		b.replica = r->replica;
		vio_sim_reseed(x.away[0], seed);
		vio_sim_set_hook(x.away[0], flush_between, &b);
		scrub(&x, &rep);
		vio_sim_set_hook(x.away[0], NULL, NULL);
		store_replica_put(x.store, r);
		cr_assert_eq(b.failed, 1);
		cr_assert_eq(rep.bad, 1);
		cr_assert_eq(rep.repaired, 0);
		scrub(&x,
		      &rep); /* reading shows it good: written all the same */
		cr_assert_eq(rep.bad, 1);
		cr_assert_eq(rep.repaired, 1);
		scrub(&x, &rep);
		cr_assert_eq(rep.bad, 0);
		same_after_power_loss(&x, seed);
		site_free(&x);
	}
}
