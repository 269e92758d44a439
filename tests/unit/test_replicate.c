/*
 * test_replicate.c - replicas follow, and give back what the store lost.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/thread.h"
#include "base/vio.h"
#include "fs/store/pack.h"
#include "fs/store/replica.h"
#include "fs/replica/replicate.h"
#include "fs/store/store_int.h"
#include "tests/sim/prng.h"
#include "tests/sim/replica_site.h"
#include "tests/sim/tmp.h"
#include "tests/sim/vio_sim.h"

Test(replicate, replicas_follow_and_tell_their_position)
{
	struct site x;

	site_new(&x, 2);
	site_put(x.store, 0, 30);
	replicate_mark(x.follow, 5);
	site_have(&x, 5, 0);
	cr_assert_eq(replicate_step(x.follow), 0);
	site_have(&x, 5, 2);
	site_have(&x, 6, 0);
	for (int i = 0; i < 2; i++) {
		cr_assert(site_same(x.home, x.away[i], "packs/00000001.pack"));
		cr_assert(site_same(x.home, x.away[i],
				    "ledger/journal/00000001.vj"));
		cr_assert(site_same(x.home, x.away[i], "volume.conf"));
	}
	site_put(x.store, 30, 60);
	site_journal(&x, "second record\n");
	replicate_mark(x.follow, 9);
	cr_assert_eq(replicate_step(x.follow), 0);
	site_have(&x, 9, 2);
	cr_assert(site_same(x.home, x.away[1], "ledger/journal/00000001.vj"));
	site_free(&x);
}

Test(replicate, a_bad_chunk_is_read_from_a_replica_and_repaired)
{
	struct site x;
	uint64_t off = PACK_HEADER_SIZE;

	site_new(&x, 2);
	site_put(x.store, 0, 10);
	cr_assert_eq(replicate_step(x.follow), 0);
	site_close(&x);
	/* the header of the first record, and the end of the pack's records */
	cr_assert_eq(vio_sim_flip(x.home, "packs/00000001.pack", off + 20, 0),
		     0);
	site_open(&x, 2);
	cr_assert_eq(replicate_step(x.follow), 0);
	for (uint64_t k = 0; k < 10; k++)
		cr_assert_eq(site_check(x.store, k), 0);
	site_close(&x);
	site_open(&x, 0); /* and without replicas, it was repaired for good */
	for (uint64_t k = 0; k < 10; k++)
		cr_assert_eq(site_check(x.store, k), 0);
	site_free(&x);
}

Test(replicate, every_flipped_byte_of_a_pack_is_repaired_or_an_error,
     .timeout = 120)
{
	struct site x;
	struct vio_stat st = { 0 };
	struct prng r = { 0 };

	site_new(&x, 1);
	site_put(x.store, 0, 12);
	cr_assert_eq(replicate_step(x.follow), 0);
	site_close(&x);
	cr_assert_eq(vio_stat(vio_sim_vio(x.home), "packs/00000001.pack", &st),
		     0);
	prng_init(&r, prng_seed("replicate_flip", 3));
	for (int k = 0; k < 150; k++) {
		uint64_t off = prng_below(&r, st.size);
		int replicas = k % 3 ? 1 : 0;
		struct vio_sim *keep = x.home;

		x.home = vio_sim_clone(keep);
		cr_assert_eq(
			vio_sim_flip(x.home, "packs/00000001.pack", off, k % 8),
			0);
		site_open(&x, replicas);
		if (replicas)
			cr_assert_eq(replicate_step(x.follow), 0);
		for (uint64_t c = 0; c < 12; c++) {
			int rc = site_check(x.store, c); /* never wrong bytes */

			if (replicas)
				cr_assert_eq(rc, 0, "off %lu chunk %lu", off,
					     c);
		}
		site_close(&x);
		vio_sim_free(x.home);
		x.home = keep;
	}
	site_open(&x, 0);
	site_free(&x);
}

Test(replicate, a_missing_pack_is_made_again)
{
	struct site x;

	site_new(&x, 1);
	site_put(x.store, 0, 20);
	cr_assert_eq(replicate_step(x.follow), 0);
	site_close(&x);
	cr_assert_eq(vio_unlink(vio_sim_vio(x.home), "packs/00000001.pack"), 0);
	site_open(&x, 1);
	/* nobody made a round: the read itself asks the replica */
	for (uint64_t k = 0; k < 20; k++)
		cr_assert_eq(site_check(x.store, k), 0);
	site_close(&x);
	site_open(&x, 0);
	for (uint64_t k = 0; k < 20; k++)
		cr_assert_eq(site_check(x.store, k), 0);
	site_free(&x);
}

