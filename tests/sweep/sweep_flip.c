/*
 * sweep_flip.c - one bit of a small volume flipped, at every STRIDE-th byte
 * of its packs, journal, WAL, tiles and checkpoint, one at a time.
 *
 * What must hold for each:
 *  (1) the deep verification reports it, or opening refuses with words; only
 *      a WAL that has settled, its mark, of which each page stands for the
 *      other and fsck tells (cli/fsck_files.sh), and rules.state, a cache,
 *      change unnoticed;
 *  (2) no read returns other bytes than were written: they or an error.  This
 *      is tried at every READ_EVERY-th flip, with an index made from the
 *      damaged log.
 * There is no replica that could repair.  STRIDE=1 tries every byte, SEED=n
 * another volume.  Fails when it flipped nothing, or no read was refused.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/err.h"
#include "base/log.h"
#include "fs/store/chunk.h"
#include "fs/upkeep/fsck.h"
#include "tests/sim/drive.h"

enum {
	OPS = 120,
	SEALS = 260,
	FILES_MAX = 256,
	PATHS_MAX = 256,
	READ_EVERY = 8
};

struct known {
	uint64_t ino, size, hash;
};

struct sweep {
	struct vol v; /* unmounted, whole */
	struct known files[FILES_MAX];
	unsigned n_files;
	char paths[PATHS_MAX][128];
	unsigned n_paths;
	uint64_t flips, reported, refused, unused;
	uint64_t reads, read_errors, mounts_refused;
	uint64_t found; /* of one verification */
	char words[200];
	unsigned failures;
};

static struct sweep sweep;

/* --- the volume, and what is in it --- */

static ssize_t read_ino(struct core *c, uint64_t ino, uint8_t *p, size_t n)
{
	struct handle *h = NULL;
	bool keep;
	ssize_t got =
		core_open_file(c, &vol_cred, ino, O_RDONLY, false, &h, &keep);

	if (got < 0)
		return got;
	got = core_read(c, h, p, n, 0);
	core_release(c, h);
	return got;
}

static int visit(void *ctx, const char *name, const struct stat *st,
		 uint64_t cookie)
{
	struct sweep *s = ctx;
	struct known *k = &s->files[s->n_files];
	size_t n = (size_t)st->st_size;

	(void)cookie;
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return 0;
	if (S_ISDIR(st->st_mode))
		return core_readdir(s->v.core, st->st_ino, 0, 100, true, visit,
				    s);
	if (!S_ISREG(st->st_mode) || s->n_files == FILES_MAX)
		return 0;
	autofree uint8_t *p = malloc(n + 1);

	if (!p || read_ino(s->v.core, st->st_ino, p, n + 1) != (ssize_t)n)
		return -EIO;
	*k = (struct known){ st->st_ino, n, XXH3_64bits(p, n) };
	s->n_files++;
	return 0;
}

/* Only a full tile of 256 seals is a file. */
static void fill_tile(struct core *c)
{
	struct stat st = { 0 };

	for (unsigned i = 0; i < SEALS; i++) {
		st.st_mode = i % 2 ? 0755 : 0700;
		if (core_setattr(c, &vol_cred, 1, CORE_SET_MODE, &st, &st) <
			    0 ||
		    core_sync(c) < 0)
			abort();
	}
}

static void make_volume(struct sweep *s, uint64_t seed)
{
	struct prng rng;
	struct drive d;
	int rc = 0;

	prng_init(&rng, seed);
	vol_init(&s->v, seed);
	if (vol_mount(&s->v) < 0)
		abort();
	drive_init(&d, &s->v, &rng, 60000);
	for (unsigned i = 0; i < OPS; i++) {
		if (!drive_op(&d, &rc))
			abort();
		if (core_sync(s->v.core) < 0)
			abort();
		core_step(s->v.core);
	}
	fill_tile(s->v.core);
	drive_close(&d);
	drive_release(&d);
	if (vol_umount(&s->v) < 0 || vol_mount(&s->v) < 0 ||
	    core_readdir(s->v.core, 1, 0, 100, true, visit, s) < 0 ||
	    vol_umount(&s->v) < 0)
		abort();
}

