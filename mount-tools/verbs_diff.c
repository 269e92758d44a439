/*
 * verbs_diff.c - `vouch diff`: what its words mean, and the answer.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "analytics/audit_when.h"
#include "analytics/run_diff.h"
#include "analytics/run_walk.h"
#include "analytics/spool.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/limits.h"
#include "fs/core/core.h"
#include "fs/daemon/control.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "index/idx_runs.h"
#include "mount-tools/verbs_int.h"

enum { WORDS_MAX = 4096 };

struct asked {
	struct core *core;
	struct idx_reader *r;
	const char **words;
	const char **inner;	     /* "": not in the volume */
	int64_t first_ns, second_ns; /* the first two words as times, or 0 */
	size_t n, used;		     /* by what is no PATH */
	const char *at, *to;
	int64_t at_ns, to_ns;
	bool mounted;
	struct run_diff_what what;
	struct idx_run run;
	struct errmsg *em;
};

/* --- reading the request --- */

static int strings(const char **out, size_t n, const struct json *list)
{
	const struct json *v = list ? list->first : NULL;
	size_t i = 0;

	for (; v && i < n; v = v->next)
		out[i++] = json_str(v);
	while (i > 0 && out[i - 1])
		i--;
	return i || v ? -ERR_USAGE : 0;
}

/* What the client's clock and zone made of a word; 0: nothing. */
static int64_t time_of(const struct json *v)
{
	int64_t ns = 0;

	return json_i64(v, &ns) ? ns : 0;
}

static int read_words(struct asked *a, const struct json *request)
{
	const struct json *words = json_get(request, "words");
	const struct json *inner = json_get(request, "inner");
	const struct json *times = json_get(request, "times");

	a->at = json_get_str(request, "at");
	a->to = json_get_str(request, "to");
	(void)!json_get_i64(request, "at_ns", &a->at_ns);
	(void)!json_get_i64(request, "to_ns", &a->to_ns);
	a->first_ns = time_of(times ? times->first : NULL);
	a->second_ns =
		time_of(times && times->first ? times->first->next : NULL);
	a->mounted = json_get_bool(request, "mounted", false);
	a->n = words && words->type == JSON_ARRAY ? words->count : 0;
	if (a->n > WORDS_MAX)
		return errmsg_set(a->em, -ERR_USAGE, "more than %d words",
				  WORDS_MAX);
	if (!inner || inner->count != a->n || (!a->n && !a->at))
		return errmsg_set(a->em, -ERR_USAGE,
				  "which run, which states?");
	a->words = calloc(2 * a->n + 1, sizeof(*a->words));
	if (!a->words)
		return -ENOMEM;
	a->inner = a->words + a->n;
	if (strings(a->words, a->n, words) < 0 ||
	    strings(a->inner, a->n, inner) < 0)
		return errmsg_set(a->em, -ERR_USAGE, "a word that is none");
	return 0;
}

static int read_form(struct asked *a, const struct json *request)
{
	static const char *const forms[] = { "patch", "stat", "names", "only",
					     "json" };
	static const enum run_diff_as as[] = { RUN_DIFF_PATCH, RUN_DIFF_STAT,
					       RUN_DIFF_NAMES, RUN_DIFF_ONLY,
					       RUN_DIFF_JSON };
	const char *form = json_get_str(request, "as");

	for (size_t i = 0; form && i < sizeof(as) / sizeof(as[0]); i++)
		if (strcmp(forms[i], form) == 0) {
			a->what.as = as[i];
			return 0;
		}
	return errmsg_set(a->em, -ERR_USAGE, "in what form?");
}

/* --- what the words mean --- */

/* 0 it is a WHEN, -ERR_USAGE it is none, or what is wrong with it. */
static int find_when(struct asked *a, uint64_t *out, const char *word,
		     int64_t meant, struct errmsg *em)
{
	struct timespec t = { 0 };
	int rc;

	clock_gettime(CLOCK_REALTIME, &t);
	rc = audit_when_find(a->r, NULL, out, word, meant,
			     (int64_t)t.tv_sec * 1000000000 + t.tv_nsec, em);
	return rc < 0 ? errmsg_wrap(em, rc, "%s", word) : 0;
}

