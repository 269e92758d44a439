/*
 * sample_log_export.c - `sample_log_export DIR [MORE]`: the sample log as a
 * stranger gets it: DIR/log (checkpoint, tile/), DIR/trust, DIR/model.bin and
 * DIR/model.bin.tlog-proof.  MORE batches beyond the story, 300 by default.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/err.h"
#include "base/text.h"
#include "base/vio.h"
#include "ledger/tile.h"
#include "tests/sim/sample_log.h"

static struct sample_log sample;

static void must(int rc, const char *what)
{
	if (rc == 0)
		return;
	fprintf(stderr, "sample_log_export: %s: %s\n", what, err_text(rc));
	exit(1);
}

static void put(struct vio *v, const char *path, const void *p, size_t n)
{
	char dir[256];
	char *slash;

	must(snprintf(dir, sizeof(dir), "%s", path) >= (int)sizeof(dir), path);
	slash = strrchr(dir, '/');
	if (slash != NULL) {
		*slash = 0;
		must(vio_mkdirs(v, dir), dir);
	}
	must(atomic_file_write(v, path, p, n, 0), path);
}

static void put_part(struct vio *v, const char *name)
{
	struct buf b = BUF_INIT;
	char path[128];

	must(snprintf(path, sizeof(path), "log/%s", name) >= (int)sizeof(path),
	     name);
	must(sample_log_load(&sample, &b, name), name);
	put(v, path, b.p, b.n);
	buf_release(&b);
}

static int put_tile(void *ctx, const struct tile *t)
{
	char name[TILE_PATH_MAX];

	tile_path(name, t);
	put_part(ctx, name);
	return 0;
}

int main(int argc, char **argv)
{
	struct buf b = BUF_INIT;
	struct trust trust;
	struct vio *v = NULL;
	uint64_t more = 300;

	if (argc < 2 || argc > 3 ||
	    (argc == 3 && text_u64_parse(&more, argv[2]) != 0)) {
		fputs("usage: sample_log_export DIR [MORE]\n", stderr);
		return 2;
	}
	must(vio_posix_open(&v, argv[1]), argv[1]);
	sample_log_init(&sample);
	sample_log_story(&sample, (unsigned)more);
	put_part(v, "checkpoint");
	must(tile_walk(0, sample.size, put_tile, v), "tiles");
	sample_log_trust(&sample, &trust);
	trust_format(&b, &trust);
	put(v, "trust", b.p, b.n);
	put(v, "model.bin", SAMPLE_MODEL, strlen(SAMPLE_MODEL));
	buf_clear(&b);
	sample_log_prove_story(&sample, &b);
	put(v, "model.bin.tlog-proof", b.p, b.n);
	buf_release(&b);
	sample_log_release(&sample);
	vio_free(v);
	return 0;
}
