/*
 * opt.h - command lines: options from one table, usage, help, failure.
 *
 *	struct opt options[] = {
 *		{ 'f', "foreground", OPT_FLAG, &foreground, NULL, "stay" },
 *		{ 'o', NULL, OPT_TEXT, &text, "OPTS", "mount options" },
 *		OPT_FORMAT(&format),
 *		OPT_END,
 *	};
 *	int status = opt_parse(options, &argc, &argv, 2, 2);
 *	if (status >= 0)
 *		return status;
 *
 * leaves in argv[0..argc-1] what is no option.  -h and --help print help on
 * stdout and give 0; a mistake prints what it is and the usage, or where to find
 * a longer one, on stderr and gives 2.
 * Not thread-safe.
 */
#ifndef MOUNT_TOOLS_OPT_H
#define MOUNT_TOOLS_OPT_H

#include <stdbool.h>
#include <stdint.h>

struct errmsg;

enum opt_format { OPT_AS_TEXT, OPT_AS_JSON };

enum opt_kind {
	OPT_NONE,      /* ends the table */
	OPT_FLAG,      /* bool *: set to true */
	OPT_TEXT,      /* const char **: borrowed from argv */
	OPT_NUMBER,    /* uint64_t * */
	OPT_FORMAT_OF, /* enum opt_format * */
	OPT_EACH,      /* struct opt_texts *: may be given several times */
};

enum { OPT_TEXTS_MAX = 32, OPT_GO = -1, OPT_ANY = 1 << 20 };

struct opt_texts {
	const char *v[OPT_TEXTS_MAX];
	unsigned n;
};

struct opt {
	char letter;	  /* 0: long form only */
	const char *name; /* NULL: letter only */
	enum opt_kind kind;
	void *out;
	const char *value; /* what help calls the value */
	const char *help;
};

#define OPT_FORMAT(out_format)                                         \
	{                                                              \
		0, "format", OPT_FORMAT_OF, (out_format), "text|json", \
			"how to print (text)"                          \
	}
#define OPT_END                                     \
	{                                           \
		0, NULL, OPT_NONE, NULL, NULL, NULL \
	}

/*
 * argv[0] is the verb.  OPT_GO, or the exit status to leave with.  least and
 * most bound the number of arguments that are no options.
 */
int opt_parse(const struct opt *options, int *argc, char ***argv, int least,
	      int most);
/*
 * The same where a command with options of its own follows: the first
 * argument that is no option, or what comes after --, ends ours.
 */
int opt_parse_command(const struct opt *options, int *argc, char ***argv);
/* "vouch VERB: words", and how it is used, on stderr; returns 2. */
int opt_misuse(const char *verb, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* "vouch VERB: words" on stderr, escaped; returns 1. */
int opt_fail(const char *verb, int rc, const struct errmsg *em);

#endif
