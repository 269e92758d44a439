/*
 * sweep_flip.c - no byte can be changed unnoticed: every byte of a volume's
 * packs, journal, checkpoint and tiles is inverted in turn (of long files a
 * stride of them), and `verify --deep` must say so, or refuse to open.
 *
 * Prints which bytes nobody missed; none is allowed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/vio.h"
#include "fs/fsck.h"
#include "fs/store.h"
#include "ledger/ledger.h"
#include "tests/sim/drive.h"
#include "tests/sim/prng.h"
#include "tests/sim/vol.h"

enum {
	OPS = 120,
	FILE_MAX = 3000,
	FILES = 64,
	EACH_FILE = 600,
	EACH_TILE = 40,
	SEALS = 260
};

struct sweep {
	struct vio *vio;
	struct store *store;
	char dir[64];
	char v[FILES][128];
	unsigned n;
};

static int on_chunk(void *ctx, const struct ledger_chunk *k)
{
	struct sweep *s = ctx;
	const struct chunk c = {
		.id = k->id,
		.type = k->type,
		.codec = k->codec,
		.raw_len = k->raw_len,
		.stored_len = k->stored_len,
		.stored = k->stored,
	};

	return store_recover(s->store, &c);
}

/* 0: all is well; 1: something was found; negative: it does not open. */
static int verify(struct sweep *s, struct fsck_report *report, bool deep)
{
	const struct fsck_options o = { .deep = deep };
	struct store_options so = { .vio = s->vio, .read_only = true };
	struct ledger_options lo = {
		.vio = s->vio,
		.read_only = true,
		.on_chunk = on_chunk,
		.ctx = s,
	};
	struct errmsg em = ERRMSG_INIT;
	struct ledger *l = NULL;
	int rc = store_open(&s->store, &so, &em);

	if (rc == 0)
		rc = ledger_open(&l, &lo, &em);
	if (rc == 0)
		rc = fsck_verify(l, s->store, report, &o, &em);
	ledger_close(l);
	store_close(s->store);
	s->store = NULL;
	if (rc < 0 && em.text[0] == '\0') {
		fprintf(stderr, "an error without words: %d\n", rc);
		exit(1);
	}
	return rc < 0 ? rc : report->damaged > 0;
}

static int on_file(void *ctx, const char *name)
{
	struct sweep *s = ctx;

	if (s->n < FILES)
		snprintf(s->v[s->n++], sizeof(s->v[0]), "%s/%s", s->dir, name);
	return 0;
}

static void list(struct sweep *s, const char *dir)
{
	snprintf(s->dir, sizeof(s->dir), "%s", dir);
	if (vio_list(s->vio, dir, on_file, s) < 0)
		fprintf(stderr, "%s cannot be listed\n", dir);
}

static void work(struct vol *v)
{
	struct prng rng;
	struct drive d;
	int rc = 0;

	prng_init(&rng, 7);
	drive_init(&d, v, &rng, FILE_MAX);
	for (int i = 0; i < OPS; i++)
		if (!drive_op(&d, &rc)) {
			fprintf(stderr, "not as the oracle: %s\n", d.what);
			exit(1);
		}
	drive_close(&d);
	drive_release(&d);
}

/* How many flips of this file nobody missed. */
static unsigned sweep_file(struct sweep *s, struct vol *v, const char *path,
			   unsigned each, unsigned *out_flips)
{
	struct fsck_report report;
	struct vio_stat st = { .size = 0 };
	unsigned silent = 0;

	if (vio_stat(s->vio, path, &st) < 0)
		return 0;
	uint64_t step = st.size / each + 1;
	for (uint64_t off = 0; off < st.size; off += step) {
		unsigned bit = (unsigned)(off % 8);

		if (vio_sim_flip(v->sim, path, off, bit) < 0)
			exit(1);
		if (verify(s, &report, true) == 0 && silent++ < 8)
			printf("%s: byte %llu bit %u was not missed\n", path,
			       (unsigned long long)off, bit);
		if (vio_sim_flip(v->sim, path, off, bit) < 0)
			exit(1);
		++*out_flips;
	}
	return silent;
}

/* Enough seals for full tiles, the only ones that are files. */
static int many_seals(struct vol *v)
{
	struct stat st;
	int rc = vol_mount(v);

	for (int i = 0; rc == 0 && i < SEALS; i++) {
		char name[32];

		snprintf(name, sizeof(name), "seal%d", i);
		rc = core_mknod(v->core, &vol_cred, 1, name, S_IFDIR | 0755, 0,
				&st);
		if (rc == 0)
			rc = core_sync(v->core);
	}
	return rc == 0 ? vol_umount(v) : rc;
}

int main(void)
{
	static const char *const tiles[] = { "ledger/tile/0/000",
					     "ledger/tile/entries/000" };
	struct sweep s = { .n = 0 };
	struct fsck_report report;
	struct vol v;
	unsigned flips = 0, silent = 0;

	vol_init(&v, 5);
	if (vol_mount(&v) < 0)
		return 1;
	work(&v);
	if (vol_umount(&v) < 0)
		return 1;
	s.vio = vio_sim_vio(v.sim);
	if (verify(&s, &report, true) != 0) {
		fprintf(stderr, "the volume is bad before anything was done\n");
		return 1;
	}
	list(&s, "packs");
	list(&s, "ledger/journal");
	snprintf(s.v[s.n++], sizeof(s.v[0]), "ledger/checkpoint");
	for (unsigned i = 0; i < s.n; i++)
		silent += sweep_file(&s, &v, s.v[i], EACH_FILE, &flips);
	if (many_seals(&v) < 0)
		return 1;
	for (size_t i = 0; i < sizeof(tiles) / sizeof(tiles[0]); i++) {
		unsigned before = flips;

		silent += sweep_file(&s, &v, tiles[i], EACH_TILE, &flips);
		if (flips == before) {
			fprintf(stderr, "%s is not there\n", tiles[i]);
			return 1;
		}
	}
	if (verify(&s, &report, true) != 0)
		silent++; /* the flips were taken back */
	vol_release(&v);
	printf("%u files, %u flips, %u unnoticed; %llu entries, %llu chunks\n",
	       s.n, flips, silent, (unsigned long long)report.log.entries,
	       (unsigned long long)report.store.chunks);
	return silent > 0 || flips < 1000 || report.store.chunks == 0;
}