/* How many runs the word names; one is in a->run. */
static int find_run(struct asked *a, const char *word)
{
	return idx_run_find(a->r, &a->run, word);
}

static int several_runs(struct asked *a, const char *word)
{
	return errmsg_set(a->em, -ERR_USAGE,
			  "there are several runs named %s: say %s.%u (the "
			  "newest), or another number",
			  word, a->run.name, a->run.number);
}

static int until_now(struct asked *a)
{
	return find_when(a, &a->what.until, "now", 0, a->em);
}

/* `vouch diff WORD [PATH...]`: a run, or a state and now. */
static int one_word(struct asked *a)
{
	struct errmsg why = ERRMSG_INIT;
	const char *word = a->words[0];
	int rc = find_when(a, &a->what.from, word, a->first_ns, &why);
	int runs = find_run(a, word);

	a->used = 1;
	if (runs < 0)
		return runs;
	if (runs > 0 && rc == 0)
		return errmsg_set(a->em, -ERR_USAGE,
				  "%s is a run and a snapshot: say %s.%u:start "
				  "%s.%u:end, or %s now",
				  word, a->run.name, a->run.number, a->run.name,
				  a->run.number, word);
	if (runs > 1)
		return several_runs(a, word);
	if (runs == 1) {
		a->what.run = &a->run;
		return 0;
	}
	if (rc == 0)
		return until_now(a);
	if (rc == -ERR_USAGE)
		return errmsg_set(a->em, -ENOENT,
				  "no run %s: `vouch runs --all STORE` lists "
				  "those there are; "
				  "and no snapshot, log position or time",
				  word);
	return errmsg_set(a->em, rc, "%s", errmsg_text(&why, rc));
}

/* The second word says what the first is: WHEN WHEN, RUN PATH, WHEN PATH. */
static int two_words(struct asked *a)
{
	struct errmsg why = ERRMSG_INIT;
	int rc = find_when(a, &a->what.until, a->words[1], a->second_ns, &why);

	if (rc == 0) {
		a->used = 2;
		rc = find_when(a, &a->what.from, a->words[0], a->first_ns,
			       a->em);
		if (rc == -ERR_USAGE && find_run(a, a->words[0]) > 0)
			return rc; /* in words: it is a run */
		return rc;
	}
	if (rc != -ERR_USAGE || !a->inner[1][0])
		return errmsg_set(a->em, rc, "%s", errmsg_text(&why, rc));
	return one_word(a);
}

static int mean(struct asked *a)
{
	int rc;

	if (a->at) {
		rc = find_when(a, &a->what.from, a->at, a->at_ns, a->em);
		if (rc < 0 || !a->to)
			return rc < 0 ? rc : until_now(a);
		return find_when(a, &a->what.until, a->to, a->to_ns, a->em);
	}
	return a->n == 1 ? one_word(a) : two_words(a);
}

/*
 * `vouch diff 2 minutes ago`: a WHEN of several words is one argument, even if
 * it is before the beginning.
 */
static bool is_when_in_words(struct asked *a, struct buf *joined)
{
	for (size_t i = 0; i < a->n; i++) {
		buf_adds(joined, i ? " " : "");
		buf_adds(joined, a->words[i]);
	}
	return !joined->bad && joined->n < LIMIT_NAME &&
	       find_when(a, &a->what.from, (char *)joined->p, 0, NULL) !=
		       -ERR_USAGE;
}

/* A PATH that was there in neither state differs in nothing: a mistake. */
static int nowhere(struct asked *a, const char *word)
{
	struct buf autocall(buf_release) joined = BUF_INIT;
	uint64_t from = a->what.from;
	bool when = !a->at && is_when_in_words(a, &joined);

	a->what.from = from;
	if (when)
		return errmsg_set(a->em, -ERR_USAGE,
				  "%s: nothing of that name was there; if "
				  "\"%.200s\" is meant, put it in quotes",
				  word, (char *)joined.p);
	if (a->what.run)
		return errmsg_set(a->em, -ENOENT,
				  "%s: there was never anything of that name",
				  word);
	return errmsg_set(a->em, -ENOENT,
			  "%s: nothing of that name was there in either of "
			  "the two states",
			  word);
}

