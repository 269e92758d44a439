/*
 * volume.h - STORE/volume.conf: what must be known before the log is read.
 *
 *   vouchfs-volume-v1
 *   volume 32 HEX DIGITS
 *   origin NAME
 *   mount NUMBER
 *   guard required|none
 *
 * Text, these lines in this order and no others; settings that matter are
 * PARAMS entries.  Where the log says otherwise (NEW_ORIGIN), the log is
 * right and the file is written again.  Pure but for read and write.
 */
#ifndef LEDGER_VOLUME_H
#define LEDGER_VOLUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/limits.h"

struct buf;
struct errmsg;
struct vio;

#define VOLUME_FILE "volume.conf"
/*
 * There from `vouch replica restore` until adopt or fork: the log ends where
 * the replica had it, which may be before what was signed.
 */
#define VOLUME_RESTORED "restored"

enum { VOLUME_FILE_MAX = 4096 };

struct volume {
	uint8_t id[16];
	char origin[LIMIT_ORIGIN + 1];
	uint32_t mount_no;
	bool guarded; /* a missing guard is refused */
};

void volume_encode(struct buf *out, const struct volume *v);
/* Strict.  -ERR_FORMAT; -ERR_NEWER for a later version of the format. */
int must_use volume_decode(struct volume *out, const void *p, size_t n,
			   struct errmsg *em);
/* -ENOENT in words when there is no volume. */
int must_use volume_read(struct volume *out, struct vio *vio,
			 struct errmsg *em);
/* Replaces the file atomically, durable. */
int must_use volume_write(const struct volume *v, struct vio *vio,
			  struct errmsg *em);

#endif
