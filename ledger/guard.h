/*
 * guard.h - what keeps a copy or an old backup from forking the log.
 *
 * A small file outside the store remembers what was signed last and on which
 * store.  It is durable before the checkpoint it speaks of is published, so
 * whoever restores, copies or moves the store is found out at the next start
 * (LEDGER.md 3).  The file is named VOLUME.ORIGIN: 32 hex digits of the
 * volume id, 8 of SHA-256(origin), so that a fork has one of its own.  Text:
 *
 *   vouchfs-guard-v1
 *   volume 32 HEX          origin NAME
 *   size N                 root 64 HEX      (last signed)
 *   incarnation 32 HEX
 *   fsid N   lock N   born NANOSECONDS      (identity of STORE/lock)
 *   machine 32 HEX         (zeros: unknown)
 *   wal N                  (only while in use: the WAL has a segment of this
 *                           sequence or a later one, wal_mark.h)
 *   check 64 HEX           (SHA-256 of the lines before)
 */
#ifndef LEDGER_GUARD_H
#define LEDGER_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"
#include "base/limits.h"

struct buf;
struct errmsg;
struct vio;
struct vio_stat;

enum { GUARD_FILE_MAX = 4096, GUARD_NAME_SIZE = 42 };

struct guard {
	uint8_t volume_id[16];
	char origin[LIMIT_ORIGIN + 1];
	uint64_t size;
	struct digest root;
	uint8_t incarnation[16];
	uint64_t fsid;
	uint64_t lock_ino;
	int64_t lock_btime_ns;
	uint8_t machine[16];
	uint64_t wal; /* 0: at rest, nothing of the WAL is needed */
};

void guard_name(char out[GUARD_NAME_SIZE], const uint8_t volume_id[16],
		const char *origin);
void guard_encode(struct buf *out, const struct guard *g);
/* Strict.  -ERR_FORMAT; -ERR_NEWER. */
int must_use guard_decode(struct guard *out, const void *p, size_t n);

/* -ENOENT: there is none; else words. */
int must_use guard_read(struct guard *out, struct vio *guard_vio,
			const uint8_t volume_id[16], const char *origin,
			struct errmsg *em);
/* Replaces the file atomically, 0600, durable. */
int must_use guard_write(const struct guard *g, struct vio *guard_vio,
			 struct errmsg *em);

/* Notes whose store this is: the lock file and this machine. */
void guard_identify(struct guard *g, struct vio *guard_vio,
		    const struct vio_stat *lock);

/*
 * Whether the store with `size` seals may go on where the guard stands:
 * 0 or -ERR_ROLLBACK in words.  `root` is its root at g->size, NULL when it
 * is shorter.
 */
int must_use guard_check_size(const struct guard *g, uint64_t size,
			      const struct digest *root, struct errmsg *em);
/* Whether it is the very store and machine: 0 or -ERR_COPY in words. */
int must_use guard_check_identity(const struct guard *g,
				  const struct guard *now, struct errmsg *em);

#endif
