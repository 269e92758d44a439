/*
 * test_pack.c - bytes of packs and chunks: strict, bounded, for ever.
 *
 * VOUCH_GOLDEN=write makes the golden files (and the fuzz corpus) anew; only
 * ever for a new format version.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/vio.h"
#include "fs/store/chunk.h"
#include "fs/store/pack.h"
#include "fs/store/packfile.h"
#include "fs/content/tree.h"
#include "tests/sim/prng.h"
#include "tests/sim/vio_sim.h"

static const uint8_t volume[16] = "golden volume 1";

/* --- chunks --- */

Test(chunk, packs_what_pays_and_nothing_else)
{
	struct chunk_maker *m = chunk_maker_new();
	autofree uint8_t *p = malloc(LIMIT_CHUNK);
	struct chunk c = { 0 };
	struct prng r = { 0 };

	prng_init(&r, 1);
	prng_bytes(&r, p, LIMIT_CHUNK);
	cr_assert_eq(chunk_make(&c, m, CHUNK_DATA, p, LIMIT_CHUNK), 0);
	cr_assert(c.codec == CHUNK_RAW && c.stored == p);
	for (size_t i = 0; i < LIMIT_CHUNK; i++)
		p[i] = "some text, "[i % 11];
	cr_assert_eq(chunk_make(&c, m, CHUNK_DATA, p, LIMIT_CHUNK), 0);
	cr_assert(c.codec == CHUNK_ZSTD && c.stored_len < 1000);
	cr_assert_eq(chunk_make(&c, m, CHUNK_DATA, p, 4096), 0);
	cr_assert_eq(c.codec, CHUNK_RAW, "a lone page stays raw");
	cr_assert_eq(chunk_make(&c, m, CHUNK_DATA, p, 0), -EINVAL);
	cr_assert_eq(chunk_make(&c, m, CHUNK_DATA, p, LIMIT_CHUNK + 1),
		     -EINVAL);
	chunk_maker_free(m);
}

Test(chunk, a_bomb_is_cut_off_at_what_was_promised)
{
	struct chunk_unpacker *u = chunk_unpacker_new();
	size_t huge = 64 << 20;
	autofree uint8_t *zeros = calloc(1, huge);
	autofree uint8_t *bomb = malloc(LIMIT_CHUNK);
	autofree uint8_t *out = malloc(LIMIT_CHUNK);
	struct chunk c = {
		.type = CHUNK_DATA,
		.codec = CHUNK_ZSTD,
		.raw_len = LIMIT_CHUNK,
		.stored = bomb,
	};
	size_t n = ZSTD_compress(bomb, LIMIT_CHUNK, zeros, huge, 3);

	cr_assert(!ZSTD_isError(n));
	c.stored_len = (uint32_t)n;
	cr_assert_eq(chunk_unpack(out, u, &c), -ERR_CORRUPT);
	c.raw_len = LIMIT_CHUNK + 1;
	cr_assert_eq(chunk_unpack(out, u, &c), -ERR_CORRUPT);
	n = ZSTD_compress(bomb, LIMIT_CHUNK, zeros, 1000, 3);
	c.stored_len = (uint32_t)n;
	c.raw_len = 1001; /* shorter than promised is wrong too */
	cr_assert_eq(chunk_unpack(out, u, &c), -ERR_CORRUPT);
	c.raw_len = 1000;
	cr_assert_eq(chunk_unpack(out, u, &c), 0);
	cr_assert_eq(chunk_verify(out, u, &c), -ERR_HASH);
	chunk_unpacker_free(u);
}

Test(chunk, a_node_and_a_chunk_of_the_same_bytes_have_different_ids)
{
	struct digest a = { 0 };
	struct digest b = { 0 };

	chunk_hash(&a, CHUNK_DATA, "abc", 3);
	chunk_hash(&b, CHUNK_NODE, "abc", 3);
	cr_assert(!digest_eq(&a, &b));
}

/* --- records --- */

