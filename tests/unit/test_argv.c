/*
 * test_argv.c - arguments of processes: hostile bytes in, the same out.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "base/buf.h"
#include "ledger/argv.h"
#include "tests/sim/prng.h"

/* Packs, takes apart, joins with NULs again. */
static void again(struct buf *out, const char *p, size_t n, size_t max)
{
	struct buf packed = BUF_INIT;
	struct buf arg = BUF_INIT;
	const char *s;
	size_t left;

	argv_pack(&packed, p, n, max);
	cr_assert_leq(packed.n, max);
	cr_assert(packed.n == 0 || memchr(packed.p, 0, packed.n) == NULL);
	s = (const char *)packed.p;
	left = packed.n;
	for (; argv_next(&arg, &s, &left); buf_clear(&arg)) {
		buf_add(out, arg.p, arg.n);
		buf_addc(out, 0);
	}
	buf_release(&arg);
	buf_release(&packed);
}

static void expect(const char *in, size_t n, const char *want, size_t want_n)
{
	struct buf out = BUF_INIT;

	again(&out, in, n, 4096);
	cr_assert_eq(out.n, want_n);
	if (want_n > 0)
		cr_assert_arr_eq(out.p, want, want_n);
	buf_release(&out);
}

Test(argv, comes_back_byte_for_byte)
{
	expect("", 0, "", 0);
	expect("a\0", 2, "a\0", 2);
	expect("a", 1, "a\0", 2);
	expect("a\0b c\0", 6, "a\0b c\0", 6);
	expect("a\0\0\0", 4, "a\0\0\0", 4); /* two empty arguments */
	expect("\0", 1, "\0", 1);
	expect("\\0\0\\\\\0", 6, "\\0\0\\\\\0", 6);
	expect("\xff\n\x1b\0", 4, "\xff\n\x1b\0", 4);
}

Test(argv, random_arguments_come_back)
{
	static const char letters[] = { 0, '\\', '0', 'a', 'b', '\n' };
	struct prng r;

	prng_init(&r, prng_seed("argv", 3));
	for (unsigned i = 0; i < 2000; i++) {
		char in[64];
		size_t n = prng_below(&r, sizeof(in) - 1);

		for (size_t k = 0; k < n; k++)
			in[k] = letters[prng_below(&r, sizeof(letters))];
		in[n] = 0;
		if (n > 0)
			expect(in, n + 1, in, n + 1);
	}
}

Test(argv, long_ones_are_cut_and_still_come_apart)
{
	char in[300];
	struct buf out = BUF_INIT;

	memset(in, '\\', sizeof(in));
	for (size_t max = 0; max < 20; max++) {
		buf_clear(&out);
		again(&out, in, sizeof(in), max);
		cr_assert_eq(out.n, max < 2 ? 0 : max / 2 + 1);
	}
	buf_release(&out);
}

static void expect_text(const char *packed, const char *text, const char *json)
{
	struct buf b = BUF_INIT;

	argv_text(&b, packed, strlen(packed));
	cr_assert_str_eq((char *)b.p, text);
	buf_clear(&b);
	argv_json(&b, packed, strlen(packed));
	cr_assert_str_eq((char *)b.p, json);
	buf_release(&b);
}

Test(argv, is_shown_quoted_and_escaped)
{
	expect_text("ls\\0-l\\0", "ls -l", "[\"ls\",\"-l\"]");
	expect_text("sh\\0-c\\0it's \\\\0\\0", "sh -c 'it'\\''s \\\\0'",
		    "[\"sh\",\"-c\",\"it's \\\\0\"]");
	expect_text("a\\0\\0", "a ''", "[\"a\",\"\"]");
}

Test(argv, terminal_escapes_do_not_pass)
{
	struct buf b = BUF_INIT;
	static const char evil[] = "a\x1b[2J\n\xff\x7f\\0";

	argv_text(&b, evil, sizeof(evil) - 1);
	for (size_t i = 0; i < b.n; i++)
		cr_assert(b.p[i] >= 0x20 && b.p[i] < 0x7f);
	buf_release(&b);
}
