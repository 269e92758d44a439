/*
 * fuzz_dsse.c - DSSE envelopes.  Nothing harms the reader, every refusal has
 * words, and what nobody signed does not verify.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/err.h"
#include "ledger/dsse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[32] = { 1, 2, 3 };
	struct errmsg em = ERRMSG_INIT;
	struct dsse d;
	int rc = dsse_parse(&d, data, size, &em);

	if (rc < 0 && rc != -ERR_FORMAT && rc != -ERR_LIMIT)
		abort();
	if (rc < 0 && em.text[0] == 0)
		abort();
	if (rc == 0 && dsse_verify(&d, key) == 0)
		abort();
	dsse_release(&d);
	return 0;
}