Test(pack, every_flipped_bit_of_a_record_header_is_seen)
{
	struct pack_record r = { 0 };
	struct pack_record back = { 0 };
	struct chunk c = {
		.type = CHUNK_DATA,
		.raw_len = 3,
		.stored_len = 3,
		.stored = (const uint8_t *)"abc",
	};
	uint8_t b[PACK_RECORD_SIZE];

	pack_record_of(&r, &c, 7);
	pack_record_encode(b, &r);
	cr_assert_eq(pack_record_decode(&back, b, sizeof(b)), 0);
	cr_assert_eq(back.durable, 7);
	for (size_t i = 0; i < 8 * sizeof(b); i++) {
		b[i / 8] ^= (uint8_t)(1 << i % 8);
		cr_assert_lt(pack_record_decode(&back, b, sizeof(b)), 0);
		b[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	cr_assert_eq(pack_record_decode(&back, b, sizeof(b) - 1), -ERR_SHORT);
}

Test(pack, names_are_numbers_and_back)
{
	char name[PACK_NAME_SIZE];

	pack_name(name, 7);
	cr_assert_str_eq(name, "packs/00000007.pack");
	cr_assert_eq(pack_number(name), 7);
	cr_assert_eq(pack_number("00000007.pack"), 7);
	cr_assert_eq(pack_number("123456789.pack"), 123456789);
	cr_assert_eq(pack_number("0123456789.pack"), 0);
	cr_assert_eq(pack_number("7.pack"), 0);
	cr_assert_eq(pack_number("00000000.pack"), 0);
	cr_assert_eq(pack_number("00000007.pack~"), 0);
	cr_assert_eq(pack_number("restore.tmp"), 0);
}

/* --- files --- */

struct disk {
	struct vio_sim *sim;
	struct packfile_handles handles;
	struct packfile_options o;
};

static void disk_init(struct disk *d)
{
	d->sim = vio_sim_new(NULL);
	packfile_handles_init(&d->handles, 4);
	d->o = (struct packfile_options){
		.vio = vio_sim_vio(d->sim),
		.handles = &d->handles,
		.volume_id = volume,
		.number = 1,
	};
	cr_assert_eq(vio_mkdir(d->o.vio, "packs"), 0);
	cr_assert_eq(vio_syncdir(d->o.vio, "."), 0);
}

static void disk_release(struct disk *d)
{
	packfile_handles_release(&d->handles);
	vio_sim_free(d->sim);
}

static uint32_t append_text(struct packfile *f, const char *text)
{
	struct chunk_maker *m = chunk_maker_new();
	struct chunk c = { 0 };
	uint32_t off = 0;

	cr_assert_eq(chunk_make(&c, m, CHUNK_DATA, text, strlen(text)), 0);
	cr_assert_eq(packfile_append(f, &off, &c), 0);
	chunk_maker_free(m);
	return off;
}

static int count_entry(void *ctx, const struct pack_entry *e)
{
	unsigned *n = ctx;

	(void)e;
	*n += 1;
	return 0;
}

static unsigned count(struct packfile *f)
{
	unsigned n = 0;

	cr_assert_eq(packfile_each(f, count_entry, &n), 0);
	return n;
}

Test(packfile, only_a_marked_pack_is_appended_to_again)
{
	struct disk d;
	struct packfile *f = NULL;

	disk_init(&d);
	cr_assert_eq(packfile_create(&f, &d.o), 0);
	append_text(f, "one");
	cr_assert_eq(packfile_flush(f), 0);
	packfile_close(f);
	cr_assert_eq(packfile_open(&f, &d.o, NULL), 0);
	cr_assert_eq(packfile_state(f), PACK_STILL);
	cr_assert_eq(count(f), 1);
	packfile_close(f);
	d.o.number = 2;
	cr_assert_eq(packfile_create(&f, &d.o), 0);
	append_text(f, "one");
	cr_assert_eq(packfile_mark(f), 0);
	packfile_close(f);
	cr_assert_eq(packfile_open(&f, &d.o, NULL), 0);
	cr_assert_eq(packfile_state(f), PACK_OPEN);
	append_text(f, "two");
	cr_assert_eq(packfile_seal(f), 0);
	cr_assert_eq(count(f), 2);
	packfile_close(f);
	cr_assert_eq(packfile_open(&f, &d.o, NULL), 0);
	cr_assert_eq(packfile_state(f), PACK_SEALED);
	cr_assert_eq(count(f), 2);
	packfile_close(f);
	disk_release(&d);
}

/* A chunk of 64 KiB that no compressor makes smaller. */
static int append_noise(struct packfile *f, uint64_t seed, bool forget)
{
	enum { NOISE = 64 << 10 };
	uint8_t *p = malloc(NOISE);
	struct chunk_maker *m = chunk_maker_new();
	struct chunk c = { 0 };
	struct prng r = { 0 };
	uint32_t off = 0;
	int rc = 0;

	cr_assert_not_null(p);
	prng_init(&r, seed);
	prng_bytes(&r, p, NOISE);
	cr_assert_eq(chunk_make(&c, m, CHUNK_DATA, p, NOISE), 0);
	rc = packfile_append(f, &off, &c);
	if (rc == 0)
		rc = packfile_pace(f, forget);
	chunk_maker_free(m);
	free(p);
	return rc;
}

/* A flush never finds much to write, and nothing but it makes durable. */
Test(packfile, it_goes_to_the_disk_while_it_is_filled)
{
	uint64_t pieces = 0;
	struct packfile *f = NULL;
	struct disk d;

	disk_init(&d);
	cr_assert_eq(packfile_create(&f, &d.o), 0);
	for (uint64_t k = 0; k < 200; k++)
		cr_assert_eq(append_noise(f, k, false), 0);
	pieces = vio_sim_count(d.sim, VIO_SIM_WRITEBACK);
	cr_assert(pieces >= 40 && pieces <= 60, "%lu", pieces);
	cr_assert_eq(packfile_durable(f), PACK_HEADER_SIZE);
	vio_sim_fail(d.sim, VIO_SIM_WRITEBACK, 1, ENOSPC, true);
	for (uint64_t k = 200; k < 220 && !vio_sim_failed(d.sim); k++)
		cr_assert_eq(append_noise(f, k, false),
			     vio_sim_failed(d.sim) ? -EIO : 0);
	cr_assert(vio_sim_failed(d.sim));
	packfile_close(f);
	disk_release(&d);
}

/* Each byte once, not the last pieces, and nothing that somebody may read. */
Test(packfile, what_is_on_the_disk_is_forgotten_if_asked)
{
	struct packfile *f = NULL;
	uint64_t gone = 0;
	uint64_t others = 0;
	struct disk d;

	disk_init(&d);
	cr_assert_eq(packfile_create(&f, &d.o), 0);
	for (uint64_t k = 0; k < 100; k++)
		cr_assert_eq(append_noise(f, k, false), 0);
	cr_assert_eq(vio_sim_forgotten(d.sim), 0);
	others = f->pushed;
	for (uint64_t k = 100; k < 200; k++)
		cr_assert_eq(append_noise(f, k, true), 0);
	gone = vio_sim_forgotten(d.sim);
	cr_assert(gone + (2 << 20) >= f->end - others, "%lu", gone);
	cr_assert(gone < f->pushed - others, "%lu", gone);
	for (uint64_t k = 200; k < 210; k++)
		cr_assert_eq(append_noise(f, k, false), 0);
	cr_assert_eq(packfile_mark(f), 0);
	packfile_close(f);
	gone = vio_sim_forgotten(d.sim);
	cr_assert_eq(packfile_open(&f, &d.o, NULL), 0);
	others = f->end;
	for (uint64_t k = 210; k < 260; k++)
		cr_assert_eq(append_noise(f, k, true), 0);
	gone = vio_sim_forgotten(d.sim) - gone;
	cr_assert(gone > 0 && gone < f->end - others, "%lu", gone);
	packfile_close(f);
	disk_release(&d);
}

Test(packfile, damage_in_the_middle_hides_nothing_else)
{
	struct disk d;
	struct packfile *f = NULL;
	uint32_t second = 0;

	disk_init(&d);
	cr_assert_eq(packfile_create(&f, &d.o), 0);
	append_text(f, "first");
	second = append_text(f, "second");
	append_text(f, "third");
	cr_assert_eq(packfile_mark(f), 0);
	packfile_close(f);
	cr_assert_eq(vio_sim_flip(d.sim, "packs/00000001.pack", second + 10, 1),
		     0);
	cr_assert_eq(packfile_open(&f, &d.o, NULL), 0);
	cr_assert_eq(packfile_state(f), PACK_STILL);
	cr_assert_eq(count(f), 2);
	cr_assert_eq(f->n_gaps, 1);
	cr_assert(f->gaps[0].off == second && !f->gaps[0].durable,
		  "the mark was flushed together with it");
	packfile_close(f);
	disk_release(&d);
}

Test(packfile, a_crash_while_sealing_loses_nothing_that_was_flushed)
{
	bool reached_end = false;

	for (uint64_t n = 1; !reached_end; n++) {
		struct disk d;
		struct packfile *f = NULL;
		struct prng r = { 0 };
		int rc = 0;

		prng_init(&r, n);
		disk_init(&d);
		cr_assert_eq(packfile_create(&f, &d.o), 0);
		append_text(f, "one");
		append_text(f, "two");
		cr_assert_eq(packfile_flush(f), 0);
		append_text(f, "three");
		vio_sim_stop_at(d.sim, n);
		rc = packfile_seal(f);
		reached_end = !vio_sim_stopped(d.sim);
		packfile_close(f);
		vio_sim_crash(d.sim, &r);
		cr_assert_eq(packfile_open(&f, &d.o, NULL), 0);
		cr_assert_geq(count(f), rc == 0 ? 3 : 2);
		if (rc == 0)
			cr_assert_eq(packfile_state(f), PACK_SEALED);
		packfile_close(f);
		disk_release(&d);
	}
}

Test(packfile, a_newer_format_is_refused_in_words)
{
	struct disk d;
	struct packfile *f = NULL;
	struct vio_file *file = NULL;
	struct errmsg em = ERRMSG_INIT;

	disk_init(&d);
	cr_assert_eq(packfile_create(&f, &d.o), 0);
	packfile_close(f);
	cr_assert_eq(vio_open(d.o.vio, &file, "packs/00000001.pack", VIO_WRITE),
		     0);
	cr_assert_eq(vio_pwrite(file, "\2", 1, 8), 0);
	vio_close(file);
	cr_assert_eq(packfile_open(&f, &d.o, &em), -ERR_NEWER);
	cr_assert_not_null(strstr(em.text, "00000001.pack"));
	disk_release(&d);
}

/* --- golden files --- */

static void save(const char *path, const void *p, size_t n)
{
	FILE *f = fopen(path, "wb");

	cr_assert_not_null(f, "%s", path);
	cr_assert_eq(fwrite(p, 1, n, f), n);
	fclose(f);
}

static void load(struct buf *out, const char *path)
{
	struct vio *v = NULL;

	cr_assert_eq(vio_posix_open(&v, "."), 0);
	cr_assert_eq(vio_read_file(v, out, path, 1 << 20), 0, "%s", path);
	vio_free(v);
}

static void golden_text(char out[20001])
{
	for (size_t i = 0; i < 20000; i++)
		out[i] = "a line of golden text\n"[i % 22];
	out[20000] = '\0';
}

static size_t golden_node(uint8_t out[TREE_NODE_MAX])
{
	struct tree_node n = { .level = 0, .count = 3 };

	n.refs[0].len = 100 * 4096;
	n.refs[0].hole = true;
	for (int i = 1; i < 3; i++) {
		n.refs[i].len = (uint64_t)i * 20000;
		for (int k = 0; k < DIGEST_SIZE; k++)
			n.refs[i].id.b[k] = (uint8_t)(i * 32 + k + 1);
	}
	return tree_node_encode(out, &n);
}

/* A sealed pack: raw chunk, packed chunk, tree node, a close mark within. */
static void golden_write(void)
{
	struct disk d;
	struct packfile *f = NULL;
	struct buf b = BUF_INIT;
	struct chunk_maker *m = chunk_maker_new();
	struct chunk c = { 0 };
	uint8_t node[TREE_NODE_MAX];
	char text[20001];
	size_t n = golden_node(node);
	uint32_t off = 0;

	disk_init(&d);
	golden_text(text);
	cr_assert_eq(packfile_create(&f, &d.o), 0);
	append_text(f, "hello, pack\n");
	append_text(f, text);
	cr_assert_eq(packfile_mark(f), 0);
	cr_assert_eq(vio_read_file(d.o.vio, &b, "packs/00000001.pack", 1 << 20),
		     0);
	save("tests/golden/pack-v1-open.pack", b.p, b.n);
	save("tests/fuzz/corpus/pack/open", b.p, b.n);
	save("tests/fuzz/corpus/pack/record", b.p + PACK_HEADER_SIZE,
	     b.n - PACK_HEADER_SIZE);
	cr_assert_eq(chunk_make(&c, m, CHUNK_NODE, node, n), 0);
	cr_assert_eq(packfile_append(f, &off, &c), 0);
	cr_assert_eq(packfile_seal(f), 0);
	buf_clear(&b);
	cr_assert_eq(vio_read_file(d.o.vio, &b, "packs/00000001.pack", 1 << 20),
		     0);
	save("tests/golden/pack-v1-sealed.pack", b.p, b.n);
	save("tests/fuzz/corpus/pack/sealed", b.p, b.n);
	save("tests/golden/tree-node-v1.bin", node, n);
	save("tests/fuzz/corpus/tree/node", node, n);
	cr_assert_eq(chunk_make(&c, m, CHUNK_DATA, text, 20000), 0);
	buf_clear(&b);
	buf_u8(&b, CHUNK_ZSTD);
	buf_u16(&b, 20000);
	buf_u8(&b, 0);
	buf_add(&b, c.stored, c.stored_len);
	save("tests/fuzz/corpus/chunk/zstd", b.p, b.n);
	save("tests/fuzz/corpus/chunk/text", "\200some text", 10);
	buf_release(&b);
	chunk_maker_free(m);
	packfile_close(f);
	disk_release(&d);
}

static void golden_pack(const char *path, enum packfile_state state,
			unsigned chunks)
{
	struct disk d;
	struct packfile *f = NULL;
	struct vio_file *file = NULL;
	struct chunk_unpacker *u = chunk_unpacker_new();
	autofree uint8_t *p = malloc(PACK_RECORD_SIZE + LIMIT_CHUNK);
	autofree uint8_t *raw = malloc(LIMIT_CHUNK);
	struct pack_record r = { 0 };
	struct chunk c = { 0 };
	struct buf b = BUF_INIT;
	char text[20001];

	disk_init(&d);
	golden_text(text);
	load(&b, path);
	cr_assert_eq(vio_open(d.o.vio, &file, "packs/00000001.pack",
			      VIO_WRITE | VIO_CREATE),
		     0);
	cr_assert_eq(vio_pwrite(file, b.p, b.n, 0), 0);
	vio_close(file);
	cr_assert_eq(packfile_open(&f, &d.o, NULL), 0);
	cr_assert_eq(packfile_state(f), state);
	cr_assert_eq(count(f), chunks);
	cr_assert_eq(packfile_read(f, &r, p, PACK_HEADER_SIZE, 0), 0);
	pack_record_chunk(&c, &r, p + PACK_RECORD_SIZE);
	cr_assert_eq(chunk_verify(raw, u, &c), 0);
	cr_assert(c.raw_len == 12 && memcmp(raw, "hello, pack\n", 12) == 0);
	cr_assert_eq(packfile_read(f, &r, p,
				   PACK_HEADER_SIZE + PACK_RECORD_SIZE + 12, 0),
		     0);
	pack_record_chunk(&c, &r, p + PACK_RECORD_SIZE);
	cr_assert_eq(c.codec, CHUNK_ZSTD);
	cr_assert_eq(chunk_verify(raw, u, &c), 0);
	cr_assert(c.raw_len == 20000 && memcmp(raw, text, 20000) == 0);
	buf_release(&b);
	chunk_unpacker_free(u);
	packfile_close(f);
	disk_release(&d);
}

Test(golden, packs_and_nodes_of_format_1_decode_for_ever)
{
	const char *how = getenv("VOUCH_GOLDEN");
	struct buf b = BUF_INIT;
	struct tree_node got = { 0 };
	uint8_t node[TREE_NODE_MAX];
	size_t n = golden_node(node);

	if (how && strcmp(how, "write") == 0)
		golden_write();
	golden_pack("tests/golden/pack-v1-open.pack", PACK_OPEN, 2);
	golden_pack("tests/golden/pack-v1-sealed.pack", PACK_SEALED, 3);
	load(&b, "tests/golden/tree-node-v1.bin");
	cr_assert(b.n == n && memcmp(b.p, node, n) == 0);
	cr_assert_eq(tree_node_decode(&got, b.p, b.n), 0);
	cr_assert_eq(got.len, 100 * 4096 + 60000);
	buf_release(&b);
}
