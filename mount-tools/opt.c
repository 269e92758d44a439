/*
 * opt.c - see opt.h.  getopt_long does the work; its tables are made here.
 */
#include "mount-tools/opt.h"

#include <assert.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/text.h"
#include "mount-tools/hint.h"
#include "mount-tools/vouch.h"

enum {
	OPTS_MAX = 32,
	LONG_ONLY = 256,
	EXIT_MISUSE = 2,
	WIDTH = 80,
	SHORT_USAGE = 120
};

/* Words from column `at` on, broken before the last column, then indented. */
static void wrap(FILE *f, const char *text, size_t n, size_t at, int indent)
{
	size_t gap = 0;

	while (n > 0) {
		const char *blank = memchr(text, ' ', n);
		size_t len = blank ? (size_t)(blank - text) : n;

		if (at + gap + len >= WIDTH && gap) {
			fprintf(f, "\n%*s", indent, "");
			at = (size_t)indent;
			gap = 0;
		}
		fprintf(f, "%*s%.*s", (int)gap, "", (int)len, text);
		at += gap + len;
		gap = 1;
		n -= len + (blank != NULL);
		text += len + (blank != NULL);
	}
	fputc('\n', f);
}

/* Each form of the verb on lines of its own. */
static void usage(FILE *f, const char *verb)
{
	const struct vouch_verb *v = vouch_find(verb);
	const char *form = v ? v->synopsis : verb;
	const char *head = "usage:";

	for (;;) {
		size_t n = strcspn(form, "\n");
		int at = fprintf(f, "%6s vouch ", head);

		wrap(f, form, n, at < 0 ? 0 : (size_t)at, 15);
		if (!form[n])
			return;
		form += n + 1;
		head = "";
	}
}

static void say_escaped(FILE *f, const char *prefix, const char *text)
{
	struct buf autocall(buf_release) b = BUF_INIT;
	char shown[4096];

	hint_fill(&b, text);
	if (b.n && !b.bad)
		text = (char *)b.p;
	log_escape(shown, sizeof(shown), text, strlen(text));
	fprintf(f, "%s: %s\n", prefix, shown);
}

/* How to use it where that is short: the reason is to be seen. */
static void usage_or_where(FILE *f, const char *verb)
{
	const struct vouch_verb *v = vouch_find(verb);
	size_t n = v ? strlen(v->synopsis) : 0;

	if (v && (n > SHORT_USAGE || strchr(v->synopsis, '\n')))
		fprintf(f, "`vouch help %s` tells how it is used\n", verb);
	else
		usage(f, verb);
}

