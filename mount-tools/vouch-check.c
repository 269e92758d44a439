/*
 * vouch-check.c - the stranger's tool: is this file what the proof says?
 *
 * Needs nothing of vouchfs but base/ and ledger/; reads three files, talks to
 * nobody.  What is checked is in ledger/proof_check.c, which fits on a few
 * screens.  Exit 0 yes, 1 no or failure, 2 misuse.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/text.h"
#include "base/vio.h"
#include "ledger/mirror.h"
#include "ledger/proof.h"
#include "ledger/proof_text.h"
#include "ledger/trust.h"

enum { EXIT_YES = 0, EXIT_NO = 1, EXIT_MISUSE = 2 };
enum { READ_SIZE = 1 << 20, TILE_FILE_MAX = 32 << 20 };

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

/* Reads a whole small file; path as the user gave it. */
static int read_small(struct buf *out, const char *path, size_t max,
		      struct errmsg *em)
{
	char real[PATH_MAX];
	struct vio *v = NULL;
	int rc;

	if (realpath(path, real) == NULL)
		return errmsg_set(em, -errno, "%s: %s", path, strerror(errno));
	rc = vio_posix_open(&v, "/");
	if (rc == 0)
		rc = vio_read_file(v, out, real + 1, max);
	vio_free(v);
	return rc == 0 ? 0 : errmsg_set(em, rc, "%s: %s", path, err_text(rc));
}

static int hash_fd(struct proof_file *out, int fd)
{
	struct digest_sha256_ctx *c = digest_sha256_new();
	autofree uint8_t *p = malloc(READ_SIZE);
	ssize_t n = c == NULL || p == NULL ? -1 : 1;
	int rc = n < 0 ? -ENOMEM : 0;

	out->size = 0;
	while (n > 0) {
		n = read(fd, p, READ_SIZE);
		if (n < 0 && errno == EINTR) {
			n = 1;
			continue;
		}
		if (n < 0)
			rc = -errno;
		if (n > 0) {
			digest_sha256_update(c, p, (size_t)n);
			out->size += (uint64_t)n;
		}
	}
	if (rc == 0)
		digest_sha256_final(c, &out->sha256);
	digest_sha256_free(c);
	return rc;
}

static int hash_file(struct proof_file *out, const char *path,
		     struct errmsg *em)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return errmsg_set(em, -errno, "%s: %s", path, strerror(errno));
	rc = hash_fd(out, fd);
	close(fd);
	return rc == 0 ? 0 : errmsg_set(em, rc, "%s: %s", path, err_text(rc));
}

/* The trust file to use; em says what is missing. */
static int load_trust(struct trust *out, const char *given, struct errmsg *em)
{
	struct buf autocall(buf_release) b = BUF_INIT;
	struct buf autocall(buf_release) home = BUF_INIT;
	const char *path = given != NULL ? given : getenv("VOUCH_TRUST");
	int rc;

	if (path == NULL && getenv("XDG_CONFIG_HOME") != NULL)
		buf_addf(&home, "%s/vouchfs/trust", getenv("XDG_CONFIG_HOME"));
	else if (path == NULL && getenv("HOME") != NULL)
		buf_addf(&home, "%s/.config/vouchfs/trust", getenv("HOME"));
	if (path == NULL && (home.n == 0 || access((char *)home.p, F_OK) != 0))
		return errmsg_set(em, -ERR_USAGE,
				  "nobody is trusted yet: give --trust FILE "
				  "with the log's and the admin's keys");
	if (path == NULL)
		path = (char *)home.p;
	rc = read_small(&b, path, TRUST_FILE_MAX, em);
	if (rc == 0)
		rc = trust_parse(out, b.p, b.n, em);
	return rc == 0 ? 0 : errmsg_wrap(em, rc, "%s", path);
}

static int check_file(const struct options *o)
{
	struct buf autocall(buf_release) text = BUF_INIT;
	struct buf autocall(buf_release) words = BUF_INIT;
	autofree struct trust *trust = calloc(1, sizeof(*trust));
	autofree struct proof_report *report = calloc(1, sizeof(*report));
	autofree struct proof *proof = calloc(1, sizeof(*proof));
	struct proof_file file;
	struct errmsg em = ERRMSG_INIT;
	int rc;

	if (trust == NULL || report == NULL || proof == NULL)
		return no(o, &em, -ENOMEM);
	rc = load_trust(trust, o->trust, &em);
	if (rc == 0)
		rc = hash_file(&file, o->file, &em);
	if (rc == 0)
		rc = read_small(&text, o->proof, PROOF_MAX, &em);
	if (rc == 0)
		rc = proof_parse(proof, text.p, text.n, &em);
	if (rc == 0)
		rc = proof_check(report, proof, trust, &file, &em);
	if (rc == 0 && o->json)
		proof_text_json(&words, report, o->file);
	else if (rc == 0)
		proof_text(&words, report, o->file);
	rc = rc == 0 ? put(o, &words) : no(o, &em, rc);
	proof_release(proof);
	return rc;
}

static int load_tile(void *ctx, struct buf *out, const char *path)
{
	return vio_read_file(ctx, out, path, TILE_FILE_MAX);
}

static void log_words(struct buf *out, const struct options *o,
		      const struct mirror_report *r)
{
	char when[TEXT_TIME_SIZE];

	text_time(when, r->last_wall_ns);
	if (o->json) {
		buf_adds(out, "{\"ok\":true,\"origin\":");
		text_json_string(out, r->checkpoint.origin,
				 strlen(r->checkpoint.origin));
		buf_addf(out,
			 ",\"size\":%llu,\"entries\":%llu,\"mounts\":%u,"
			 "\"tiles\":%llu,\"last_time_claimed\":\"%s\"}\n",
			 (unsigned long long)r->seals,
			 (unsigned long long)r->entries, r->mounts,
			 (unsigned long long)r->tiles, when);
		return;
	}
	buf_adds(out, "log         ");
	text_term_escape(out, r->checkpoint.origin,
			 strlen(r->checkpoint.origin));
	buf_addf(out, ": %llu seals for %llu entries by %u mount%s\n",
		 (unsigned long long)r->seals, (unsigned long long)r->entries,
		 r->mounts, r->mounts == 1 ? "" : "s");
	buf_addf(out,
		 "            signed by a trusted log key, %llu tiles agree,\n"
		 "            every mount's seals follow one another\n"
		 "            last seal at %s by its mount's clock\n",
		 (unsigned long long)r->tiles, when);
}

static int check_log(const struct options *o)
{
	struct buf autocall(buf_release) words = BUF_INIT;
	autofree struct trust *trust = calloc(1, sizeof(*trust));
	struct mirror_report report;
	struct errmsg em = ERRMSG_INIT;
	char real[PATH_MAX];
	struct vio *v = NULL;
	int rc;

	if (trust == NULL)
		return no(o, &em, -ENOMEM);
	if (realpath(o->log, real) == NULL) {
		rc = errmsg_set(&em, -errno, "%s: %s", o->log, strerror(errno));
		return no(o, &em, rc);
	}
	rc = load_trust(trust, o->trust, &em);
	if (rc == 0)
		rc = vio_posix_open(&v, real);
	if (rc == 0)
		rc = mirror_check(&report, load_tile, v, trust, &em);
	vio_free(v);
	if (rc != 0)
		return no(o, &em, rc);
	log_words(&words, o, &report);
	return put(o, &words);
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
	return o.log != NULL ? check_log(&o) : check_file(&o);
}
