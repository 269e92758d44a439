/*
 * pend.h - one entry on its way to the log: applied in memory, not hashed.
 *
 * Everything but the references is known when it is queued; the commit thread
 * fills core.prev, core.actor and the references below from their cells.
 */
#ifndef FS_PEND_H
#define FS_PEND_H

#include <stdbool.h>
#include <stdint.h>

#include "ledger/entry.h"

struct inode;
struct leafcell;

struct pend {
	struct pend *next;
	uint64_t seq; /* place in the queue, from 1 */
	struct entry e;
	bool with_next;		/* in one frame with the next: both or none */
	struct inode *inode;	/* a reference is held; NULL: no prev chain */
	struct leafcell *cell;	/* its own leaf */
	struct leafcell *actor; /* core.actor; NULL: the system */
	/* VERSION.reads or READS.previous; VERSION.extents; DIGEST.version,
	 * ATTEST.subject, RESTORE.version or RUN_END.start */
	struct leafcell *reads, *extents, *subject;
	struct leafcell **items; /* READS: version of each item */
	struct digest *staged;	 /* small chunks that must ride along */
	size_t n_staged;
	void *arrays;	       /* owned lists that e.body points to */
	uint64_t ledger_bytes; /* what it will take in a frame, at most */
	uint64_t entry_bytes;  /* the same without its small chunks */
	size_t n_data;	       /* used bytes of data */
	size_t cap_data;
	char data[]; /* strings that e.body points to */
};

/*
 * A pend of this kind with room for cap bytes of strings, and its cell.
 * NULL: no memory.
 */
struct pend *pend_new(uint16_t kind, size_t cap);
/* Copies a string into the pend; asserts that it fits. */
struct entry_str pend_str(struct pend *p, const char *s, size_t n);
const uint8_t *pend_bytes(struct pend *p, const void *s, size_t n);
/* Drops all references but the inode's (the owner's lock is needed). */
void pend_free(struct pend *p);

#endif