int opt_misuse(const char *verb, const char *fmt, ...)
{
	char text[1024], prefix[64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(prefix, sizeof(prefix), "vouch %s", verb);
	say_escaped(stderr, prefix, text);
	usage_or_where(stderr, verb);
	return EXIT_MISUSE;
}

int opt_fail(const char *verb, int rc, const struct errmsg *em)
{
	char prefix[64];

	fflush(stdout);
	snprintf(prefix, sizeof(prefix), "vouch %s", verb);
	say_escaped(stderr, prefix, errmsg_text(em, rc));
	return 1;
}

static int help(const char *verb, const struct opt *options)
{
	const struct vouch_verb *v = vouch_find(verb);

	usage(stdout, verb);
	if (v)
		printf("  %s\n", v->summary);
	printf("\n");
	for (const struct opt *o = options; o->kind != OPT_NONE; o++) {
		char left[64], letter[4] = "";
		bool takes = o->kind != OPT_FLAG;
		if (o->letter)
			snprintf(letter, sizeof(letter), "-%c", o->letter);
		snprintf(left, sizeof(left), "%s%s%s%s%s%s",
			 o->letter ? letter : "    ",
			 o->letter && o->name ? ", " : "", o->name ? "--" : "",
			 o->name ? o->name : "",
			 takes ? (o->name ? "=" : " ") : "",
			 takes ? o->value : "");
		printf("  %-24s ", left);
		if (strlen(left) > 24)
			printf("\n%27s", "");
		wrap(stdout, o->help, strlen(o->help), 27, 27);
	}
	printf("  %-24s %s\n", "-h, --help", "this text");
	return 0;
}

struct tables {
	char letters[2 * OPTS_MAX + 8];
	struct option longs[OPTS_MAX + 2];
};

static void make_tables(struct tables *t, const struct opt *options,
			bool in_order)
{
	size_t n = 0, longs = 0;
	int i = 0;

	*t = (struct tables){ 0 };
	if (in_order)
		t->letters[n++] = '+';
	t->letters[n++] = ':';
	t->letters[n++] = 'h';
	for (const struct opt *o = options; o->kind != OPT_NONE; o++, i++) {
		assert(i < OPTS_MAX);
		bool takes = o->kind != OPT_FLAG;
		if (o->letter) {
			t->letters[n++] = o->letter;
			if (takes)
				t->letters[n++] = ':';
		}
		if (o->name)
			t->longs[longs++] = (struct option){
				o->name,
				takes ? required_argument : no_argument,
				NULL,
				o->letter ? o->letter : LONG_ONLY + i,
			};
	}
	t->longs[longs] = (struct option){ "help", no_argument, NULL, 'h' };
}

static const struct opt *find(const struct opt *options, int c)
{
	int i = 0;

	for (const struct opt *o = options; o->kind != OPT_NONE; o++, i++)
		if ((o->letter && o->letter == c) || c == LONG_ONLY + i)
			return o;
	return NULL;
}

/* NULL, or what is wrong with the value. */
static const char *set(const struct opt *o, const char *value)
{
	struct opt_texts *texts = o->out;

	switch (o->kind) {
	case OPT_FLAG:
		*(bool *)o->out = true;
		return NULL;
	case OPT_TEXT:
		*(const char **)o->out = value;
		return NULL;
	case OPT_NUMBER:
		return text_u64_parse(o->out, value) < 0 ? "no number" : NULL;
	case OPT_FORMAT_OF:
		if (strcmp(value, "json") != 0 && strcmp(value, "text") != 0)
			return "neither text nor json";
		*(enum opt_format *)o->out =
			value[0] == 'j' ? OPT_AS_JSON : OPT_AS_TEXT;
		return NULL;
	case OPT_EACH:
		if (texts->n == OPT_TEXTS_MAX)
			return "given too often";
		texts->v[texts->n++] = value;
		return NULL;
	case OPT_NONE:
		break;
	}
	return "not possible";
}

/* Is `word` one of those that a form "a|b|c" lists? */
static bool listed(const char *form, size_t n, const char *word)
{
	size_t len = strlen(word);

	for (size_t i = 0; i < n;) {
		size_t k = 0;

		while (i + k < n && form[i + k] != '|')
			k++;
		if (k == len && memcmp(form + i, word, len) == 0)
			return true;
		i += k + 1;
	}
	return false;
}

/*
 * The argument that is missing after n of them, as the usage calls it: the
 * (n + 1)-th word of a form that is neither an option nor in brackets.  Of
 * several forms the first whose own words, in small letters, were given.
 */
static const char *missing(const char *verb, int n, char **argv, size_t *out)
{
	const struct vouch_verb *v = vouch_find(verb);

	for (const char *form = v ? v->synopsis : NULL; form; form++) {
		const char *end = form + strcspn(form, "\n");
		const char *w = form + strcspn(form, " \n");
		bool fits = true;
		int i = 0, depth = 0;

		while (fits && w < end) {
			size_t len;

			w += strspn(w, " ");
			len = strcspn(w, " \n");
			if (depth == 0 && *w != '[' && *w != '-') {
				if (i == n) {
					*out = len;
					return w;
				}
				fits = *w < 'a' || *w > 'z' ||
				       listed(w, len, argv[i]);
				i++;
			}
			for (size_t k = 0; k < len; k++)
				depth += (w[k] == '[') - (w[k] == ']');
			w += len;
		}
		form = end;
		if (!*form)
			break;
	}
	return NULL;
}

static int count_misuse(const char *verb, int n, char **argv, int least,
			int most)
{
	size_t len = 0;
	const char *word = n < least ? missing(verb, n, argv, &len) : NULL;

	if (word && (*word < 'a' || *word > 'z'))
		return opt_misuse(verb, "%.*s is missing", (int)len, word);
	if (n < least)
		return opt_misuse(verb, "say what it shall do");
	if (n > most)
		return opt_misuse(verb, "too many arguments, from %s on",
				  argv[most]);
	return OPT_GO;
}

static int parse(const struct opt *options, int *argc, char ***argv,
		 bool in_order)
{
	const char *verb = (*argv)[0];
	struct tables t;
	int c;

	make_tables(&t, options, in_order);
	optind = 0; /* glibc: start anew */
	opterr = 0;
	while ((c = getopt_long(*argc, *argv, t.letters, t.longs, NULL)) >= 0) {
		const struct opt *o = find(options, c);
		const char *wrong;
		const char *shown = (*argv)[optind - 1];
		if (c == 'h' && !o)
			return help(verb, options);
		if (c == ':')
			return opt_misuse(verb, "%s needs a value", shown);
		if (!o)
			return opt_misuse(verb, "unknown option %s", shown);
		wrong = set(o, optarg);
		if (wrong)
			return opt_misuse(
				verb, "%s%.*s %s: %s",
				c < LONG_ONLY && !o->name ? "-" : "--",
				o->name ? 64 : 1,
				o->name ? o->name : &o->letter, optarg, wrong);
	}
	*argc -= optind;
	*argv += optind;
	return OPT_GO;
}

int opt_parse(const struct opt *options, int *argc, char ***argv, int least,
	      int most)
{
	const char *verb = (*argv)[0];
	int status = parse(options, argc, argv, false);

	return status == OPT_GO ?
		       count_misuse(verb, *argc, *argv, least, most) :
		       status;
}

int opt_parse_command(const struct opt *options, int *argc, char ***argv)
{
	const char *verb = (*argv)[0];
	int status = parse(options, argc, argv, true);

	return status == OPT_GO ? count_misuse(verb, *argc, *argv, 1, OPT_ANY) :
				  status;
}
