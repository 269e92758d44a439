/*
 * conform.c - runs tables of cases on a mount and on a native filesystem.
 *
 *	conform [-v] [-p | -r] [-t WORD] -k KNOWN MOUNT NATIVE TABLE...
 *
 * MOUNT and NATIVE are directories.  Each case is run in both, and in both
 * the answer must be what the table wants, unless KNOWN tells why not: the
 * native filesystem is what keeps the tables honest.  -p prepares the cases
 * of read-only mounts, -r runs them; without either those are left out.  -t:
 * only sections whose name contains WORD.  -v prints every case.
 *
 * Needs root, to be several users.  Exit 0 when everything is as expected, 1
 * when not, 2 when a table is wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "tests/conform/ctx.h"
#include "tests/conform/known.h"
#include "tests/conform/table.h"

enum { NATIVE, MOUNT, SIDES, PRINTED_MAX = 200 };
enum phase { USUAL, PREPARE, READONLY };

struct run {
	struct ctx x[SIDES];
	const char *name[SIDES]; /* "mount", "ext4" */
	struct known_list known;
	enum phase phase;
	const char *only;
	bool verbose;
	unsigned number; /* of the case, for its directory */
	unsigned cases, good, differ, failed;
};

static char answer_buf[CTX_TEXT], got_buf[SIDES][CTX_TEXT];

