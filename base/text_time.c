/*
 * text_time.c - times as text: RFC 3339 out, and in whatever people type.
 *
 * Years 1678 to 2261 are what 64 bits of nanoseconds can hold whole.  Days
 * are counted with the proleptic Gregorian calendar, without leap seconds.
 * Only text_time_parse looks at the local time zone (mktime); any thread, as
 * long as nobody changes TZ meanwhile.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/text.h"

#define NS 1000000000LL
#define DAY 86400LL

enum { YEAR_MIN = 1678, YEAR_MAX = 2261 };

struct civil {
	int year, month, day, hour, min, sec;
	int64_t ns;
};

/* Days since 1970-01-01; years are counted from March, as the Romans did. */
static int64_t days_of(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t yoe = y - era * 400;
	int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

	return era * 146097 + doe - 719468;
}

static void civil_of(struct civil *out, int64_t days)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;

	out->day = (int)(doy - (153 * mp + 2) / 5 + 1);
	out->month = (int)(mp < 10 ? mp + 3 : mp - 9);
	out->year = (int)(yoe + era * 400 + (out->month <= 2));
}

void text_time(char out[TEXT_TIME_SIZE], int64_t ns)
{
	struct civil c = { 0 };
	int64_t sec = ns / NS;
	int64_t frac = ns % NS;
	int64_t days;

	if (frac < 0) {
		frac += NS;
		sec--;
	}
	days = sec / DAY;
	sec %= DAY;
	if (sec < 0) {
		sec += DAY;
		days--;
	}
	civil_of(&c, days);
	snprintf(out, TEXT_TIME_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%09dZ",
		 c.year, c.month, c.day, (int)(sec / 3600),
		 (int)(sec / 60 % 60), (int)(sec % 60), (int)frac);
}

/* Exactly n digits at *s. */
static bool number(int *out, const char **s, int n)
{
	int v = 0;

	for (int i = 0; i < n; i++, (*s)++) {
		if (**s < '0' || **s > '9')
			return false;
		v = v * 10 + (**s - '0');
	}
	*out = v;
	return true;
}

static bool literal(const char **s, char c)
{
	if (**s != c)
		return false;
	(*s)++;
	return true;
}

static bool date(struct civil *out, const char **s)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30,
				    31, 31, 30, 31, 30, 31 };
	int most;

	if (!number(&out->year, s, 4) || !literal(s, '-') ||
	    !number(&out->month, s, 2) || !literal(s, '-') ||
	    !number(&out->day, s, 2))
		return false;
	if (out->year < YEAR_MIN || out->year > YEAR_MAX || out->month < 1 ||
	    out->month > 12)
		return false;
	most = days[out->month - 1];
	if (out->month == 2 && out->year % 4 == 0 &&
	    (out->year % 100 != 0 || out->year % 400 == 0))
		most = 29;
	return out->day >= 1 && out->day <= most;
}

/* HH:MM:SS[.fraction]; the seconds may be missing when `loose`. */
static bool clock_time(struct civil *out, const char **s, bool loose)
{
	int64_t scale = NS;

	if (!number(&out->hour, s, 2) || !literal(s, ':') ||
	    !number(&out->min, s, 2) || out->hour > 23 || out->min > 59)
		return false;
	if (**s != ':')
		return loose;
	(*s)++;
	if (!number(&out->sec, s, 2) || out->sec > 59)
		return false;
	if (**s != '.')
		return true;
	(*s)++;
	if (**s < '0' || **s > '9')
		return false;
	for (; **s >= '0' && **s <= '9'; (*s)++) {
		scale /= 10;
		if (scale == 0)
			return false;
		out->ns += (**s - '0') * scale;
	}
	return true;
}

/* Z or +HH:MM; seconds east of Greenwich. */
static bool zone(int *out, const char **s)
{
	int sign = **s == '-' ? -1 : 1;
	int h = 0;
	int m = 0;

	*out = 0;
	if (literal(s, 'Z'))
		return true;
	if (!literal(s, '+') && !literal(s, '-'))
		return false;
	if (!number(&h, s, 2) || !literal(s, ':') || !number(&m, s, 2) ||
	    h > 23 || m > 59)
		return false;
	*out = sign * (h * 3600 + m * 60);
	return true;
}

