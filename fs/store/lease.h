/*
 * lease.h - what keeps gc from taking a chunk that somebody relies on.
 *
 * THE RULE.  Whoever takes a content id out of one place (the index, a file's
 * extents, the location table, the bytes just written) in order to use it or
 * to put it into another place does both inside one *section*: lease_enter
 * ... lease_leave.  Inside it, lease_note names each chunk that was stored,
 * or found stored already, or copied from one file's extents to another's.
 * A section never waits for gc; it may last as long as its operation.
 *
 * What gc does, in this order:
 *   1. lease_open: from now on notes are remembered.  Wait: every section
 *      that began before has ended.
 *   2. What is in memory is marked: the bases and extents of all contents.
 *      Wait again.
 *   3. What is queued is committed and applied; then what the index names is
 *      marked: versions not released, extents, attributes.  Wait.
 *   4. A pack is condemned: nothing is deduplicated against it any more.
 *      Wait.  Then those of its chunks that are marked or noted are copied
 *      and flushed, and the location table forgets the old places.  Wait.
 *      Then the pack is removed.
 *
 * Why that is enough.  An id is *needed* when a read, now or after a restart,
 * can come to it.  Claim: what is needed at any moment after 2 is marked or
 * noted before its pack is judged in 4.
 *   - Needed ids move forward only: content -> queue -> index; 2 and 3 look
 *     in that order, so an id that leaves a place before that is looked at is
 *     found in the next one.  An id that is on its way, held by a section
 *     alone, has arrived when the wait is over, or the section began after 1
 *     and noted it.
 *   - They move back (a file is opened, a version restored, /audit/at read)
 *     only from the index, from rows that stay: versions lose nothing while
 *     gc runs (GC entries are entered before it), extents go when a version
 *     has their chunks or when they were written over, and their file is open
 *     then, so 2 saw it.
 *   - From one content to another: noted.
 *   - A new id: stored after 1, noted; before 1, by a section that had ended
 *     before 2 looked.
 *   - A chunk that was dead and comes to life because the same bytes are
 *     written again: the put sees "condemned" and writes it anew, or it does
 *     not see it; then its section began before the wait of 4 and its note
 *     came before the judgement.
 *   - Who reads without making anything needed (a read that lost a race with
 *     an overwrite) took the id before 2 or 3 looked there; the waits at
 *     their ends let it finish.  Who took a *place* from the table: the last
 *     wait of 4.
 *
 * Threads: any.  One gc at a time.
 */
#ifndef FS_LEASE_H
#define FS_LEASE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/thread.h"
#include "fs/store/bloom.h"

struct digest;

struct lease {
	atomic_uint phase; /* its lowest bit says which of the two below */
	atomic_uint_least64_t inside[2];
	_Atomic(struct bloom *) kept; /* NULL: no gc */
	atomic_uint_least64_t noted;  /* that nothing had marked before */
	struct bloom bloom;	      /* of the one gc */
	struct mutex mu;
	struct cond changed;
};

void lease_init(struct lease *l);
void lease_release(struct lease *l);

/* Begins a section; the token goes to lease_leave.  They nest. */
unsigned must_use lease_enter(struct lease *l);
void lease_leave(struct lease *l, unsigned token);
/* In a section: this chunk is relied upon from now on. */
void lease_note(struct lease *l, const struct digest *id);

/* --- for gc alone --- */

/* Room for about so many ids.  -EBUSY, -ENOMEM. */
int must_use lease_open(struct lease *l, uint64_t ids, uint64_t seed);
void lease_close(struct lease *l); /* waits as lease_wait */
/*
 * Waits until every section that had begun before has ended.  go_on (may be
 * NULL) is asked every 100 ms: nonzero ends the wait and is returned.
 */
int must_use lease_wait(struct lease *l, int (*go_on)(void *ctx), void *ctx);
/* Marks an id; true when it was neither marked nor noted before. */
bool lease_mark(struct lease *l, const struct digest *id);
bool lease_keeps(struct lease *l, const struct digest *id);

#endif
