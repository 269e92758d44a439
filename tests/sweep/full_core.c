/*
 * full_core.c - random work on a disk that gets full, and that others fill.
 *
 * The simulated disk has a size.  What must hold, for every seed:
 *  (1) nothing but -ENOSPC is ever told, and no volume turns read-only;
 *  (2) as long as nobody else takes of the disk, sync and unmount succeed
 *      however full it is: what was answered for has its room (space.h);
 *  (3) when others take all the rest, names are still removed and attributes
 *      changed, or that is refused; the volume unmounts and mounts again;
 *  (4) nothing that was answered for is lost: names, bytes, attributes;
 *  (5) when all is removed and gc ran there is room again.
 * The sweep fails when no disk was ever full, or nothing was refused in (3).
 *
 * SEED= is the first seed, SEEDS= how many.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/log.h"
#include "fs/commit/commit.h"
#include "fs/core/core_internal.h"
#include "fs/upkeep/retain.h"
#include "tests/sim/drive.h"
#include "tests/sim/gc_box.h"

enum {
	DISK = 128 << 20,
	OTHERS = 110 << 20,
	FILE_MAX = 192 << 10,
	PARTS = 6,
	OPS = 150
};
enum { NAMES = 24, VALUE_MAX = 3000, BURST = 60, REMOVALS = 40 };

struct full {
	struct vol v;
	struct prng rng;
	struct drive d;
	uint64_t seed, attrs; /* inode of the file with attributes */
	struct {
		uint8_t b[VALUE_MAX];
		int n; /* -1: none */
	} value[NAMES];
};

static struct {
	unsigned long full, refused, mounts, ops;
} seen;

static void die(const struct full *f, const char *what, int rc)
{
	printf("reproduce: SEED=%llu SEEDS=1\n", (unsigned long long)f->seed);
	fprintf(stderr, "full_core: SEED=%llu: %s: %s\n",
		(unsigned long long)f->seed, what, err_text(rc));
	exit(1);
}

/* An error from below can only be that there is no room. */
static void look(const struct full *f, int rc, const char *what)
{
	if (!drive_from_below(rc))
		return;
	if (rc != -ENOSPC)
		die(f, what, rc);
	seen.full++;
}

static const char *name_of(char out[16], unsigned k)
{
	snprintf(out, 16, "user.k%u", k);
	return out;
}

static void set_values(struct full *f, unsigned n)
{
	uint8_t b[VALUE_MAX];
	char name[16];

	for (unsigned i = 0; i < n; i++) {
		unsigned k = (unsigned)prng_below(&f->rng, NAMES);
		size_t len = (size_t)prng_range(&f->rng, 1, VALUE_MAX);
		int rc;

		prng_bytes(&f->rng, b, len);
		rc = core_setxattr(f->v.core, &vol_cred, f->attrs,
				   name_of(name, k), b, len, 0, false);
		look(f, rc, "setxattr");
		if (rc < 0)
			continue;
		memcpy(f->value[k].b, b, len);
		f->value[k].n = (int)len;
	}
}

static void compare(struct full *f)
{
	uint8_t b[VALUE_MAX];
	char name[16];

	if (!drive_compare(&f->d))
		die(f, f->d.what, -ERR_CORRUPT);
	for (unsigned k = 0; k < NAMES; k++) {
		ssize_t n = core_getxattr(f->v.core, f->attrs, name_of(name, k),
					  b, sizeof(b));

		if (n == -ENODATA && f->value[k].n < 0)
			continue;
		if (n != f->value[k].n ||
		    memcmp(b, f->value[k].b, (size_t)n) != 0)
			die(f, name, n < 0 ? (int)n : -ERR_CORRUPT);
	}
}

static void mount(struct full *f)
{
	int rc = vol_mount(&f->v);

	if (rc < 0)
		die(f, "mount", rc);
	seen.mounts++;
}

static void remount(struct full *f, bool killed)
{
	int rc = 0;

	drive_close(&f->d);
	if (killed)
		vol_kill(&f->v);
	else
		rc = vol_umount(&f->v);
	if (rc < 0)
		die(f, "unmount", rc);
	mount(f);
	compare(f);
}

