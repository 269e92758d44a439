/*
 * vouch-check.c - the stranger's tool: is this file what the proof says?
 *
 * Needs nothing of vouchfs but base/ and ledger/; reads three files, talks to
 * nobody.  What is checked is in ledger/proof_check.c, which fits on a few
 * screens.  Exit 0 yes, 1 no or failure, 2 misuse.
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"
#include "ledger/offline.h"

enum { EXIT_YES = 0, EXIT_NO = 1, EXIT_MISUSE = 2 };

static const char usage[] =
	"usage: vouch-check FILE PROOF [--trust FILE] [--format=text|json]\n"
	"       vouch-check --log DIR [--trust FILE] [--format=text|json]\n";

static const char help[] =
	"Checks offline that FILE is what its .tlog-proof says, or that DIR\n"
	"(checkpoint, tile/) is a log in which nothing was changed.\n"
	"\n"
	"  -t, --trust FILE   whose word counts: lines \"log VKEY\", \"admin\n"
	"                     VKEY\", \"witness VKEY\", as `vouch key show`\n"
	"                     prints; else $VOUCH_TRUST, else\n"
	"                     ~/.config/vouchfs/trust\n"
	"  -l, --log DIR      check a copy of the public log\n"
	"      --format F     text (default) or json\n"
	"  -h, --help         this text\n"
	"  -V, --version      the version\n"
	"\n"
	"Exit status: 0 yes, 1 no or failure, 2 misuse.\n";

struct options {
	const char *trust;
	const char *log;
	const char *file;
	const char *proof;
	bool json;
};

static int misuse(const char *why)
{
	fprintf(stderr, "vouch-check: %s\n%s", why, usage);
	return EXIT_MISUSE;
}

/* Prints why not, in the form asked for. */
static int no(const struct options *o, const struct errmsg *em, int rc)
{
	struct buf autocall(buf_release) b = BUF_INIT;
	const char *words = errmsg_text(em, rc);

	if (o->json) {
		buf_adds(&b, "{\"ok\":false,\"error\":");
		text_json_string(&b, words, strlen(words));
		buf_adds(&b, "}\n");
	} else {
		buf_adds(&b, "vouch-check: ");
		text_term_escape(&b, words, strlen(words));
		buf_addc(&b, '\n');
	}
	if (!b.bad)
		fwrite(b.p, 1, b.n, o->json ? stdout : stderr);
	return rc == -ERR_USAGE ? EXIT_MISUSE : EXIT_NO;
}

static int put(const struct options *o, const struct buf *b)
{
	struct errmsg em = ERRMSG_INIT;

	if (b->bad)
		return no(o, &em, -ENOMEM);
	if (fwrite(b->p, 1, b->n, stdout) != b->n || fflush(stdout) != 0)
		return no(o, &em, -errno);
	return EXIT_YES;
}

static int check(const struct options *o)
{
	const struct offline_options how = { o->trust, o->json };
	struct buf autocall(buf_release) words = BUF_INIT;
	struct errmsg em = ERRMSG_INIT;
	int rc = o->log != NULL ? offline_check_log(&words, o->log, &how, &em) :
				  offline_check_file(&words, o->file, o->proof,
						     &how, &em);

	return rc == 0 ? put(o, &words) : no(o, &em, rc);
}

/* -1: go on; else the exit status. */
static int parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "trust", required_argument, NULL, 't' },
		{ "log", required_argument, NULL, 'l' },
		{ "format", required_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "t:l:hV", longs, NULL)) != -1) {
		switch (c) {
		case 't':
			o->trust = optarg;
			break;
		case 'l':
			o->log = optarg;
			break;
		case 'f':
			o->json = strcmp(optarg, "json") == 0;
			if (!o->json && strcmp(optarg, "text") != 0)
				return misuse("--format is text or json");
			break;
		case 'h':
			printf("%s\n%s", usage, help);
			return EXIT_YES;
		case 'V':
			printf("vouch-check %s\n", VOUCHFS_VERSION);
			return EXIT_YES;
		default:
			fputs(usage, stderr);
			return EXIT_MISUSE;
		}
	}
	argc -= optind;
	argv += optind;
	if (argc != (o->log == NULL ? 2 : 0))
		return misuse(o->log == NULL ?
				      "a file and its proof are needed" :
				      "--log takes no file");
	o->file = argc == 2 ? argv[0] : NULL;
	o->proof = argc == 2 ? argv[1] : NULL;
	return -1;
}

int main(int argc, char **argv)
{
	struct options o = { .trust = NULL };
	int rc = parse(&o, argc, argv);

	if (rc >= 0)
		return rc;
	return check(&o);
}
