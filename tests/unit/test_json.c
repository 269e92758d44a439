/* test_json.c - the JSON reader takes what RFC 8259 says and nothing else. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/err.h"
#include "base/json.h"

static struct json_doc *parse(const char *s)
{
	struct json_doc *d = NULL;
	struct errmsg em = ERRMSG_INIT;
	int rc = json_parse(&d, s, strlen(s), &em);

	cr_assert_eq(rc, 0, "%s: %s", s, errmsg_text(&em, rc));
	return d;
}

Test(json, values_are_read)
{
	struct json_doc *d = parse(" {\"a\": [1, -2.5e3, true, null], "
				   "\"s\":\"x\\n\\u00e9\\ud83d\\ude00\", "
				   "\"u\":18446744073709551615, \"e\":{}} ");
	const struct json *r = json_root(d);
	uint64_t u;
	int64_t i;
	double f;

	cr_assert_eq(r->count, 4);
	const struct json *a = json_get(r, "a");
	cr_assert_eq(a->count, 4);
	cr_assert(json_i64(a->first, &i) && i == 1);
	cr_assert(!json_i64(a->first->next, &i));
	cr_assert(json_double(a->first->next, &f) && f == -2500.0);
	cr_assert_str_eq(json_get_str(r, "s"), "x\n\xc3\xa9\xf0\x9f\x98\x80");
	cr_assert(json_get_u64(r, "u", &u) && u == UINT64_MAX);
	cr_assert_null(json_get(r, "missing"));
	cr_assert_null(json_get_str(r, "u"));
	cr_assert(json_get_bool(NULL, "x", true));
	json_free(d);
}

Test(json, nul_in_a_string_is_no_c_string)
{
	struct json_doc *d = parse("[\"a\\u0000b\"]");

	cr_assert_eq(json_root(d)->first->len, 3);
	cr_assert_null(json_str(json_root(d)->first));
	json_free(d);
}

Test(json, bad_texts_are_refused)
{
	static const char *const bad[] = {
		"",
		" ",
		"{",
		"[1,]",
		"{\"a\":1,}",
		"01",
		"1.",
		"-",
		".5",
		"1e",
		"+1",
		"nul",
		"truex",
		"\"a",
		"\"\\x\"",
		"\"\t\"",
		"\"\\u12\"",
		"\"\\ud800\"",
		"[1] 2",
		"{1:2}",
		"\"\xff\"",
		"\"\\",
		"{\"a\":1 \"b\":2}",
		"{\"a\":1,\"a\":2}",
		"\"\\udc00\"",
		"'a'",
		"[\"\\",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct json_doc *d = NULL;
		struct errmsg em = ERRMSG_INIT;
		cr_assert_eq(json_parse(&d, bad[i], strlen(bad[i]), &em),
			     -ERR_FORMAT, "%s", bad[i]);
		cr_assert_null(d);
		cr_assert_not_null(strstr(em.text, "at byte"));
	}
}

Test(json, depth_is_bounded)
{
	char deep[JSON_DEPTH_MAX + 2];
	struct json_doc *d = NULL;

	memset(deep, '[', sizeof(deep));
	cr_assert_eq(json_parse(&d, deep, sizeof(deep), NULL), -ERR_LIMIT);
}
