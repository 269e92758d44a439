/*
 * fsck_want.h - for fsck.c: what a log names that has to be in the store.
 *
 * Not all that it ever named: the bytes of released versions may be gone, as
 * may what only they absorbed, values of attributes that were replaced, and
 * what was saved between two versions (vouch gc --drop-saves).  Those are
 * `optional`: they may be there, and are not missed.
 *
 * Which they are is said by later entries, so the log is told from its newest
 * entry back, and what an entry names is known at once: nothing is kept of
 * versions and saves, only what has become of each inode and attribute.  If
 * that is more than FSCK_WANT_BYTES, the inodes are parted and the log is told
 * once for each part.
 *
 * One thread.
 */
#ifndef FS_FSCK_WANT_H
#define FS_FSCK_WANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"

struct entry;
struct entry_core;

/* One inode with more released ranges than fit takes more (32 bytes each). */
#define FSCK_WANT_BYTES (128ULL << 20)

enum fsck_want_kind { FSCK_VERSION, FSCK_SAVE, FSCK_XATTR };

/* A whole tree (VERSION of size > 0), or a single chunk. */
struct fsck_want {
	struct digest id;
	uint64_t size;
	uint64_t no; /* the entry that names it */
	uint8_t kind;
	bool optional;
};

/* Nonzero stops, and is returned. */
typedef int fsck_want_fn(void *ctx, const struct fsck_want *w);

struct fsck_wants {
	fsck_want_fn *fn;
	void *ctx;
	size_t bytes_max; /* 0: FSCK_WANT_BYTES */
	uint64_t bytes;	  /* at most, of all inodes: fsck_want_count() */
	uint64_t parts, part;
	uint64_t versions; /* told */
	uint64_t gone;	   /* of them released */

	/* of the inodes of this part; open addressing */
	struct fsck_inode *inodes;
	size_t n_inodes, cap_inodes;
	uint64_t *names; /* attributes that were set or removed later */
	size_t n_names, cap_names;
	struct fsck_released *released;
	size_t n_released, cap_released;
};

/* First of all, for each entry, in any order. */
void fsck_want_count(struct fsck_wants *w, const struct entry_core *core,
		     size_t body_n);
/* The number of parts; for each, fsck_want_part() and the log from its end. */
uint64_t fsck_want_parts(struct fsck_wants *w);
void fsck_want_part(struct fsck_wants *w, uint64_t part);
/* May an entry of this kind name something, or say what is needed? */
bool fsck_want_kind(uint16_t kind);
/* Tells fn what the entry names; of one that is not clear, its core counts. */
int must_use fsck_want_entry(struct fsck_wants *w, const struct entry *e,
			     uint64_t no);
void fsck_want_release(struct fsck_wants *w);

#endif
