/*
 * fuzz_trust.c - trust files.  What is taken is printed and taken again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "ledger/trust.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct trust t;
	static struct trust u;
	struct errmsg em = ERRMSG_INIT;
	struct buf a = BUF_INIT;
	struct buf b = BUF_INIT;

	if (trust_parse(&t, data, size, &em) != 0) {
		if (em.text[0] == 0)
			abort(); /* every refusal has words */
		return 0;
	}
	trust_format(&a, &t);
	if (trust_parse(&u, a.p, a.n, NULL) != 0)
		abort();
	trust_format(&b, &u);
	if (a.n != b.n || memcmp(a.p, b.p, a.n) != 0)
		abort();
	buf_release(&a);
	buf_release(&b);
	return 0;
}