static void work(struct full *f)
{
	for (unsigned i = 0; i < OPS; i++, seen.ops++) {
		int rc = 0;

		if (!drive_op(&f->d, &rc))
			die(f, f->d.what, rc);
		look(f, rc, f->d.what);
		if (prng_chance(&f->rng, 12))
			set_values(f, BURST);
		if (prng_chance(&f->rng, 30))
			core_step(f->v.core);
		if (prng_chance(&f->rng, 5))
			vio_sim_advance(f->v.sim, 1000000000);
	}
}

static void sync_all(struct full *f, const char *when)
{
	int rc = core_sync(f->v.core);

	if (rc < 0)
		die(f, when, rc);
	if (commit_failed(f->v.core->commit))
		die(f, "read-only", -ERR_STICKY);
}

/* One that only the reserve is for. */
static void remove_something(struct full *f)
{
	struct stat st = { .st_mode = (mode_t)prng_below(&f->rng, 01000) }, out;
	int ino = (int)prng_range(&f->rng, 2, MODEL_INODES - 1);
	unsigned at = (unsigned)prng_below(&f->rng, MODEL_NAMES);
	struct model_fs *m = &f->d.m;
	const struct model_name *n = &m->names[at];
	int rc = 0;

	if (m->inodes[ino].type == MODEL_FILE) {
		rc = core_setattr(f->v.core, &vol_cred, m->inodes[ino].tag,
				  CORE_SET_MODE, &st, &out);
		if (rc == 0)
			m->inodes[ino].mode = st.st_mode;
	} else if (n->parent > 0 && m->inodes[n->ino].type == MODEL_FILE &&
		   m->inodes[n->ino].tag != f->attrs) {
		rc = core_unlink(f->v.core, &vol_cred, m->inodes[n->parent].tag,
				 n->name);
		if (rc == 0)
			rc = model_fs_unlink(m, n->parent, n->name, false);
	}
	if (rc < 0 && rc != -ENOSPC)
		die(f, "removing", rc);
	seen.refused += rc == -ENOSPC;
}

/* Others take all that is free, and give it back in the end. */
static void others(struct full *f)
{
	drive_close(&f->d);
	sync_all(f, "sync before others take the disk");
	vio_sim_set_space(f->v.sim, 0);
	for (unsigned i = 0; i < REMOVALS; i++) {
		remove_something(f);
		if (prng_chance(&f->rng, 20))
			core_step(f->v.core);
	}
	compare(f);
	remount(f, prng_chance(&f->rng, 30) && core_sync(f->v.core) == 0);
	for (unsigned i = 0; i < REMOVALS; i++)
		remove_something(f);
	remount(f, false);
	vio_sim_set_disk(f->v.sim, DISK, OTHERS);
	vio_sim_advance(f->v.sim, 1000000000);
	while (core_step(f->v.core))
		;
}

/* --- all is removed --- */

static bool remove_round(struct full *f)
{
	struct model_fs *m = &f->d.m;
	bool any = false;

	for (unsigned i = 0; i < MODEL_NAMES; i++) {
		const struct model_name n = m->names[i];
		bool dir = n.parent > 0 && m->inodes[n.ino].type == MODEL_DIR;
		int rc;

		if (n.parent <= 0 || (dir && model_fs_count(m, n.ino) > 0))
			continue;
		rc = dir ? core_rmdir(f->v.core, &vol_cred,
				      m->inodes[n.parent].tag, n.name) :
			   core_unlink(f->v.core, &vol_cred,
				       m->inodes[n.parent].tag, n.name);
		if (rc < 0)
			die(f, "removing all", rc);
		model_fs_unlink(m, n.parent, n.name, dir);
		any = true;
	}
	return any;
}

