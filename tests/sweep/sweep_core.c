/*
 * sweep_core.c - the crash sweep: random work on a volume, cut at its n-th
 * disk change for every n (or every STRIDE-th), with unsynced writes lost,
 * kept or torn; then mounted again and compared with the oracle's history.
 *
 * What must hold after each crash:
 *  (1) the namespace is exactly what it was after some operation, no earlier
 *      than the last one that an acknowledged sync covered (invariants 1, 2);
 *  (2) each file's bytes are exactly what they were after some operation, no
 *      earlier than its last acknowledged fsync;
 *  (3) the volume mounts, and can be worked on.
 * The sweep fails when nothing was synced or nothing was cut.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/err.h"
#include "base/log.h"
#include "tests/sim/drive.h"

enum { OPS = 60, FILES = 256, SEEDS = 3 };

/* The oracle's past. */
struct past {
	uint64_t names[OPS + 2];	/* hash after each operation */
	uint64_t bytes[OPS + 2][FILES]; /* by inode counter; 0: none */
	unsigned n;			/* operations done */
	unsigned synced;		/* operations acknowledged durable */
	unsigned file_synced[FILES];
	unsigned syncs;
};

static struct past past;

static void die(const char *what, uint64_t seed, uint64_t cut)
{
	printf("reproduce: SEED=%llu CUT=%llu\n", (unsigned long long)seed,
	       (unsigned long long)cut);
	fprintf(stderr, "sweep_core: SEED=%llu cut=%llu: %s\n",
		(unsigned long long)seed, (unsigned long long)cut, what);
	exit(1);
}

static unsigned slot(uint64_t ino)
{
	return (unsigned)(ino & 0xffffffffffULL) % FILES;
}

static uint64_t bytes_hash(const void *p, size_t n)
{
	return XXH3_64bits_withSeed(p, n, n) | 1;
}

static void record(struct drive *d)
{
	past.n++;
	past.names[past.n] = model_fs_names_hash(&d->m);
	for (int i = 2; i < MODEL_INODES; i++) {
		const struct model_inode *x = &d->m.inodes[i];

		if (x->type == MODEL_FILE)
			past.bytes[past.n][slot(x->tag)] =
				bytes_hash(x->p, x->n);
	}
}

static void done(void *ctx, int rc)
{
	*(int *)ctx = rc;
}

static void maybe_sync(struct drive *d)
{
	unsigned at = (unsigned)prng_below(d->rng, DRIVE_HANDLES);
	int rc = -1;

	if (prng_chance(d->rng, 5)) {
		if (core_sync(d->v->core) < 0)
			return;
		for (unsigned i = 0; i < FILES; i++)
			past.file_synced[i] = past.n;
	} else if (prng_chance(d->rng, 20) && d->open_ino[at]) {
		core_fsync(d->v->core, d->open[at], 0, done, &rc);
		if (rc < 0)
			return;
		past.file_synced[slot(core_handle_ino(d->open[at]))] = past.n;
	} else {
		return;
	}
	past.synced = past.n;
	past.syncs++;
}

/* Works until done or cut; true when cut. */
static bool work(struct drive *d)
{
	memset(&past, 0, sizeof(past));
	past.names[0] = model_fs_names_hash(&d->m);
	for (unsigned i = 0; i < OPS; i++) {
		int rc = 0;

		if (!drive_op(d, &rc)) {
			if (!vio_sim_stopped(d->v->sim))
				die(d->what, d->rng->seed, 0);
			return true;
		}
		record(d);
		maybe_sync(d);
		if (prng_chance(d->rng, 30))
			core_step(d->v->core);
		if (vio_sim_stopped(d->v->sim))
			return true;
	}
	return false;
}

/* --- what is there after the crash --- */

struct tree {
	struct vol *v;
	uint64_t names; /* as model_fs_names_hash */
	uint64_t dir;
	uint64_t bytes[FILES];
	char words[160];
	bool bad;
};

static int visit(void *ctx, const char *name, const struct stat *st,
		 uint64_t cookie);

static void walk(struct tree *t, uint64_t dir)
{
	uint64_t up = t->dir;
	int rc;

	t->dir = dir;
	rc = core_readdir(t->v->core, dir, 0, 100, true, visit, t);
	if (rc < 0) {
		snprintf(t->words, sizeof(t->words), "list: %s", err_text(rc));
		t->bad = true;
	}
	t->dir = up;
}

static void read_file(struct tree *t, const struct stat *st)
{
	size_t n = (size_t)st->st_size;
	uint8_t *p = malloc(n + 1);
	struct handle *h;
	bool keep;
	ssize_t got = core_open_file(t->v->core, &vol_cred, st->st_ino,
				     O_RDONLY, false, &h, &keep);

	if (!got) {
		got = core_read(t->v->core, h, p, n + 1, 0);
		core_release(t->v->core, h);
	}
	if (got < 0 || (size_t)got != n) {
		snprintf(t->words, sizeof(t->words),
			 "file %llx: read %zd of %zu",
			 (unsigned long long)st->st_ino, got, n);
		t->bad = true;
	} else {
		t->bytes[slot(st->st_ino)] = bytes_hash(p, n);
	}
	free(p);
}

