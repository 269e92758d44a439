/*
 * sweep_gc.c - gc, cut at its n-th disk change for every n, with writes
 * between its steps, and unsynced writes lost, kept or torn; then mounted
 * again.
 *
 * What must hold after each cut:
 *  (1) every file holds the bytes of its last acknowledged sync, or those of
 *      a later write;
 *  (2) every version that is not released can be read;
 *  (3) deep verification has nothing to say;
 *  (4) another gc finishes, and (1) to (3) hold still, also after a start.
 * The writes between gc's steps store bytes again that were just released: a
 * chunk that gc has given up must not be found in its old pack.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "fs/core/core_internal.h"
#include "fs/core/file.h"
#include "fs/store/store_int.h"
#include "tests/sim/gc_box.h"
#include "tests/sim/prng.h"
#include "tests/sim/vol.h"

enum { FILES = 8, ROUNDS = 4, BYTES_MAX = 1300000, VERSIONS = 256 };

struct kept {
	uint64_t ino, version, seed;
	bool released;
};

/* The oracle. */
static struct {
	uint64_t ino[FILES];
	uint64_t acked[FILES], maybe[FILES]; /* seeds of bytes */
	struct kept v[VERSIONS];
	unsigned n;
} world, base_world;

static uint8_t bytes[BYTES_MAX], got[BYTES_MAX];
static uint64_t seed, cut_at;

static void die(const char *what, uint64_t a, uint64_t b)
{
	printf("reproduce: SEED=%llu CUT=%llu\n", (unsigned long long)seed,
	       (unsigned long long)cut_at);
	fprintf(stderr, "sweep_gc: SEED=%llu CUT=%llu: %s (%llu, %llu)\n",
		(unsigned long long)seed, (unsigned long long)cut_at, what,
		(unsigned long long)a, (unsigned long long)b);
	exit(1);
}

/* Small files ride in frames, large ones go to packs of their own. */
static size_t size_of(unsigned file)
{
	return file % 2 ? 5000 + 1000 * (size_t)file : BYTES_MAX - file;
}

static void fill(uint64_t s, size_t n)
{
	struct prng p;

	prng_init(&p, s);
	prng_bytes(&p, bytes, n);
}

/* --- work --- */

/* Writes the file anew and makes a version; false when the disk is gone. */
static bool put(struct vol *v, unsigned file, uint64_t s)
{
	struct handle *h = NULL;
	struct stat st;
	bool keep, ok;

	if (vio_sim_stopped(v->sim))
		return false;
	world.maybe[file] = s;
	fill(s, size_of(file));
	if (core_open_file(v->core, &vol_cred, world.ino[file], O_RDWR, false,
			   &h, &keep) < 0)
		return false;
	ok = core_write(v->core, &vol_cred, h, bytes, size_of(file), 0, false,
			false) == 0 &&
	     file_version(v->core, h->file, ENTRY_REASON_DEMAND) == 0;
	core_release(v->core, h);
	ok = ok && core_sync(v->core) == 0 && core_settle_index(v->core) == 0 &&
	     core_getattr(v->core, world.ino[file], &st) == 0;
	if (!ok)
		return false;
	world.acked[file] = s;
	return true;
}

static void note_version(struct vol *v, unsigned file)
{
	struct kept *k = &world.v[world.n];
	struct inode *i = itable_find_inode(&v->core->t, world.ino[file]);

	if (!i || world.n == VERSIONS)
		return;
	*k = (struct kept){ world.ino[file], i->row.version, world.acked[file],
			    false };
	world.n++;
}

static bool any(void *ctx, struct packfile *f)
{
	(void)ctx;
	(void)f;
	return true;
}