/* 1: the path is there in one of the states, or for a run ever was. */
static int is_somewhere(struct asked *a, const char *path)
{
	size_t n = strlen(path);
	uint64_t ino;
	bool gone;
	int rc;

	if (!n)
		return 1;
	if (a->what.run)
		return idx_resolve_last(a->r, &ino, &gone, path, n);
	rc = idx_resolve(a->r, &ino, path, n, a->what.from);
	return rc ? rc : idx_resolve(a->r, &ino, path, n, a->what.until);
}

/* The rest are PATHs. */
static int take_paths(struct asked *a)
{
	int rc;

	for (size_t i = a->used; i < a->n; i++) {
		const char *p = a->inner[i];

		if (!*p)
			return errmsg_set(a->em, -ENOENT,
					  "%s lies in no mount of this volume",
					  a->words[i]);
		while (*p == '/')
			p++;
		a->inner[i] = p;
		rc = is_somewhere(a, p);
		if (rc <= 0)
			return rc < 0 ? rc : nowhere(a, a->words[i]);
	}
	a->what.paths = a->inner + a->used;
	a->what.n_paths = a->n - a->used;
	return 0;
}

/* --- the answer --- */

enum { ANSWER_MAX = JSON_SIZE_MAX / 4 };

static int too_many(const struct asked *a)
{
	return errmsg_set(a->em, -ERR_LIMIT,
			  "more than %d files, or than %d changes: name a PATH",
			  RUN_DIFF_MAX, RUN_TOUCHES_MAX);
}

/* The whole patch of a run is a file in the mount, as long as it may be. */
static int too_long(const struct asked *a, struct buf *out)
{
	if (a->what.run && a->what.as == RUN_DIFF_PATCH && !a->what.n_paths &&
	    a->mounted) {
		buf_addf(out, "\"file\":\"runs/%s.%u/changes.diff\"",
			 a->run.name, a->run.number);
		return 0;
	}
	return errmsg_set(a->em, -ERR_LIMIT,
			  "longer than %d MiB: --stat, --name-status and "
			  "--name-only are shorter, or name a PATH",
			  ANSWER_MAX >> 20);
}

static int answer(struct asked *a, struct buf *out)
{
	struct run_view all = { .cr = NULL }; /* none but he is heard here */
	struct errmsg why = ERRMSG_INIT;
	struct spool s;
	int rc;

	spool_init(&s, core_store_dir(a->core), ANSWER_MAX);
	rc = run_diff(a->core, &all, a->r, &a->what, &s, &why);
	if (rc == 0)
		rc = spool_end(&s);
	if (rc == 0)
		rc = verbs_spool(&s, true, out);
	if (rc == -ERR_LIMIT)
		rc = s.rc == -ERR_LIMIT ? too_long(a, out) : too_many(a);
	else if (rc < 0)
		rc = errmsg_set(a->em, rc, "%s", errmsg_text(&why, rc));
	spool_release(&s);
	return rc;
}

/* What is written is in the log: states end with what there is. */
static int settle(struct core *c)
{
	int rc = core_options_of(c)->read_only ? 0 : core_sync(c);

	return rc < 0 ? rc : core_settle_index(c);
}

int verbs_diff(void *ctx, const struct json *request, const struct cred *peer,
	       struct buf *out, struct errmsg *em)
{
	struct asked a = { .core = ctx, .em = em };
	int rc = read_words(&a, request);

	(void)peer;
	if (rc == 0)
		rc = read_form(&a, request);
	if (rc == 0)
		rc = settle(a.core);
	if (rc == 0)
		rc = core_reader_take(a.core, &a.r);
	if (rc == 0)
		rc = mean(&a);
	if (rc == 0)
		rc = take_paths(&a);
	if (rc == 0)
		rc = answer(&a, out);
	core_reader_give(a.core, a.r);
	free(a.words);
	return rc < 0 ? errmsg_set(em, rc, "%s", errmsg_text(em, rc)) : 0;
}