static const char *fs_name(const char *dir)
{
	static const struct {
		long magic;
		const char *name;
	} names[] = {
		{ 0xEF53, "ext4" },	   { 0x01021994, "tmpfs" },
		{ 0x794c7630, "overlay" }, { 0x58465342, "xfs" },
		{ 0x9123683E, "btrfs" },
	};
	struct statfs s;

	if (statfs(dir, &s) < 0) {
		perror(dir);
		exit(2);
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if ((long)s.f_type == names[i].magic)
			return names[i].name;
	return "unknown";
}

/* Runs one step as `who`; an answer is added to got, unless it is quiet. */
static void step(struct ctx *x, const char *who, char *s, char *got)
{
	bool quiet = s[0] == '~';
	char name[32] = "";
	size_t n = strlen(got);

	s += quiet;
	sscanf(s, "%31s", name);
	who_become(x, call_looks(name) ? "root" : who);
	if (!call_run(x, s)) {
		fprintf(stderr, "a table has a step that is none: %s\n", s);
		exit(2);
	}
	if (!quiet)
		snprintf(got + n, CTX_TEXT - n, "%s%s", n ? "," : "", x->out);
	else if (strcmp(x->out, "0"))
		snprintf(got + n, CTX_TEXT - n, "%s(%s:%s)", n ? "," : "", name,
			 x->out);
}

static void steps(struct ctx *x, const char *who, const char *text, char *got)
{
	static char copy[CTX_TEXT];
	char *rest = copy, *s;

	snprintf(copy, sizeof(copy), "%s", text);
	while ((s = strsep(&rest, ";"))) {
		s += strspn(s, " \t");
		if (!strncmp(s, "as ", 3)) {
			s[strcspn(s + 3, " \t") + 3] = '\0';
			if (!who_known(s + 3)) {
				fprintf(stderr, "nobody is: %s\n", s + 3);
				exit(2);
			}
			who = strdupa(s + 3);
		} else if (*s) {
			step(x, who, s, got);
		}
	}
	who_become(x, "root");
}

/* Setup steps must all succeed. */
static bool set_up(struct ctx *x, const struct table_case *k, char *got)
{
	got[0] = '\0';
	steps(x, "root", k->setup, got);
	for (const char *p = got; *p; p++)
		if (*p != '0' && *p != ',') {
			memmove(got + 6, got, strlen(got) + 1);
			memcpy(got, "setup:", 6);
			return false;
		}
	got[0] = '\0';
	return true;
}

static void one_side(struct run *r, int side, const struct table_case *k)
{
	struct ctx *x = &r->x[side];
	char *got = got_buf[side], name[32];

	got[0] = '\0';
	snprintf(name, sizeof(name), "c%06u", r->number);
	who_become(x, "owner");
	if (r->phase != READONLY && mkdirat(x->root_fd, name, 0755) < 0)
		goto broken;
	who_become(x, "root");
	if (fchdir(x->root_fd) < 0 || chdir(name) < 0)
		goto broken;
	umask(022);
	if (r->phase != READONLY && !set_up(x, k, got))
		goto done;
	if (strstr(k->steps, "moved"))
		times_mark(x);
	if (r->phase != PREPARE)
		steps(x, k->who, k->steps, got);
done:
	umask(022);
	call_close_held(x);
	if (fchdir(x->root_fd) < 0)
		goto broken;
	if (r->phase == USUAL)
		kind_remove(x->root_fd, name);
	return;
broken:
	fprintf(stderr, "%s/%s: %s\n", x->root, name, strerror(errno));
	exit(2);
}

static void report(struct run *r, const struct table_case *k, const bool *bad)
{
	if (r->failed++ == PRINTED_MAX)
		printf("... and more\n");
	if (r->failed > PRINTED_MAX)
		return;
	printf("FAIL %s:%u [%s]", k->file, k->line, k->section);
	for (size_t i = 0; i + 3 < k->n_bindings; i++)
		printf(" %s=%s", k->bindings[i].name, k->bindings[i].label);
	printf("\n     setup: %s\n     as %s: %.600s\n     want %s\n", k->setup,
	       k->who, k->steps, k->want);
	for (int i = 0; i < SIDES; i++)
		printf("     %-7s %s%s\n", r->name[i], got_buf[i],
		       bad[i] ? "   <---" : "");
}

static void run_case(void *ctx, const struct table_case *k)
{
	struct run *r = ctx;
	const char *want =
		strcmp(k->want, "native") ? k->want : got_buf[NATIVE];
	bool bad[SIDES] = { false }, differs = false;

	if (k->readonly != (r->phase != USUAL) ||
	    (r->only && !strstr(k->section, r->only)))
		return;
	r->number++;
	for (int i = 0; i < SIDES; i++)
		one_side(r, i, k);
	if (r->phase == PREPARE) {
		for (int i = 0; i < SIDES; i++)
			if (got_buf[i][0])
				bad[i] = true;
		if (bad[0] || bad[1])
			report(r, k, bad);
		return;
	}
	r->cases++;
	for (int i = 0; i < SIDES; i++) {
		if (!strcmp(got_buf[i], want))
			continue;
		if (known_is(&r->known, r->name[i], i == MOUNT, k, got_buf[i]))
			differs = true;
		else
			bad[i] = true;
	}
	if (r->verbose)
		printf("%s:%u [%s] as %s: %s > %s = %s\n", k->file, k->line,
		       k->section, k->who, k->setup, k->steps, got_buf[MOUNT]);
	if (bad[0] || bad[1])
		report(r, k, bad);
	else if (differs)
		r->differ++;
	else
		r->good++;
}

static int summary(struct run *r)
{
	bool all = r->phase == USUAL && !r->only;

	if (r->phase == PREPARE)
		return r->failed != 0;
	for (size_t i = 0; i < r->known.n; i++) {
		struct known *d = &r->known.v[i];

		if (d->hits)
			printf("known: %s: %u in [%s]: %s\n", d->side, d->hits,
			       d->section, d->why);
		else if (all && !strcmp(d->side, "mount")) {
			printf("FAIL known difference %u is none any more: "
			       "%s\n",
			       d->line, d->why);
			r->failed++;
		}
	}
	printf("conform: %u cases on mount and %s, %u as expected, %u known "
	       "differences, %u failed\n",
	       r->cases, r->name[NATIVE], r->good, r->differ, r->failed);
	return r->failed != 0 || (r->cases == 0 && !r->only);
}

static void open_side(struct run *r, int side, char **dirs)
{
	struct ctx *x = &r->x[side];

	*x = (struct ctx){ .root = realpath(dirs[side == NATIVE], NULL),
			   .elsewhere = realpath(dirs[side == MOUNT], NULL),
			   .who = "root",
			   .out = answer_buf };
	x->root_fd = !x->root ?
			     -1 :
			     open(x->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (x->root_fd < 0 || !x->elsewhere ||
	    (r->phase != READONLY && fchmod(x->root_fd, 0777) < 0)) {
		perror(dirs[side == NATIVE]);
		exit(2);
	}
	for (int i = 0; i < CTX_HELD; i++)
		x->held[i] = -1;
}

int main(int argc, char **argv)
{
	static struct run r;
	const char *known = NULL;
	int c, start;

	while ((c = getopt(argc, argv, "vprt:k:")) != -1) {
		if (c == 'v')
			r.verbose = true;
		else if (c == 'p')
			r.phase = PREPARE;
		else if (c == 'r')
			r.phase = READONLY;
		else if (c == 't')
			r.only = optarg;
		else if (c == 'k')
			known = optarg;
		else
			return 2;
	}
	if (argc - optind < 3 || !known || geteuid() != 0) {
		fprintf(stderr, "usage: conform [-v] [-p | -r] [-t WORD] "
				"-k KNOWN MOUNT NATIVE TABLE..., as root\n");
		return 2;
	}
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	known_read(&r.known, known);
	open_side(&r, MOUNT, argv + optind);
	open_side(&r, NATIVE, argv + optind);
	r.name[MOUNT] = "mount";
	r.name[NATIVE] = fs_name(argv[optind + 1]);
	start = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (int i = optind + 2; i < argc && fchdir(start) == 0; i++)
		table_read(argv[i], run_case, &r);
	/* who changes users is not traced any more: the leak checker wants to */
	prctl(PR_SET_DUMPABLE, 1);
	c = summary(&r);
	known_free(&r.known);
	return c;
}
