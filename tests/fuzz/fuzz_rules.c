/*
 * fuzz_rules.c - batches against the append rules: u16 length and seal, then
 * u16 length and entry, again and again.  What is refused changes nothing.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "ledger/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int no_root(void *ctx, struct digest *out, uint64_t size)
{
	(void)ctx;
	(void)out;
	(void)size;
	return -ERR_LIMIT;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { MAX = 64 };
	struct rules_entry entries[MAX];
	struct rules_batch b = { .entries = entries };
	struct rules *r = NULL;
	struct errmsg em = ERRMSG_INIT;
	struct breader in;
	uint64_t at = 0;

	breader_init(&in, data, size);
	b.seal_n = breader_u16(&in);
	b.seal = breader_borrow(&in, b.seal_n);
	if (b.seal == NULL)
		return 0;
	while (in.left > 0 && b.n < MAX) {
		entries[b.n].n = breader_u16(&in);
		entries[b.n].p = breader_borrow(&in, entries[b.n].n);
		if (entries[b.n].p == NULL)
			break;
		b.n++;
	}
	if (rules_new(&r, no_root, NULL) != 0)
		abort();
	b.skip_signature = size % 2;
	if (rules_check(r, &b, &at, &em) == 0) {
		if (rules_size(r) != 1 || rules_volume_id(r) == NULL)
			abort();
	} else if (rules_size(r) != 0 || rules_key_count(r) != 0 ||
		   em.text[0] == 0) {
		abort();
	}
	rules_free(r);
	return 0;
}
