/*
 * glob.c - see glob.h.
 *
 * Both levels, bytes within a component and components within a path, are
 * matched greedily with one place to come back to: after the last star.  What
 * an earlier star took need never be taken back, for the shortest match of
 * what lies between two stars leaves the most to the second.
 *
 * "Covers": a path is matched when the pattern is used up at any of its
 * slashes or at its end.
 */
#include "base/glob.h"

#include <string.h>

/* A component of a pattern or a path, and the rest of it. */
struct part {
	const char *p, *end; /* the component */
	const char *next;    /* after its slash; NULL: it is the last */
	const char *all_end;
};

static struct part part_at(const char *p, const char *end)
{
	const char *slash = p == end ? NULL : memchr(p, '/', (size_t)(end - p));

	return (struct part){ .p = p,
			      .end = slash ? slash : end,
			      .next = slash ? slash + 1 : NULL,
			      .all_end = end };
}

/* --- one component --- */

/*
 * The set that starts after '[' at p: *out_in says whether c is in it.
 * Returns what follows its ']', or NULL when it has no end.
 */
static const char *set_match(const char *p, const char *end, unsigned char c,
			     bool *out_in)
{
	bool inverse = p < end && (*p == '!' || *p == '^');
	bool in = false, first = true;

	if (inverse)
		p++;
	for (; p < end && (first || *p != ']'); first = false) {
		unsigned char lo, hi;

		if (*p == '\\' && p + 1 < end)
			p++;
		lo = hi = (unsigned char)*p++;
		if (end - p >= 2 && *p == '-' && p[1] != ']') {
			p++;
			if (*p == '\\' && p + 1 < end)
				p++;
			hi = (unsigned char)*p++;
		}
		in = in || (lo <= c && c <= hi);
	}
	if (p >= end)
		return NULL;
	*out_in = in != inverse;
	return p + 1;
}

/* What follows the one thing at p if it matches the byte c; else NULL. */
static const char *one_match(const char *p, const char *end, char c)
{
	const char *after;
	bool in = false;

	if (*p == '?')
		return p + 1;
	if (*p == '[') {
		after = set_match(p + 1, end, (unsigned char)c, &in);
		if (after)
			return in ? after : NULL;
	}
	if (*p == '\\' && p + 1 < end)
		p++;
	return *p == c ? p + 1 : NULL;
}

static bool name_match(const char *p, const char *end, const char *s,
		       const char *s_end)
{
	const char *star = NULL, *again = NULL, *after;

	while (s < s_end) {
		if (p < end && *p == '*') {
			star = ++p;
			again = s;
			continue;
		}
		after = p < end ? one_match(p, end, *s) : NULL;
		if (after) {
			p = after;
			s++;
		} else if (star) {
			p = star;
			s = ++again;
		} else {
			return false;
		}
	}
	while (p < end && *p == '*')
		p++;
	return p == end;
}

static bool is_deep(const struct part *v)
{
	return v->end - v->p == 2 && v->p[0] == '*' && v->p[1] == '*';
}

/* --- whole paths --- */

/* below: what lies below a match is matched, too. */
static bool path_match(const char *pattern, size_t pattern_n, const char *path,
		       size_t n, bool below)
{
	const char *p = pattern, *end = pattern + pattern_n;
	const char *s = n ? path : NULL, *s_end = path + n;
	const char *star = NULL, *again = NULL;

	for (;;) {
		struct part a, b;

		if (!p && (below || !s))
			return true; /* used up: the rest lies below */
		a = p ? part_at(p, end) : (struct part){ .p = NULL };
		if (p && is_deep(&a)) {
			if (!a.next)
				return true;
			star = p = a.next;
			again = s;
			continue;
		}
		if (!s)
			return false;
		b = part_at(s, s_end);
		if (p && name_match(a.p, a.end, b.p, b.end)) {
			p = a.next;
			s = b.next;
			continue;
		}
		if (!star || !again)
			return false;
		again = part_at(again, s_end).next;
		p = star;
		s = again;
	}
}

bool glob_covers(const char *pattern, size_t pattern_n, const char *path,
		 size_t n)
{
	return path_match(pattern, pattern_n, path, n, true);
}

bool glob_matches(const char *pattern, size_t pattern_n, const char *path,
		  size_t n)
{
	return path_match(pattern, pattern_n, path, n, false);
}

size_t glob_literal(const char *pattern)
{
	size_t n = strcspn(pattern, "*?[\\");

	if (!pattern[n])
		return n;
	while (n > 0 && pattern[n - 1] != '/')
		n--;
	return n > 0 ? n - 1 : 0;
}

/* Any path at all: it has one component at least. */
static bool is_everything(const char *pattern)
{
	while (strncmp(pattern, "**/", 3) == 0)
		pattern += 3;
	return strcmp(pattern, "*") == 0 || strcmp(pattern, "**") == 0;
}

bool glob_includes(const char *outer, const char *inner)
{
	/* what inner covers lies at or below the names it begins with */
	size_t n = glob_literal(inner);

	return is_everything(outer) ||
	       (n > 0 && glob_covers(outer, strlen(outer), inner, n));
}

bool glob_is_open(const char *pattern)
{
	const char *p = pattern, *end = p + strlen(p), *stop;
	bool in;

	while (p < end) {
		if (*p == '[') {
			stop = memchr(p, '/', (size_t)(end - p));
			p = set_match(p + 1, stop ? stop : end, 0, &in);
			if (!p)
				return true;
		} else {
			p += *p == '\\' && p + 1 < end ? 2 : 1;
		}
	}
	return false;
}

const char *glob_wrong(const char *pattern, size_t n)
{
	const char *p = pattern, *end = pattern + n;

	if (n == 0)
		return "it is empty";
	if (*p == '/')
		return "it begins with a slash; patterns start at the root of "
		       "the volume";
	while (p) {
		struct part a = part_at(p, end);
		size_t len = (size_t)(a.end - a.p);

		if (len == 0)
			return "it has an empty component";
		if (a.p[0] == '.' && (len == 1 || (len == 2 && a.p[1] == '.')))
			return "no name is \".\" or \"..\"";
		p = a.next;
	}
	return NULL;
}
