/*
 * entry_retain.h - for entry_body.c: the bodies about what is kept.  Each
 * writes, reads or compares the body (see xb.h).  Pure; any thread.
 */
#ifndef LEDGER_ENTRY_RETAIN_H
#define LEDGER_ENTRY_RETAIN_H

#include "ledger/entry.h"

struct xb;

void entry_retain_policy(struct xb *x, struct entry_policy *b);
void entry_retain_hold(struct xb *x, struct entry_hold *b);
void entry_retain_gc(struct xb *x, struct entry_gc *b);

#endif
