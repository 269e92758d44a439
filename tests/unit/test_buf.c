/*
 * test_buf.c - growable bytes: terminated, bounded, sticky.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

Test(buf, text_is_terminated_at_every_step)
{
	struct buf b = BUF_INIT;

	for (int i = 0; i < 1000; i++) {
		buf_addc(&b, 'x');
		cr_assert_eq(strlen((char *)b.p), b.n);
	}
	buf_adds(&b, "yz");
	buf_addf(&b, "%d-%s", 12, "ab");
	cr_assert_str_eq((char *)b.p + 1000, "yz12-ab");
	buf_clear(&b);
	cr_assert_eq(b.n, 0);
	buf_addf(&b, "%s", "");
	cr_assert_eq(b.n, 0);
	buf_release(&b);
	cr_assert_null(b.p);
}

Test(buf, formats_longer_than_the_room_fit)
{
	struct buf b = BUF_INIT;
	char big[5000];

	memset(big, 'q', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	buf_addf(&b, "%s|%s", big, big);
	cr_assert_eq(b.n, 2 * 4999 + 1);
	cr_assert_eq(strlen((char *)b.p), b.n);
	/* Exactly at each border of the room. */
	for (size_t n = 0; n < 200; n++) {
		struct buf c = BUF_INIT;

		buf_addf(&c, "%.*s", (int)n, big);
		buf_addf(&c, "%.*s", (int)n, big);
		cr_assert_eq(c.n, 2 * n);
		buf_release(&c);
	}
	buf_release(&b);
}

Test(buf, integers_are_little_endian)
{
	static const uint8_t want[] = { 1, 3, 2, 7, 6, 5, 4,   8,
					0, 0, 0, 0, 0, 0, 0x80 };
	struct buf b = BUF_INIT;

	buf_u8(&b, 1);
	buf_u16(&b, 0x0203);
	buf_u32(&b, 0x04050607);
	buf_u64(&b, 0x8000000000000008u);
	cr_assert_eq(b.n, sizeof(want));
	cr_assert_eq(memcmp(b.p, want, sizeof(want)), 0);
	buf_release(&b);
}

Test(buf, beyond_the_bound_it_sticks)
{
	struct buf b = { .max = 10 };

	buf_adds(&b, "0123456789");
	cr_assert_not(b.bad);
	buf_addc(&b, 'x');
	cr_assert(b.bad);
	cr_assert_eq(b.n, 10);
	cr_assert_str_eq((char *)b.p, "0123456789");
	buf_adds(&b, "");
	buf_u64(&b, 1);
	cr_assert_null(buf_grow(&b, 0));
	cr_assert_eq(b.n, 10);
	buf_clear(&b);
	cr_assert_not(b.bad);
	buf_adds(&b, "01234567");
	buf_addf(&b, "%d", 890);
	cr_assert(b.bad);
	cr_assert_str_eq((char *)b.p, "01234567");
	cr_assert_null(buf_take(&b));
	cr_assert_null(b.p);
}

Test(buf, absurd_sizes_are_refused)
{
	struct buf b = BUF_INIT;

	cr_assert_null(buf_grow(&b, SIZE_MAX));
	cr_assert(b.bad);
	buf_release(&b);
	cr_assert_null(buf_grow(&b, (size_t)BUF_MAX_DEFAULT + 1));
	buf_release(&b);
}

Test(buf, taking_empties_it)
{
	struct buf b = BUF_INIT;
	char *s;

	s = buf_take(&b);
	cr_assert_str_eq(s, "");
	free(s);
	buf_adds(&b, "abc");
	s = buf_take(&b);
	cr_assert_str_eq(s, "abc");
	free(s);
	cr_assert_null(b.p);
	buf_adds(&b, "d");
	cr_assert_str_eq((char *)b.p, "d");
	buf_release(&b);
	buf_release(NULL);
}

Test(buf, grown_bytes_are_the_callers)
{
	struct buf b = BUF_INIT;
	uint8_t *p = buf_grow(&b, 4);

	memcpy(p, "wxyz", 4);
	cr_assert_eq(b.n, 4);
	cr_assert_str_eq((char *)b.p, "wxyz");
	buf_release(&b);
}
