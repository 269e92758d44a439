/*
 * glob.h - patterns over paths.
 *
 * '*' and '?' match within a component, "[a-z]" one byte of a set, "[!a-z]"
 * one that is not in it (a set that has no end is taken as it is), a
 * component "**" any number of components, none too; '\' takes the meaning
 * from what follows.  Bytes, not characters.
 *
 * Pure; any thread; time is bounded by the product of the lengths.
 */
#ifndef BASE_GLOB_H
#define BASE_GLOB_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Does the pattern match the path (from the root, "a/b", no slash at either
 * end), or a directory that the path lies below?
 */
bool glob_covers(const char *pattern, size_t pattern_n, const char *path,
		 size_t n);
/* Does the pattern match the path itself? */
bool glob_matches(const char *pattern, size_t pattern_n, const char *path,
		  size_t n);
/*
 * Does `outer` cover every path that `inner` can?  True is certain; false may
 * be wrong where both begin with a wildcard.
 */
bool glob_includes(const char *outer, const char *inner);
/* How many bytes of the pattern, whole components, stand for themselves. */
size_t glob_literal(const char *pattern);
/*
 * NULL, or what is wrong with a pattern: it must not be empty, begin with a
 * slash, or hold components that no path has ("", ".", "..").
 */
const char *glob_wrong(const char *pattern, size_t n);
/*
 * Does a set begin in it that has no end?  Such a pattern means what it says,
 * but was probably meant otherwise.
 */
bool glob_is_open(const char *pattern);

#endif
