/*
 * cmd_undo.c - `vouch undo RUN [PATH...]`: takes back what a run did.
 *
 * The plan is the daemon's (undo.jsonl of the run); it is carried out here, by
 * system calls of the user (inverse.h), in a run of its own that is called
 * undo: so it is listed, shown by `vouch diff` and undone like any other.  For
 * that this program starts itself once more below `vouch run`, and hands the
 * plan on: it is carried out with a look at each thing, so it may be that old.
 *
 * What somebody else has changed since stays, and is listed.  Nothing is
 * remembered: said again, it does what is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "mount-tools/ctl.h"
#include "mount-tools/inverse.h"
#include "mount-tools/opt.h"
#include "mount-tools/progress.h"
#include "mount-tools/run_client.h"
#include "mount-tools/undo_place.h"
#include "mount-tools/undo_say.h"
#include "mount-tools/vouch.h"

/* Set for the second start, the run is declared: the plan's descriptor. */
#define DECLARED "VOUCH_UNDO_DECLARED"

struct undo {
	const char *in, *run;
	bool dry, quiet;
	enum opt_format format;
	struct undo_place place;
	struct inverse *plan;
	int plan_fd; /* its text, for the second start; -1: none */
	char **paths;
	int n_paths;
	bool elsewhere; /* paths were named, and what is left is not there */
};

/* The daemon's plan, or the one that the first start has read. */
static FILE *open_plan(struct undo *u, struct errmsg *em)
{
	const char *handed = getenv(DECLARED);
	char *end = NULL;
	long fd = handed ? strtol(handed, &end, 10) : -1;
	FILE *f;

	if (!handed)
		return undo_place_open(&u->place, "undo.jsonl", em);
	if (end == handed || *end || fd <= STDERR_FILENO || fd > INT_MAX ||
	    fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0 ||
	    lseek((int)fd, 0, SEEK_SET) != 0)
		f = NULL;
	else
		f = fdopen((int)fd, "r");
	if (!f)
		(void)errmsg_set(em, -ERR_USAGE,
				 DECLARED " is set, and is no plan");
	return f;
}

