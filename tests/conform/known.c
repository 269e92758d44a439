/*
 * known.c - differences that have a reason.
 */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/conform/known.h"

static char *part(char **s, const char *path, unsigned line)
{
	char *p = strsep(s, "|"), *end;

	if (!p) {
		fprintf(stderr, "%s:%u: five parts are needed\n", path, line);
		exit(2);
	}
	p += strspn(p, " \t");
	end = p + strlen(p);
	while (end > p && strchr(" \t\n", end[-1]))
		*--end = '\0';
	p = strdup(p);
	if (!p)
		exit(2);
	return p;
}

void known_read(struct known_list *out, const char *path)
{
	FILE *f = fopen(path, "r");
	char line[TABLE_LINE];

	*out = (struct known_list){ NULL, 0 };
	if (!f) {
		perror(path);
		exit(2);
	}
	for (unsigned n = 1; fgets(line, sizeof(line), f); n++) {
		struct known *k;
		char *s = line;

		if (line[0] == '#' || line[0] == '\n')
			continue;
		out->v = reallocarray(out->v, out->n + 1, sizeof(*k));
		if (!out->v)
			exit(2);
		k = &out->v[out->n++];
		*k = (struct known){ .line = n };
		k->side = part(&s, path, n);
		k->section = part(&s, path, n);
		k->conditions = part(&s, path, n);
		k->got = part(&s, path, n);
		k->why = part(&s, path, n);
	}
	fclose(f);
}

bool known_is(struct known_list *l, const char *side, bool mount,
	      const struct table_case *k, const char *got)
{
	for (size_t i = 0; i < l->n; i++) {
		struct known *d = &l->v[i];

		if (strcmp(d->side, side) &&
		    (mount || strcmp(d->side, "native")))
			continue;
		if (fnmatch(d->section, k->section, 0) ||
		    fnmatch(d->got, got, 0) ||
		    !table_holds(d->conditions, k->bindings, k->n_bindings,
				 NULL))
			continue;
		d->hits++;
		return true;
	}
	return false;
}

void known_free(struct known_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].side);
		free(l->v[i].section);
		free(l->v[i].conditions);
		free(l->v[i].got);
		free(l->v[i].why);
	}
	free(l->v);
	*l = (struct known_list){ NULL, 0 };
}
