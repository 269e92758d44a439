/*
 * condition.c - what rules ask for.
 *
 *	NAME=a/b*	the variable's label matches one of the globs
 *	NAME!=a/b	none of them
 *	kernel<6.6	or kernel>=6.6: the running one
 *	protected_x=1	a setting below /proc/sys/fs
 *
 * DO, SETUP and AS are what the case does, with all variables replaced; in a
 * glob for them `?' stands for a blank.
 */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "tests/conform/table.h"

static bool kernel_holds(const char *s)
{
	unsigned want[2] = { 0 }, is[2] = { 0 };
	const char *digits = s + strcspn(s, "0123456789");
	struct utsname u;
	bool less;

	uname(&u);
	sscanf(digits, "%u.%u", &want[0], &want[1]);
	sscanf(u.release, "%u.%u", &is[0], &is[1]);
	less = is[0] != want[0] ? is[0] < want[0] : is[1] < want[1];
	return s[0] == '<' ? less : !less;
}

/* A setting that this kernel does not have is 0. */
static const char *setting(const char *name, size_t n)
{
	static char value[32];
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/sys/fs/%.*s", (int)n, name);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%31s", value) != 1)
		snprintf(value, sizeof(value), "0");
	if (f)
		fclose(f);
	return value;
}

static const char *label_of(const char *name, size_t n, const struct binding *b,
			    size_t n_b)
{
	for (size_t i = 0; i < n_b; i++)
		if (strlen(b[i].name) == n && !strncmp(b[i].name, name, n))
			return b[i].label;
	return NULL;
}

static bool holds(const char *s, const struct binding *b, size_t n_b,
		  const char *where)
{
	size_t n = strcspn(s, "!=<>");
	const char *label;
	bool no = s[n] == '!', match = false;
	char globs[512], *save = NULL;

	if (n == 6 && !strncmp(s, "kernel", 6))
		return kernel_holds(s + 6);
	label = s[0] >= 'a' && s[0] <= 'z' ? setting(s, n) :
					     label_of(s, n, b, n_b);
	if (!label && !where)
		return false;
	if (!label || (s[n] != '=' && !no)) {
		fprintf(stderr, "%s: a condition on nothing: %s\n", where, s);
		exit(2);
	}
	snprintf(globs, sizeof(globs), "%s", s + n + 1 + no);
	for (char *g = strtok_r(globs, "/", &save); g;
	     g = strtok_r(NULL, "/", &save))
		match = match || fnmatch(g, label, 0) == 0;
	return match != no;
}

bool table_holds(const char *conditions, const struct binding *b, size_t n,
		 const char *where)
{
	char copy[TABLE_LINE], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", conditions);
	for (char *w = strtok_r(copy, " \t", &save); w;
	     w = strtok_r(NULL, " \t", &save))
		if (!holds(w, b, n, where))
			return false;
	return true;
}
