/*
 * cmd_run.c - `vouch run -- CMD...`: runs a program as if it had been started
 * directly, and declares it as a run to the volumes it works in.
 *
 *   id, cgroup ─► child, which waits ─► every daemon knows the run ─► child
 *     goes ... ends ─► every daemon knows how ─► we end in the same way
 *
 * The connections stay open meanwhile: when we are killed, they break, and
 * the run has ended as lost.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "fs/daemon/control.h"
#include "fs/run/run_table.h"
#include "index/idx_runs.h"
#include "mount-tools/hint.h"
#include "mount-tools/mounts.h"
#include "mount-tools/opt.h"
#include "mount-tools/print.h"
#include "mount-tools/run_cgroup.h"
#include "mount-tools/run_child.h"
#include "mount-tools/run_client.h"
#include "mount-tools/run_git.h"
#include "mount-tools/run_guarded.h"
#include "mount-tools/run_limit.h"
#include "mount-tools/run_pattern.h"
#include "mount-tools/run_said.h"
#include "mount-tools/vouch.h"

enum { VOLUMES_MAX = OPT_TEXTS_MAX, LINGER_MS = 100 };
/* Ids that are tried, and those of them that a cgroup shows. */
enum { IDS_MAX = 8, IDS_SHOWN = 4 };
/* For an answer; of a volume that nobody named; when a signal ends us. */
enum { ANSWER_MS = 30000, FOUND_MS = 5000, ENDING_MS = 1000 };
/* As env(1), timeout(1) and shells have them. */
enum { EXIT_OURS = 125, EXIT_NOT_RUN = 126, EXIT_NOT_FOUND = 127 };

struct cmd {
	const char *name;
	struct opt_texts in;
	bool quiet, no_cgroup;
	struct run_guarded guarded;
	struct buf policy; /* empty: not guarded */
	uint64_t limit;	   /* run_limit.h; 0: none */
	enum opt_format format;
	char id[RUN_ID_HEX + 1];
	char own_name[RUN_NAME_MAX + 1];
	struct run_cgroup cgroup;
	int cgroup_rc; /* why there is none */
	struct run_client volumes[VOLUMES_MAX];
	unsigned n;
	struct run_child child;
	struct buf git;		 /* members: of which work tree CMD is */
	char word[RUN_WORD_MAX]; /* NAME.NUMBER in the first volume, if asked */
	char *audit;		 /* where its views are, if they are */
	uint64_t processes;	 /* most that a volume has seen */
	bool left;
	unsigned n_left; /* 0: not counted */
	int status;	 /* waitpid's */
	bool not_told;	 /* a daemon does not know of the end */
};

/* --- volumes ------------------------------------------------------------------ */

static bool have(const struct cmd *x, const char *dir)
{
	for (unsigned i = 0; i < x->n; i++)
		if (strcmp(x->volumes[i].dir, dir) == 0)
			return true;
	return false;
}

static int add_volume(struct cmd *x, const struct mounts_one *m, bool found,
		      struct errmsg *em)
{
	int rc;

	if (have(x, m->dir) || x->n == VOLUMES_MAX)
		return 0;
	rc = run_client_open(&x->volumes[x->n], m, em);
	if (rc == 0)
		x->volumes[x->n++].found = found;
	return rc;
}

static int add_named(struct cmd *x, const struct mounts *m, struct errmsg *em)
{
	int rc = 0;

	for (unsigned i = 0; i < x->in.n && rc == 0; i++) {
		autofree char *path = realpath(x->in.v[i], NULL);
		const struct mounts_one *one =
			path ? mounts_over(m, path) : NULL;

		if (!path)
			rc = errmsg_set(em, -errno, "%s: %s", x->in.v[i],
					err_text(-errno));
		else if (!one)
			rc = errmsg_set(em, -ENOENT,
					"%s is not inside a vouchfs mount",
					x->in.v[i]);
		else
			rc = add_volume(x, one, false, em);
	}
	return rc;
}

/* Where we are; else all that this user mounted and that answer. */
static int add_found(struct cmd *x, const struct mounts *m, struct errmsg *em)
{
	autofree char *cwd = getcwd(NULL, 0);
	const struct mounts_one *one = cwd ? mounts_over(m, cwd) : NULL;

	if (one)
		return add_volume(x, one, false, em);
	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].uid == getuid() && !m->v[i].read_only) {
			struct errmsg own = ERRMSG_INIT;
			int rc = add_volume(x, &m->v[i], true, &own);

			if (rc == -ENOMEM)
				return rc;
			if (rc < 0 && x->policy.n > 0)
				return errmsg_set(em, rc,
						  "it could not be "
						  "guarded everywhere (--in "
						  "says where it must be): %s",
						  errmsg_text(&own, rc));
		}
	if (x->n == 0)
		return errmsg_set(em, -ERR_USAGE,
				  "no volume of yours is mounted here; "
				  "--in=DIR says which one CMD works in");
	return 0;
}

