/*
 * test_text.c - hostile bytes in every format, and text forms both ways.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"
#include "tests/sim/prng.h"

typedef void escape_fn(struct buf *out, const void *p, size_t n);

static void is(escape_fn *fn, const char *in, size_t n, const char *want)
{
	struct buf b = BUF_INIT;

	fn(&b, in, n);
	buf_adds(&b, "");
	cr_assert_str_eq(b.p ? (char *)b.p : "", want);
	buf_release(&b);
}

Test(text, utf8_is_told_from_the_rest)
{
	static const char *good[] = { "",
				      "abc",
				      "\xc2\x80",
				      "\xdf\xbf",
				      "\xe0\xa0\x80",
				      "\xed\x9f\xbf",
				      "\xee\x80\x80",
				      "\xef\xbf\xbf",
				      "\xf0\x90\x80\x80",
				      "\xf4\x8f\xbf\xbf" };
	static const char *bad[] = { "\x80",
				     "\xbf",
				     "\xc0\xaf",
				     "\xc1\xbf",
				     "\xc2",
				     "\xe0\x9f\xbf",
				     "\xe2\x82",
				     "\xed\xa0\x80",
				     "\xed\xbf\xbf",
				     "\xf0\x8f\xbf\xbf",
				     "\xf0\x90\x80",
				     "\xf4\x90\x80\x80",
				     "\xf5\x80\x80\x80",
				     "\xff",
				     "\xc2\x41",
				     "a\xe2\x28\xa1" };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		cr_assert(text_is_utf8(good[i], strlen(good[i])), "%zu", i);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_not(text_is_utf8(bad[i], strlen(bad[i])), "%zu", i);
}

Test(text, escapes_of_each_format)
{
	is(text_json_string, "a\"\\\n\t\x01\x7f/", 8,
	   "\"a\\\"\\\\\\n\\t\\u0001\\u007f/\"");
	is(text_json_escape, "\b\f\r\v", 4, "\\b\\f\\r\\u000b");
	is(text_json_escape, "\xe2\x80\xa8\xc3\xa9", 5, "\\u2028\xc3\xa9");
	is(text_json_escape, "a\xff\xc3", 3, "a\xef\xbf\xbd\xef\xbf\xbd");
	is(text_json_escape, "a\0b", 3, "a\\u0000b");
	is(text_dot_escape, "a\"b\\nc&lt;\n", 11,
	   "a\\\"b\\\\nc&amp;lt;\\\\x0a");
	is(text_mermaid_escape, "a/B-1_.\"<\n\xc3\xa9\xff", 13,
	   "a/B-1_.#34;#60;#65533;#233;\xef\xbf\xbd");
	is(text_markdown_escape, "[x](y)*_`<b>&|\n", 15,
	   "\\[x\\]\\(y\\)\\*\\_\\`&lt;b&gt;&amp;\\|\\\\x0a");
	is(text_csv_escape, "plain", 5, "plain");
	is(text_csv_escape, "a,b", 3, "\"a,b\"");
	is(text_csv_escape, "a\"b", 3, "\"a\"\"b\"");
	is(text_csv_escape, "=1+1", 4, "\"'=1+1\"");
	is(text_csv_escape, "@x", 2, "\"'@x\"");
	is(text_csv_escape, "", 0, "");
	is(text_csv_escape, "l1\nl2", 5, "\"l1\nl2\"");
	is(text_xml_escape, "<a href=\"x\">&'\n\x01", 16,
	   "&lt;a href=&quot;x&quot;&gt;&amp;&#39;&#10;\xef\xbf\xbd");
	is(text_term_escape, "a\x1b[0m\xff\\", 7, "a\\x1b[0m\\xff\\\\");
	is(text_tab_escape, "a\tb\nc\\d\xff\r", 9, "a\\tb\\nc\\\\d\\xff\\x0d");
	is(text_hex, "\x00\xff", 2, "00ff");
}

Test(text, whatever_comes_in_utf8_goes_out)
{
	static escape_fn *const all[] = {
		text_json_escape, text_dot_escape,  text_markdown_escape,
		text_csv_escape,  text_xml_escape,  text_term_escape,
		text_tab_escape,  text_json_string, text_mermaid_escape,
	};
	struct prng p;
	struct buf b = BUF_INIT;

	prng_init(&p, prng_seed("text", 1));
	for (int i = 0; i < 5000; i++) {
		uint8_t in[40];
		size_t n = prng_below(&p, sizeof(in));

		prng_bytes(&p, in, sizeof(in));
		for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++) {
			buf_clear(&b);
			all[k](&b, in, n);
			cr_assert_not(b.bad);
			cr_assert(text_is_utf8(b.p, b.n));
		}
	}
	buf_release(&b);
}

Test(text, a_tab_field_stays_in_its_column)
{
	struct buf b = BUF_INIT;
	uint8_t all[256];

	for (int i = 0; i < 256; i++)
		all[i] = (uint8_t)i;
	text_tab_escape(&b, all, sizeof(all));
	cr_assert_eq(strlen((char *)b.p), b.n);
	for (size_t i = 0; i < b.n; i++)
		cr_assert_geq(b.p[i], 0x20);
	buf_release(&b);
}

Test(text, columns_are_those_of_a_terminal)
{
	cr_assert_eq(text_columns(""), 0);
	cr_assert_eq(text_columns("plain.c"), 7);
	cr_assert_eq(text_columns("\xc3\xbc"), 1, "u with two dots");
	cr_assert_eq(text_columns("u\xcc\x88"), 1, "the dots apart");
	cr_assert_eq(text_columns("\xe6\x97\xa5\xe6\x9c\xac"), 4, "Japan");
	cr_assert_eq(text_columns("\xf0\x9f\x98\x80"), 2, "a face");
	cr_assert_eq(text_columns("\xef\xbd\xb1"), 1, "a narrow kana");
	cr_assert_eq(text_columns("\xff"), 1, "no UTF-8");
}

Test(text, hex_both_ways)
{
	struct buf b = BUF_INIT;

	cr_assert_eq(text_hex_decode(&b, "00fFa0", 6), 0);
	cr_assert_eq(b.n, 3);
	cr_assert_eq(memcmp(b.p, "\x00\xff\xa0", 3), 0);
	cr_assert_eq(text_hex_decode(&b, "0", 1), -ERR_FORMAT);
	cr_assert_eq(text_hex_decode(&b, "0g", 2), -ERR_FORMAT);
	cr_assert_eq(b.n, 3);
	buf_release(&b);
}

static void time_is(int64_t ns, const char *want)
{
	char out[TEXT_TIME_SIZE];
	int64_t back = 0;

	text_time(out, ns);
	cr_assert_str_eq(out, want);
	if (want[3] != '7' || want[0] != '1') {
		cr_assert_eq(text_time_parse_rfc3339(&back, out), 0);
		cr_assert_eq(back, ns);
	}
}

Test(text, times_both_ways)
{
	struct prng p;

	time_is(0, "1970-01-01T00:00:00.000000000Z");
	time_is(-1, "1969-12-31T23:59:59.999999999Z");
	time_is(1795219200123456789, "2026-11-21T00:00:00.123456789Z");
	time_is(951782400000000000, "2000-02-29T00:00:00.000000000Z");
	time_is(INT64_MIN, "1677-09-21T00:12:43.145224192Z");
	prng_init(&p, prng_seed("text time", 2));
	for (int i = 0; i < 20000; i++) {
		int64_t ns = (int64_t)prng_u64(&p) / 64 * 63;
		time_t sec = (time_t)(ns / 1000000000 - (ns % 1000000000 < 0));
		char out[TEXT_TIME_SIZE];
		char libc[TEXT_TIME_SIZE];
		struct tm tm;
		int64_t back = 0;

		text_time(out, ns);
		gmtime_r(&sec, &tm);
		strftime(libc, sizeof(libc), "%Y-%m-%dT%H:%M:%S.", &tm);
		cr_assert_eq(strncmp(out, libc, strlen(libc)), 0);
		cr_assert_eq(text_time_parse_rfc3339(&back, out), 0);
		cr_assert_eq(back, ns);
	}
}

Test(text, rfc3339_is_strict)
{
	static const char *bad[] = {
		"",
		"2026",
		"2026-11-21",
		"2026-11-21T10:00:00",
		"2026-11-21 10:00:00Z",
		"2026-11-21T10:00Z",
		"2026-13-01T00:00:00Z",
		"2026-00-01T00:00:00Z",
		"2026-02-29T00:00:00Z",
		"1900-02-29T00:00:00Z",
		"2026-11-31T00:00:00Z",
		"2026-11-21T24:00:00Z",
		"2026-11-21T10:60:00Z",
		"2026-11-21T10:00:60Z",
		"2026-11-21T10:00:00.Z",
		"2026-11-21T10:00:00.1234567890Z",
		"2026-11-21T10:00:00+1:00",
		"2026-11-21T10:00:00+24:00",
		"2026-11-21T10:00:00Zx",
		"1600-11-21T10:00:00Z",
		"2300-11-21T10:00:00Z",
		"+026-11-21T10:00:00Z",
		"2026-11-21T10:00:0\xc2\xb9Z",
	};
	int64_t ns = 0;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(text_time_parse_rfc3339(&ns, bad[i]), -ERR_FORMAT,
			     "%s", bad[i]);
	cr_assert_eq(
		text_time_parse_rfc3339(&ns, "2026-11-21T01:30:00.5+01:30"), 0);
	cr_assert_eq(ns, 1795219200500000000);
	cr_assert_eq(text_time_parse_rfc3339(&ns, "2026-11-20T23:00:00-01:00"),
		     0);
	cr_assert_eq(ns, 1795219200000000000);
}

Test(text, what_people_type_is_understood)
{
	static const struct {
		const char *text;
		int64_t sec; /* after 2026-11-21T00:00:00Z */
	} good[] = {
		{ "now", 36000 },
		{ "@1795219260", 60 },
		{ "2026-11-21", -3600 },
		{ "2026-11-21 10:00", 32400 },
		{ "2026-11-21 10:00:05", 32405 },
		{ "2026-11-21T10:00:05Z", 36005 },
		{ "2026-11-21 10:00Z", 36000 },
		{ "today", -3600 },
		{ "today 01:00", 0 },
		{ "yesterday", -3600 - 86400 },
		{ "yesterday 13:30", -86400 + 45000 },
		{ "10:00", 32400 },
		{ "10 minutes ago", 35400 },
		{ "1 minute ago", 35940 },
		{ "2h ago", 28800 },
		{ "1h30m ago", 30600 },
		{ "1.5 hours ago", 30600 },
		{ "2 days ago", 36000 - 172800 },
	};
	static const char *bad[] = { "",
				     "ago",
				     " ago",
				     "10 ago",
				     "later",
				     "todayx",
				     "@",
				     "@x",
				     "25:00",
				     "2026-11-31",
				     "-1h ago",
				     "2026-11-21 10",
				     "1e3s ago",
				     "@99999999999999",
				     "9999999999999 weeks ago" };
	int64_t midnight = 1795219200000000000;
	int64_t now = midnight + 36000 * 1000000000LL;
	int64_t ns = 0;

	setenv("TZ", "XXX-1", 1); /* an hour east, no summer time */
	tzset();
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		cr_assert_eq(text_time_parse(&ns, good[i].text, now), 0, "%s",
			     good[i].text);
		cr_assert_eq(ns, midnight + good[i].sec * 1000000000LL, "%s",
			     good[i].text);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(text_time_parse(&ns, bad[i], now), -ERR_FORMAT,
			     "%s", bad[i]);
}

