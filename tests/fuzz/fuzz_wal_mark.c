/*
 * fuzz_wal_mark.c - the mark of a WAL in use.  What decodes encodes to the
 * same bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/wal_mark.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t page[WAL_MARK_PAGE] = { 0 }, again[WAL_MARK_PAGE];
	struct wal_mark m;
	uint64_t end;

	memcpy(page, data, size < sizeof(page) ? size : sizeof(page));
	if (wal_mark_decode(&m, page) == 0) {
		wal_mark_encode(again, &m);
		if (memcmp(again, page, sizeof(page)) != 0)
			abort();
	}
	end = wal_mark_end_decode(page, page + 16);
	if (end != 0) {
		wal_mark_end_encode(again, page + 16, end);
		if (memcmp(again, page, sizeof(page)) != 0)
			abort();
	}
	return 0;
}