static int open_volumes(struct cmd *x, struct errmsg *em)
{
	struct mounts m;
	int rc = mounts_read(&m);

	if (rc == 0)
		rc = x->in.n ? add_named(x, &m, em) : add_found(x, &m, em);
	mounts_release(&m);
	return rc;
}

/* --- start --------------------------------------------------------------------- */

/* The environment with our marker first. */
static char **marked(char *marker, size_t cap, const char *id)
{
	size_t n = 0, at = 0;
	char **v;

	while (environ[n])
		n++;
	v = calloc(n + 2, sizeof(*v));
	if (!v)
		return NULL;
	snprintf(marker, cap, RUN_MARKER "=%s", id);
	v[at++] = marker;
	for (size_t i = 0; i < n; i++)
		if (strncmp(environ[i], RUN_MARKER "=", sizeof(RUN_MARKER)) !=
		    0)
			v[at++] = environ[i];
	return v;
}

static int make_child(struct cmd *x, char **argv)
{
	char marker[sizeof(RUN_MARKER) + 1 + RUN_ID_HEX + 1];
	autofree char **envp = marked(marker, sizeof(marker), x->id);
	int rc = envp ? run_child_make(&x->child, argv, envp, &x->cgroup,
				       x->limit) :
			-ENOMEM;

	if (rc == 0 && x->cgroup.dir >= 0 && !x->child.in_cgroup) {
		run_cgroup_remove(&x->cgroup);
		x->cgroup_rc = -EOPNOTSUPP;
	}
	return rc;
}

/* One that nobody named goes on without the run. */
static void leave_out(struct cmd *x, unsigned i, const char *why)
{
	if (!x->quiet)
		fprintf(stderr,
			"vouch run: the run is not declared there: %s\n", why);
	run_client_close(&x->volumes[i]);
	x->n--;
	memmove(&x->volumes[i], &x->volumes[i + 1],
		(x->n - i) * sizeof(x->volumes[0]));
}

/* -EINTR: a signal ends us, the program was not started. */
static int declare(struct cmd *x, char **argv, struct errmsg *em)
{
	struct buf autocall(buf_release) members = BUF_INIT;
	int rc = run_said_members(&members, x->id, x->name, argv, environ,
				  x->cgroup.dir >= 0);

	if (x->git.n)
		buf_add(&members, x->git.p, x->git.n);
	run_said_policy(&members, &x->policy, x->limit);
	if (rc == 0 && members.bad)
		rc = -ENOMEM;

	for (unsigned i = 0; i < x->n && rc == 0;) {
		struct run_client *c = &x->volumes[i];
		const struct run_patience w = {
			.ms = c->found ? FOUND_MS : ANSWER_MS,
			.ending = x->child.ending,
		};

		rc = run_client_ask(c, NULL, (char *)members.p, &w, em);
		if (rc == 0) {
			i++;
		} else if (c->found && x->n > 1 && rc != -EINTR &&
			   rc != -EEXIST && x->policy.n == 0) {
			leave_out(x, i, errmsg_text(em, rc));
			rc = 0;
		}
	}
	return rc;
}

static int start_as(struct cmd *x, char **argv, bool with_cgroup,
		    struct errmsg *em)
{
	uint8_t id[RUN_ID_SIZE];
	int rc = 0;

	if (getrandom(id, sizeof(id), 0) != (ssize_t)sizeof(id))
		return errmsg_set(em, -EIO, "no random bytes");
	id[0] &= (uint8_t)~RUN_ID_IMPLICIT;
	digest_hex_bytes(x->id, id, sizeof(id));
	x->limit = x->policy.n > 0 ? run_limit_choose(id) : 0;
	x->cgroup_rc = -ECANCELED;
	if (with_cgroup)
		x->cgroup_rc = run_cgroup_make(&x->cgroup, x->id);
	rc = make_child(x, argv);
	if (rc == 0)
		rc = declare(x, argv, em);
	if (rc < 0)
		run_child_cancel(&x->child);
	return rc;
}

/* As before start_as; a volume that knew the run has lost it. */
static int start_over(struct cmd *x, struct errmsg *em)
{
	run_cgroup_remove(&x->cgroup);
	run_child_hear(&x->child);
	for (unsigned i = 0; i < x->n; i++)
		run_client_close(&x->volumes[i]);
	x->n = 0;
	*em = (struct errmsg)ERRMSG_INIT;
	return open_volumes(x, em);
}