Test(text, durations)
{
	int64_t ns = 0;

	cr_assert_eq(text_duration_parse(&ns, "500ms"), 0);
	cr_assert_eq(ns, 500000000);
	cr_assert_eq(text_duration_parse(&ns, "1 day"), 0);
	cr_assert_eq(ns, 86400000000000);
	cr_assert_eq(text_duration_parse(&ns, "0s"), 0);
	cr_assert_eq(ns, 0);
	cr_assert_eq(text_duration_parse(&ns, "0.000000001s"), 0);
	cr_assert_eq(ns, 1);
	cr_assert_eq(text_duration_parse(&ns, "10"), -ERR_FORMAT);
	cr_assert_eq(text_duration_parse(&ns, "s"), -ERR_FORMAT);
	cr_assert_eq(text_duration_parse(&ns, ""), -ERR_FORMAT);
	cr_assert_eq(text_duration_parse(&ns, "300 years"), -ERR_FORMAT);
	cr_assert_eq(text_duration_parse(&ns, "20000 weeks"), -ERR_FORMAT);
	cr_assert_eq(text_duration_parse(&ns, "9000 weeks 9000 weeks"),
		     -ERR_FORMAT);
}

Test(text, sizes_both_ways)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} out[] = {
		{ 0, "0 B" },		{ 1023, "1023 B" },
		{ 1024, "1 KiB" },	{ 1536, "1.5 KiB" },
		{ 10239, "10 KiB" },	{ 1048575, "1 MiB" },
		{ 12 << 20, "12 MiB" }, { UINT64_MAX, "16 EiB" },
	};
	static const struct {
		const char *text;
		uint64_t bytes;
	} in[] = {
		{ "0", 0 },
		{ "4096", 4096 },
		{ "64K", 65536 },
		{ "64k", 65536 },
		{ "64KiB", 65536 },
		{ "1.5 GiB", 1610612736 },
		{ "10MB", 10000000 },
		{ "7 B", 7 },
		{ "15E", (uint64_t)15 << 60 },
	};
	static const char *bad[] = { "",
				     "K",
				     "-1",
				     "1.5",
				     "1.",
				     "16E",
				     "1KiBx",
				     "1 Ki",
				     "0x10",
				     " 1",
				     "99999999999999999999",
				     "1Q" };
	char s[TEXT_SIZE_SIZE];
	uint64_t n = 0;

	for (size_t i = 0; i < sizeof(out) / sizeof(out[0]); i++) {
		text_size(s, out[i].bytes);
		cr_assert_str_eq(s, out[i].text);
	}
	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
		cr_assert_eq(text_size_parse(&n, in[i].text), 0, "%s",
			     in[i].text);
		cr_assert_eq(n, in[i].bytes, "%s", in[i].text);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(text_size_parse(&n, bad[i]), -ERR_FORMAT, "%s",
			     bad[i]);
}

