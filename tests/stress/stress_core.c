/*
 * stress_core.c - many threads on one core, on a real directory: names that
 * collide, files that several write, listings, syncs, snapshots.  Run under
 * the thread sanitizer.  What a thread wrote alone must read back; at the end
 * the volume is closed, opened again and every file read.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <sodium.h>

#include "base/err.h"
#include "base/thread.h"
#include "base/vio.h"
#include "fs/core/core.h"
#include "ledger/ledger.h"
#include "tests/sim/prng.h"
#include "tests/sim/tmp.h"

enum { THREADS = 4, OPS = 400, BYTES = 100000 };

static struct core *core;
static uint64_t seed;
static const struct cred cred = { .uid = 0, .gid = 0, .umask = 022 };

struct worker {
	struct thread t;
	unsigned id;
	uint64_t dir; /* its own directory */
};

static void die(const char *what, int rc)
{
	fprintf(stderr, "stress_core: SEED=%llu: %s: %s\n",
		(unsigned long long)seed, what, err_text(rc));
	exit(1);
}

static void must(const char *what, int rc)
{
	if (rc < 0)
		die(what, rc);
}

/* Answers that other threads' work explains. */
static void may(const char *what, int rc)
{
	if (rc < 0 && rc != -ENOENT && rc != -EEXIST && rc != -ENOTEMPTY &&
	    rc != -EISDIR && rc != -ENOTDIR && rc != -EINVAL && rc != -EPERM)
		die(what, rc);
}

static int list_one(void *ctx, const char *name, const struct stat *st,
		    uint64_t cookie)
{
	(void)name;
	(void)st;
	(void)cookie;
	++*(unsigned *)ctx;
	return 0;
}

/* Writes a file of its own in pieces and reads it back. */
static void own_file(struct worker *w, struct prng *rng, unsigned k)
{
	uint8_t *want = calloc(1, BYTES), *got = calloc(1, BYTES);
	struct handle *h;
	struct stat st;
	char name[32];
	size_t size = 0;
	ssize_t n;

	snprintf(name, sizeof(name), "f%u", k);
	must("create",
	     core_create(core, &cred, w->dir, name, 0644, O_RDWR, &h, &st));
	for (unsigned i = 0; i < 6; i++) {
		size_t off = prng_below(rng, BYTES / 2);
		size_t len = prng_range(rng, 1, BYTES / 2);

		prng_bytes(rng, want + off, len);
		must("write", core_write(core, &cred, h, want + off, len, off,
					 false, false));
		if (off + len > size)
			size = off + len;
		if (i == 3)
			must("sync", core_sync(core));
	}
	n = core_read(core, h, got, BYTES, 0);
	if (n < 0 || (size_t)n != size || memcmp(want, got, size))
		die("own file reads other bytes", (int)n);
	core_release(core, h);
	free(want);
	free(got);
}

/* Taken and removed by all; only that a name is there or not is an answer. */
static void snapshot(struct prng *rng)
{
	const char *name = prng_below(rng, 2) ? "before" : "after";
	uint64_t no;

	if (prng_below(rng, 3))
		may("snapshot", core_snapshot(core, &cred, name, &no));
	else
		may("snapshot's end",
		    core_snapshot_remove(core, &cred, name, &no));
}

