/*
 * tile_store_impl.h - what tile_store.c and tile_store_write.c share; nobody
 * else includes it.
 */
#ifndef LEDGER_TILE_STORE_IMPL_H
#define LEDGER_TILE_STORE_IMPL_H

#include "base/buf.h"
#include "base/thread.h"
#include "ledger/seal_format.h"
#include "ledger/tile.h"
#include "ledger/tile_store.h"

#define TILE_DIR "ledger/"

enum {
	TILE_STORE_PATH_MAX = TILE_PATH_MAX + sizeof(TILE_DIR),
	LEVELS = TILE_LEVEL_MAX + 1,
	BUNDLE_MAX = TILE_WIDTH * (2 + SEAL_SIZE_MAX),
};

struct edge {
	uint64_t first;
	struct digest *h;
	size_t n, cap;
};

struct tile_store {
	struct vio *vio;
	struct mutex mu; /* all below; never held across I/O */
	uint64_t size;
	struct edge edge[LEVELS];
	struct buf bundle;
	uint64_t bundle_first; /* of the seals in `bundle` */
};

/* "ledger/tile/..." */
void tile_store_path(char out[TILE_STORE_PATH_MAX], const struct tile *t);
/* Bytes of the first `width` leaves of a bundle; 0: there are fewer. */
size_t tile_store_bundle_bytes(const uint8_t *p, size_t n, unsigned width);

#endif
