/*
 * who.c - identities.  The saved ids stay root's, so that there is a way
 * back; the effective capabilities go with the effective uid, and access(2)
 * sees the same user, since the real ids change, too.
 */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/conform/ctx.h"

static const struct who {
	const char *name;
	uint32_t id; /* uid and gid */
	gid_t groups[2];
	size_t n_groups;
} whos[] = {
	{ "root", 0, { 0 }, 1 },
	{ "owner", 1001, { 1001, 2001 }, 2 },
	{ "member", 1002, { 1002, 1001 }, 2 },
	{ "other", 1003, { 1003 }, 1 },
};

static const struct who *find(const char *name)
{
	for (size_t i = 0; i < sizeof(whos) / sizeof(*whos); i++)
		if (!strcmp(whos[i].name, name))
			return &whos[i];
	return NULL;
}

bool who_known(const char *name)
{
	return find(name) != NULL;
}

bool who_id(const char *text, uint32_t *out)
{
	const struct who *w = find(text);
	char *end;

	if (w)
		*out = w->id;
	else if (!strcmp(text, "both")) /* a second group of owner's */
		*out = 2001;
	else
		*out = (uint32_t)strtol(text, &end, 10);
	return w || !strcmp(text, "both") || !*end;
}

static void become(const struct who *w)
{
	if (setgroups(w->n_groups, w->groups) < 0 ||
	    setresgid(w->id, w->id, 0) < 0 || setresuid(w->id, w->id, 0) < 0) {
		fprintf(stderr, "cannot be %s: %s\n", w->name, strerror(errno));
		exit(2);
	}
}

void who_become(struct ctx *x, const char *name)
{
	if (!strcmp(x->who, name))
		return;
	if (setresuid(0, 0, 0) < 0) {
		perror("cannot be root again");
		exit(2);
	}
	become(find(name));
	x->who = find(name)->name;
}
