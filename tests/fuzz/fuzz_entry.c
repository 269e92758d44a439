/*
 * fuzz_entry.c - stored entries.  What decodes encodes to the same bytes,
 * twice; its JSON is UTF-8 without control characters.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "ledger/entry.h"
#include "ledger/entry_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_json(const struct entry *e)
{
	struct entry_json j = { .seal_index = 1, .entry = e, .actor_no = -1 };
	struct buf b = BUF_INIT;

	entry_json(&b, &j);
	if (b.bad || !text_is_utf8(b.p, b.n))
		abort();
	for (size_t i = 0; i + 1 < b.n; i++)
		if (b.p[i] < 0x20)
			abort();
	buf_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct entry e;
	struct entry_view view;
	struct digest a;
	struct digest b;
	struct buf out = BUF_INIT;

	if (entry_open(&e, &view, data, size, NULL) != 0)
		return 0;
	check_json(&e);
	entry_view_leaf(&a, &view);
	if (e.state != ENTRY_CLEAR || e.body.opaque)
		return 0;
	for (unsigned i = 0; i < 2; i++) {
		buf_clear(&out);
		if (entry_store(&out, &b, &e, view.salt) != 0 ||
		    out.n != size || memcmp(out.p, data, size) != 0 ||
		    !digest_eq(&a, &b))
			abort();
	}
	buf_release(&out);
	return 0;
}
