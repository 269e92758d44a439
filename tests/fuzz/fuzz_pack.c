/*
 * fuzz_pack.c - packs: headers, records, footers, and whole files.
 *
 * What decodes encodes to the same bytes; a file of any bytes opens or is
 * refused, and every chunk it lists can be asked for.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/vio.h"
#include "fs/store/chunk.h"
#include "fs/store/pack.h"
#include "fs/store/packfile.h"
#include "tests/sim/vio_sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void header(const uint8_t *data, size_t size)
{
	struct pack_header h = { 0 };
	uint8_t again[PACK_HEADER_SIZE];

	if (pack_header_decode(&h, data, size) != 0)
		return;
	pack_header_encode(again, &h);
	if (memcmp(again, data, sizeof(again)) != 0)
		abort();
}

static void record(const uint8_t *data, size_t size)
{
	struct pack_record r = { 0 };
	uint8_t again[PACK_RECORD_SIZE];
	size_t at = pack_find_record(data, size, 0);

	if (at < size && pack_record_decode(&r, data + at, size - at) != 0)
		abort();
	if (pack_record_decode(&r, data, size) != 0)
		return;
	pack_record_encode(again, &r);
	if (memcmp(again, data, sizeof(again)) != 0)
		abort();
}

static void footer(const uint8_t *data, size_t size)
{
	struct pack_trailer t = { 0 };
	struct pack_entry *v = NULL;
	struct buf b = BUF_INIT;

	if (size < PACK_TRAILER_SIZE ||
	    pack_trailer_decode(&t, data + size - PACK_TRAILER_SIZE, size) != 0)
		return;
	v = calloc((size_t)t.count + 1, sizeof(*v));
	if (v && pack_footer_decode(v, &t, data + t.entries_off,
				    (size_t)t.count * PACK_ENTRY_SIZE) == 0) {
		pack_footer_encode(&b, v, t.count, t.entries_off, t.number);
		if (b.n != size - t.entries_off ||
		    memcmp(b.p, data + t.entries_off, b.n) != 0)
			abort();
	}
	buf_release(&b);
	free(v);
}

struct asked {
	struct packfile *file;
	uint8_t *p;
};

static int ask(void *ctx, const struct pack_entry *e)
{
	struct asked *a = ctx;
	struct pack_record r = { 0 };
	int rc = packfile_read(a->file, &r, a->p, e->off, e->stored_len);

	return rc == 0 ? 0 : 0;
}

static void file(const uint8_t *data, size_t size, bool read_only)
{
	static const uint8_t any_volume[16];
	struct vio_sim *sim = vio_sim_new(NULL);
	struct vio *v = vio_sim_vio(sim);
	struct packfile_handles handles;
	struct packfile_options o = {
		.vio = v,
		.handles = &handles,
		.volume_id = any_volume,
		.number = 1,
		.read_only = read_only,
	};
	struct asked a = { .p = malloc(PACK_RECORD_SIZE + LIMIT_CHUNK) };
	struct vio_file *f = NULL;

	packfile_handles_init(&handles, 4);
	if (!a.p || vio_mkdir(v, "packs") != 0 ||
	    vio_open(v, &f, "packs/00000001.pack", VIO_WRITE | VIO_CREATE) !=
		    0 ||
	    vio_pwrite(f, data, size, 0) != 0)
		abort();
	vio_close(f);
	if (packfile_open(&a.file, &o, NULL) == 0) {
		int rc = packfile_each(a.file, ask, &a);

		if (rc < 0 && packfile_rescan(a.file) == 0 &&
		    packfile_each(a.file, ask, &a) < 0)
			abort();
		packfile_close(a.file);
	}
	packfile_handles_release(&handles);
	vio_sim_free(sim);
	free(a.p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	header(data, size);
	record(data, size);
	footer(data, size);
	file(data, size, false);
	file(data, size, true);
	return 0;
}
