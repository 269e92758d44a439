/*
 * call.c - finds a step by its name and runs it.
 *
 * Words are separated by blanks.  In a word, `<text*N>` is text N times, `@`
 * alone is the empty word, `%else` a directory elsewhere, `\xff` a byte.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/conform/call.h"

static const struct call *const families[] = {
	call_names, call_attrs, call_files, call_xattrs, call_observe,
	call_data,  call_maps,	call_locks, call_dirs,	 call_processes,
};

__attribute__((noreturn)) static void bad(const char *what, const char *word)
{
	fprintf(stderr, "a table has %s: %s\n", what, word);
	exit(2);
}

long call_flags(const char *word)
{
	long v;

	if (!flags_parse(word, &v))
		bad("an unknown flag", word);
	return v;
}

mode_t call_mode(const char *word)
{
	char *end;
	unsigned long v = strtoul(word, &end, 8);

	if (*end)
		bad("a bad mode", word);
	return (mode_t)v;
}

long long call_number(const char *word)
{
	char *end;
	long long v = strtoll(word, &end, 0);

	if (*end)
		bad("a bad number", word);
	return v;
}

uint32_t call_id(const char *word)
{
	uint32_t id;

	if (!who_id(word, &id))
		bad("a bad id", word);
	return id;
}

int *call_held(struct ctx *x, const char *word)
{
	if (word[0] < '0' || word[0] > '9' || word[1])
		bad("a bad descriptor", word);
	return &x->held[word[0] - '0'];
}

void call_say(struct ctx *x, const char *format, ...)
{
	size_t n = strlen(x->out);
	va_list ap;

	va_start(ap, format);
	vsnprintf(x->out + n, CTX_TEXT - n, format, ap);
	va_end(ap);
}

void call_close_held(struct ctx *x)
{
	call_end_processes();
	call_close_maps();
	call_close_dirs();
	for (int i = 0; i < CTX_HELD; i++) {
		if (x->held[i] >= 0)
			close(x->held[i]);
		x->held[i] = -1;
	}
}

static const struct call *find(const char *name)
{
	for (size_t f = 0; f < sizeof(families) / sizeof(*families); f++)
		for (const struct call *c = families[f]; c->name; c++)
			if (!strcmp(c->name, name))
				return c;
	return NULL;
}

bool call_looks(const char *name)
{
	const struct call *c = find(name);

	return c && c->looks;
}

/* `<text*N>` in a word; returns where the next word may go. */
static char *expand(char *out, const char *word, const struct ctx *x)
{
	const char *star, *end;

	if (!strcmp(word, "@"))
		word = "";
	if (!strncmp(word, "%else", 5)) {
		size_t n = strlen(x->elsewhere);

		memcpy(out, x->elsewhere, n);
		out += n;
		word += 5;
	}
	while (*word) {
		end = *word == '<' ? strchr(word, '>') : NULL;
		star = end ? memchr(word, '*', (size_t)(end - word)) : NULL;
		unsigned byte;

		if (!strncmp(word, "\\x", 2) &&
		    sscanf(word + 2, "%2x", &byte) == 1) {
			*out++ = (char)byte;
			word += 4;
			continue;
		}
		if (!star) {
			*out++ = *word++;
			continue;
		}
		for (long n = strtol(star + 1, NULL, 10); n > 0; n--) {
			memcpy(out, word + 1, (size_t)(star - word - 1));
			out += star - word - 1;
		}
		word = end + 1;
	}
	*out++ = '\0';
	return out;
}

bool call_run(struct ctx *x, char *step)
{
	static char words[CTX_TEXT];
	char *arg[CTX_ARGS + 2] = { NULL }, *save = NULL, *at = words;
	const struct call *c;
	int n = -1, rc, e;

	for (char *w = strtok_r(step, " \t", &save); w && n < CTX_ARGS;
	     w = strtok_r(NULL, " \t", &save)) {
		arg[++n] = at;
		at = expand(at, w, x);
	}
	c = n < 0 ? NULL : find(arg[0]);
	if (!c || n < c->least || n > c->most)
		return false;
	x->out[0] = '\0';
	errno = 0;
	rc = c->fn(x, n, arg + 1);
	e = errno;
	if (rc < 0 && e) {
		x->out[0] = '\0';
		call_say(x, "%s", flags_errno(e));
	} else if (!x->out[0]) {
		call_say(x, "0");
	}
	return true;
}
