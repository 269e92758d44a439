/*
 * tile_store.h - the tiles of the log: full ones on disk, the right edge in
 * memory.
 *
 * A pure function of the seals' order.  Only full tiles are files; partial
 * ones are made from memory when they are asked for.  Memory holds, per
 * level, the hashes after the last full tile that is on disk.
 *
 * Threads: one appender; one writer (tile_store_write); any number of
 * readers.
 */
#ifndef LEDGER_TILE_STORE_H
#define LEDGER_TILE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"

struct buf;
struct tile;
struct tile_store;
struct vio;

int must_use tile_store_new(struct tile_store **out, struct vio *vio);
void tile_store_free(struct tile_store *t); /* NULL is a no-op */

/* Lends the bytes of a seal. */
typedef int tile_store_seal_fn(void *ctx, struct buf *scratch,
			       const uint8_t **out, uint32_t *out_n,
			       uint64_t index);
/*
 * Takes up the tree of `size` seals: the edge from full tiles and the last
 * seals.  What is read is not verified: compare tile_store_root.  -ENOENT,
 * -ERR_CORRUPT: a tile is missing or not whole; call tile_store_clear and
 * append everything then.
 */
int must_use tile_store_load(struct tile_store *t, uint64_t size,
			     tile_store_seal_fn *seal, void *ctx);
void tile_store_clear(struct tile_store *t);
/* Room in memory for one such seal more: then adding it cannot fail. */
int must_use tile_store_room(struct tile_store *t, uint32_t n);
/* Adds a seal and its leaf hash. */
int must_use tile_store_append(struct tile_store *t, const uint8_t *seal,
			       uint32_t n, const struct digest *leaf);
uint64_t tile_store_size(struct tile_store *t);
/* True when tile_store_write has something to do. */
bool tile_store_pending(struct tile_store *t);
/*
 * Writes every full tile that is in memory and makes it durable.  With
 * `changed`, files that are right already are left alone, and *changed counts
 * those that were there and wrong.  Any error leaves the tiles in memory.
 */
int must_use tile_store_write(struct tile_store *t, unsigned *changed);

/*
 * For verification: compares every full tile in memory that a tree of `size`
 * seals has with its file, tells where they differ, and forgets it.
 */
struct tile_store_compare {
	uint64_t size;
	uint64_t tiles; /* out: compared */
	void (*differs)(void *ctx, const char *path, const char *how);
	void *ctx;
};
int must_use tile_store_compare(struct tile_store *t,
				struct tile_store_compare *c);
/* Forgets full bundles that are only in memory; the hashes stay. */
void tile_store_forget_bundles(struct tile_store *t);

/* A tile_load_fn: appends the bytes of a hash tile; ctx is the store. */
int tile_store_get(void *ctx, struct buf *out, const struct tile *t);
/* Appends an entry bundle.  -ENOENT: its file is missing. */
int must_use tile_store_bundle(struct tile_store *t, struct buf *out,
			       const struct tile *tile);
/* Root at an earlier size, from the tiles. */
int must_use tile_store_root(struct tile_store *t, struct digest *out,
			     uint64_t size);

#endif