/* Several packs, and of each some versions released. */
static void set_up(struct vol *v)
{
	vol_init(v, seed);
	if (vol_mount(v) < 0)
		die("the fresh volume does not mount", 0, 0);
	for (unsigned f = 0; f < FILES; f++) {
		struct handle *h = NULL;
		struct stat st;
		char name[16];

		snprintf(name, sizeof(name), "f%u", f);
		if (core_create(v->core, &vol_cred, 1, name, 0644, O_RDWR, &h,
				&st) < 0)
			die("create", f, 0);
		core_release(v->core, h);
		world.ino[f] = st.st_ino;
	}
	for (unsigned r = 0; r < ROUNDS; r++) {
		for (unsigned f = 0; f < FILES; f++) {
			if (!put(v, f, seed * 1000 + r * FILES + f))
				die("set up", r, f);
			note_version(v, f);
		}
		while (core_step(v->core))
			;
		content_pool_rest(v->core->pool);
		if (packs_seal_idle(&v->core->store->packs, any, NULL) < 0)
			die("seal", r, 0);
	}
	for (unsigned i = 0; i < world.n; i++) {
		struct kept *k = &world.v[i];

		if (k->seed == world.acked[i % FILES] || i % 5 == 0)
			continue;
		if (gc_box_release(v->core, k->ino, k->version, k->version) < 0)
			die("release", i, 0);
		k->released = true;
	}
	if (vol_umount(v) < 0)
		die("set up: unmount", 0, 0);
	vio_sim_sync_all(v->sim);
	vio_sim_sync_all(v->guard);
	base_world = world;
}

/* The set-up disk once more, with an index to be rebuilt from its log. */
static void again(struct vol *out, const struct vol *v)
{
	memset(out, 0, sizeof(*out));
	tmp_init(&out->tmp);
	out->sim = vio_sim_clone(v->sim);
	out->guard = vio_sim_clone(v->guard);
	world = base_world;
	if (vol_mount(out) < 0)
		die("the copy does not mount", 0, 0);
}

/* --- gc with writes between its steps --- */

struct meddler {
	struct vol *v;
	struct prng rng;
	unsigned n;
};

static int meddle(void *ctx, const char *part, uint64_t done, uint64_t all)
{
	struct meddler *m = ctx;
	unsigned file = (unsigned)prng_below(&m->rng, FILES);
	unsigned k = (unsigned)prng_below(&m->rng, world.n);
	/* marking has a step for each record of the log, twice */
	unsigned idle = strcmp(part, "mark") == 0 ? 94 : 40;

	(void)done;
	(void)all;
	vio_sim_advance(m->v->sim, 200000000); /* so the next tick is told */
	if (prng_chance(&m->rng, idle) || world.n == VERSIONS)
		return 0;
	m->n++;
	/* bytes that were released, or are about to be judged */
	if (put(m->v, file,
		prng_chance(&m->rng, 70) ? world.v[k].seed :
					   prng_u64(&m->rng) | 1))
		note_version(m->v, file);
	return 0;
}

static int collect(struct vol *v, uint64_t meddling, unsigned *out_writes)
{
	struct meddler m = { .v = v };
	const struct core_gc_options o = {
		.progress = meddling ? meddle : NULL,
		.ctx = &m,
	};
	struct core_gc_report r;
	struct errmsg em = ERRMSG_INIT;
	int rc = 0;

	prng_init(&m.rng, meddling);
	rc = core_gc(v->core, &r, &o, &em);
	*out_writes += m.n;
	if (rc == 0 && r.packs_deleted + r.packs_rewritten == 0 && !cut_at)
		die("gc took nothing", r.packs_examined, r.packs_before);
	return rc;
}

/* --- checking --- */

static void check_file(struct vol *v, unsigned file)
{
	size_t n = size_of(file);
	struct handle *h = NULL;
	ssize_t r = 0;
	bool keep;

	if (core_open_file(v->core, &vol_cred, world.ino[file], O_RDONLY, false,
			   &h, &keep) < 0)
		die("open", file, 0);
	r = core_read(v->core, h, got, n, 0);
	core_release(v->core, h);
	if (r != (ssize_t)n)
		die("a file cannot be read", file, (uint64_t)-r);
	fill(world.acked[file], n);
	if (memcmp(bytes, got, n) == 0)
		return;
	fill(world.maybe[file], n);
	if (memcmp(bytes, got, n) != 0)
		die("a file holds other bytes", file, 0);
	world.acked[file] = world.maybe[file];
}