Test(replicate, a_pack_cut_short_gets_its_tail_back)
{
	struct site x;
	struct vio_file *f = NULL;
	struct vio_stat st = { 0 };

	site_new(&x, 1);
	site_put(x.store, 0, 20);
	cr_assert_eq(replicate_step(x.follow), 0);
	site_close(&x);
	cr_assert_eq(vio_open(vio_sim_vio(x.home), &f, "packs/00000001.pack",
			      VIO_WRITE),
		     0);
	cr_assert_eq(vio_fstat(f, &st), 0);
	cr_assert_eq(vio_truncate(f, st.size / 2), 0);
	vio_close(f);
	vio_sim_sync_all(x.home);
	site_open(&x, 1);
	site_put(x.store, 100, 110); /* new chunks go elsewhere */
	cr_assert_eq(replicate_step(x.follow), 0);
	for (uint64_t k = 0; k < 20; k++)
		cr_assert_eq(site_check(x.store, k), 0);
	for (uint64_t k = 100; k < 110; k++)
		cr_assert_eq(site_check(x.store, k), 0);
	cr_assert(site_same(x.home, x.away[0], "packs/00000001.pack"));
	site_free(&x);
}

static bool any_pack(void *ctx, struct packfile *f)
{
	(void)ctx;
	(void)f;
	return true;
}

static bool exists(struct vio_sim *disk, const char *name)
{
	struct vio_stat st;

	return vio_stat(vio_sim_vio(disk), name, &st) == 0;
}

Test(replicate, a_pack_that_gc_removed_goes_and_does_not_come_back)
{
	struct site x;
	struct packfile *f = NULL;

	site_new(&x, 2);
	site_put(x.store, 0, 50);
	cr_assert_eq(packs_seal_idle(&x.store->packs, any_pack, NULL), 0);
	cr_assert_eq(replicate_step(x.follow), 0);
	site_put(x.store, 50, 60);
	f = packs_find(&x.store->packs, 1);
	/* the second replica's disk is away meanwhile */
	vio_sim_fail(x.away[1], VIO_SIM_ANY, 1, EIO, true);
	cr_assert_eq(packs_remove(&x.store->packs, &f, 1), 0);
	cr_assert_lt(replicate_step(x.follow), 0);
	cr_assert(!exists(x.away[0], "packs/00000001.pack"));
	cr_assert(exists(x.away[0], "packs/00000002.pack"));
	cr_assert(exists(x.away[0], "packs/removed"));
	vio_sim_fail(x.away[1], 0, 0, EIO, false);
	cr_assert(exists(x.away[1], "packs/00000001.pack"));
	/* it comes back, and with it the pack: not into the store */
	site_close(&x);
	site_open(&x, 2);
	cr_assert_eq(replicate_step(x.follow), 0);
	cr_assert_eq(store_restore_missing(x.store, true), 0);
	cr_assert(!exists(x.home, "packs/00000001.pack"));
	cr_assert(!exists(x.away[1], "packs/00000001.pack"));
	cr_assert(exists(x.away[1], "packs/removed"));
	for (uint64_t k = 50; k < 60; k++)
		cr_assert_eq(site_check(x.store, k), 0);
	cr_assert_eq(site_check(x.store, 1), -ERR_MISSING_CHUNK);
	site_free(&x);
}

