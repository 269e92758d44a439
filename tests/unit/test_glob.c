/*
 * test_glob.c - patterns over paths: a table, and the greedy matcher against
 * one that tries everything.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/glob.h"
#include "tests/sim/prng.h"

static bool covers(const char *pattern, const char *path)
{
	return glob_covers(pattern, strlen(pattern), path, strlen(path));
}

Test(glob, matches_the_path_itself)
{
	static const struct {
		const char *pattern, *path;
		bool want;
	} v[] = {
		{ "a", "a", true },
		{ "a", "a/b", false },
		{ "a/b", "a", false },
		{ "**/a", "a", true },
		{ "**/a", "a/b", false },
		{ "**/a", "a/b/a", true }, /* again further down */
		{ "**/a/b", "a/b/c/a/b", true },
		{ "**/a/b", "a/b/c", false },
		{ "a/**", "a", true },
		{ "a/**", "a/b/c", true },
		{ "**", "", true },
		{ "*", "", false },
		{ "a*/*b", "ax/yb", true },
		{ "a*/*b", "ax/yb/z", false },
	};

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		cr_expect_eq(glob_matches(v[i].pattern, strlen(v[i].pattern),
					  v[i].path, strlen(v[i].path)),
			     v[i].want, "%s %s", v[i].pattern, v[i].path);
}

Test(glob, the_table)
{
	static const struct {
		const char *pattern, *path;
		bool want;
	} v[] = {
		{ "a", "a", true },
		{ "a", "b", false },
		{ "a", "ab", false },
		{ "a", "a/b/c", true }, /* below */
		{ "a/b", "a", false },
		{ "a/b", "a/b", true },
		{ "a/b", "a/bc", false },
		{ "*", "a/b", true },
		{ "*.log", "x.log", true },
		{ "*.log", "d/x.log", false },
		{ "*.log", "x.log/y", true },
		{ "**/*.log", "x.log", true },
		{ "**/*.log", "d/e/x.log", true },
		{ "**/*.log", "d/e/x.txt", false },
		{ "logs/**", "logs/a", true },
		{ "logs/**", "logs", true },
		{ "logs/*", "logs", false },
		{ "a/**/z", "a/z", true },
		{ "a/**/z", "a/b/c/z/q", true },
		{ "a/**/z", "b/z", false },
		{ "**", "", true },
		{ "*", "", false },
		{ "**/a/**/b", "a/a/b", true },
		{ "**/a/b", "a/a/a/b", true },
		{ "**/a/b", "a/a/a/c", false },
		{ "?", "a", true },
		{ "?", "ab", false },
		{ "[a-c]x", "bx", true },
		{ "[!a-c]x", "bx", false },
		{ "[^a-c]x", "dx", true },
		{ "[]]", "]", true },
		{ "[a-]", "-", true },
		{ "[", "[", true },
		{ "[a", "[a", true },
		{ "\\*", "*", true },
		{ "\\*", "a", false },
		{ "[\\]x]", "]", true },
		{ "a\\", "a\\", true },
		{ "*a*b*c", "xxaybzc", true },
		{ "*a*b*c", "xxaybzcd", false },
		{ "a***b", "ab", true },
		{ "\xff*", "\xff\xfe", true },
	};

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		cr_assert_eq(covers(v[i].pattern, v[i].path), v[i].want,
			     "'%s' over '%s'", v[i].pattern, v[i].path);
}

Test(glob, patterns_that_match_no_path_are_told)
{
	static const char *const bad[] = { "",	  "/a", "a/",	"a//b",
					   "./a", "..", "a/..", "." };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_not_null(glob_wrong(bad[i], strlen(bad[i])), "%s",
				   bad[i]);
	cr_assert_null(glob_wrong("a/**/[x", 7));
	cr_assert_null(glob_wrong("...", 3));
}

Test(glob, a_set_without_an_end_is_known)
{
	static const char *const open[] = { "[", "a[b", "a/[x/b]", "[]",
					    "[!]" };
	static const char *const whole[] = { "[a]",	  "\\[",   "a]",
					     "[]]",	  "[[]",   "[\\]]",
					     "**/*.[ch]", "[!]]/x" };

	for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
		cr_assert(glob_is_open(open[i]), "%s", open[i]);
	for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
		cr_assert(!glob_is_open(whole[i]), "%s", whole[i]);
}

