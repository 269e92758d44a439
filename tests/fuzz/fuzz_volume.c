/*
 * fuzz_volume.c - volume.conf.  What decodes encodes to the same bytes; what
 * does not says why.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "ledger/volume.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct errmsg em = ERRMSG_INIT;
	struct buf again = BUF_INIT;
	struct volume v;

	if (volume_decode(&v, data, size, &em) < 0) {
		if (em.text[0] == '\0')
			abort();
		return 0;
	}
	volume_encode(&again, &v);
	if (again.n != size || memcmp(again.p, data, size) != 0)
		abort();
	buf_release(&again);
	return 0;
}
