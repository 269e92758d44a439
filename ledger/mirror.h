/*
 * mirror.h - checks a copy of the public log (checkpoint, tile/) by itself.
 *
 * The tiles hold seals and hashes, no names and no entries: proven here are
 * the checkpoint's signature, that tiles and root are those of the seals, and
 * that each mount's seals follow one another and saw this very log.  Files
 * come through a callback; pure but for it.
 */
#ifndef LEDGER_MIRROR_H
#define LEDGER_MIRROR_H

#include <stdint.h>

#include "base/auto.h"
#include "ledger/checkpoint.h"

struct buf;
struct errmsg;
struct trust;

/* Appends the file "checkpoint" or "tile/..."; -ENOENT where there is none. */
typedef int mirror_load_fn(void *ctx, struct buf *out, const char *path);

struct mirror_report {
	struct checkpoint checkpoint;
	uint64_t seals;
	uint64_t entries; /* that the seals speak for */
	uint64_t tiles;	  /* hash tiles compared */
	uint32_t mounts;
	uint8_t volume_id[16];
	int64_t last_wall_ns;
};

/*
 * -ERR_KEY, -ERR_SIGNATURE: the checkpoint; -ERR_HASH: a tile; -ERR_REJECTED:
 * a seal breaks a rule; -ENOENT: a file is missing.  Words in em.
 */
int must_use mirror_check(struct mirror_report *out, mirror_load_fn *load,
			  void *ctx, const struct trust *t, struct errmsg *em);

#endif