static void check(struct vol *v)
{
	for (unsigned f = 0; f < FILES; f++)
		check_file(v, f);
	for (unsigned i = 0; i < world.n; i++) {
		const struct kept *k = &world.v[i];
		size_t n = size_of((unsigned)(k->ino - world.ino[0]));
		int rc = 0;

		if (k->released)
			continue;
		rc = gc_box_read_version(v->core, k->ino, k->version, got, n);
		if (rc < 0)
			die("a version cannot be read", i, (uint64_t)-rc);
		fill(k->seed, n);
		if (memcmp(bytes, got, n) != 0)
			die("a version holds other bytes", i, 0);
	}
	if (gc_box_damage(v->core) != 0)
		die("verification complains", 0, 0);
}

static void remount(struct vol *v)
{
	if (vol_umount(v) < 0)
		die("it does not unmount", 0, 0);
	if (vol_mount(v) < 0)
		die("it does not mount again", 0, 0);
}

/* One run, cut at the n-th change; true when it was cut. */
static bool run(const struct vol *base, uint64_t cut, uint64_t *out_changes,
		unsigned *out_writes)
{
	struct prng crash;
	struct vol v;
	unsigned none = 0;
	bool was_cut = false;
	int rc = 0;

	cut_at = cut;
	again(&v, base);
	prng_init(&crash, seed ^ (cut * 0x9e3779b97f4a7c15ULL));
	*out_changes = vio_sim_count(v.sim, VIO_SIM_CHANGE);
	if (cut)
		vio_sim_stop_at(v.sim, cut);
	rc = collect(&v, seed + 1, out_writes);
	*out_changes = vio_sim_count(v.sim, VIO_SIM_CHANGE) - *out_changes;
	was_cut = vio_sim_stopped(v.sim);
	if (rc < 0 && !was_cut)
		die("gc fails", (uint64_t)-rc, 0);
	if (was_cut) {
		vol_crash(&v, &crash);
		if (vol_mount(&v) < 0)
			die("it does not mount after the cut", 0, 0);
	}
	check(&v);
	cut_at = cut ? cut : ~0ULL;
	rc = collect(&v, 0, &none);
	if (rc < 0)
		die("the second gc fails", (uint64_t)-rc, 0);
	check(&v);
	remount(&v);
	check(&v);
	if (vol_umount(&v) < 0)
		die("it does not unmount", 0, 0);
	vol_release(&v);
	return was_cut;
}

int main(void)
{
	const char *s = getenv("STRIDE"), *c = getenv("CUT");
	const char *slow = getenv("SLOWNESS"), *n = getenv("SEEDS");
	uint64_t stride = s    ? strtoull(s, NULL, 10) :
			  slow ? 12 * strtoull(slow, NULL, 10) :
				 12;
	uint64_t seeds = n ? strtoull(n, NULL, 10) : 2, cuts = 0;
	uint64_t first = prng_seed("sweep_gc", 1);
	unsigned writes = 0;

	log_set_level(0); /* a cut disk is no news here */
	for (seed = first; seed < first + seeds; seed++) {
		uint64_t changes = 0, unused = 0;
		struct vol base;

		memset(&world, 0, sizeof(world));
		set_up(&base);
		if (c) {
			run(&base, strtoull(c, NULL, 10), &unused, &writes);
			return 0;
		}
		run(&base, 0, &changes, &writes);
		for (uint64_t cut = 1 + seed % stride; cut <= changes;
		     cut += stride)
			cuts += run(&base, cut, &unused, &writes);
		vol_release(&base);
	}
	printf("sweep_gc: %llu seeds, %llu cuts, %u writes meanwhile\n",
	       (unsigned long long)seeds, (unsigned long long)cuts, writes);
	if (!cuts || !writes) {
		fprintf(stderr, "sweep_gc: nothing was cut or written\n");
		return 1;
	}
	return 0;
}
