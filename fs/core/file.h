/*
 * file.h - a regular file that is open or has unsaved bytes: its content, its
 * times, who wrote last, and when it is saved and becomes a version.
 *
 * When (DESIGN 4): a second's age or fsync saves (EXTENTS); the last close, 30
 * seconds without a write, a rename, a link, another process's open, too many
 * extents or a demand make a VERSION.
 *
 * Invariants: (1) save and version of one file exclude each other (save_mu),
 * so its entries are queued in the order of what they say.  (2) A dirty file
 * is on core.dirty and stays until a version says what it holds.
 *
 * Threads: fields are guarded by itable.mu unless marked; content has its
 * own lock.
 */
#ifndef FS_FILE_H
#define FS_FILE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/thread.h"
#include "fs/content/content.h"
#include "fs/core/itable.h"

struct actor;
struct core;
struct leafcell;

/* What content_save reported and no entry says yet. */
struct file_owed {
	struct content_saved saved;
	size_t done; /* extents queued */
	bool any;
};

struct file {
	struct link dirty;   /* in core.dirty; first member */
	struct inode *inode; /* a reference is held */
	struct content *content;
	uint32_t users;	  /* handles, jobs, operations */
	uint32_t writers; /* handles that may write */
	uint32_t mute;	  /* those of them of whose close nobody tells */
	uint32_t bypass;  /* handles that write round the kernel's page cache */
	bool mixed;	  /* another was opened beside such a one */
	atomic_bool filled; /* any thread: a page was, beside such a one */
	bool on_dirty;
	bool job_queued;
	bool flushed;	  /* who wrote last has, or may have, closed since */
	uint32_t held;	  /* handles that were taken for closed, and wrote */
	uint64_t guessed; /* stream of the open that took others for closed */
	int64_t guess_ns; /* and when (monotonic) */
	bool times;	  /* the two below are newer than the row's */
	int64_t mtime_ns, ctime_ns;
	struct actor *writer; /* last; a reference */
	uint8_t strength;     /* enum entry_strength of that */
	/*
	 * any thread; changed with itable.mu: it has security.capability, or
	 * may have, and a write takes that away
	 */
	atomic_bool capable;
	/* any thread: error to be told at the next write, flush or fsync */
	atomic_int deferred;
	int64_t retry_ns;     /* after a failure: not before (monotonic) */
	unsigned tries;	      /* failures in a row, but for full disks */
	bool no_room;	      /* the disk was full when it was last due */
	struct mutex save_mu; /* before itable.mu */
	bool twin; /* a clone of a version with this tree and plain digest */
	struct digest twin_root, twin_sha256;
	struct leafcell *extents_cell; /* save_mu: last EXTENTS not absorbed */
	struct file_owed owed;	       /* save_mu */
};

/*
 * The file of an inode, with a user more; opened when it is not.  The row is
 * checked against the journal first (invariant 4 of DESIGN 2).  No lock held.
 */
int must_use file_take(struct core *c, struct file **out, uint64_t ino);
void file_give(struct core *c, struct file *f);
/* The same, with itable.mu held: only if it is open; NULL else. */
struct file *file_hold(struct inode *i);

/* Size and times as a stat shows them (itable.mu held). */
void file_attributes(struct file *f, uint64_t *size, uint64_t *allocated,
		     int64_t *mtime, int64_t *ctime);

/*
 * Bytes changed at time now (itable.mu held): marks dirty, remembers who.
 * a may be NULL; no reference is taken over.
 */
void file_dirtied(struct core *c, struct file *f, struct actor *a,
		  uint8_t strength, int64_t now);
/* Onto the list of dirty files, or off it (itable.mu held). */
void file_mark(struct core *c, struct file *f);
void file_forget(struct core *c, struct file *f);
/* At the end, when nothing else runs: all are dropped, saved or not. */
void file_drop_all(struct core *c);
/*
 * Calls fn for each chunk that a save has reported and no queued entry names,
 * because queueing failed.  Waits for saves that run.
 */
int must_use file_each_owed(struct core *c,
			    void (*fn)(void *ctx, const struct digest *id),
			    void *ctx);
/* An explicit mtime (utimens) from here on (itable.mu held). */
void file_set_mtime(struct file *f, int64_t mtime);

/* Everything written is in a queued entry; *out_seq: of the last one. */
int must_use file_save(struct core *c, struct file *f, uint64_t *out_seq);
/*
 * Before a's change: what another declared run, or another user, wrote since the last
 * version becomes one of its own, or it would be told as a's.  The kernel has
 * one write of a file at a time; pages of a mapping alone come beside them,
 * and those are by handle.  No lock held; a may be NULL.
 */
int must_use file_turn(struct core *c, struct file *f, const struct actor *a);
/* The file's bytes are a queued VERSION. */
int must_use file_version(struct core *c, struct file *f, uint8_t reason);
/* True when file_version would be quick enough for a request thread. */
bool file_is_small(struct file *f);

/* Looks after dirty files: every 100 ms. */
void file_tick(struct core *c);
/* Queues f for the job threads (or does it now without threads). */
void file_job(struct core *c, struct file *f);
/* Body of a job thread. */
void file_job_main(void *arg);
/* Versions of everything dirty, of each that can; first error. */
int must_use file_version_all(struct core *c, uint8_t reason);
/*
 * How many files hold what that run (RUN_ID_SIZE bytes) wrote last and no
 * version says yet; versions of those.
 */
size_t file_unsaved_of(struct core *c, const uint8_t *run);
int must_use file_version_of(struct core *c, const uint8_t *run,
			     uint8_t reason);
/*
 * The same as file_version_all for sync and unmount: where others took what was promised, half of
 * the reserve is there for it.
 */
int must_use file_save_all(struct core *c, uint8_t reason);

#endif
