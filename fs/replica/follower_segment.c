/*
 * follower_segment.c - a journal segment that the store settled again.
 *
 * A segment that was lost while the WAL had its records comes back under
 * another epoch, so with other checksums than the replica's copy.  When both
 * hold the same entries under the same seals the replica's is replaced whole,
 * by rename: at no moment has it less than before.  Anything else is a
 * rollback, of which the replica may be the last witness.
 *
 * Used by the follower's thread alone.
 */
#include "fs/replica/replicate_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/vio.h"
#include "ledger/journal.h"

#define SEGMENTS "ledger/journal/"

static int read_both(struct follower *f, const struct follower_object *o,
		     uint8_t *ours, size_t n, uint8_t *theirs, size_t m)
{
	struct vio_file *file = NULL;
	ssize_t got = vio_open(f->owner->o.vio, &file, o->name, VIO_READ);

	if (got < 0)
		return (int)got;
	got = vio_pread_full(file, ours, n, 0);
	vio_close(file);
	if (got < 0)
		return (int)got;
	got = follower_read(f, o->name, 0, theirs, m);
	if (got < 0)
		return (int)got;
	return (size_t)got == m ? 0 : -ERR_SHORT;
}

int follower_take_segment(struct follower *f, struct follower_object *o,
			  uint64_t durable)
{
	autofree uint8_t *ours = NULL;
	autofree uint8_t *theirs = NULL;
	size_t n = (size_t)durable, m = (size_t)o->synced;
	int rc = 0;

	if (strncmp(o->name, SEGMENTS, strlen(SEGMENTS)) != 0 ||
	    durable > 2 * (uint64_t)LIMIT_JOURNAL_SEGMENT || m > n)
		return 0;
	ours = malloc(n);
	theirs = malloc(m);
	if (!ours || !theirs)
		return -ENOMEM;
	rc = read_both(f, o, ours, n, theirs, m);
	if (rc < 0)
		return rc;
	if (!journal_same(ours, n, theirs, m))
		return 0;
	rc = follower_put(f, o->name, ours, n);
	if (rc < 0)
		return rc;
	o->size = n;
	o->physical = n;
	o->synced = n;
	return 1;
}