Test(replicate, a_replica_keeps_a_pack_until_it_has_what_took_its_place)
{
	struct site x;
	struct packfile *f = NULL;

	site_new(&x, 1);
	site_put(x.store, 0, 50);
	cr_assert_eq(packs_seal_idle(&x.store->packs, any_pack, NULL), 0);
	cr_assert_eq(replicate_step(x.follow), 0);
	site_put(x.store, 0, 60);
	f = packs_find(&x.store->packs, 1);
	atomic_store(&f->condemned, true);
	site_put(x.store, 0, 50); /* anew: the old ones are condemned */
	cr_assert_eq(packs_remove(&x.store->packs, &f, 1), 0);
	for (uint64_t at = 1;; at++) {
		struct vio_sim *disk = vio_sim_clone(x.away[0]);
		struct vio_sim *was = x.away[0];
		bool old = false, fresh = false;
		struct prng p;

		vio_sim_stop_at(was, at);
		(void)!replicate_step(x.follow);
		if (!vio_sim_stopped(was)) {
			vio_sim_free(disk);
			break;
		}
		prng_init(&p, at);
		cr_assert_eq(replicate_remove(x.follow, "first"), 0);
		vio_sim_crash(was, &p);
		old = exists(was, "packs/00000001.pack");
		fresh = exists(was, "packs/00000002.pack");
		cr_assert(old || fresh, "cut at %lu", (unsigned long)at);
		if (!old) {
			struct vio_stat a = { 0 };

			cr_assert_eq(vio_stat(vio_sim_vio(was),
					      "packs/00000002.pack", &a),
				     0);
			cr_assert_geq(a.size, packfile_durable(packs_find(
						      &x.store->packs, 2)));
		}
		/* on from where it was before */
		vio_sim_free(was);
		x.away[0] = disk;
		site_add(&x, 0);
	}
	cr_assert(!exists(x.away[0], "packs/00000001.pack"));
	site_free(&x);
}

Test(replicate, a_lost_store_is_made_again)
{
	struct site x;
	struct replica *r = NULL;
	struct vio_sim *fresh = vio_sim_new(NULL);
	struct errmsg em = ERRMSG_INIT;

	site_new(&x, 1);
	site_put(x.store, 0, 20);
	cr_assert_eq(replicate_step(x.follow), 0);
	site_close(&x);
	cr_assert_eq(replica_dir_open_vio(&r, vio_sim_vio(x.away[0]), "first",
					  site_volume, 0, &em),
		     0);
	cr_assert_eq(replicate_restore(vio_sim_vio(fresh), r, NULL, NULL, &em),
		     0, "%s", em.text);
	cr_assert_eq(replicate_restore(vio_sim_vio(fresh), r, NULL, NULL, &em),
		     -EEXIST);
	replica_close(r);
	cr_assert(site_same(x.home, fresh, "ledger/journal/00000001.vj"));
	cr_assert(site_same(x.home, fresh, "volume.conf"));
	vio_sim_free(x.home);
	x.home = fresh;
	site_open(&x, 0);
	for (uint64_t k = 0; k < 20; k++)
		cr_assert_eq(site_check(x.store, k), 0);
	site_free(&x);
}

static int status_words(void *ctx, const struct replicate_status *s)
{
	unsigned *lagging = ctx;

	if (s->error) {
		*lagging += 1;
		cr_assert_neq(s->words[0], '\0');
	}
	return 0;
}

Test(replicate, a_failing_replica_lags_and_catches_up)
{
	struct site x;
	unsigned lagging = 0;

	site_new(&x, 2);
	site_put(x.store, 0, 10);
	vio_sim_set_space(x.away[0], 10000);
	replicate_mark(x.follow, 1);
	cr_assert_eq(replicate_step(x.follow), -ENOSPC);
	site_have(&x, 1, 1);
	cr_assert_eq(replicate_each(x.follow, status_words, &lagging), 0);
	cr_assert_eq(lagging, 1);
	cr_assert_eq(store_failed(x.store), 0);
	vio_sim_set_space(x.away[0], UINT64_MAX);
	cr_assert_eq(replicate_step(x.follow), 0);
	site_have(&x, 1, 2);
	cr_assert(site_same(x.home, x.away[0], "packs/00000001.pack"));
	site_free(&x);
}