/* --- against one that tries everything --- */

static bool slow_name(const char *p, const char *e, const char *s,
		      const char *se)
{
	if (p == e)
		return s == se;
	if (*p == '*')
		return slow_name(p + 1, e, s, se) ||
		       (s < se && slow_name(p, e, s + 1, se));
	return s < se && (*p == '?' || *p == *s) &&
	       slow_name(p + 1, e, s + 1, se);
}

static bool slow(const char *p, const char *s, bool below)
{
	const char *pe, *se;

	if (!p)
		return below || !s;
	pe = strchr(p, '/');
	if (!strncmp(p, "**", 2) && (p[2] == '/' || p[2] == '\0')) {
		const char *next = s ? strchr(s, '/') : NULL;

		if (slow(pe ? pe + 1 : NULL, s, below))
			return true;
		return s && slow(p, next ? next + 1 : NULL, below);
	}
	if (!s)
		return false;
	se = strchr(s, '/');
	return slow_name(p, pe ? pe : p + strlen(p), s,
			 se ? se : s + strlen(s)) &&
	       slow(pe ? pe + 1 : NULL, se ? se + 1 : NULL, below);
}

static void make(struct prng *r, char out[64], const char *const *words,
		 unsigned n_words)
{
	unsigned n = (unsigned)prng_range(r, 1, 5);
	size_t at = 0;

	for (unsigned i = 0; i < n; i++)
		at += (size_t)snprintf(out + at, 64 - at, "%s%s", i ? "/" : "",
				       words[prng_below(r, n_words)]);
}

Test(glob, the_greedy_matcher_is_the_one_that_tries_everything)
{
	static const char *const names[] = { "a", "b", "ab", "ba", "aab" };
	static const char *const parts[] = { "a",  "b",	 "*",  "**",
					     "a*", "*b", "?b", "*a*b" };
	char pattern[64], path[64];
	unsigned yes = 0;
	struct prng r;

	prng_init(&r, prng_seed("glob", 11));
	for (unsigned i = 0; i < 200000; i++) {
		bool want;

		make(&r, pattern, parts, 8);
		make(&r, path, names, 5);
		want = slow(pattern, path, true);
		yes += want;
		cr_assert_eq(covers(pattern, path), want, "'%s' over '%s'",
			     pattern, path);
		want = slow(pattern, path, false);
		cr_assert_eq(glob_matches(pattern, strlen(pattern), path,
					  strlen(path)),
			     want, "'%s' matches '%s'", pattern, path);
	}
	cr_assert(yes > 20000 && yes < 180000, "%u", yes);
}

Test(glob, what_one_pattern_says_another_includes_is_so)
{
	static const char *const names[] = { "a", "b", "ab", "ba", "aab" };
	static const char *const parts[] = { "a",  "b",	 "*",  "**",
					     "a*", "*b", "?b", "*a*b" };
	char outer[64], inner[64], path[64];
	unsigned yes = 0, below = 0;
	struct prng r;

	prng_init(&r, prng_seed("glob", 12));
	for (unsigned i = 0; i < 300000; i++) {
		make(&r, outer, parts, 8);
		make(&r, inner, parts, 8);
		make(&r, path, names, 5);
		if (!glob_includes(outer, inner))
			continue;
		yes++;
		below += covers(inner, path);
		if (covers(inner, path))
			cr_assert(covers(outer, path), "'%s' in '%s': '%s'",
				  inner, outer, path);
	}
	cr_assert(yes > 10000 && below > 1000, "%u, %u", yes, below);
	cr_assert(glob_includes("logs/**", "logs/a/*.log"));
	cr_assert(glob_includes("logs", "logs/a/*.log"));
	cr_assert(glob_includes("l*", "logs"));
	cr_assert(glob_includes("**/*", "*.log"));
	cr_assert_not(glob_includes("logs/*.log", "logs/**"));
	cr_assert_not(glob_includes("logs/a", "logs"));
	cr_assert_not(glob_includes("logs/a", "logs\\/a"));
	cr_assert_eq(glob_literal("a/b"), 3);
	cr_assert_eq(glob_literal("a/b*/c"), 1);
	cr_assert_eq(glob_literal("*"), 0);
	cr_assert_eq(glob_literal("a/b/?"), 3);
}
