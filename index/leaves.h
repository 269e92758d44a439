/*
 * leaves.h - leaf hash -> entry_no: the index's one table that random digests
 * are keys of, kept out of SQLite (base/ptable.h).
 *
 * What is found is a candidate: the caller compares the whole leaf hash with
 * the index's entry row (and whoever needs to be sure with the journal).
 * A pair may outlive its entry when the log lost a torn tail.
 *
 * The table of a store is shared by all who open the same file in one
 * process: the applier puts, readers get.  Any thread.
 */
#ifndef INDEX_LEAVES_H
#define INDEX_LEAVES_H

#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"

struct errmsg;
struct leaves;
struct vio;

/*
 * Opens (or makes) the table beside the index `name` in `dir`.  A damaged one
 * is emptied: leaves_mark then says 0 and the caller puts everything again.
 */
int must_use leaves_open(struct leaves **out, struct vio *v, const char *dir,
			 const char *name, struct errmsg *em);
/* Which directory, whatever it is called. */
struct leaves_place {
	uint64_t dev, ino;
};
int must_use leaves_place(struct leaves_place *out, const char *dir);
/* The one that is open in this process, NULL if none is. */
struct leaves *leaves_attach(const struct leaves_place *at, const char *name);
/* The last close forgets what was not flushed.  NULL is a no-op. */
void leaves_close(struct leaves *l);

int must_use leaves_put(struct leaves *l, const struct digest *leaf,
			uint64_t entry_no);
/* Number of candidates, newest first, the first max of them in out. */
int must_use leaves_get(struct leaves *l, const struct digest *leaf,
			uint64_t *out, size_t max);
/* Durable, and complete for all seals before `seals`. */
int must_use leaves_flush(struct leaves *l, uint64_t seals, struct errmsg *em);
/* Seals for which it is complete. */
uint64_t leaves_mark(struct leaves *l);
int must_use leaves_reset(struct leaves *l, struct errmsg *em);
/* Name of its file for the index `name`; out holds LEAVES_NAME bytes. */
enum { LEAVES_NAME = 160 };
int must_use leaves_name(char out[LEAVES_NAME], const char *name);

#endif
