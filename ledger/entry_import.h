/*
 * entry_import.h - IMPORT: where the bytes of a version came from, in another
 * volume (vouchfs-ledger(5)).  Pure; any thread.
 */
#ifndef LEDGER_ENTRY_IMPORT_H
#define LEDGER_ENTRY_IMPORT_H

#include "ledger/entry.h"

struct buf;
struct xb;

/* Item i < n; linear in i: they have no fixed size. */
void entry_import_at(struct entry_imported *out, const struct entry_import *b,
		     unsigned i);
/* Appends an item as `raw` has them. */
void entry_import_put(struct buf *raw, const struct entry_imported *item);
/* "verified", "claimed". */
const char *entry_import_trust_word(unsigned trust);
/* For entry_body.c: writes, reads or compares. */
void entry_import_xb(struct xb *x, struct entry_import *b);

#endif