Test(text, numbers_are_whole_strings)
{
	uint64_t u = 0;
	int64_t i = 0;

	cr_assert_eq(text_u64_parse(&u, "18446744073709551615"), 0);
	cr_assert_eq(u, UINT64_MAX);
	cr_assert_eq(text_u64_parse(&u, "18446744073709551616"), -ERR_FORMAT);
	cr_assert_eq(text_u64_parse(&u, ""), -ERR_FORMAT);
	cr_assert_eq(text_u64_parse(&u, "+1"), -ERR_FORMAT);
	cr_assert_eq(text_u64_parse(&u, "1 "), -ERR_FORMAT);
	cr_assert_eq(text_i64_parse(&i, "-9223372036854775808"), 0);
	cr_assert_eq(i, INT64_MIN);
	cr_assert_eq(text_i64_parse(&i, "9223372036854775807"), 0);
	cr_assert_eq(i, INT64_MAX);
	cr_assert_eq(text_i64_parse(&i, "9223372036854775808"), -ERR_FORMAT);
	cr_assert_eq(text_i64_parse(&i, "-9223372036854775809"), -ERR_FORMAT);
	cr_assert_eq(text_i64_parse(&i, "-0"), 0);
	cr_assert_eq(i, 0);
	cr_assert_eq(text_i64_parse(&i, "--1"), -ERR_FORMAT);
}

