/*
 * test_entry_json.c - entries as JSON: one line, valid, whatever is in them.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "ledger/entry_json.h"
#include "tests/sim/sample_log.h"

static const uint16_t kinds[] = {
#define X(number, id, name) number,
	ENTRY_KINDS(X)
#undef X
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]), KEYS = 64 };

/* --- a JSON reader that knows just enough to say "valid" --- */

static const char *value(const char *p);

static const char *string(const char *p)
{
	if (*p++ != '"')
		return NULL;
	for (; *p != '"'; p++) {
		if ((unsigned char)*p < 0x20)
			return NULL;
		if (*p != '\\')
			continue;
		p++;
		if (*p == 'u') {
			for (unsigned i = 1; i <= 4; i++)
				if (strchr("0123456789abcdefABCDEF", p[i]) ==
				    NULL)
					return NULL;
			p += 4;
		} else if (*p == 0 || strchr("\"\\/bfnrt", *p) == NULL) {
			return NULL;
		}
	}
	return p + 1;
}

/* Members or items up to the closing bracket; object keys do not repeat. */
static const char *list(const char *p, char end)
{
	struct {
		const char *p;
		size_t n;
	} keys[KEYS];
	unsigned n = 0;

	if (*++p == end)
		return p + 1;
	for (;;) {
		if (end == '}') {
			const char *key = p;

			p = string(p);
			if (p == NULL || *p != ':' || n == KEYS)
				return NULL;
			keys[n].p = key;
			keys[n].n = (size_t)(p - key);
			for (unsigned i = 0; i < n; i++)
				cr_assert(keys[i].n != keys[n].n ||
						  memcmp(keys[i].p, key,
							 keys[n].n) != 0,
					  "twice: %.*s", (int)keys[n].n, key);
			n++;
			p++;
		}
		p = value(p);
		if (p == NULL)
			return NULL;
		if (*p == end)
			return p + 1;
		if (*p++ != ',')
			return NULL;
	}
}

static const char *value(const char *p)
{
	char *end = NULL;

	if (*p == '"')
		return string(p);
	if (*p == '{' || *p == '[')
		return list(p, *p == '{' ? '}' : ']');
	if (strncmp(p, "true", 4) == 0)
		return p + 4;
	if (strncmp(p, "false", 5) == 0)
		return p + 5;
	(void)strtod(p, &end);
	return end == p ? NULL : end;
}

static void expect_line(const struct buf *b)
{
	const char *end = value((char *)b->p);

	cr_assert_not_null(end, "not JSON: %s", (char *)b->p);
	cr_assert_str_eq(end, "\n");
	cr_assert(text_is_utf8(b->p, b->n));
}

/* Through bytes, as a reader of the log gets it. */
static void line(struct buf *out, const struct entry *e)
{
	static const uint8_t salt[16];
	struct entry back;
	struct entry_json j = { .seal_index = 7,
				.position = 3,
				.mount_no = 1,
				.entry = &back,
				.actor_no = ENTRY_NO(2, 1) };
	struct digest leaf;
	struct buf b = BUF_INIT;

	cr_assert_eq(entry_store(&b, &leaf, e, salt), 0);
	cr_assert_eq(entry_open(&back, NULL, b.p, b.n, NULL), 0);
	j.leaf = &leaf;
	entry_json(out, &j);
	buf_release(&b);
}

Test(entry_json, every_kind_is_one_line_of_valid_json)
{
	for (size_t i = 0; i < KINDS; i++) {
		struct entry e;
		struct buf b = BUF_INIT;
		char want[64];

		if (!sample_log_entry(&e, kinds[i]))
			continue;
		line(&b, &e);
		expect_line(&b);
		cr_assert_eq(strchr((char *)b.p, '\n'), (char *)b.p + b.n - 1);
		snprintf(want, sizeof(want),
			 "{\"entry\":\"7.3\",\"kind\":\"%s\"",
			 entry_kind_name(kinds[i]));
		cr_assert_eq(strncmp((char *)b.p, want, strlen(want)), 0);
		buf_release(&b);
	}
}

Test(entry_json, a_version_reads_as_documented)
{
	struct entry e;
	struct buf b = BUF_INIT;
	static const char *const want[] = {
		"\"kind\":\"version\"",
		"\"time\":\"2026-11-20T10:00:00.000000513Z\"",
		"\"inode\":1099511627853",
		"\"version\":3",
		"\"path\":\"dir/file\"",
		"\"size\":10000",
		"\"reason\":\"demand\"",
		"\"attribution\":\"by handle\"",
		"\"changed\":[[0,100],[4096,10000]]",
		"\"changed_is_hull\":true",
		"\"actor_entry\":\"2.1\"",
	};

	cr_assert(sample_log_entry(&e, ENTRY_VERSION));
	line(&b, &e);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		cr_assert_not_null(strstr((char *)b.p, want[i]),
				   "%s is not in %s", want[i], (char *)b.p);
	buf_release(&b);
}

Test(entry_json, names_that_are_no_text_come_in_hex_too)
{
	struct entry e;
	struct buf b = BUF_INIT;

	cr_assert(sample_log_entry(&e, ENTRY_CREATE));
	line(&b, &e);
	expect_line(&b);
	cr_assert_not_null(strstr((char *)b.p, "\"name_hex\":\"636166c3a90a"));
	cr_assert_null(memchr(b.p, 0x1b, b.n));
	buf_release(&b);
}

Test(entry_json, entries_not_in_clear_say_so)
{
	struct entry e;
	struct entry_json j = { .entry = &e,
				.actor_no = -1,
				.note = "rejected" };
	struct buf b = BUF_INIT;

	memset(&e, 0, sizeof(e));
	e.core.kind = e.body.kind = ENTRY_VERSION;
	e.state = ENTRY_REDACTED;
	e.body.opaque = true;
	entry_json(&b, &j);
	expect_line(&b);
	cr_assert_not_null(strstr((char *)b.p, "\"state\":\"redacted\""));
	cr_assert_not_null(strstr((char *)b.p, "\"note\":\"rejected\""));
	buf_clear(&b);
	e.core.kind = e.body.kind = 0x8123;
	e.state = ENTRY_CLEAR;
	entry_json(&b, &j);
	expect_line(&b);
	cr_assert_not_null(strstr((char *)b.p, "\"kind\":\"kind-8123\""));
	buf_release(&b);
}
