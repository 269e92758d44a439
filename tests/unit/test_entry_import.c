/*
 * test_entry_import.c - IMPORT: a stranger's proof decides how long its texts
 * are, so whatever a proof may say is an entry: else a commit would fail.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "ledger/entry.h"
#include "ledger/entry_import.h"
#include "tests/sim/sample_log.h"

static char text[LIMIT_EXE];

static struct entry_str longest(size_t n)
{
	return (struct entry_str){ text, n };
}

Test(entry_import, whatever_a_proof_may_say_is_an_entry)
{
	static const uint8_t salt[16] = { 1 };
	const struct entry_imported item = {
		.strength = ENTRY_EXACT,
		.path = longest(ENTRY_IMPORT_TEXT_MAX),
	};
	struct buf items = BUF_INIT, out = BUF_INIT;
	struct entry e, back;
	struct entry_import *b = &e.body.import;
	struct digest leaf;

	memset(text, 'x', sizeof(text));
	cr_assert(sample_log_entry(&e, ENTRY_IMPORT));
	for (b->n = 0; b->n < ENTRY_IMPORT_ITEMS_MAX; b->n++)
		entry_import_put(&items, &item);
	b->raw = items.p;
	b->raw_n = items.n;
	b->origin = longest(LIMIT_ORIGIN);
	b->path = longest(LIMIT_PATH);
	b->exe = longest(LIMIT_EXE); /* as an ACTOR's */
	b->argv = longest(LIMIT_ARGV);
	cr_assert_eq(entry_store(&out, &leaf, &e, salt), 0);
	cr_assert_eq(entry_open(&back, NULL, out.p, out.n, NULL), 0);
	cr_assert_eq(back.body.import.exe.n, LIMIT_EXE);
	cr_assert_eq(back.body.import.n, ENTRY_IMPORT_ITEMS_MAX);
	buf_release(&items);
	buf_release(&out);
}
