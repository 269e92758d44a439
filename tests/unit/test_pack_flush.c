/*
 * test_pack_flush.c - an error of the disk is told once; whoever relies on
 * those bytes must hear of it, whoever asked first.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/thread.h"
#include "base/vio.h"
#include "fs/store/chunk.h"
#include "fs/store/packfile.h"
#include "tests/sim/prng.h"
#include "tests/sim/vio_sim.h"

enum { NOISE = 64 << 10, DUE = 10 /* chunks of noise: a piece and more */ };

static const uint8_t volume[16] = "flushed volume 1";

struct disk {
	struct vio_sim *sim;
	struct packfile_handles handles;
	struct packfile *f;
	struct thread other;
	int rc;		 /* of the other */
	bool hooked;	 /* once */
	uint64_t waited; /* of flushes */
};

static void append_noise(struct packfile *f, unsigned n)
{
	struct chunk_maker *m = chunk_maker_new();
	uint8_t *p = malloc(NOISE);
	struct chunk c = { 0 };
	struct prng r = { 0 };
	uint32_t off = 0;

	cr_assert(m && p);
	prng_init(&r, 1);
	while (n-- > 0) {
		prng_bytes(&r, p, NOISE);
		cr_assert_eq(chunk_make(&c, m, CHUNK_DATA, p, NOISE), 0);
		cr_assert_eq(packfile_append(f, &off, &c), 0);
	}
	free(p);
	chunk_maker_free(m);
}

static void disk_init(struct disk *d)
{
	struct packfile_options o = { .volume_id = volume, .number = 1 };

	*d = (struct disk){ .sim = vio_sim_new(NULL), .rc = 1 };
	packfile_handles_init(&d->handles, 4);
	o.vio = vio_sim_vio(d->sim);
	o.handles = &d->handles;
	cr_assert_eq(vio_mkdir(o.vio, "packs"), 0);
	cr_assert_eq(vio_syncdir(o.vio, "."), 0);
	cr_assert_eq(packfile_create(&d->f, &o), 0);
	append_noise(d->f, DUE);
	d->waited = vio_sim_count(d->sim, VIO_SIM_SYNC);
}

static void disk_release(struct disk *d)
{
	vio_sim_set_hook(d->sim, NULL, NULL);
	thread_join(&d->other);
	packfile_close(d->f);
	packfile_handles_release(&d->handles);
	vio_sim_free(d->sim);
}

/* Nothing of it is durable, and nothing ever will be. */
static void assert_broken(struct disk *d)
{
	cr_assert(vio_sim_failed(d->sim));
	cr_assert_eq(packfile_durable(d->f), PACK_HEADER_SIZE);
	cr_assert_eq(packfile_flush(d->f), -EIO);
	cr_assert_eq(packfile_pace(d->f, false), -EIO);
	cr_assert_eq(packfile_mark(d->f), -EIO);
	cr_assert_eq(packfile_seal(d->f), -EIO);
	cr_assert_eq(packfile_state(d->f), PACK_OPEN);
}

static void sleep_ms(long ms)
{
	struct timespec t = { .tv_nsec = ms * 1000000 };

	nanosleep(&t, NULL);
}

static void pace_at_sync(void *ctx, enum vio_sim_class class, const char *path)
{
	struct disk *d = ctx;

	(void)path;
	if (class == VIO_SIM_SYNC && !d->hooked) {
		d->hooked = true;
		d->rc = packfile_pace(d->f, false);
	}
}

Test(pack_flush, a_pace_that_was_told_fails_the_flush)
{
	struct disk d;

	disk_init(&d);
	vio_sim_set_hook(d.sim, pace_at_sync, &d);
	vio_sim_fail(d.sim, VIO_SIM_WRITEBACK, 1, EIO, false);
	cr_assert_eq(packfile_flush(d.f), -EIO);
	cr_assert_eq(d.rc, -EIO);
	assert_broken(&d);
	disk_release(&d);
}

static void pace_main(void *arg)
{
	struct disk *d = arg;

	d->rc = packfile_pace(d->f, false);
}

/* It is told a while after the flush has found nothing. */
static void wait_for_sync(void *ctx, enum vio_sim_class class, const char *path)
{
	struct disk *d = ctx;

	(void)path;
	if (class != VIO_SIM_WRITEBACK)
		return;
	while (vio_sim_count(d->sim, VIO_SIM_SYNC) == d->waited)
		sleep_ms(1);
	sleep_ms(50);
}

Test(pack_flush, a_flush_waits_for_the_paces_beside_it, .timeout = 60)
{
	struct disk d;

	disk_init(&d);
	vio_sim_set_hook(d.sim, wait_for_sync, &d);
	vio_sim_fail(d.sim, VIO_SIM_WRITEBACK, 1, EIO, false);
	cr_assert_eq(thread_start(&d.other, "pace", pace_main, &d), 0);
	for (bool paces = false; !paces;) {
		mutex_lock(&d.f->mu);
		paces = d.f->pushed > 0;
		mutex_unlock(&d.f->mu);
	}
	cr_assert_eq(packfile_flush(d.f), -EIO);
	thread_join(&d.other);
	cr_assert_eq(d.rc, -EIO);
	assert_broken(&d);
	disk_release(&d);
}

static void flush_main(void *arg)
{
	struct disk *d = arg;

	append_noise(d->f, 1);
	d->rc = packfile_flush(d->f);
}

static void flush_at_sync(void *ctx, enum vio_sim_class class, const char *path)
{
	struct disk *d = ctx;

	(void)path;
	if (class != VIO_SIM_SYNC || d->hooked)
		return;
	d->hooked = true;
	cr_assert_eq(thread_start(&d->other, "flush", flush_main, d), 0);
	sleep_ms(50);
}

Test(pack_flush, two_flushes_at_once_are_told_alike, .timeout = 60)
{
	struct disk d;

	disk_init(&d);
	vio_sim_set_hook(d.sim, flush_at_sync, &d);
	vio_sim_fail(d.sim, VIO_SIM_SYNC, 1, EIO, false);
	cr_assert_eq(packfile_flush(d.f), -EIO);
	thread_join(&d.other);
	cr_assert_eq(d.rc, -EIO);
	assert_broken(&d);
	disk_release(&d);
}

/* Who waited and was flushed along is spared a flush of his own. */
Test(pack_flush, who_comes_while_one_runs_is_flushed_by_the_next)
{
	struct disk d;

	disk_init(&d);
	vio_sim_set_hook(d.sim, flush_at_sync, &d);
	cr_assert_eq(packfile_flush(d.f), 0);
	thread_join(&d.other);
	cr_assert_eq(d.rc, 0);
	cr_assert_eq(packfile_durable(d.f), d.f->end);
	cr_assert_eq(vio_sim_count(d.sim, VIO_SIM_SYNC), d.waited + 2);
	disk_release(&d);
}