/*
 * Everybody may see our cgroup, and its name is the id, before a daemon has
 * heard of it: who declares it first has it.  Then we take another one, and at
 * last one that nothing shows.
 */
static int start(struct cmd *x, char **argv, struct errmsg *em)
{
	int rc = start_as(x, argv, !x->no_cgroup, em);

	for (int i = 1; i < IDS_MAX && rc == -EEXIST; i++) {
		rc = start_over(x, em);
		if (rc == 0)
			rc = start_as(x, argv, !x->no_cgroup && i < IDS_SHOWN,
				      em);
	}
	return rc;
}

/* --- end ----------------------------------------------------------------------- */

static bool says(const struct cmd *x)
{
	return !x->quiet && (x->format == OPT_AS_JSON || isatty(STDERR_FILENO));
}

static void end_one(struct cmd *x, struct run_client *c)
{
	struct buf autocall(buf_release) b = BUF_INIT;
	struct json_doc *answer = NULL;
	struct errmsg em = ERRMSG_INIT;
	uint64_t processes = 0;
	const struct run_patience w = {
		.ms = ANSWER_MS,
		.ending = x->child.ending,
		.ending_ms = ENDING_MS,
	};
	bool by_signal = WIFSIGNALED(x->status);
	const char *word, *virtual;
	int rc;

	buf_addf(&b,
		 "\"verb\":\"run-end\",\"how\":\"%s\",\"status\":%d,"
		 "\"left\":%s,\"word\":%s",
		 by_signal ? "signal" : "exit",
		 by_signal ? WTERMSIG(x->status) : WEXITSTATUS(x->status),
		 x->left ? "true" : "false",
		 says(x) && c == x->volumes ? "true" : "false");
	rc = b.bad ? -ENOMEM : run_client_ask(c, &answer, (char *)b.p, &w, &em);
	if (rc == 0 &&
	    json_get_u64(json_root(answer), "processes", &processes) &&
	    processes > x->processes)
		x->processes = processes;
	word = rc == 0 ? json_get_str(json_root(answer), "word") : NULL;
	if (word)
		snprintf(x->word, sizeof(x->word), "%s", word);
	virtual = word ? json_get_str(json_root(answer), "virtual") : NULL;
	if (word && c->whole && !x->audit &&
	    asprintf(&x->audit, "%s%s%s/audit", c->dir, virtual ? "/" : "",
		     virtual ? virtual : "") < 0)
		x->audit = NULL;
	json_free(answer);
	if (rc < 0) {
		x->not_told = true;
		if (!x->quiet)
			fprintf(stderr,
				"vouch run: the end of the run is not entered, "
				"it counts as lost: %s\n",
				errmsg_text(&em, rc));
	}
}

static void end(struct cmd *x)
{
	x->n_left = run_cgroup_left(&x->cgroup, LINGER_MS);
	x->left =
		x->cgroup.dir >= 0 ? x->n_left > 0 : run_child_left(LINGER_MS);
	for (unsigned i = 0; i < x->n; i++)
		end_one(x, &x->volumes[i]);
}

/* --- what is said of it ----------------------------------------------------------- */

/* summary.json of the run, as the mount shows it; NULL where it does not. */
static struct json_doc *read_summary(const struct cmd *x)
{
	autofree char *path = NULL, *text = NULL;
	struct json_doc *doc = NULL;
	size_t cap = 0;
	ssize_t n = -1;
	FILE *f;

	if (!x->audit ||
	    asprintf(&path, "%s/runs/%s/summary.json", x->audit, x->word) < 0)
		return NULL;
	f = fopen(path, "re");
	if (f) {
		n = getdelim(&text, &cap, '\0', f);
		fclose(f);
	}
	if (n > 0 && json_parse(&doc, text, (size_t)n, NULL) < 0)
		doc = NULL;
	return doc;
}

