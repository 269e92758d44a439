/*
 * log.c - one line per event on stderr.  Any thread: a line is built in a
 * local buffer and leaves in one write(2), so lines never mix.
 *
 * Invariant: whatever the values hold, a line has no control character and
 * no broken UTF-8 in it, and ends with the only newline.
 */
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

enum { LOG_LINE_MAX = 4096 };

static _Atomic int max_level = LOG_INFO;

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&max_level, (int)level, memory_order_relaxed);
}

static unsigned long add_hex(char *out, unsigned char c)
{
	static const char digits[] = "0123456789abcdef";

	out[0] = '\\';
	out[1] = 'x';
	out[2] = digits[c >> 4];
	out[3] = digits[c & 15];
	return 4;
}

/*
 * What a terminal acts upon or shows misleadingly: C0, DEL, C1, and the
 * marks that reorder or hide text (bidi controls, zero width, line and
 * paragraph separators, BOM, tags).
 */
static int is_unsafe(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c ||
	       (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
	       (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe007f);
}

/* `quote`: a character to put a backslash before, besides the backslash. */
static unsigned long escape(char *out, unsigned long cap, const char *s,
			    unsigned long n, bool backslash, char quote)
{
	unsigned long used = 0;
	unsigned long i = 0;

	if (cap == 0)
		return 0;
	while (i < n) {
		char piece[16];
		unsigned long len = 0;
		uint32_t code = 0;
		size_t size = text_utf8_next(s + i, n - i, &code);

		if (size == 0) { /* broken: escape the byte */
			size = 1;
			code = 0;
		}
		if (is_unsafe(code)) {
			for (size_t k = 0; k < size; k++)
				len += add_hex(piece + len,
					       (unsigned char)s[i + k]);
		} else {
			if ((code == '\\' && backslash) ||
			    (quote != '\0' && code == (unsigned char)quote))
				piece[len++] = '\\';
			memcpy(piece + len, s + i, size);
			len += size;
		}
		if (used + len + 1 > cap)
			break;
		memcpy(out + used, piece, len);
		used += len;
		i += size;
	}
	out[used] = '\0';
	return used;
}

void log_escape(char *out, unsigned long cap, const char *s, unsigned long n)
{
	escape(out, cap, s, n, true, '\0');
}

void log_value(char *out, unsigned long cap, const char *s, unsigned long n)
{
	bool plain = n > 0;
	unsigned long used;

	assert(cap >= 3);
	for (unsigned long i = 0; i < n && plain; i++)
		plain = s[i] > ' ' && s[i] < 0x7f &&
			strchr("\"=\\", s[i]) == NULL;
	if (plain) {
		escape(out, cap, s, n, true, '\0');
		return;
	}
	out[0] = '"';
	used = 1 + escape(out + 1, cap - 2, s, n, true, '"');
	out[used] = '"';
	out[used + 1] = '\0';
}

void log_event(enum log_level level, const char *event, const char *fmt, ...)
{
	char when[TEXT_TIME_SIZE];
	char words[LOG_LINE_MAX];
	char line[LOG_LINE_MAX + 256];
	struct timespec ts = { 0 };
	va_list ap;
	size_t used;
	int n = 0;

	if ((int)level > atomic_load_explicit(&max_level, memory_order_relaxed))
		return;
	clock_gettime(CLOCK_REALTIME, &ts);
	text_time(when, (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec);
	when[23] = '\0'; /* milliseconds are enough */
	if (getenv("JOURNAL_STREAM") != NULL)
		n = snprintf(line, sizeof(line), "<%d>", (int)level);
	n += snprintf(line + n, sizeof(line) - (size_t)n, "%sZ %.64s%s", when,
		      event, fmt[0] != '\0' ? ": " : "");
	used = (size_t)n;
	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	/* Values escaped by the caller keep their single backslashes. */
	used += escape(line + used, sizeof(line) - used - 1, words,
		       strlen(words), false, '\0');
	line[used++] = '\n';
	while (write(STDERR_FILENO, line, used) < 0 && errno == EINTR)
		;
}