Test(text, base64_has_one_form)
{
	static const char *bad[] = { "A",    "AA",	"AAA",	 "AAA=A",
				     "AA=A", "A===",	"====",	 "AAAA\n",
				     "AB==", "AAB=",	"AA AA", "AA-_",
				     "=AAA", "AA==AAAA" };
	struct prng p;
	struct buf b = BUF_INIT;
	struct buf c = BUF_INIT;

	is(text_base64, "", 0, "");
	is(text_base64, "f", 1, "Zg==");
	is(text_base64, "fo", 2, "Zm8=");
	is(text_base64, "foobar", 6, "Zm9vYmFy");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(text_base64_decode(&b, bad[i], strlen(bad[i])),
			     -ERR_FORMAT, "%s", bad[i]);
	cr_assert_eq(b.n, 0);
	prng_init(&p, 3);
	for (size_t n = 0; n < 100; n++) {
		uint8_t in[100];

		prng_bytes(&p, in, sizeof(in));
		buf_clear(&b);
		buf_clear(&c);
		text_base64(&b, in, n);
		cr_assert_eq(text_base64_decode(&c, (char *)b.p, b.n), 0);
		cr_assert_eq(c.n, n);
		if (n > 0)
			cr_assert_eq(memcmp(c.p, in, n), 0);
	}
	buf_release(&b);
	buf_release(&c);
}

Test(text, path_below)
{
	cr_assert(text_path_below("/a/b", "/"));
	cr_assert(text_path_below("a", ""));
	cr_assert(text_path_below("/a/b", "/a"));
	cr_assert(text_path_below("/a", "/a"));
	cr_assert_not(text_path_below("/ab", "/a"));
	cr_assert_not(text_path_below("/a", "/a/b"));
}
