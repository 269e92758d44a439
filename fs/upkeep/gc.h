/*
 * gc.h - garbage collection: bytes that nothing needs are given back.
 *
 * What is kept: whatever is reachable from a version that is not released, a
 * save that no version has absorbed (and, unless `drop_saves`, one that a
 * kept version has), the extended attributes of inodes that exist, and
 * whatever a running operation, an open file or a reader relies on (lease.h).
 * Nothing of the journal is ever taken: entries keep the ids and digests of
 * what was released, so the history stays provable.
 *
 * core_gc does not decide what is released: that is said by GC entries, which
 * are to be in the index before it begins.
 *
 * It may run under any load and be ended, or killed, at any moment: a chunk's
 * old place is given up only after its new one is durable, and what was half
 * done is garbage for the next run.
 *
 * Threads: one core_gc at a time (a second one: -EBUSY).
 */
#ifndef FS_GC_H
#define FS_GC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"

struct core;
struct entry_release;
struct errmsg;

enum { CORE_GC_LIVE_PERCENT = 75 };

struct core_gc_options {
	/*
	 * Packs of which less than this is needed are rewritten (1..100); 0:
	 * CORE_GC_LIVE_PERCENT.  Packs of which nothing is needed always go.
	 */
	uint32_t live_percent;
	/*
	 * Also takes what was saved between two versions and is in neither,
	 * nor shown by a snapshot: /audit/at cannot show such an instant any
	 * more (-ENODATA).
	 */
	bool drop_saves;
	bool dry_run; /* reports what would be freed, changes nothing */
	/*
	 * With dry_run: versions that count as released, by inode and version
	 * ascending (struct retain_options tells which are due).
	 */
	const struct entry_release *going;
	size_t n_going;
	uint32_t mib_per_second; /* copied at most; 0: no limit */
	/*
	 * Told now and then, no locks held: part is "mark", "look" or "sweep".
	 * Nonzero ends the run at the next safe point, with -ECANCELED.
	 */
	int (*progress)(void *ctx, const char *part, uint64_t done,
			uint64_t all);
	/* A record that is bad everywhere, and what keeps its pack. */
	void (*found)(void *ctx, const char *words);
	void *ctx;
};

struct core_gc_report {
	uint64_t packs_before, packs_after;
	uint64_t bytes_before, bytes_after; /* of packs, as files */
	uint64_t packs_examined;	    /* those nobody appends to */
	uint64_t packs_deleted;		    /* nothing in them was needed */
	uint64_t packs_rewritten;	    /* some was, and was copied */
	uint64_t chunks_freed, chunks_copied;
	uint64_t bytes_freed, bytes_copied; /* stored bytes of those chunks */
	/* needed by what runs now, not by what is in the index */
	uint64_t chunks_leased;
	/* damaged, or a replica may have more of them: left as they are */
	uint64_t packs_kept;
	uint64_t repaired; /* records, from replicas or other copies */
};

/*
 * Marks and sweeps.  *out is filled in as far as it came, also after an
 * error.  -ECANCELED, -EBUSY, -EROFS; -ERR_CORRUPT (words say which version)
 * when a tree cannot be read: what is below it is not known then, and nothing
 * is taken.
 */
int must_use core_gc(struct core *c, struct core_gc_report *out,
		     const struct core_gc_options *o, struct errmsg *em);

/*
 * The volume is about to be closed: a run that goes on ends at its next safe
 * point, and none begins any more.
 */
void core_gc_end(struct core *c);

#endif