static void shared(struct prng *rng)
{
	char a[16], b[16];
	struct stat st;
	struct handle *h;
	bool keep;
	unsigned n = 0;
	char bytes[700];

	snprintf(a, sizeof(a), "s%u", (unsigned)prng_below(rng, 6));
	snprintf(b, sizeof(b), "s%u", (unsigned)prng_below(rng, 6));
	memset(bytes, a[1], sizeof(bytes));
	switch (prng_below(rng, 8)) {
	case 0:
		may("mknod",
		    core_mknod(core, &cred, 1, a, S_IFREG | 0600, 0, &st));
		break;
	case 1:
		may("mkdir",
		    core_mknod(core, &cred, 1, a, S_IFDIR | 0700, 0, &st));
		break;
	case 2:
		may("unlink", core_unlink(core, &cred, 1, a));
		break;
	case 3:
		may("rmdir", core_rmdir(core, &cred, 1, a));
		break;
	case 4:
		may("rename", core_rename(core, &cred, 1, a, 1, b, 0));
		break;
	case 5:
		must("list", core_readdir(core, 1, 0, 100, true, list_one, &n));
		core_readdir_ahead(core, 1, 4, 100, prng_below(rng, 2) > 0);
		must("list", core_readdir(core, 1, 4, 100, true, list_one, &n));
		break;
	default:
		if (core_lookup(core, 1, a, &st) || !S_ISREG(st.st_mode) ||
		    core_open_file(core, &cred, st.st_ino, O_RDWR, false, &h,
				   &keep))
			break;
		must("write", core_write(core, &cred, h, bytes, sizeof(bytes),
					 0, true, false));
		if (core_read(core, h, bytes, sizeof(bytes), 0) < 0)
			die("read", -EIO);
		core_release(core, h);
	}
}

static void work(void *arg)
{
	struct worker *w = arg;
	struct prng rng;

	prng_init(&rng, seed + w->id);
	for (unsigned i = 0; i < OPS; i++) {
		if (i % 40 == 0)
			own_file(w, &rng, i);
		if (i % 25 == 0)
			snapshot(&rng);
		shared(&rng);
	}
}

static void open_volume(const char *dir)
{
	struct core_options o = { .store = dir, .no_actors = true };
	struct errmsg em = ERRMSG_INIT;
	int rc = core_open(&core, &o, &em);

	if (rc < 0) {
		fprintf(stderr, "%s\n", errmsg_text(&em, rc));
		die("open", rc);
	}
}

static int read_one(void *ctx, const char *name, const struct stat *st,
		    uint64_t cookie)
{
	struct handle *h;
	char bytes[4096];
	bool keep;

	(void)name;
	(void)cookie;
	if (!S_ISREG(st->st_mode))
		return 0;
	must("open again", core_open_file(core, &cred, st->st_ino, O_RDONLY,
					  false, &h, &keep));
	for (uint64_t at = 0; at < (uint64_t)st->st_size; at += sizeof(bytes))
		if (core_read(core, h, bytes, sizeof(bytes), at) <= 0)
			die("read again", -EIO);
	core_release(core, h);
	++*(unsigned *)ctx;
	return 0;
}

int main(void)
{
	struct ledger_create_options lo = {
		.origin = "stress.test/core",
		.keys_dir = "keys",
		.root_mode = 0755,
		.wal_segment_bytes = 4 << 20,
	};
	struct worker w[THREADS] = { { .id = 0 } };
	struct errmsg em = ERRMSG_INIT;
	unsigned files = 0;
	struct stat st;
	struct tmp tmp;
	int rc;

	if (sodium_init() < 0)
		return 1;
	seed = prng_seed("stress_core", 0);
	tmp_init(&tmp);
	must("vio", vio_posix_open(&lo.vio, tmp.path));
	rc = ledger_create(&lo, &em);
	if (rc < 0)
		die(errmsg_text(&em, rc), rc);
	vio_free(lo.vio);
	open_volume(tmp.path);
	for (unsigned i = 0; i < THREADS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "own%u", i);
		must("mkdir",
		     core_mknod(core, &cred, 1, name, S_IFDIR | 0700, 0, &st));
		w[i].id = i;
		w[i].dir = st.st_ino;
		must("thread", thread_start(&w[i].t, "work", work, &w[i]));
	}
	for (unsigned i = 0; i < THREADS; i++)
		thread_join(&w[i].t);
	rc = core_close(core, &em);
	if (rc < 0)
		die(errmsg_text(&em, rc), rc);
	open_volume(tmp.path);
	for (unsigned i = 0; i < THREADS; i++)
		must("list", core_readdir(core, w[i].dir, 0, 100, true,
					  read_one, &files));
	must("close", core_close(core, &em));
	tmp_release(&tmp);
	printf("stress_core: %d threads, %d operations each, %u files read "
	       "again\n",
	       THREADS, OPS, files);
	return files == THREADS * (OPS / 40) ? 0 : 1;
}
