/*
 * text.c - hostile bytes made safe for one output format each; numbers,
 * sizes, durations and base64.  Pure functions, any thread.
 *
 * Invariants:
 *  1. What any text_*_escape adds is valid UTF-8.
 *  2. Every parser takes the whole string or fails, and fails on overflow.
 *
 * Times are in text_time.c.
 */
#include "base/text.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

size_t text_utf8_next(const void *p, size_t n, uint32_t *out_code)
{
	static const uint32_t lowest[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	const uint8_t *s = p;
	uint32_t code;
	size_t len;

	assert(n > 0);
	if (s[0] < 0x80) {
		*out_code = s[0];
		return 1;
	}
	len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc2 || s[0] > 0xf4 || len > n)
		return 0;
	code = s[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	if (code < lowest[len] || code > 0x10ffff ||
	    (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*out_code = code;
	return len;
}

bool text_path_below(const char *path, const char *dir)
{
	size_t n = strcmp(dir, "/") == 0 ? 0 : strlen(dir);

	return n == 0 || (strncmp(path, dir, n) == 0 &&
			  (path[n] == '/' || path[n] == '\0'));
}

bool text_is_utf8(const void *p, size_t n)
{
	const uint8_t *s = p;
	uint32_t code;
	size_t len;

	for (size_t i = 0; i < n; i += len) {
		len = text_utf8_next(s + i, n - i, &code);
		if (len == 0)
			return false;
	}
	return true;
}

/*
 * Writes one character that the format cannot take as it is; false: it can.
 * Called with code points of valid sequences only.
 */
typedef bool special_fn(struct buf *out, uint32_t code);

static void escape(struct buf *out, const void *p, size_t n, special_fn *fn)
{
	const uint8_t *s = p;
	uint32_t code;
	size_t len;

	for (size_t i = 0; i < n; i += len) {
		len = text_utf8_next(s + i, n - i, &code);
		if (len == 0) {
			buf_adds(out, replacement);
			len = 1;
		} else if (!fn(out, code)) {
			buf_add(out, s + i, len);
		}
	}
}

static bool json_special(struct buf *out, uint32_t c)
{
	static const char names[] = "btn?fr"; /* 8..13; 11 has no name */

	if (c == '"' || c == '\\') {
		buf_addf(out, "\\%c", (char)c);
		return true;
	}
	if (c >= 8 && c <= 13 && c != 11) {
		buf_addf(out, "\\%c", names[c - 8]);
		return true;
	}
	/* U+2028 and U+2029 end a line in old JavaScript. */
	if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029) {
		buf_addf(out, "\\u%04x", c);
		return true;
	}
	return false;
}

void text_json_escape(struct buf *out, const void *p, size_t n)
{
	escape(out, p, n, json_special);
}

void text_json_string(struct buf *out, const void *p, size_t n)
{
	buf_addc(out, '"');
	text_json_escape(out, p, n);
	buf_addc(out, '"');
}

static bool is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

static bool dot_special(struct buf *out, uint32_t c)
{
	if (c == '"')
		buf_adds(out, "\\\"");
	else if (c == '\\')
		buf_adds(out, "\\\\");
	else if (c == '&') /* graphviz expands entities in labels */
		buf_adds(out, "&amp;");
	else if (is_control(c))
		buf_addf(out, "\\\\x%02x", c);
	else
		return false;
	return true;
}

void text_dot_escape(struct buf *out, const void *p, size_t n)
{
	escape(out, p, n, dot_special);
}

static bool mermaid_special(struct buf *out, uint32_t c)
{
	bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		     (c >= '0' && c <= '9') ||
		     (c && c < 0x80 && strchr(" /._-", (int)c));

	if (!plain)
		buf_addf(out, "#%u;", is_control(c) ? 0xfffd : c);
	return !plain;
}

void text_mermaid_escape(struct buf *out, const void *p, size_t n)
{
	escape(out, p, n, mermaid_special);
}

static bool markdown_special(struct buf *out, uint32_t c)
{
	if (c == '<')
		buf_adds(out, "&lt;");
	else if (c == '>')
		buf_adds(out, "&gt;");
	else if (c == '&')
		buf_adds(out, "&amp;");
	else if (is_control(c))
		buf_addf(out, "\\\\x%02x", c);
	else if (c < 0x80 && strchr("\\`*_{}[]()#+-.!|~:@^$=\"'", (int)c))
		buf_addf(out, "\\%c", (char)c);
	else
		return false;
	return true;
}

void text_markdown_escape(struct buf *out, const void *p, size_t n)
{
	escape(out, p, n, markdown_special);
}

static bool csv_special(struct buf *out, uint32_t c)
{
	if (c == '"')
		buf_adds(out, "\"\"");
	return c == '"';
}

void text_csv_escape(struct buf *out, const void *p, size_t n)
{
	const char *s = p;
	bool formula = n > 0 && s[0] != '\0' && strchr("=+-@\t\r", s[0]);
	bool quote = formula || (n > 0 && (s[0] == ' ' || s[n - 1] == ' '));

	for (size_t i = 0; i < n && !quote; i++)
		quote = s[i] != '\0' && strchr(",\"\r\n", s[i]) != NULL;
	if (quote)
		buf_addc(out, '"');
	if (formula)
		buf_addc(out, '\'');
	escape(out, p, n, csv_special);
	if (quote)
		buf_addc(out, '"');
}

static bool xml_special(struct buf *out, uint32_t c)
{
	if (c == '<')
		buf_adds(out, "&lt;");
	else if (c == '>')
		buf_adds(out, "&gt;");
	else if (c == '&')
		buf_adds(out, "&amp;");
	else if (c == '"')
		buf_adds(out, "&quot;");
	else if (c == '\'')
		buf_adds(out, "&#39;");
	else if (c == '\t' || c == '\n' || c == '\r')
		buf_addf(out, "&#%u;", c);
	else if (is_control(c) || c == 0xfffe || c == 0xffff)
		buf_adds(out, replacement);
	else
		return false;
	return true;
}

void text_xml_escape(struct buf *out, const void *p, size_t n)
{
	escape(out, p, n, xml_special);
}

void text_term_escape(struct buf *out, const void *p, size_t n)
{
	size_t start = out->n;
	size_t most;
	uint8_t *to;

	if (__builtin_mul_overflow(n, 4, &most)) {
		out->bad = true;
		return;
	}
	to = buf_grow(out, most);
	if (to == NULL)
		return;
	log_escape((char *)to, most + 1, p, n);
	out->n = start + strlen((char *)to);
}

void text_tab_escape(struct buf *out, const void *p, size_t n)
{
	const uint8_t *s = p;
	uint32_t c;
	size_t len;

	for (size_t i = 0; i < n; i += len) {
		len = text_utf8_next(s + i, n - i, &c);
		if (len == 0) {
			buf_addf(out, "\\x%02x", s[i]);
			len = 1;
		} else if (c == '\t') {
			buf_adds(out, "\\t");
		} else if (c == '\n') {
			buf_adds(out, "\\n");
		} else if (c == '\\') {
			buf_adds(out, "\\\\");
		} else if (is_control(c)) {
			for (size_t k = 0; k < len; k++)
				buf_addf(out, "\\x%02x", s[i + k]);
		} else {
			buf_add(out, s + i, len);
		}
	}
}

static bool is_between(uint32_t c, const uint32_t (*v)[2], size_t n)
{
	for (size_t i = 0; i < n && v[i][0] <= c; i++)
		if (c <= v[i][1])
			return true;
	return false;
}

size_t text_columns(const char *s)
{
	/* whole blocks: what names are made of, not all that Unicode has */
	static const uint32_t wide[][2] = {
		{ 0x1100, 0x115f },   { 0x2e80, 0x303e },
		{ 0x3041, 0xa4cf },   { 0xac00, 0xd7a3 },
		{ 0xf900, 0xfaff },   { 0xfe30, 0xfe6f },
		{ 0xff00, 0xff60 },   { 0xffe0, 0xffe6 },
		{ 0x1f300, 0x1f64f }, { 0x1f680, 0x1f6ff },
		{ 0x1f900, 0x1f9ff }, { 0x20000, 0x3fffd },
	};
	static const uint32_t none[][2] = {
		{ 0x0300, 0x036f }, { 0x0483, 0x0489 }, { 0x0591, 0x05bd },
		{ 0x1ab0, 0x1aff }, { 0x1dc0, 0x1dff }, { 0x200b, 0x200f },
		{ 0x20d0, 0x20ff }, { 0xfe00, 0xfe0f }, { 0xfe20, 0xfe2f },
	};
	size_t n = strlen(s), columns = 0, len;
	uint32_t c = 0;

	for (size_t i = 0; i < n; i += len) {
		len = text_utf8_next(s + i, n - i, &c);
		if (len == 0)
			c = len = 1; /* shown as one */
		if (is_between(c, wide, sizeof(wide) / sizeof(wide[0])))
			columns += 2;
		else if (!is_between(c, none, sizeof(none) / sizeof(none[0])))
			columns++;
	}
	return columns;
}

void text_hex(struct buf *out, const void *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *s = p;
	size_t twice;
	uint8_t *to;

	if (__builtin_mul_overflow(n, 2, &twice)) {
		out->bad = true;
		return;
	}
	to = buf_grow(out, twice);
	for (size_t i = 0; to != NULL && i < n; i++) {
		to[2 * i] = (uint8_t)digits[s[i] >> 4];
		to[2 * i + 1] = (uint8_t)digits[s[i] & 15];
	}
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int text_hex_decode(struct buf *out, const char *s, size_t n)
{
	uint8_t *to;

	if (n % 2 != 0)
		return -ERR_FORMAT;
	for (size_t i = 0; i < n; i++)
		if (hex_value(s[i]) < 0)
			return -ERR_FORMAT;
	to = buf_grow(out, n / 2);
	if (to == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i += 2)
		*to++ = (uint8_t)(hex_value(s[i]) << 4 | hex_value(s[i + 1]));
	return 0;
}

/* Decimal digits at *s; moves *s behind them. */
static int digits_parse(uint64_t *out, const char **s)
{
	uint64_t v = 0;

	if (**s < '0' || **s > '9')
		return -ERR_FORMAT;
	for (; **s >= '0' && **s <= '9'; (*s)++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(**s - '0'), &v))
			return -ERR_FORMAT;
	*out = v;
	return 0;
}

int text_u64_parse(uint64_t *out, const char *s)
{
	uint64_t v;

	if (digits_parse(&v, &s) < 0 || *s != '\0')
		return -ERR_FORMAT;
	*out = v;
	return 0;
}

int text_i64_parse(int64_t *out, const char *s)
{
	bool minus = *s == '-';
	uint64_t v;

	if (text_u64_parse(&v, s + minus) < 0)
		return -ERR_FORMAT;
	if (v > (uint64_t)INT64_MAX + minus)
		return -ERR_FORMAT;
	/* Without the overflow that -INT64_MIN would be. */
	*out = minus ? (v == 0 ? 0 : -(int64_t)(v - 1) - 1) : (int64_t)v;
	return 0;
}

/* A number with up to 9 digits of fraction: whole and billionths. */
static int decimal_parse(uint64_t *whole, uint64_t *billionths, const char **s)
{
	uint64_t scale = 1000000000;

	*billionths = 0;
	if (digits_parse(whole, s) < 0)
		return -ERR_FORMAT;
	if (**s != '.')
		return 0;
	(*s)++;
	if (**s < '0' || **s > '9')
		return -ERR_FORMAT;
	for (; **s >= '0' && **s <= '9'; (*s)++) {
		scale /= 10;
		if (scale == 0)
			return -ERR_FORMAT;
		*billionths += (uint64_t)(**s - '0') * scale;
	}
	return 0;
}

/* (whole + billionths / 10^9) * unit, or -ERR_FORMAT beyond max. */
static int scaled(uint64_t *out, uint64_t whole, uint64_t billionths,
		  uint64_t unit, uint64_t max)
{
	unsigned __int128 v = (unsigned __int128)whole * unit;

	v += (unsigned __int128)billionths * unit / 1000000000;
	if (v > max)
		return -ERR_FORMAT;
	*out = (uint64_t)v;
	return 0;
}

static void skip_blanks(const char **s)
{
	while (**s == ' ')
		(*s)++;
}

static uint64_t time_unit(const char *s, size_t n)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {
		{ "ns", 1 },
		{ "us", 1000 },
		{ "ms", 1000000 },
		{ "s", 1000000000 },
		{ "sec", 1000000000 },
		{ "secs", 1000000000 },
		{ "second", 1000000000 },
		{ "seconds", 1000000000 },
		{ "m", 60000000000 },
		{ "min", 60000000000 },
		{ "mins", 60000000000 },
		{ "minute", 60000000000 },
		{ "minutes", 60000000000 },
		{ "h", 3600000000000 },
		{ "hour", 3600000000000 },
		{ "hours", 3600000000000 },
		{ "d", 86400000000000 },
		{ "day", 86400000000000 },
		{ "days", 86400000000000 },
		{ "w", 604800000000000 },
		{ "week", 604800000000000 },
		{ "weeks", 604800000000000 },
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strlen(units[i].name) == n &&
		    memcmp(units[i].name, s, n) == 0)
			return units[i].ns;
	return 0;
}

int text_duration_parse(int64_t *out_ns, const char *s)
{
	uint64_t sum = 0;

	skip_blanks(&s);
	do {
		uint64_t whole;
		uint64_t frac;
		uint64_t ns;
		size_t n;

		if (decimal_parse(&whole, &frac, &s) < 0)
			return -ERR_FORMAT;
		skip_blanks(&s);
		n = strspn(s, "abcdefghijklmnopqrstuvwxyz");
		ns = time_unit(s, n);
		if (ns == 0 || scaled(&ns, whole, frac, ns, INT64_MAX) < 0 ||
		    __builtin_add_overflow(sum, ns, &sum) || sum > INT64_MAX)
			return -ERR_FORMAT;
		s += n;
		skip_blanks(&s);
	} while (*s != '\0');
	*out_ns = (int64_t)sum;
	return 0;
}

void text_size(char out[TEXT_SIZE_SIZE], uint64_t bytes)
{
	static const char units[] = " KMGTPE";
	unsigned __int128 tenths = 0;
	size_t u = 0;

	if (bytes < 1024) {
		snprintf(out, TEXT_SIZE_SIZE, "%u B", (unsigned)bytes);
		return;
	}
	/* Rounded up to 1024 of a unit is 1 of the next. */
	do {
		unsigned __int128 unit = (unsigned __int128)1 << (10 * ++u);

		tenths = ((unsigned __int128)bytes * 10 + unit / 2) / unit;
	} while (tenths >= 10235 && u < 6);
	if (tenths < 100 && tenths % 10 != 0)
		snprintf(out, TEXT_SIZE_SIZE, "%u.%u %ciB",
			 (unsigned)(tenths / 10), (unsigned)(tenths % 10),
			 units[u]);
	else
		snprintf(out, TEXT_SIZE_SIZE, "%u %ciB",
			 (unsigned)((tenths + 5) / 10), units[u]);
}

int text_size_parse(uint64_t *out, const char *s)
{
	static const char letters[] = "KMGTPE";
	uint64_t unit = 1;
	uint64_t whole;
	uint64_t frac;
	const char *at;

	if (decimal_parse(&whole, &frac, &s) < 0)
		return -ERR_FORMAT;
	skip_blanks(&s);
	at = *s != '\0' ? strchr(letters, *s == 'k' ? 'K' : *s) : NULL;
	if (at != NULL) {
		bool decimal = s[1] == 'B';

		for (const char *l = letters; l <= at; l++)
			unit *= decimal ? 1000 : 1024;
		s += s[1] == 'i' && s[2] == 'B' ? 3 : decimal ? 2 : 1;
	} else if (*s == 'B') {
		s++;
	}
	if (*s != '\0' || (unit == 1 && frac != 0))
		return -ERR_FORMAT;
	return scaled(out, whole, frac, unit, UINT64_MAX);
}

static const char base64_alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void text_base64(struct buf *out, const void *p, size_t n)
{
	const uint8_t *s = p;

	for (size_t i = 0; i < n; i += 3) {
		size_t left = n - i;
		uint32_t v = (uint32_t)s[i] << 16;
		char quad[4];

		v |= left > 1 ? (uint32_t)s[i + 1] << 8 : 0;
		v |= left > 2 ? s[i + 2] : 0;
		for (int k = 0; k < 4; k++)
			quad[k] = base64_alphabet[v >> (18 - 6 * k) & 63];
		if (left < 3)
			quad[3] = '=';
		if (left < 2)
			quad[2] = '=';
		buf_add(out, quad, sizeof(quad));
	}
}

static int base64_value(char c)
{
	const char *at = c != '\0' ? strchr(base64_alphabet, c) : NULL;

	return at != NULL ? (int)(at - base64_alphabet) : -1;
}

int text_base64_decode(struct buf *out, const char *s, size_t n)
{
	size_t pad = 0;
	size_t start = out->n;

	if (n % 4 != 0)
		return -ERR_FORMAT;
	if (n > 0 && s[n - 1] == '=')
		pad = s[n - 2] == '=' ? 2 : 1;
	for (size_t i = 0; i < n; i += 4) {
		size_t have = i + 4 < n ? 4 : 4 - pad;
		uint32_t v = 0;
		uint8_t b[3];

		for (size_t k = 0; k < 4; k++) {
			int x = k < have ? base64_value(s[i + k]) : 0;

			if (x < 0)
				goto bad;
			v = v << 6 | (uint32_t)x;
		}
		for (int k = 0; k < 3; k++)
			b[k] = (uint8_t)(v >> (16 - 8 * k));
		/* Bits that no output byte holds must be zero. */
		if ((have == 3 && b[2] != 0) ||
		    (have == 2 && (b[1] != 0 || b[2] != 0)))
			goto bad;
		buf_add(out, b, have - 1);
	}
	return out->bad ? -ENOMEM : 0;
bad:
	out->n = start;
	if (out->p != NULL)
		out->p[start] = '\0';
	return -ERR_FORMAT;
}