/* Keeps the text of a plan that was just read, line by line. */
static int keep_line(struct undo *u, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t k = write(u->plan_fd, p, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return -errno;
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

static int read_plan(struct undo *u, struct errmsg *em)
{
	autofree char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	int rc = inverse_open(&u->plan, u->place.dir, em);
	FILE *f = rc == 0 ? open_plan(u, em) : NULL;

	if (!f)
		return rc < 0 ? rc : -EIO;
	if (!getenv(DECLARED) && !u->dry) {
		u->plan_fd = memfd_create("plan", 0);
		if (u->plan_fd < 0)
			rc = errmsg_set(em, -errno, "%s", err_text(-errno));
	}
	errno = 0;
	while (rc == 0 && (n = getline(&line, &cap, f)) > 0) {
		rc = inverse_add(u->plan, line, (size_t)n, em);
		if (rc == 0 && u->plan_fd >= 0)
			rc = keep_line(u, line, (size_t)n);
	}
	if (rc == 0 && ferror(f))
		rc = errmsg_set(em, -errno, "the plan: %s", err_text(-errno));
	fclose(f);
	if (rc == 0 && !inverse_head(u->plan))
		rc = errmsg_set(em, -ERR_FORMAT, "the plan is empty");
	return rc;
}

static int check_state(const struct undo *u, struct errmsg *em)
{
	if (!undo_say_is_running(u->plan))
		return 0;
	return errmsg_set(em, -EBUSY,
			  "%s still goes on: end it first, else it does again "
			  "what is taken back",
			  u->place.word);
}

static int choose(struct undo *u, struct errmsg *em)
{
	size_t chosen = 0;
	int rc = 0;

	if (u->n_paths == 0)
		inverse_choose_all(u->plan);
	for (int i = 0; i < u->n_paths && rc == 0; i++) {
		autofree char *inner = NULL;

		size_t n;

		rc = undo_place_inner(&u->place, u->paths[i], &inner, em);
		if (rc < 0)
			break;
		n = inverse_choose(u->plan, inner);
		if (n == 0)
			undo_say_nothing_there(u->paths[i], u->place.word);
		chosen += n;
	}
	u->elsewhere = rc == 0 && u->n_paths > 0 && chosen == 0 &&
		       inverse_count(u->plan) > 0;
	return rc;
}

/* Once more, below `vouch run`, which ends with our status. */
static int start_declared(const struct undo *u, struct errmsg *em)
{
	char self[4096], in[4200], plan[16];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char **v = calloc((size_t)u->n_paths + 16, sizeof(*v));
	size_t at = 0;
	int rc;

	snprintf(plan, sizeof(plan), "%d", u->plan_fd);
	if (n < 0 || !v || setenv(DECLARED, plan, 1) < 0) {
		rc = n < 0 || v ? -errno : -ENOMEM;
		free(v);
		return errmsg_set(em, rc, "%s", err_text(rc));
	}
	self[n] = '\0';
	snprintf(in, sizeof(in), "--in=%s", u->place.dir);
	v[at++] = self;
	v[at++] = (char *)"run";
	v[at++] = (char *)"--name=undo";
	v[at++] = (char *)"-q";
	v[at++] = in;
	v[at++] = (char *)"--";
	v[at++] = self;
	v[at++] = (char *)"undo";
	v[at++] = in;
	if (u->format == OPT_AS_JSON)
		v[at++] = (char *)"--format=json";
	if (u->quiet)
		v[at++] = (char *)"--quiet";
	v[at++] = (char *)"--";
	v[at++] = (char *)u->place.word;
	for (int i = 0; i < u->n_paths; i++)
		v[at++] = u->paths[i];
	fflush(NULL);
	execv(self, v);
	rc = -errno;
	free(v);
	return errmsg_set(em, rc, "%s: %s", self, err_text(rc));
}

static int carry_out(struct undo *u, struct errmsg *em)
{
	struct progress bar;
	int rc;

	progress_start(&bar, "undoing", false);
	inverse_show(u->plan, &bar);
	rc = inverse_do(u->plan);
	inverse_show(u->plan, NULL);
	progress_end(&bar);
	if (rc == 0)
		return 0;
	if (rc == -EBUSY)
		return errmsg_set(em, rc,
				  "another undo or restore is at work here: "
				  "say it again when that has ended");
	return errmsg_set(em, rc,
			  "%s: what is done is whole; say it again when that "
			  "is mended, it goes on",
			  err_text(rc));
}

static void say(const struct undo *u, bool planned)
{
	char own[RUN_WORD_MAX] = "";
	const struct undo_said s = {
		.word = u->place.word,
		.own = own,
		.dir = u->place.dir,
		.format = u->format,
		.planned = planned,
		.quiet = u->quiet,
	};

	if (!planned)
		run_client_own_word(own, u->place.dir);
	undo_say(u->plan, &s);
}

/* The mount where nobody says which: ours, else that of the first PATH. */
static const char *where(const struct undo *u)
{
	struct ctl_place place = { .store = NULL };
	const char *in = u->in;

	if (!in && u->n_paths > 0 && !undo_place_is_here() &&
	    ctl_find(&place, u->paths[0], NULL) == 0 && place.path)
		in = u->paths[0];
	ctl_place_release(&place);
	return in;
}

/* 0 all, 1 something stays, or is left elsewhere than the paths say. */
static int undo(struct undo *u, struct errmsg *em)
{
	bool declared = getenv(DECLARED) != NULL;
	int rc = undo_place_find(&u->place, where(u), u->run, em), fatal = 0;

	if (rc == 0)
		rc = read_plan(u, em);
	if (rc == 0)
		rc = check_state(u, em);
	if (rc == 0)
		rc = choose(u, em);
	if (rc < 0 || u->elsewhere)
		return rc < 0 ? rc : 1;
	/* one that was ended by force is finished by one that ended well */
	if (u->dry || (!undo_say_has_work(u->plan) &&
		       (declared || u->place.read_only ||
			!undo_say_is_unfinished(u->plan)))) {
		say(u, true);
		return undo_say_has_conflicts(u->plan);
	}
	if (u->place.read_only)
		return errmsg_set(em, -EROFS,
				  "%s is mounted read-only: nothing can be "
				  "undone there",
				  u->place.dir);
	if (!declared)
		return start_declared(u, em);
	unsetenv(DECLARED);
	fatal = carry_out(u, em);
	say(u, false);
	return fatal < 0 ? fatal : undo_say_has_conflicts(u->plan);
}

int cmd_undo(int argc, char **argv)
{
	struct undo u = { .format = OPT_AS_TEXT, .plan_fd = -1 };
	const struct opt options[] = {
		{ 0, "in", OPT_TEXT, &u.in, "DIR",
		  "the mount (where you are, or of the first PATH)" },
		{ 'n', "dry-run", OPT_FLAG, &u.dry, NULL,
		  "only tell what would be done, and what would stay" },
		{ 'q', "quiet", OPT_FLAG, &u.quiet, NULL,
		  "tell only what is not undone" },
		OPT_FORMAT(&u.format),
		OPT_END,
	};
	struct errmsg em = ERRMSG_INIT;
	int status = opt_parse(options, &argc, &argv, 1, OPT_ANY), rc;

	if (status != OPT_GO)
		return status;
	u.run = argv[0];
	u.paths = argv + 1;
	u.n_paths = argc - 1;
	rc = undo(&u, &em);
	inverse_close(u.plan);
	if (u.plan_fd >= 0)
		close(u.plan_fd);
	undo_place_release(&u.place);
	if (rc == -ERR_USAGE)
		return opt_misuse("undo", "%s", errmsg_text(&em, rc));
	return rc < 0 ? opt_fail("undo", rc, &em) : rc;
}
