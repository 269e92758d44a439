/*
 * test_bytes.c - the cursors never leave their memory, and stick.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "base/bytes.h"

Test(bytes, what_is_written_is_read)
{
	uint8_t b[64];
	struct bwriter w;
	struct breader r;
	uint8_t raw[3];
	size_t n;

	bwriter_init(&w, b, sizeof(b));
	bwriter_u8(&w, 0xfe);
	bwriter_u16(&w, 0x1234);
	bwriter_u32(&w, 0xdeadbeef);
	bwriter_u64(&w, 0x0123456789abcdefu);
	bwriter_i64(&w, INT64_MIN);
	bwriter_u16be(&w, 0x1234);
	bwriter_copy(&w, "abc", 3);
	bwriter_str(&w, "name", 4);
	cr_assert_not(w.bad);
	cr_assert_eq(w.n, 1 + 2 + 4 + 8 + 8 + 2 + 3 + 6);
	cr_assert_eq(b[1], 0x34);
	cr_assert_eq(b[23], 0x12);
	breader_init(&r, b, w.n);
	cr_assert_eq(breader_u8(&r), 0xfe);
	cr_assert_eq(breader_u16(&r), 0x1234);
	cr_assert_eq(breader_u32(&r), 0xdeadbeef);
	cr_assert_eq(breader_u64(&r), 0x0123456789abcdefu);
	cr_assert_eq(breader_i64(&r), INT64_MIN);
	cr_assert_eq(breader_u16be(&r), 0x1234);
	breader_copy(&r, raw, 3);
	cr_assert_eq(memcmp(raw, "abc", 3), 0);
	cr_assert_not(breader_done(&r));
	cr_assert_eq(memcmp(breader_str(&r, &n), "name", 4), 0);
	cr_assert_eq(n, 4);
	cr_assert(breader_done(&r));
}

Test(bytes, a_short_read_sticks_and_gives_zeros)
{
	uint8_t b[7] = { 1, 2, 3, 4, 5, 6, 7 };
	uint8_t out[8];
	struct breader r;

	breader_init(&r, b, sizeof(b));
	cr_assert_eq(breader_u64(&r), 0);
	cr_assert(r.bad);
	cr_assert_eq(breader_u8(&r), 0);
	cr_assert_eq(r.left, 7);
	memset(out, 9, sizeof(out));
	breader_copy(&r, out, sizeof(out));
	for (size_t i = 0; i < sizeof(out); i++)
		cr_assert_eq(out[i], 0);
	cr_assert_null(breader_borrow(&r, 1));
	cr_assert_not(breader_done(&r));
}

Test(bytes, nothing_is_an_input_too)
{
	struct breader r;

	breader_init(&r, NULL, 0);
	cr_assert_not_null(breader_borrow(&r, 0));
	breader_copy(&r, NULL, 0);
	cr_assert(breader_done(&r));
	cr_assert_eq(breader_u8(&r), 0);
	cr_assert_not(breader_done(&r));
}

Test(bytes, a_str_with_a_nul_or_too_long_is_bad)
{
	uint8_t nul[] = { 3, 0, 'a', 0, 'b' };
	uint8_t cut[] = { 4, 0, 'a', 'b', 'c' };
	uint8_t empty[] = { 0, 0 };
	struct breader r;
	size_t n = 9;

	breader_init(&r, nul, sizeof(nul));
	cr_assert_not_null(breader_str(&r, &n));
	cr_assert(r.bad);
	cr_assert_eq(n, 0);
	breader_init(&r, cut, sizeof(cut));
	cr_assert_not_null(breader_str(&r, &n));
	cr_assert(r.bad);
	breader_init(&r, empty, sizeof(empty));
	cr_assert_not_null(breader_str(&r, &n));
	cr_assert(breader_done(&r));
}

Test(bytes, a_full_writer_keeps_its_last_good_length)
{
	uint8_t b[5] = { 0 };
	struct bwriter w;

	bwriter_init(&w, b, sizeof(b));
	bwriter_u32(&w, 0x01020304);
	bwriter_u16(&w, 0xffff);
	cr_assert(w.bad);
	cr_assert_eq(w.n, 4);
	bwriter_u8(&w, 0xff);
	cr_assert_eq(w.n, 4);
	cr_assert_eq(b[4], 0);
	bwriter_init(&w, b, sizeof(b));
	bwriter_str(&w, "abcd", 4);
	cr_assert(w.bad);
	cr_assert_eq(w.n, 0);
}

Test(bytes, a_str_that_cannot_be_is_refused)
{
	static uint8_t b[70000];
	static char big[65536];
	struct bwriter w;

	memset(big, 'x', sizeof(big));
	bwriter_init(&w, b, sizeof(b));
	bwriter_str(&w, big, 65535);
	cr_assert_not(w.bad);
	bwriter_init(&w, b, sizeof(b));
	bwriter_str(&w, big, 65536);
	cr_assert(w.bad);
	bwriter_init(&w, b, sizeof(b));
	bwriter_str(&w, "a\0b", 3);
	cr_assert(w.bad);
	bwriter_init(&w, NULL, 0);
	bwriter_copy(&w, NULL, 0);
	cr_assert_not(w.bad);
	bwriter_u8(&w, 1);
	cr_assert(w.bad);
}