static int list_name(void *ctx, const char *name)
{
	struct sweep *s = ctx;

	if (s->n_paths < PATHS_MAX)
		snprintf(s->paths[s->n_paths++], sizeof(s->paths[0]), "%s",
			 name);
	return 0;
}

static void list_paths(struct sweep *s, const char *dir)
{
	struct vio *v = vio_sim_vio(s->v.sim);
	unsigned from = s->n_paths, to;
	struct vio_stat st;

	if (vio_list(v, dir, list_name, s) < 0)
		return;
	to = s->n_paths;
	s->n_paths = from;
	for (unsigned i = from; i < to; i++) {
		char path[256], name[128];

		memcpy(name, s->paths[i], sizeof(name));
		snprintf(path, sizeof(path), "%s/%s", dir, name);
		if (vio_stat(v, path, &st) == 0 && S_ISREG(st.mode))
			snprintf(s->paths[s->n_paths++], sizeof(s->paths[0]),
				 "%.127s", path);
	}
}

/* --- one flip --- */

static void on_found(void *ctx, const char *words)
{
	struct sweep *s = ctx;

	if (s->found++ == 0)
		snprintf(s->words, sizeof(s->words), "%s", words);
}

static int on_chunk(void *ctx, const struct ledger_chunk *k)
{
	const struct chunk chunk = chunk_of_frame(k);

	return store_recover(ctx, &chunk);
}

/* What `vouch verify --deep` does; < 0: opening was refused. */
static int verify(struct sweep *s, struct vio *vio, struct errmsg *em)
{
	struct store_options so = { .vio = vio, .read_only = true };
	struct fsck_options fo = { .deep = true, .found = on_found, .ctx = s };
	struct ledger_options lo = {
		.vio = vio,
		.read_only = true,
		.on_chunk = on_chunk,
	};
	struct fsck_report report;
	struct ledger *l = NULL;
	struct store *st = NULL;
	int rc = store_open(&st, &so, em);

	s->found = 0;
	lo.ctx = st;
	if (rc >= 0)
		rc = ledger_open(&l, &lo, em);
	if (rc >= 0)
		rc = fsck_verify(l, st, &report, &fo, em);
	if (rc >= 0 && report.damaged > 0 && s->found == 0)
		s->found = report.damaged;
	ledger_close(l);
	store_close(st);
	return rc;
}

static void complain(struct sweep *s, const char *path, uint64_t at,
		     const char *what)
{
	fprintf(stderr, "%s: byte %llu flipped: %s\n", path,
		(unsigned long long)at, what);
	if (++s->failures > 20)
		exit(1);
}

static void read_all(struct sweep *s, struct vio_sim *disk, const char *path,
		     uint64_t at)
{
	struct core_options o = {
		.vio = vio_sim_vio(disk),
		.no_threads = true,
		.no_actors = true,
		.wal_segment_bytes = 1 << 20,
		.journal_segment_bytes = 1 << 20,
	};
	struct vio_sim *guard = vio_sim_clone(s->v.guard);
	struct errmsg em = ERRMSG_INIT;
	struct core *c = NULL;
	struct tmp tmp;

	tmp_init(&tmp);
	o.store = tmp.path;
	o.guard_vio = vio_sim_vio(guard);
	if (core_open(&c, &o, &em) < 0) {
		if (getenv("VERBOSE"))
			fprintf(stderr, "%s, byte %llu: %s\n", path,
				(unsigned long long)at, em.text);
		s->mounts_refused++;
	}
	for (unsigned i = 0; c && i < s->n_files; i++) {
		const struct known *k = &s->files[i];
		autofree uint8_t *p = malloc(k->size + 1);
		ssize_t got = p ? read_ino(c, k->ino, p, k->size + 1) : -ENOMEM;

		s->reads++;
		if (got < 0)
			s->read_errors++;
		else if ((uint64_t)got != k->size ||
			 XXH3_64bits(p, (size_t)got) != k->hash)
			complain(s, path, at, "a read gave other bytes");
	}
	if (c)
		core_abandon(c);
	vio_sim_free(guard);
	tmp_release(&tmp);
}

