/*
 * trail.h - what a process opened, until it writes something.
 *
 * Each actor (process image) has an ACTOR entry, made when it first changes
 * something, and a chain of READS entries: what it opened since the last one,
 * written down when it makes a version.  Its ancestors' are written down then
 * too, so that the script a shell opened is known to the program it started.
 * A process that only reads leaves no entry, unless it belongs to a declared
 * run: then its opens are written down when the run ends.
 *
 * Bounded: per process 4096 opens are held; more are written down at once.  Of
 * declared runs' processes TRAIL_READERS wait at once, then the first is done.
 *
 * Threads: itable.mu guards all trails.
 */
#ifndef FS_TRAIL_H
#define FS_TRAIL_H

#include <stdint.h>

#include "base/auto.h"

enum { TRAIL_READERS = 256 };

struct actor;
struct core;
struct inode;
struct itable_tx;
struct leafcell;

/*
 * The cell of the actor's ACTOR entry, queued (with its parents') when it is
 * not yet; a reference in *out.  -ENOMEM.
 */
int must_use trail_actor(struct core *c, struct actor *a,
			 struct leafcell **out);
/* The actor opened the inode's current version; best effort, bounded. */
void trail_opened(struct core *c, struct itable_tx *tx, struct actor *a,
		  struct inode *i);
/*
 * Writes down what a and its ancestors opened; the head of a's chain in *out
 * (a reference; NULL: it opened nothing).
 */
int must_use trail_reads(struct core *c, struct itable_tx *tx, struct actor *a,
			 struct leafcell **out);
/*
 * The run (NULL: any run) ends: writes down what its processes opened, also of
 * those that wrote nothing.  itable.mu held.
 */
int must_use trail_end_run(struct core *c, struct itable_tx *tx,
			   const uint8_t *run);
/* Lets go of the processes whose opens are not written down. */
void trail_forget(struct core *c);
/* actor_options.on_free and on_digest; ctx is the core. */
void trail_free(void *ctx, struct actor *a);
void trail_digest(void *ctx, struct actor *a);

#endif
