/* entry_attest.c - see entry_attest.h. */
#include "ledger/entry_attest.h"

#include "base/limits.h"
#include "ledger/entry.h"
#include "ledger/xb.h"

void entry_attest_xb(struct xb *x, struct entry_attest *b)
{
	xb_digest(x, &b->subject);
	xb_u8(x, &b->what);
	xb_rule(x, b->what == ENTRY_ATTEST_EXE || b->what == ENTRY_ATTEST_READ);
	xb_u16(x, &b->item);
	xb_rule(x, b->what == ENTRY_ATTEST_READ ? b->item < LIMIT_READS :
						  b->item == 0);
	xb_digest(x, &b->digest);
}