static int visit(void *ctx, const char *name, const struct stat *st,
		 uint64_t cookie)
{
	struct tree *t = ctx;
	enum model_type type = S_ISDIR(st->st_mode) ? MODEL_DIR :
			       S_ISREG(st->st_mode) ? MODEL_FILE :
						      MODEL_SYMLINK;

	(void)cookie;
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return 0;
	t->names += model_fs_name_hash(t->dir, name, st->st_ino, type,
				       st->st_nlink, st->st_mode & 07777);
	if (type == MODEL_DIR)
		walk(t, st->st_ino);
	else if (type == MODEL_FILE)
		read_file(t, st);
	return t->bad;
}

static void check_files(struct tree *t)
{
	for (unsigned f = 0; f < FILES && !t->bad; f++) {
		bool found = false;

		if (!t->bytes[f])
			continue;
		for (unsigned i = past.file_synced[f]; i <= past.n; i++)
			found = found || past.bytes[i][f] == t->bytes[f];
		/* made and not written when it was cut */
		if (!found && t->bytes[f] == bytes_hash("", 0) &&
		    !past.bytes[past.file_synced[f]][f])
			found = true;
		if (!found) {
			snprintf(t->words, sizeof(t->words),
				 "file %u holds bytes of no moment since its "
				 "last fsync (op %u of %u)",
				 f, past.file_synced[f], past.n);
			t->bad = true;
		}
	}
}

static void check_names(struct tree *t)
{
	for (unsigned i = past.synced; i <= past.n; i++)
		if (past.names[i] == t->names)
			return;
	snprintf(t->words, sizeof(t->words),
		 "the namespace is that of no moment since op %u of %u",
		 past.synced, past.n);
	t->bad = true;
}

/* One run, cut at the n-th change; 0: not cut.  True when it was cut. */
static bool run(uint64_t seed, uint64_t cut, uint64_t *out_changes)
{
	struct prng rng, crash;
	struct drive d;
	struct tree t;
	struct vol v;
	bool was_cut;
	int rc;

	prng_init(&rng, seed);
	prng_init(&crash, seed ^ (cut * 0x9e3779b97f4a7c15ULL));
	vol_init(&v, seed);
	if (vol_mount(&v))
		die("the fresh volume does not mount", seed, cut);
	drive_init(&d, &v, &rng, 300000);
	if (cut)
		vio_sim_stop_at(v.sim, cut);
	*out_changes = vio_sim_count(v.sim, VIO_SIM_CHANGE);
	was_cut = work(&d);
	/* the operation that was cut may have happened */
	record(&d);
	*out_changes = vio_sim_count(v.sim, VIO_SIM_CHANGE) - *out_changes;
	if (was_cut) {
		drive_close(&d);
		vol_crash(&v, &crash);
		rc = vol_mount(&v);
		if (rc < 0)
			die("the volume does not mount again", seed, cut);
		memset(&t, 0, sizeof(t));
		t.v = &v;
		walk(&t, 1);
		if (!t.bad)
			check_names(&t);
		if (!t.bad)
			check_files(&t);
		if (t.bad)
			die(t.words, seed, cut);
		if (vol_umount(&v) < 0)
			die("the volume does not unmount", seed, cut);
	}
	drive_release(&d);
	vol_release(&v);
	return was_cut;
}

int main(void)
{
	uint64_t first = prng_seed("sweep_core", 1), cuts = 0, syncs = 0;
	const char *s = getenv("STRIDE"), *c = getenv("CUT");
	const char *slow = getenv("SLOWNESS"); /* sanitizers: fewer cuts */
	uint64_t stride = s    ? strtoull(s, NULL, 10) :
			  slow ? strtoull(slow, NULL, 10) :
				 1;

	log_set_level(0); /* a cut disk is no news here */

	for (uint64_t seed = first; seed < first + SEEDS; seed++) {
		uint64_t changes = 0, unused;

		if (c) {
			run(seed, strtoull(c, NULL, 10), &unused);
			return 0;
		}
		run(seed, 0, &changes);
		syncs += past.syncs;
		for (uint64_t cut = 1 + seed % stride; cut <= changes;
		     cut += stride)
			cuts += run(seed, cut, &unused);
	}
	printf("sweep_core: %d seeds, %llu cuts, %llu syncs\n", SEEDS,
	       (unsigned long long)cuts, (unsigned long long)syncs);
	if (!cuts || !syncs) {
		fprintf(stderr, "sweep_core: nothing was cut or synced\n");
		return 1;
	}
	return 0;
}