static void say_json(const struct cmd *x)
{
	struct buf autocall(buf_release) b = BUF_INIT;
	bool by_signal = WIFSIGNALED(x->status);

	control_add_str(&b, "id", x->id);
	if (x->word[0])
		control_add_str(&b, "run", x->word);
	control_add_str(&b, "name", x->name);
	control_add_str(&b, "how", by_signal ? "signal" : "exit");
	control_add_u64(&b, "status",
			(unsigned)(by_signal ? WTERMSIG(x->status) :
					       WEXITSTATUS(x->status)));
	control_add_u64(&b, "processes", x->processes);
	control_add_str(&b, "kept_apart_by",
			x->cgroup.dir >= 0 ? "cgroup" : "ancestry");
	if (x->cgroup.dir < 0)
		control_add_str(&b, "no_cgroup", err_text(x->cgroup_rc));
	if (x->policy.n > 0) {
		struct json_doc *doc = read_summary(x);
		const struct json *denied = json_get(json_root(doc), "denied");
		uint64_t n = 0;

		if (denied && json_get_u64(denied, "all", &n))
			control_add_u64(&b, "denied", n);
		json_free(doc);
	}
	control_add_bool(&b, "left", x->left);
	control_add_bool(&b, "entered", !x->not_told);
	if (!b.bad)
		fprintf(stderr, "{%s}\n", (char *)b.p);
}

/* What its guard denied, if anything, in a line. */
static void add_denied(struct buf *b, const struct json *denied)
{
	const char *before = ":";
	uint64_t n = 0;

	if (!denied || !json_get_u64(denied, "all", &n) || n == 0)
		return;
	buf_addf(b, "  denied %llu time%s", (unsigned long long)n, print_s(n));
	for (const struct json *m = denied->first; m; m = m->next) {
		if (!m->key || strcmp(m->key, "all") == 0 ||
		    !json_get_u64(denied, m->key, &n) || n == 0)
			continue;
		buf_addf(b, "%s %s %llu", before, m->key,
			 (unsigned long long)n);
		before = ",";
	}
	buf_adds(b, "; see denied.jsonl there\n");
}

/* What it did, in a line, and where more is told. */
static void add_done(struct buf *b, const struct cmd *x)
{
	static const struct {
		const char *key, *noun, *what;
	} v[] = {
		{ "files_made", "file", " made" },
		{ "directories_made", "director", " made" },
		{ "versions", "version", " written" },
		{ "removed", "name", " removed" },
		{ "renamed", "name", " changed" },
	};
	struct json_doc *doc = read_summary(x);
	const struct json *changed = json_get(json_root(doc), "changed");
	const char *comma = "  ";
	char size[TEXT_SIZE_SIZE];
	uint64_t n = 0, bytes = 0;

	for (size_t i = 0; changed && i < sizeof(v) / sizeof(v[0]); i++) {
		if (!json_get_u64(changed, v[i].key, &n) || n == 0)
			continue;
		buf_addf(b, "%s%llu %s%s%s", comma, (unsigned long long)n,
			 v[i].noun,
			 strcmp(v[i].noun, "director") != 0 ? print_s(n) :
			 n == 1				    ? "y" :
							      "ies",
			 v[i].what);
		comma = ", ";
		if (strcmp(v[i].key, "versions") == 0 &&
		    json_get_u64(changed, "bytes", &bytes)) {
			text_size(size, bytes);
			buf_addf(b, " (%s)", size);
		}
	}
	if (changed && comma[0] == ' ')
		buf_adds(b, "  nothing changed");
	if (changed) {
		buf_adds(b, "; see ");
		text_term_escape(b, x->audit, strlen(x->audit));
		buf_addf(b, "/runs/%s\n", x->word);
	}
	if (changed && comma[0] == ',') {
		buf_addf(b, "  vouch diff %s", x->word);
		hint_in(b, x->volumes[0].dir);
		buf_addf(b, " shows it, vouch undo %s", x->word);
		hint_in(b, x->volumes[0].dir);
		buf_adds(b, " takes it back\n");
	}
	add_denied(b, json_get(json_root(doc), "denied"));
	json_free(doc);
}

static void say_text(const struct cmd *x)
{
	struct buf autocall(buf_release) b = BUF_INIT;

	buf_addf(&b, "vouch run: %s (%s): ", x->word[0] ? x->word : x->name,
		 x->id);
	if (WIFSIGNALED(x->status))
		buf_addf(&b, "%s", strsignal(WTERMSIG(x->status)));
	else
		buf_addf(&b, "exit status %d", WEXITSTATUS(x->status));
	buf_adds(&b, ", ");
	buf_addf(&b, "%llu process%s", (unsigned long long)x->processes,
		 x->processes == 1 ? "" : "es");
	buf_adds(&b, " used the volume\n");
	add_done(&b, x);
	if (x->cgroup.dir < 0 && x->policy.n == 0) /* else said at first */
		buf_addf(&b,
			 "  without a cgroup of its own (%s): processes are "
			 "told by ancestry and a marker\n",
			 err_text(x->cgroup_rc));
	if (x->left && x->n_left)
		buf_addf(&b,
			 "  %u process%s of it still run%s: what they change "
			 "belongs to it, too\n",
			 x->n_left, x->n_left == 1 ? "" : "es",
			 x->n_left == 1 ? "s" : "");
	else if (x->left)
		buf_adds(&b, "  processes of it still run: what they change "
			     "belongs to it, too\n");
	if (!b.bad)
		fputs((char *)b.p, stderr);
}

