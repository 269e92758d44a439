/*
 * fuzz_guard.c - the guard file.  What decodes encodes to the same bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "ledger/guard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf again = BUF_INIT;
	struct guard g;

	if (guard_decode(&g, data, size) < 0)
		return 0;
	guard_encode(&again, &g);
	if (again.n != size || memcmp(again.p, data, size) != 0)
		abort();
	buf_release(&again);
	return 0;
}
