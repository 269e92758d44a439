/*
 * test_content_fault.c - a failing disk, a full disk, damaged chunks: what
 * was acknowledged is still there to be read, errors are told, and never are
 * there wrong bytes.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/err.h"
#include "fs/content/content.h"
#include "fs/store/store.h"
#include "tests/sim/content_box.h"
#include "tests/sim/model_content.h"
#include "tests/sim/prng.h"
#include "tests/sim/vio_sim.h"

enum { KIB = 1 << 10, MIB = 1 << 20 };

/* A file and what was acknowledged of it. */
struct file {
	struct content *c;
	uint8_t *p;
	size_t n;
	struct digest root; /* of the last version */
	uint64_t root_size;
};

static int write_some(struct file *f, struct prng *prng, size_t off, size_t n)
{
	autofree uint8_t *p = malloc(n);
	uint64_t at = 0;
	int rc = 0;

	cr_assert(p);
	model_content_fill(prng, p, n);
	rc = content_write(f->c, p, n, off, false, 1, &at);
	if (rc < 0)
		return rc;
	memcpy(f->p + off, p, n);
	if (f->n < off + n)
		f->n = off + n;
	return 0;
}

static int version(struct content_box *b, struct file *f)
{
	struct content_version v = { .gen = 0 };
	int rc = content_version(f->c, &v);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < v.n_staged; i++)
		(void)store_frame(b->store, &v.staged[i]);
	rc = store_settle(b->store, v.staged, v.n_staged);
	content_versioned(f->c, v.gen);
	f->root = v.root;
	f->root_size = v.size;
	content_version_release(&v);
	return rc;
}

static int save(struct content_box *b, struct file *f)
{
	struct content_saved s = { .extents = NULL };
	int rc = content_save(f->c, &s);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < s.n_staged; i++)
		(void)store_frame(b->store, &s.staged[i]);
	rc = store_settle(b->store, s.staged, s.n_staged);
	content_saved_release(&s);
	return rc;
}

/* A stream, overwrites, saves and versions; the first error, or 0. */
static int work(struct content_box *b, struct file *f, struct prng *prng)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < 6; i++)
		rc = write_some(f, prng, i * 300 * KIB, 300 * KIB);
	if (rc == 0)
		rc = save(b, f);
	if (rc == 0)
		rc = version(b, f);
	for (size_t i = 0; rc == 0 && i < 5; i++)
		rc = write_some(f, prng, i * 333 * KIB + 7, 5000);
	if (rc == 0)
		rc = save(b, f);
	if (rc == 0)
		rc = write_some(f, prng, 100 * KIB, 700 * KIB);
	if (rc == 0)
		rc = version(b, f);
	return rc;
}

/* Reads all: right bytes, or (only where reads may fail) an error. */
static void look(const struct file *f, bool may_fail)
{
	autofree uint8_t *q = malloc(f->n + 1);

	for (size_t off = 0; off < f->n; off += 64 * KIB) {
		size_t n = f->n - off < 64 * KIB ? f->n - off : 64 * KIB;
		ssize_t rc = content_read(f->c, q, n, off);

		if (rc < 0) {
			cr_assert(may_fail, "read: %s", err_text((int)rc));
			continue;
		}
		cr_assert(rc == (ssize_t)n);
		cr_assert(memcmp(q, f->p + off, n) == 0, "at %zu", off);
	}
}

/* One run with the nth call of a class failing; false when none failed. */
static bool sweep_one(unsigned mask, uint64_t nth, int err, bool forever)
{
	struct content_box b = { .sim = NULL };
	struct file f = { .c = NULL };
	struct prng prng = { .seed = 0 };
	bool failed = false;
	bool soft = err == ENOSPC;
	int rc = 0;

	prng_init(&prng, 77);
	f.p = calloc(1, 4 * MIB);
	cr_assert(f.p);
	content_box_init(&b, 4 * MIB);
	f.c = content_box_new(&b);
	vio_sim_fail(b.sim, mask, nth, err, forever);
	rc = work(&b, &f, &prng);
	look(&f, mask & VIO_SIM_READ);
	failed = vio_sim_failed(b.sim);
	vio_sim_fail(b.sim, 0, 1, EIO, false);
	look(&f, false);
	if (rc < 0 && !(mask & VIO_SIM_READ) && !soft) {
		uint64_t at = 0;

		/* sticky: nothing is acknowledged any more */
		cr_assert(store_failed(b.store) < 0);
		cr_assert(content_write(f.c, "x", 1, 0, false, 1, &at) < 0);
		cr_assert(save(&b, &f) < 0);
	} else if (rc < 0) {
		cr_assert(store_failed(b.store) == 0);
		rc = version(&b, &f);
		cr_assert(rc == 0, "%s", err_text(rc));
		look(&f, false);
	}
	content_close(f.c);
	content_box_release(&b);
	free(f.p);
	return failed;
}