static void say(const struct cmd *x)
{
	if (says(x) && x->format == OPT_AS_JSON)
		say_json(x);
	else if (says(x))
		say_text(x);
}

/* --- all of it ----------------------------------------------------------------------- */

static void release(struct cmd *x)
{
	for (unsigned i = 0; i < x->n; i++)
		run_client_close(&x->volumes[i]);
	x->n = 0;
	free(x->audit);
	x->audit = NULL;
	buf_release(&x->git);
	buf_release(&x->policy);
	run_cgroup_remove(&x->cgroup);
}

/* The child could not be started: it ended as a shell says it did. */
static int not_started(struct cmd *x, const char *command, int rc)
{
	int code = rc == -ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUN;
	char shown[512];

	log_escape(shown, sizeof(shown), command, strlen(command));
	fprintf(stderr, "vouch run: %s: %s\n", shown, err_text(rc));
	x->status = code << 8;
	for (unsigned i = 0; i < x->n; i++)
		end_one(x, &x->volumes[i]);
	release(x);
	return code;
}

static int run(struct cmd *x, char **argv)
{
	struct errmsg em = ERRMSG_INIT;
	int rc = open_volumes(x, &em);

	if (rc == 0)
		rc = run_pattern_look(&x->guarded, x->volumes, x->n, x->quiet,
				      &em);
	if (rc == 0)
		run_git_members(&x->git, argv);
	if (rc == 0)
		rc = start(x, argv, &em);
	if (rc < 0) {
		release(x);
		if (rc == -EINTR)
			run_child_hear(&x->child);
		if (rc == -ERR_USAGE)
			return opt_misuse("run", "%s", errmsg_text(&em, rc));
		(void)opt_fail("run", rc, &em);
		return EXIT_OURS;
	}
	if (x->policy.n > 0 && x->cgroup.dir < 0 && !x->quiet)
		fprintf(stderr,
			"vouch run: without a cgroup of its own (%s): who "
			"is guarded is told by ancestry, a marker and %s\n",
			err_text(x->cgroup_rc),
			x->limit == 0  ? "nothing else, which is weak" :
			geteuid() == 0 ? "a limit, which root can raise" :
					 "a limit that cannot be raised");
	rc = run_child_go(&x->child);
	if (rc < 0)
		return not_started(x, argv[0], rc);
	x->status = run_child_wait(&x->child);
	end(x);
	say(x);
	release(x);
	run_child_end_as(x->status);
}

int cmd_run(int argc, char **argv)
{
	struct cmd x = {
		.format = OPT_AS_TEXT,
		.cgroup = { .parent = -1, .dir = -1 },
		.child = RUN_CHILD_INIT,
		.policy = BUF_INIT,
	};
	struct errmsg em = ERRMSG_INIT;
	const struct opt options[] = {
		{ 'n', "name", OPT_TEXT, &x.name, "NAME",
		  "what the run is called (CMD)" },
		{ 0, "in", OPT_EACH, &x.in, "DIR",
		  "a mount that CMD works in; again for more (where you are, "
		  "else all of yours)" },
		{ 'q', "quiet", OPT_FLAG, &x.quiet, NULL, "say nothing" },
		{ 0, "no-cgroup", OPT_FLAG, &x.no_cgroup, NULL,
		  "do not make a cgroup for it" },
		RUN_GUARDED_OPTIONS(&x.guarded),
		{ 0, "format", OPT_FORMAT_OF, &x.format, "text|json",
		  "how to say on stderr what became of it (text, to a "
		  "terminal alone)" },
		OPT_END,
	};
	int status = opt_parse_command(options, &argc, &argv);

	if (status != OPT_GO)
		return status;
	if (!x.name) {
		run_said_name(x.own_name, argv[0]);
		x.name = x.own_name;
	}
	if (!idx_run_name_ok(x.name, strlen(x.name)))
		return opt_misuse("run",
				  "a name is 1 to %d of A-Z a-z 0-9 . _ "
				  "-, the first a letter or a digit",
				  RUN_NAME_MAX);
	status = run_pattern_words(&x.guarded, &em);
	if (status == 0)
		status = run_guarded_policy(&x.policy, &x.guarded, &em);
	if (status < 0) {
		buf_release(&x.policy);
		return opt_misuse("run", "%s", errmsg_text(&em, status));
	}
	return run(&x, argv);
}