static int64_t utc_ns(const struct civil *c, int offset)
{
	int64_t sec = days_of(c->year, c->month, c->day) * DAY +
		      c->hour * 3600 + c->min * 60 + c->sec - offset;

	return sec * NS + c->ns;
}

int text_time_parse_rfc3339(int64_t *out_ns, const char *s)
{
	struct civil c = { 0 };
	int offset = 0;

	if (!date(&c, &s) || !literal(&s, 'T') || !clock_time(&c, &s, false) ||
	    !zone(&offset, &s) || *s != '\0')
		return -ERR_FORMAT;
	*out_ns = utc_ns(&c, offset);
	return 0;
}

static int local_ns(int64_t *out_ns, const struct civil *c)
{
	struct tm tm = {
		.tm_year = c->year - 1900,
		.tm_mon = c->month - 1,
		.tm_mday = c->day,
		.tm_hour = c->hour,
		.tm_min = c->min,
		.tm_sec = c->sec,
		.tm_isdst = -1,
	};
	time_t t;

	errno = 0;
	t = mktime(&tm);
	if (t == (time_t)-1 && errno != 0)
		return -ERR_FORMAT;
	if (__builtin_mul_overflow((int64_t)t, NS, out_ns) ||
	    __builtin_add_overflow(*out_ns, c->ns, out_ns))
		return -ERR_FORMAT;
	return 0;
}

/* A day relative to today, with a time of day behind it or midnight. */
static int relative_day(int64_t *out_ns, const char *s, int64_t now_ns,
			int days_back)
{
	struct civil c = { 0 };
	time_t now = (time_t)(now_ns / NS);
	struct tm tm;

	if (localtime_r(&now, &tm) == NULL)
		return -ERR_FORMAT;
	c.year = tm.tm_year + 1900;
	c.month = tm.tm_mon + 1;
	c.day = tm.tm_mday - days_back; /* mktime normalises 0 */
	if (*s == ' ')
		s++;
	if (*s != '\0' && (!clock_time(&c, &s, true) || *s != '\0'))
		return -ERR_FORMAT;
	return local_ns(out_ns, &c);
}

static int ago(int64_t *out_ns, const char *s, int64_t now_ns)
{
	char span[64];
	size_t n = strlen(s);
	int64_t ns;

	if (n < 5 || n >= sizeof(span) || strcmp(s + n - 4, " ago") != 0)
		return -ERR_FORMAT;
	memcpy(span, s, n - 4);
	span[n - 4] = '\0';
	if (text_duration_parse(&ns, span) < 0 ||
	    __builtin_sub_overflow(now_ns, ns, out_ns))
		return -ERR_FORMAT;
	return 0;
}

static int unix_time(int64_t *out_ns, const char *s)
{
	int64_t sec;

	if (text_i64_parse(&sec, s) < 0 ||
	    __builtin_mul_overflow(sec, NS, out_ns))
		return -ERR_FORMAT;
	return 0;
}

int text_time_parse(int64_t *out_ns, const char *s, int64_t now_ns)
{
	struct civil c = { 0 };
	const char *at = s;
	int offset = 0;

	if (strcmp(s, "now") == 0) {
		*out_ns = now_ns;
		return 0;
	}
	if (s[0] == '@')
		return unix_time(out_ns, s + 1);
	if (strncmp(s, "today", 5) == 0)
		return relative_day(out_ns, s + 5, now_ns, 0);
	if (strncmp(s, "yesterday", 9) == 0)
		return relative_day(out_ns, s + 9, now_ns, 1);
	if (clock_time(&c, &at, true) && *at == '\0')
		return relative_day(out_ns, s, now_ns, 0);
	memset(&c, 0, sizeof(c));
	at = s;
	if (!date(&c, &at))
		return ago(out_ns, s, now_ns);
	if (*at == '\0')
		return local_ns(out_ns, &c);
	if ((!literal(&at, 'T') && !literal(&at, ' ')) ||
	    !clock_time(&c, &at, true))
		return -ERR_FORMAT;
	if (*at == '\0')
		return local_ns(out_ns, &c);
	if (!zone(&offset, &at) || *at != '\0')
		return -ERR_FORMAT;
	*out_ns = utc_ns(&c, offset);
	return 0;
}
