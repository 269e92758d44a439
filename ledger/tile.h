/*
 * tile.h - C2SP tlog-tiles: names and bytes of tiles, pure.
 *
 * A tile of level l, number n holds up to 256 hashes of complete subtrees of
 * 256^l leaves.  Level TILE_ENTRIES stands for entry bundles, which hold the
 * leaves themselves.
 */
#ifndef LEDGER_TILE_H
#define LEDGER_TILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"
#include "ledger/merkle.h"

struct buf;

enum { TILE_WIDTH = 256, TILE_LEVEL_MAX = 7, TILE_ENTRIES = -1 };
enum { TILE_PATH_MAX = 64, TILE_BYTES = TILE_WIDTH * DIGEST_SIZE };

struct tile {
	int level; /* 0..TILE_LEVEL_MAX or TILE_ENTRIES */
	uint64_t n;
	unsigned width; /* 1..256; 256 is a full tile */
};

/* "tile/0/x001/x234/067" or with ".p/W"; always terminated. */
void tile_path(char out[TILE_PATH_MAX], const struct tile *t);
/* Strict inverse of tile_path: 0 or -ERR_FORMAT. */
int must_use tile_path_parse(struct tile *out, const char *s, size_t n);

/* Hashes that level `level` has in a tree of `size` leaves. */
uint64_t tile_level_count(int level, uint64_t size);

/*
 * Walks every tile (hash tiles and bundles) that a tree of `size` leaves has
 * and one of `from` leaves had not yet full; partial ones come with width <
 * 256.  A nonzero answer of fn stops and is returned.
 */
typedef int tile_walk_fn(void *ctx, const struct tile *t);
int tile_walk(uint64_t from, uint64_t size, tile_walk_fn *fn, void *ctx);

/* Appends a hash tile's bytes, read at binary level 8 * t->level. */
int must_use tile_hashes(struct buf *out, const struct tile *t,
			 merkle_read_fn *read, void *ctx);

/* Appends one leaf to a bundle: u16be length and bytes. */
int must_use tile_bundle_add(struct buf *out, const void *leaf, size_t n);
/* Takes the next leaf: 1 and a borrowed leaf, 0 at the end, -ERR_FORMAT. */
int must_use tile_bundle_next(const uint8_t **p, size_t *left,
			      const uint8_t **out_leaf, size_t *out_n);

/*
 * Serves merkle_read_fn from tiles: `load` brings a tile's bytes (32 *
 * width) into buf t.  Keeps the last tile of each level.
 */
typedef int tile_load_fn(void *ctx, struct buf *out, const struct tile *t);
struct tile_reader;
int must_use tile_reader_new(struct tile_reader **out, uint64_t size,
			     tile_load_fn *load, void *ctx);
void tile_reader_free(struct tile_reader *r);
/* A merkle_read_fn; ctx is the struct tile_reader. */
int tile_reader_read(void *ctx, struct digest *out, unsigned level,
		     uint64_t index);

#endif
