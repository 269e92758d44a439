/*
 * fsck_want.h - for fsck.c: what a log names that has to be in the store.
 *
 * Not all that it ever named: the bytes of released versions may be gone, as
 * may what only they absorbed, values of attributes that were replaced, and
 * what was saved between two versions (vouch gc --drop-saves).  Those are
 * `optional`: they may be there, and are not missed.
 *
 * One thread.  Memory: about 90 bytes per version, save and long attribute.
 */
#ifndef FS_FSCK_WANT_H
#define FS_FSCK_WANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"

struct entry;

enum fsck_want_kind { FSCK_VERSION, FSCK_SAVE, FSCK_XATTR };

/* A whole tree (VERSION of size > 0), or a single chunk. */
struct fsck_want {
	struct digest id;
	uint64_t size;
	uint64_t no; /* the entry that names it */
	uint64_t ino, version;
	uint64_t name; /* of an attribute: a hash */
	uint8_t kind;
	bool optional;
};

struct fsck_wants {
	struct fsck_want *v;
	size_t n, cap;
	struct fsck_released *released;
	size_t n_released, cap_released;
	struct fsck_freed *freed;
	size_t n_freed, cap_freed;
	uint64_t versions; /* in the log */
	uint64_t gone;	   /* of them released */
};

/* Notes what the entry names, ends or releases; in the log's order. */
int must_use fsck_want_entry(struct fsck_wants *w, const struct entry *e,
			     uint64_t no);
/* After the last entry: decides, and sorts by inode and entry. */
void fsck_want_settle(struct fsck_wants *w);
void fsck_want_release(struct fsck_wants *w);

#endif
