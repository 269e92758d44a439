/*
 * entry_attest.h - ATTEST: a digest that became known after the entry that
 * wanted it (vouchfs-ledger(5)).  Pure; any thread.
 */
#ifndef LEDGER_ENTRY_ATTEST_H
#define LEDGER_ENTRY_ATTEST_H

struct entry_attest;
struct xb;

/* For entry_body.c: writes, reads or compares. */
void entry_attest_xb(struct xb *x, struct entry_attest *b);

#endif
