/*
 * test_trust.c - trust files.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "ledger/key.h"
#include "ledger/trust.h"
#include "tests/sim/sample_log.h"

static struct trust t;

static int parse(const char *text, struct errmsg *em)
{
	return trust_parse(&t, text, strlen(text), em);
}

static void lines(struct buf *out)
{
	struct sample_log s;

	sample_log_init(&s);
	sample_log_trust(&s, &t);
	sample_log_release(&s);
	trust_format(out, &t);
}

Test(trust, what_is_printed_is_taken)
{
	struct buf b = BUF_INIT;
	struct buf again = BUF_INIT;

	lines(&b);
	cr_assert_eq(trust_parse(&t, b.p, b.n, NULL), 0);
	cr_assert_eq(t.n_logs, 1);
	cr_assert_eq(t.n_admins, 1);
	trust_format(&again, &t);
	cr_assert_str_eq((char *)b.p, (char *)again.p);
	buf_release(&b);
	buf_release(&again);
}

Test(trust, comments_blank_lines_and_repetition_are_harmless)
{
	struct buf b = BUF_INIT;
	struct buf twice = BUF_INIT;

	lines(&b);
	buf_addf(&twice, "# whom I trust\n\n%s\r\n%s", (char *)b.p,
		 (char *)b.p);
	cr_assert_eq(trust_parse(&t, twice.p, twice.n, NULL), 0);
	cr_assert_eq(t.n_logs, 1);
	cr_assert_eq(t.n_admins, 1);
	/* A last line without its newline still counts. */
	cr_assert_eq(trust_parse(&t, b.p, b.n - 1, NULL), 0);
	cr_assert_eq(t.n_admins, 1);
	buf_release(&b);
	buf_release(&twice);
}

Test(trust, a_bad_line_is_named_by_its_number)
{
	struct errmsg em = ERRMSG_INIT;

	cr_assert_eq(parse("# one\n\nlog nonsense\n", &em), -ERR_FORMAT);
	cr_assert_not_null(strstr(em.text, "line 3"));
	cr_assert_lt(parse("root x+00000000+AAAA\n", NULL), 0);
	cr_assert_lt(parse("log\n", NULL), 0);
}

Test(trust, without_a_log_key_it_is_refused)
{
	struct errmsg em = ERRMSG_INIT;

	cr_assert_eq(parse("", &em), -ERR_FORMAT);
	cr_assert_not_null(strstr(em.text, "no log key"));
	cr_assert_eq(parse("# nothing\n", NULL), -ERR_FORMAT);
}

Test(trust, a_key_counts_for_its_own_use_alone)
{
	struct buf b = BUF_INIT;
	static const char witness[] =
		"witness.example/w1+8c040ee4+"
		"BLtcZySCsNzKkaIaTtY7Fa/eiqE3jacs0Bs0lYnW591q";

	buf_addf(&b, "log %s\n", witness);
	cr_assert_eq(trust_parse(&t, b.p, b.n, NULL), -ERR_FORMAT);
	buf_clear(&b);
	lines(&b);
	buf_addf(&b, "witness %s\n", witness);
	cr_assert_eq(trust_parse(&t, b.p, b.n, NULL), 0);
	cr_assert_eq(t.n_witnesses, 1);
	buf_release(&b);
}

Test(trust, there_is_room_for_retired_keys_and_an_end_to_it)
{
	struct buf b = BUF_INIT;

	for (unsigned i = 0; i <= TRUST_KEYS_MAX; i++) {
		struct note_vkey k;
		uint8_t pub[32] = { (uint8_t)i };

		cr_assert_eq(note_vkey_make(&k, "a.example", NOTE_ED25519, pub),
			     0);
		buf_adds(&b, "log ");
		note_vkey_format(&b, &k);
		buf_addc(&b, '\n');
		cr_assert_eq(trust_parse(&t, b.p, b.n, NULL),
			     i < TRUST_KEYS_MAX ? 0 : -ERR_LIMIT);
	}
	buf_release(&b);
}