Test(replicate, a_replica_that_crashes_ends_up_with_the_same_bytes,
     .timeout = 120)
{
	bool reached_end = false;
	unsigned cut = 0;
	uint64_t seed = prng_seed("replicate_crash", 5);

	for (uint64_t n = 1; !reached_end; n++) {
		struct site x;
		struct prng r = { 0 };
		struct errmsg em = ERRMSG_INIT;
		struct replica *probe = NULL;
		int rc = 0;

		prng_init(&r, n + seed);
		site_new(&x, 0);
		vio_sim_stop_at(x.away[0], n);
		rc = replica_dir_open_vio(&probe, vio_sim_vio(x.away[0]),
					  "first", site_volume, 1, &em);
		if (rc == 0) {
			cr_assert_eq(replicate_add(x.follow, probe, &em), 0);
			for (uint64_t k = 0; rc == 0 && k < 4; k++) {
				site_put(x.store, 10 * k, 10 * k + 4);
				site_journal(&x, "one more record\n");
				replicate_mark(x.follow, k + 1);
				rc = replicate_step(x.follow);
			}
		}
		reached_end = !vio_sim_stopped(x.away[0]);
		cut += rc < 0;
		(void)!replicate_remove(x.follow, "first");
		vio_sim_crash(x.away[0], &r);
		site_add(&x, 0);
		site_put(x.store, 100, 103);
		replicate_mark(x.follow, 9);
		rc = replicate_step(x.follow);
		cr_assert_eq(rc, 0, "n=%lu: %s", n, err_text(rc));
		cr_assert(site_same(x.home, x.away[0], "packs/00000001.pack"),
			  "n=%lu", n);
		cr_assert(site_same(x.home, x.away[0],
				    "ledger/journal/00000001.vj"));
		site_free(&x);
	}
	cr_assert_gt(cut, 10);
}

Test(replicate, an_older_copy_of_the_store_does_not_spoil_a_replica)
{
	struct site x;
	struct vio_sim *old = NULL;
	struct vio_stat before = { 0 };
	struct vio_stat after = { 0 };
	unsigned lagging = 0;

	site_new(&x, 1);
	site_put(x.store, 0, 5);
	cr_assert_eq(replicate_step(x.follow), 0);
	old = vio_sim_clone(x.home);
	site_journal(&x, "what the backup does not know\n");
	cr_assert_eq(replicate_step(x.follow), 0);
	site_close(&x);
	vio_sim_free(x.home);
	x.home = old;
	x.journal = strlen("first record\n");
	site_journal(&x, "and goes on with something else, longer\n");
	cr_assert_eq(vio_stat(vio_sim_vio(x.away[0]),
			      "ledger/journal/00000001.vj", &before),
		     0);
	site_open(&x, 1);
	replicate_mark(x.follow, 3);
	cr_assert_eq(replicate_step(x.follow), -ERR_ROLLBACK);
	site_have(&x, 3, 0);
	cr_assert_eq(replicate_each(x.follow, status_words, &lagging), 0);
	cr_assert_eq(lagging, 1);
	cr_assert_eq(vio_stat(vio_sim_vio(x.away[0]),
			      "ledger/journal/00000001.vj", &after),
		     0);
	cr_assert_eq(before.size, after.size);
	site_free(&x);
}

/* --- checking --- */

static void count_words(void *ctx, const char *words)
{
	unsigned *n = ctx;

	cr_assert_neq(words[0], '\0');
	*n += 1;
}

static unsigned check_all(struct site *x, struct store_check_report *out,
			  bool repair)
{
	unsigned n = 0;
	struct store_check_options o = {
		.repair = repair,
		.found = count_words,
		.ctx = &n,
	};
	struct errmsg em = ERRMSG_INIT;

	cr_assert_eq(store_check(x->store, out, &o, &em), 0, "%s", em.text);
	return n;
}

/* Seals the first pack by filling it. */
static void fill_pack(struct site *x)
{
	struct chunk_maker *m = chunk_maker_new();
	autofree uint8_t *p = malloc(LIMIT_CHUNK);
	struct store_writer *w = NULL;
	struct chunk c = { 0 };
	struct prng r = { 0 };

	prng_init(&r, 99);
	cr_assert_eq(store_writer_open(x->store, &w), 0);
	for (int i = 0; i < 256; i++) {
		prng_bytes(&r, p, LIMIT_CHUNK);
		cr_assert_eq(chunk_make(&c, m, CHUNK_DATA, p, LIMIT_CHUNK), 0);
		cr_assert_eq(store_writer_put(w, &c), 0);
	}
	cr_assert_eq(store_writer_flush(w), 0);
	store_writer_close(w);
	chunk_maker_free(m);
}