static void sweep(unsigned mask, int err, bool forever)
{
	uint64_t n = 1;

	while (n < 400 && sweep_one(mask, n, err, forever))
		n += 1 + n / 12;
	cr_assert(n > 1); /* something was there to fail */
}

Test(content_fault, failed_writes_are_sticky_and_lose_nothing, .timeout = 240)
{
	sweep(VIO_SIM_WRITE, EIO, false);
}

Test(content_fault, failed_syncs_are_sticky_and_lose_nothing, .timeout = 240)
{
	sweep(VIO_SIM_SYNC, EIO, false);
}

Test(content_fault, full_disk_is_soft_and_loses_nothing, .timeout = 240)
{
	sweep(VIO_SIM_WRITE | VIO_SIM_ALLOCATE, ENOSPC, true);
}

Test(content_fault, failed_reads_are_told_and_pass, .timeout = 240)
{
	sweep(VIO_SIM_READ, EIO, false);
}

Test(content_fault, no_space_is_told_by_the_write, .timeout = 120)
{
	struct content_box b = { .sim = NULL };
	struct file f = { .c = NULL };
	struct prng prng = { .seed = 0 };
	int rc = 0;

	prng_init(&prng, 5);
	f.p = calloc(1, 64 * MIB);
	content_box_init(&b, 8 * MIB);
	f.c = content_box_new(&b);
	vio_sim_set_space(b.sim, 96 * MIB);
	for (size_t i = 0; rc == 0 && i < 60; i++) {
		vio_sim_advance(b.sim, 200000000);
		if (i == 10)
			vio_sim_set_space(b.sim, 0);
		rc = write_some(&f, &prng, i * MIB, MIB);
	}
	cr_assert(rc == -ENOSPC, "%s", err_text(rc));
	look(&f, false);
	vio_sim_set_space(b.sim, UINT64_MAX);
	vio_sim_advance(b.sim, 200000000);
	cr_assert(write_some(&f, &prng, f.n, MIB) == 0);
	cr_assert(version(&b, &f) == 0);
	look(&f, false);
	content_close(f.c);
	content_box_release(&b);
	free(f.p);
}

struct flip {
	struct vio_sim *sim;
	struct prng *prng;
	int n;
};

/* Flips a bit in every pack. */
static int flip_one(void *ctx, const char *name)
{
	struct flip *f = ctx;
	char path[64] = "";
	struct vio_stat st;

	snprintf(path, sizeof(path), "packs/%s", name);
	cr_assert(vio_stat(vio_sim_vio(f->sim), path, &st) == 0);
	for (int i = 0; i < 6 && st.size > 5000; i++)
		f->n += vio_sim_flip(f->sim, path,
				     prng_range(f->prng, 5000, st.size - 1),
				     (unsigned)prng_below(f->prng, 8)) == 0;
	return 0;
}

Test(content_fault, damaged_chunks_are_errors_and_never_wrong_bytes,
     .timeout = 120)
{
	struct content_box b = { .sim = NULL };
	struct file f = { .c = NULL };
	struct prng prng = { .seed = 0 };
	struct flip flip = { .prng = &prng };
	struct content_version v = { .gen = 0 };
	int bad = 0;

	prng_init(&prng, prng_seed("content damage", 0));
	f.p = calloc(1, 4 * MIB);
	content_box_init(&b, 0);
	f.c = content_box_new(&b);
	cr_assert(work(&b, &f, &prng) == 0);
	content_close(f.c);
	content_box_reopen(&b);
	flip.sim = b.sim;
	cr_assert(vio_sim_vio(b.sim)->ops->list(vio_sim_vio(b.sim), "packs",
						flip_one, &flip) == 0);
	cr_assert(flip.n > 0);
	f.c = content_box_open(&b, &f.root, f.root_size);
	for (size_t off = 0; off < f.n; off += 4096) {
		uint8_t q[4096];
		size_t n = f.n - off < 4096 ? f.n - off : 4096;
		ssize_t rc = content_read(f.c, q, n, off);

		bad += rc < 0;
		cr_assert(rc < 0 || memcmp(q, f.p + off, n) == 0);
	}
	cr_assert(bad > 0);
	/* a change beside a damaged chunk cannot make it good */
	for (size_t off = 100; off < f.n; off += 60000)
		cr_assert(write_some(&f, &prng, off, 10) == 0);
	cr_assert(content_version(f.c, &v) < 0);
	content_close(f.c);
	content_box_release(&b);
	free(f.p);
}