static void collect(struct full *f)
{
	struct entry_rule rule = { .keep = ENTRY_KEEP_AGE,
				   .seconds = 1,
				   .pattern = ENTRY_STR("**") };
	struct retain_options o = { .dry_run = false };
	struct retain_report r;
	struct core_gc_report g;
	uint64_t no = 0;
	int rc;

	drive_close(&f->d);
	while (remove_round(f))
		;
	rc = retain_set(f->v.core, &vol_cred, &rule, 0, &no, NULL);
	if (rc < 0)
		die(f, "retain", rc);
	vio_sim_advance(f->v.sim, 60000000000);
	rc = retain_release(f->v.core, &vol_cred, &r, &o, NULL);
	if (rc == 0)
		rc = gc_box_run(f->v.core, &g, NULL);
	if (rc < 0)
		die(f, "gc", rc);
	if (gc_box_damage(f->v.core) != 0)
		die(f, "verify", -ERR_CORRUPT);
}

/* Four megabytes are taken again. */
static void writable(struct full *f)
{
	static uint8_t b[1 << 20];
	struct stat st;
	struct handle *h = NULL;
	bool keep;
	int rc;

	vio_sim_advance(f->v.sim, 1000000000);
	rc = core_mknod(f->v.core, &vol_cred, f->d.m.inodes[1].tag, "new",
			S_IFREG | 0644, 0, &st);
	if (rc == 0)
		rc = core_open_file(f->v.core, &vol_cred, st.st_ino, O_RDWR,
				    false, &h, &keep);
	for (unsigned i = 0; i < 4 && rc >= 0; i++) {
		prng_bytes(&f->rng, b, sizeof(b));
		rc = (int)core_write(f->v.core, &vol_cred, h, b, sizeof(b),
				     (uint64_t)i << 20, false, false);
	}
	if (rc < 0)
		die(f, "not writable after gc", rc);
	core_release(f->v.core, h);
	sync_all(f, "sync after gc");
}

static void run(uint64_t seed)
{
	static struct full f;
	int ino = 0;
	struct stat st;
	int rc;

	memset(&f, 0, sizeof(f));
	f.seed = seed;
	for (unsigned k = 0; k < NAMES; k++)
		f.value[k].n = -1;
	vol_init(&f.v, seed);
	vio_sim_set_disk(f.v.sim, DISK, OTHERS);
	prng_init(&f.rng, seed);
	drive_init(&f.d, &f.v, &f.rng, FILE_MAX);
	mount(&f);
	rc = core_mknod(f.v.core, &vol_cred, f.d.m.inodes[1].tag, "attrs",
			S_IFREG | 0644, 0, &st);
	if (rc < 0 ||
	    model_fs_create(&f.d.m, 1, "attrs", MODEL_FILE, 0644, &ino) < 0)
		die(&f, "attrs", rc);
	f.attrs = f.d.m.inodes[ino].tag = st.st_ino;
	for (unsigned part = 0; part < PARTS; part++) {
		work(&f);
		if (prng_chance(&f.rng, 70))
			sync_all(&f, "sync");
		if (part % 3 == 2)
			others(&f);
		else if (prng_chance(&f.rng, 50))
			remount(&f, false);
	}
	compare(&f);
	collect(&f);
	writable(&f);
	drive_release(&f.d);
	rc = vol_umount(&f.v);
	if (rc < 0)
		die(&f, "last unmount", rc);
	vol_release(&f.v);
}

int main(void)
{
	const char *first = getenv("SEED"), *seeds = getenv("SEEDS");
	uint64_t seed = first ? strtoull(first, NULL, 0) : 1;
	uint64_t n = seeds ? strtoull(seeds, NULL, 0) : 8;

	log_set_level(LOG_ERROR);
	for (uint64_t i = 0; i < n; i++)
		run(seed + i);
	printf("full_core: %lu operations, %lu mounts, %lu times no room, "
	       "%lu removals refused\n",
	       seen.ops, seen.mounts, seen.full, seen.refused);
	if (n >= 8 && (seen.full == 0 || seen.refused == 0)) {
		fprintf(stderr, "full_core: the disk was never full\n");
		return 1;
	}
	return 0;
}