static void flip(struct sweep *s, const char *path, uint64_t at)
{
	struct vio_sim *disk = vio_sim_clone(s->v.sim);
	struct errmsg em = ERRMSG_INIT;
	bool unused = !strncmp(path, "wal/", 4) ||
		      !strcmp(path, "ledger/wal.mark") ||
		      !strcmp(path, "ledger/rules.state");
	int rc;

	if (vio_sim_flip(disk, path, at, (unsigned)(at * 7 % 8)) < 0)
		abort();
	rc = verify(s, vio_sim_vio(disk), &em);
	s->flips++;
	if (rc < 0 && !em.text[0])
		complain(s, path, at, "refused without words");
	if (rc < 0)
		s->refused++;
	else if (s->found > 0)
		s->reported++;
	else if (unused)
		s->unused++;
	else
		complain(s, path, at, "nobody noticed");
	if (s->flips % READ_EVERY == 0 ||
	    (rc >= 0 && s->found == 0 && s->unused % READ_EVERY == 1))
		read_all(s, disk, path, at);
	vio_sim_free(disk);
}

int main(void)
{
	static const char *const dirs[] = {
		"packs",
		"wal",
		"ledger",
		"ledger/journal",
		"ledger/tile",
		"ledger/tile/0",
		"ledger/tile/entries",
		"ledger/tile/1",
	};
	const char *text = getenv("STRIDE"), *slow = getenv("SLOWNESS");
	uint64_t stride = text ? strtoull(text, NULL, 10) :
				 601 * (slow ? strtoull(slow, NULL, 10) : 1);
	struct sweep *s = &sweep;
	struct errmsg em = ERRMSG_INIT;
	struct vio_stat st;
	unsigned tiles = 0;
	uint64_t seed = prng_seed("sweep_flip", 1);

	log_set_level(0);
	make_volume(s, seed);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		list_paths(s, dirs[i]);
	if (verify(s, vio_sim_vio(s->v.sim), &em) < 0 || s->found) {
		fprintf(stderr, "the whole volume is bad: %s%s\n",
			errmsg_text(&em, 0), s->words);
		return 1;
	}
	for (unsigned i = 0; i < s->n_paths; i++) {
		uint64_t before = s->flips, step = stride;

		tiles += !strncmp(s->paths[i], "ledger/tile/", 12);

		if (vio_stat(vio_sim_vio(s->v.sim), s->paths[i], &st) < 0)
			abort();
		if (!strncmp(s->paths[i], "wal/", 4) && st.size / step > 60)
			step = st.size / 60; /* mostly nothing */
		else if (st.size / step < 40)
			step = st.size / 40 + 1;
		for (uint64_t at = st.size % step; at < st.size; at += step)
			flip(s, s->paths[i], at);
		printf("%s: %llu bytes, %llu flips\n", s->paths[i],
		       (unsigned long long)st.size,
		       (unsigned long long)(s->flips - before));
	}
	printf("sweep_flip: %llu flips: %llu reported, %llu refused, %llu in "
	       "what nobody needs; %llu reads of %u files, %llu refused, %llu "
	       "mounts refused\n",
	       (unsigned long long)s->flips, (unsigned long long)s->reported,
	       (unsigned long long)s->refused, (unsigned long long)s->unused,
	       (unsigned long long)s->reads, s->n_files,
	       (unsigned long long)s->read_errors,
	       (unsigned long long)s->mounts_refused);
	vol_release(&s->v);
	if (!s->flips || !tiles || !s->reported || !s->reads || !s->n_files) {
		fprintf(stderr, "sweep_flip: nothing was tried\n");
		return 1;
	}
	return s->failures ? 1 : 0;
}
