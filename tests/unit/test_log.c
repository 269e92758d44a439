/*
 * test_log.c - no byte of a value gets out of its line.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"

static const char *escaped(const char *s, size_t n)
{
	static char out[256];

	log_escape(out, sizeof(out), s, n);
	return out;
}

Test(log, escape_keeps_text_and_shows_the_rest)
{
	cr_assert_str_eq(escaped("plain text", 10), "plain text");
	cr_assert_str_eq(escaped("a\nb\tc", 5), "a\\x0ab\\x09c");
	cr_assert_str_eq(escaped("\x1b[31m", 5), "\\x1b[31m");
	cr_assert_str_eq(escaped("\x7f\\", 2), "\\x7f\\\\");
	cr_assert_str_eq(escaped("a\0b", 3), "a\\x00b");
	cr_assert_str_eq(escaped("gr\xc3\xbc\xc3\x9f", 6),
			 "gr\xc3\xbc\xc3\x9f");
	/* C1, which some terminals obey, and bidi, which all do. */
	cr_assert_str_eq(escaped("\xc2\x9b", 2), "\\xc2\\x9b");
	cr_assert_str_eq(escaped("\xe2\x80\xae", 3), "\\xe2\\x80\\xae");
	/* broken: lone, cut, overlong, surrogate */
	cr_assert_str_eq(escaped("\xff", 1), "\\xff");
	cr_assert_str_eq(escaped("a\xc3", 2), "a\\xc3");
	cr_assert_str_eq(escaped("\xc0\x80", 2), "\\xc0\\x80");
	cr_assert_str_eq(escaped("\xed\xa0\x80", 3), "\\xed\\xa0\\x80");
}

Test(log, escape_cuts_between_characters)
{
	for (size_t cap = 1; cap < 16; cap++) {
		char out[16];
		size_t n;

		memset(out, 'Q', sizeof(out));
		log_escape(out, cap, "\x1b\xe2\x82\xac\\x", 6);
		n = strlen(out);
		cr_assert_lt(n, cap);
		cr_assert(text_is_utf8(out, n));
		cr_assert(n == 0 || n == 4 || n == 7 || n == 9 || n == 10);
	}
	log_escape(NULL, 0, "x", 1);
}

Test(log, values_are_quoted_when_they_must_be)
{
	char out[64];

	log_value(out, sizeof(out), "plain-1/x", 9);
	cr_assert_str_eq(out, "plain-1/x");
	log_value(out, sizeof(out), "", 0);
	cr_assert_str_eq(out, "\"\"");
	log_value(out, sizeof(out), "a b", 3);
	cr_assert_str_eq(out, "\"a b\"");
	log_value(out, sizeof(out), "a\"b\n", 4);
	cr_assert_str_eq(out, "\"a\\\"b\\x0a\"");
	log_value(out, sizeof(out), "x=1", 3);
	cr_assert_str_eq(out, "\"x=1\"");
	log_value(out, 6, "abc def", 7);
	cr_assert_str_eq(out, "\"abc\"");
}

/* What log_event writes, with stderr caught. */
static void caught(char *out, size_t cap, enum log_level level,
		   const char *value)
{
	char path[] = "/tmp/vouchfs-log-XXXXXX";
	int saved = dup(STDERR_FILENO);
	int fd = mkstemp(path);
	ssize_t n;

	cr_assert(fd >= 0 && saved >= 0);
	unlink(path);
	dup2(fd, STDERR_FILENO);
	log_event(level, "commit", "name=%s", value);
	dup2(saved, STDERR_FILENO);
	n = pread(fd, out, cap - 1, 0);
	out[n > 0 ? n : 0] = '\0';
	close(fd);
	close(saved);
}

Test(log, an_event_is_one_line)
{
	char out[8192];
	char big[6000];

	unsetenv("JOURNAL_STREAM");
	caught(out, sizeof(out), LOG_INFO, "evil\n<0>fake \x1b[2J");
	cr_assert_eq(strchr(out, '\n'), out + strlen(out) - 1);
	cr_assert_null(strchr(out, 0x1b));
	cr_assert_not_null(strstr(out, "Z commit: name=evil\\x0a<0>fake"));
	cr_assert_eq(out[4], '-');
	cr_assert_eq(out[23], 'Z');
	setenv("JOURNAL_STREAM", "1:2", 1);
	caught(out, sizeof(out), LOG_WARN, "x");
	cr_assert_eq(strncmp(out, "<4>2", 4), 0);
	memset(big, 1, sizeof(big));
	big[sizeof(big) - 1] = '\0';
	caught(out, sizeof(out), LOG_ERROR, big);
	cr_assert_eq(strchr(out, '\n'), out + strlen(out) - 1);
}

Test(log, levels_above_the_chosen_are_dropped)
{
	char out[256];

	caught(out, sizeof(out), LOG_DEBUG, "x");
	cr_assert_str_eq(out, "");
	log_set_level(LOG_DEBUG);
	caught(out, sizeof(out), LOG_DEBUG, "x");
	cr_assert_neq(out[0], '\0');
	log_set_level(LOG_ERROR);
	caught(out, sizeof(out), LOG_WARN, "x");
	cr_assert_str_eq(out, "");
}