static void flips(bool sealed, int rounds)
{
	static const char name[] = "packs/00000001.pack";
	struct site x;
	struct vio_stat st = { 0 };
	struct store_check_report rep = { 0 };
	struct prng r = { 0 };

	site_new(&x, 1);
	site_put(x.store, 0, 12);
	site_close(&x);
	site_open(&x, 1); /* a close mark lies within */
	if (sealed)
		fill_pack(&x);
	else
		site_put(x.store, 12, 14);
	cr_assert_eq(replicate_step(x.follow), 0);
	cr_assert_eq(check_all(&x, &rep, false), 0);
	cr_assert_eq(rep.bad, 0);
	cr_assert_geq(rep.chunks, 12);
	site_close(&x);
	cr_assert_eq(vio_stat(vio_sim_vio(x.home), name, &st), 0);
	prng_init(&r, prng_seed("check_flip", 8));
	for (int k = 0; k < rounds; k++) {
		uint64_t off = prng_below(&r, st.size);
		struct vio_sim *keep = x.home;
		struct vio_sim *keep_away = x.away[0];

		if (k % 3 == 1) /* the end: footer, mark */
			off = st.size - 1 - prng_below(&r, 400);
		if (k % 3 == 2) /* the first records and the mark */
			off = prng_below(&r,
					 st.size < 250000 ? st.size : 250000);
		x.home = vio_sim_clone(keep);
		x.away[0] = vio_sim_clone(keep_away);
		cr_assert_eq(vio_sim_flip(x.home, name, off, k % 8), 0);
		site_open(&x, k % 4 == 0 ? 0 : 1);
		/* what may be a crash's is counted, and not told in words */
		cr_assert(check_all(&x, &rep, false) > 0 ||
				  (!sealed && rep.torn_bytes > 0),
			  "off %lu of %lu", off, st.size);
		cr_assert(rep.bad + (sealed ? 0 : rep.torn_bytes) > 0);
		if (k % 4) {
			check_all(&x, &rep, true);
			cr_assert_eq(rep.bad, rep.repaired, "off %lu", off);
			check_all(&x, &rep, true);
			cr_assert_eq(rep.bad, 0, "off %lu", off);
			for (uint64_t c = 0; c < 12; c++)
				cr_assert_eq(site_check(x.store, c), 0);
		}
		site_close(&x);
		vio_sim_free(x.home);
		vio_sim_free(x.away[0]);
		x.home = keep;
		x.away[0] = keep_away;
	}
	site_open(&x, 0);
	site_free(&x);
}

Test(check, every_flipped_byte_of_an_open_pack_is_told_and_repaired,
     .timeout = 120)
{
	flips(false, 90);
}

Test(check, every_flipped_byte_of_a_sealed_pack_is_told_and_repaired,
     .timeout = 120)
{
	flips(true, 9);
}

Test(check, a_replicas_damaged_copy_is_repaired_from_the_store, .timeout = 120)
{
	static const char name[] = "packs/00000001.pack";
	struct site x;
	struct store_check_report rep = { 0 };
	struct vio_stat st = { 0 };
	struct prng r = { 0 };

	site_new(&x, 1);
	site_put(x.store, 0, 12);
	cr_assert_eq(replicate_step(x.follow), 0);
	cr_assert_eq(vio_stat(vio_sim_vio(x.away[0]), name, &st), 0);
	prng_init(&r, 1);
	for (int k = 0; k < 30; k++) {
		cr_assert_eq(vio_sim_flip(x.away[0], name,
					  prng_below(&r, st.size), 1),
			     0);
		cr_assert_eq(check_all(&x, &rep, true), 1);
		cr_assert_eq(rep.bad, 1);
		cr_assert_eq(rep.repaired, 1);
		cr_assert_eq(check_all(&x, &rep, false), 0);
	}
	site_free(&x);
}

