/*
 * fuzz_seal.c - seals.  What decodes encodes to the same bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "ledger/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t pub[32] = { 1 };
	struct seal s;
	struct buf out = BUF_INIT;

	if (seal_verify(data, size, pub) == 0)
		abort(); /* nobody has that key */
	if (seal_decode(&s, data, size) != 0)
		return 0;
	if (seal_encode(&out, &s) != 0 || out.n + SEAL_SIG_SIZE != size ||
	    memcmp(out.p, data, out.n) != 0)
		abort();
	buf_release(&out);
	return 0;
}