Test(replica_dir, foreign_directories_are_refused_in_words)
{
	struct tmp t;
	struct replica *r = NULL;
	struct errmsg em = ERRMSG_INIT;
	struct errmsg em2 = ERRMSG_INIT;
	struct errmsg em3 = ERRMSG_INIT;
	uint8_t other[16] = "another volume!";
	uint8_t id[16] = { 0 };
	char path[PATH_MAX + 16];
	FILE *f = NULL;

	tmp_init(&t);
	snprintf(path, sizeof(path), "%s/new", t.path);
	cr_assert_eq(replica_dir_open(&r, path, site_volume, 0, &em), -ENOENT);
	cr_assert_eq(replica_dir_open(&r, path, site_volume, 1, &em), 0);
	cr_assert_eq(r->ops->append(r, "packs/00000001.pack", 0, "abc", 3), 0);
	cr_assert_eq(r->ops->append(r, "packs/00000001.pack", 0, "abc", 3),
		     -ESTALE);
	cr_assert_eq(r->ops->append(r, "../x", 0, "abc", 3), -EINVAL);
	cr_assert_eq(r->ops->sync(r), 0);
	replica_close(r);
	cr_assert_eq(replica_dir_open(&r, path, other, 1, &em2), -EEXIST);
	cr_assert_not_null(strstr(em2.text, "another volume"));
	cr_assert_eq(replica_dir_identify(path, id, NULL), 0);
	cr_assert_eq(memcmp(id, site_volume, 16), 0);
	snprintf(path, sizeof(path), "%s/file", t.path);
	f = fopen(path, "w");
	fclose(f);
	cr_assert_eq(replica_dir_open(&r, t.path, site_volume, 1, &em3),
		     -EEXIST);
	tmp_release(&t);
}

#define CATCH_UP_NS (60LL * 1000 * 1000 * 1000)

Test(replicate, threads_follow_by_themselves)
{
	struct tmp t;
	struct vio *home = NULL;
	struct store_options so = { .cache_bytes = 1 << 20 };
	struct replicate_options fo = { .interval_ms = 20 };
	struct store *s = NULL;
	struct replicate *follow = NULL;
	struct replica *r = NULL;
	struct vio_sim *full = vio_sim_new(NULL);
	uint32_t have = 0;
	uint32_t all = 0;
	char path[PATH_MAX + 16];

	tmp_init(&t);
	cr_assert_eq(vio_posix_open(&home, t.path), 0);
	cr_assert_eq(vio_mkdirs(home, "store"), 0);
	vio_free(home);
	snprintf(path, sizeof(path), "%s/store", t.path);
	cr_assert_eq(vio_posix_open(&home, path), 0);
	so.vio = home;
	cr_assert_eq(store_open(&s, &so, NULL), 0);
	fo.store = s;
	fo.vio = home;
	cr_assert_eq(replicate_open(&follow, &fo), 0);
	snprintf(path, sizeof(path), "%s/replica", t.path);
	cr_assert_eq(replica_dir_open(&r, path, site_volume, 1, NULL), 0);
	cr_assert_eq(replicate_add(follow, r, NULL), 0);
	site_put(s, 0, 50);
	replicate_mark(follow, 3);
	cr_assert_eq(replicate_catch_up(follow, 3, CATCH_UP_NS), 0);
	replicate_have(follow, 3, &have, &all);
	cr_assert(have == 1 && all == 1);
	/* one that fails is not waited for, and told; the other one has it */
	cr_assert_eq(replica_dir_open_vio(&r, vio_sim_vio(full), "full",
					  site_volume, 1, NULL),
		     0);
	vio_sim_set_space(full, 10000);
	cr_assert_eq(replicate_add(follow, r, NULL), 0);
	cr_assert_eq(replicate_catch_up(follow, 4, CATCH_UP_NS), -ERR_AGAIN);
	replicate_have(follow, 4, &have, &all);
	cr_assert(have == 1 && all == 2);
	replicate_close(follow);
	vio_sim_free(full);
	store_close(s);
	vio_free(home);
	tmp_release(&t);
}

static void give_up(void *follow)
{
	usleep(20000);
	replicate_give_up(follow, true);
}

/* An unmount waits for no `vouch replica sync`, whose patience is weeks. */
Test(replicate, who_waits_is_sent_away, .timeout = 60)
{
	struct thread thread = { .running = false };
	struct site x;

	site_new(&x, 1); /* its followers make no round of their own */
	site_put(x.store, 0, 20);
	cr_assert_eq(thread_start(&thread, "give-up", give_up, x.follow), 0);
	cr_assert_eq(replicate_catch_up(x.follow, 1, 1000 * CATCH_UP_NS),
		     -ERR_AGAIN);
	thread_join(&thread);
	/* nor for one that came when that had been said already */
	cr_assert_eq(replicate_catch_up(x.follow, 1, 1000 * CATCH_UP_NS),
		     -ERR_AGAIN);
	site_free(&x);
}
