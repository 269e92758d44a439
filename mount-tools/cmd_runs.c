/*
 * cmd_runs.c - `vouch runs`: which runs there were, the newest last.
 *
 * It reads audit/runs.jsonl of the mount, and of the runs that it shows what
 * summary.json counts: so everybody may ask, and sees what he may see.
 */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/text.h"
#include "mount-tools/hint.h"
#include "mount-tools/opt.h"
#include "mount-tools/undo_place.h"
#include "mount-tools/vouch.h"

enum { SHOWN = 30, COLUMNS = 7, CELL_MAX = 80 };
#define SECOND 1000000000LL

/* One run: its line, and what its summary counts. */
struct shown {
	char *line; /* without its end */
	struct json_doc *doc;
	bool counted; /* else its summary could not be had */
	uint64_t changed, denied;
};

struct runs {
	struct undo_place place;
	uint64_t most; /* 0: no limit */
	bool all;
	enum opt_format format;
	struct shown *v; /* newest first */
	size_t n, cap;
	bool more; /* than are shown */
	int64_t now_ns;
};

/* --- reading ------------------------------------------------------------------- */

/* Takes the line. */
static int add(struct runs *x, char *line, struct json_doc *doc)
{
	if (x->n == x->cap) {
		size_t cap = x->cap ? 2 * x->cap : 64;
		struct shown *v = reallocarray(x->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		x->v = v;
		x->cap = cap;
	}
	x->v[x->n++] = (struct shown){ .line = line, .doc = doc };
	return 0;
}

static int read_line(struct runs *x, const char *text, size_t n,
		     struct errmsg *em)
{
	autofree char *line = strndup(text, n);
	struct json_doc *doc = NULL;
	int rc = line ? json_parse(&doc, line, n, em) : -ENOMEM;

	if (rc < 0)
		return rc;
	if (!x->all && json_get_bool(json_root(doc), "implicit", false)) {
		json_free(doc);
		return 0;
	}
	x->more = x->most && x->n == x->most;
	rc = x->more ? 0 : add(x, line, doc);
	if (x->more || rc < 0)
		json_free(doc);
	else
		(void)take(line);
	return rc;
}

/* The list has the newest first. */
static int read_list(struct runs *x, struct errmsg *em)
{
	autofree char *line = NULL;
	FILE *f = undo_place_file(&x->place, "runs.jsonl", em);
	size_t cap = 0;
	ssize_t n;
	int rc = 0;

	if (!f)
		return -EIO;
	while (rc == 0 && !x->more && (n = getline(&line, &cap, f)) > 1)
		rc = read_line(x, line, (size_t)n - 1, em);
	if (rc == 0 && ferror(f))
		rc = errmsg_set(em, -EIO, "%s/runs.jsonl cannot be read",
				x->place.audit);
	fclose(f);
	return rc;
}

/* What is too long to be counted in the time that there is stays unknown. */
static void read_counts(struct runs *x, struct shown *s)
{
	const char *word = json_get_str(json_root(s->doc), "run");
	autofree char *name = NULL, *text = NULL;
	struct json_doc *doc = NULL;
	size_t cap = 0;
	ssize_t n = -1;
	FILE *f = NULL;

	if (asprintf(&name, "runs/%s/summary.json", word ? word : "") < 0)
		name = NULL;
	if (name)
		f = undo_place_file(&x->place, name, NULL);
	if (f) {
		n = getdelim(&text, &cap, '\0', f);
		fclose(f);
	}
	if (n > 0 && json_parse(&doc, text, (size_t)n, NULL) == 0)
		s->counted = json_get_u64(json_get(json_root(doc), "changed"),
					  "inodes", &s->changed) &&
			     json_get_u64(json_get(json_root(doc), "denied"),
					  "all", &s->denied);
	json_free(doc);
}

/* --- a table ------------------------------------------------------------------- */

struct row {
	char cell[COLUMNS][CELL_MAX];
};

static int64_t time_of(const struct json *r, const char *key)
{
	const char *text = json_get_str(r, key);
	int64_t ns = 0;

	return text && text_time_parse_rfc3339(&ns, text) == 0 ? ns : 0;
}

static void put_span(char out[CELL_MAX], int64_t ns)
{
	long long s = ns / SECOND;

	if (ns < 0)
		snprintf(out, CELL_MAX, "?"); /* the clock went back */
	else if (s < 1)
		snprintf(out, CELL_MAX, "%lld ms", (long long)ns / 1000000);
	else if (s < 60)
		snprintf(out, CELL_MAX, "%lld.%lld s", s,
			 (long long)(ns / (SECOND / 10) % 10));
	else if (s < 3600)
		snprintf(out, CELL_MAX, "%lld:%02lld min", s / 60, s % 60);
	else if (s < 100 * 3600)
		snprintf(out, CELL_MAX, "%lld:%02lld h", s / 3600, s / 60 % 60);
	else
		snprintf(out, CELL_MAX, "%lld days", s / 86400);
}

static void put_user(char out[CELL_MAX], const struct json *r)
{
	const struct passwd *pw;
	struct buf autocall(buf_release) b = BUF_INIT;
	uint64_t uid = 0;

	(void)!json_get_u64(r, "uid", &uid);
	pw = getpwuid((uid_t)uid);
	if (pw)
		text_term_escape(&b, pw->pw_name, strlen(pw->pw_name));
	if (b.n)
		snprintf(out, CELL_MAX, "%s", (char *)b.p);
	else
		snprintf(out, CELL_MAX, "%llu", (unsigned long long)uid);
}

static void put_end(char out[CELL_MAX], const struct json *r)
{
	const char *state = json_get_str(r, "state");
	const struct json *end = json_get(r, "end");
	const char *how = json_get_str(end, "how");
	const char *signal;
	uint64_t status = 0;

	(void)!json_get_u64(end, "status", &status);
	signal = sigabbrev_np((int)status);
	if (!how)
		snprintf(out, CELL_MAX, "%s", state ? state : "?");
	else if (strcmp(how, "exit") == 0)
		snprintf(out, CELL_MAX, "exit %llu",
			 (unsigned long long)status);
	else if (strcmp(how, "signal") == 0 && signal)
		snprintf(out, CELL_MAX, "SIG%s", signal);
	else
		snprintf(out, CELL_MAX, "%s", how);
}

static void make_row(const struct runs *x, const struct shown *s,
		     struct row *out)
{
	const struct json *r = json_root(s->doc);
	const char *word = json_get_str(r, "run");
	int64_t start = time_of(r, "started"), end = time_of(r, "ended");
	const char *state = json_get_str(r, "state");
	char when[TEXT_TIME_SIZE];

	snprintf(out->cell[0], CELL_MAX, "%.79s", word ? word : "?");
	text_time(when, start);
	when[10] = ' ';
	snprintf(out->cell[1], CELL_MAX, "%.19sZ", when);
	if (state && strcmp(state, "implicit") == 0)
		snprintf(out->cell[2], CELL_MAX, "-");
	else
		put_span(out->cell[2], (end ? end : x->now_ns) - start);
	put_user(out->cell[3], r);
	snprintf(out->cell[4], CELL_MAX, s->counted ? "%llu" : "?",
		 (unsigned long long)s->changed);
	snprintf(out->cell[5], CELL_MAX, s->counted ? "%llu" : "?",
		 (unsigned long long)s->denied);
	put_end(out->cell[6], r);
}

static void print_rows(const struct row *v, size_t n)
{
	size_t wide[COLUMNS] = { 0 };

	for (size_t i = 0; i < n; i++)
		for (int c = 0; c < COLUMNS; c++)
			if (strlen(v[i].cell[c]) > wide[c])
				wide[c] = strlen(v[i].cell[c]);
	for (size_t i = 0; i < n; i++)
		for (int c = 0; c < COLUMNS; c++) {
			bool number = c == 2 || c == 4 || c == 5;
			int w = c == COLUMNS - 1 ? 0 : (int)wide[c];

			printf("%*s%s", number ? w : -w, v[i].cell[c],
			       c == COLUMNS - 1 ? "\n" : "  ");
		}
}

static void print_hint(const struct runs *x, const char *word)
{
	struct buf autocall(buf_release) in = BUF_INIT;
	struct buf autocall(buf_release) b = BUF_INIT;

	hint_in(&in, x->place.dir);
	buf_addf(&b, "What one changed: `vouch diff %s%s`\n", word,
		 in.n ? (char *)in.p : "");
	buf_addf(&b, "Take it back:     `vouch undo %s%s`", word,
		 in.n ? (char *)in.p : "");
	if (!b.bad)
		hint_print((char *)b.p);
}

static int print_text(const struct runs *x)
{
	static const struct row head = { { "RUN", "STARTED (UTC)", "TOOK",
					   "USER", "CHANGED", "DENIED",
					   "END" } };
	autofree struct row *v = calloc(x->n + 1, sizeof(*v));
	const char *whose = x->place.whole ? "" : " of yours";
	bool person = isatty(STDOUT_FILENO);

	if (!v)
		return -ENOMEM;
	v[0] = head;
	for (size_t i = 0; i < x->n; i++) /* the newest last */
		make_row(x, &x->v[x->n - 1 - i], &v[i + 1]);
	if (x->n)
		print_rows(v, x->n + 1);
	else if (x->all)
		fprintf(stderr, "no run%s changed anything yet\n", whose);
	else
		fprintf(stderr,
			"no run%s was declared yet: `vouch run -- CMD` does "
			"(--all: also what ran without it)\n",
			whose);
	if (person && x->more)
		fputs("Older ones, too: -n 0\n", stdout);
	if (person && x->n)
		print_hint(x, v[x->n].cell[0]);
	return 0;
}

/* The members of the list, and the counts. */
static int print_json(const struct runs *x)
{
	for (size_t i = x->n; i-- > 0;) {
		const struct shown *s = &x->v[i];
		size_t n = strlen(s->line);

		printf("%.*s", (int)(n - 1), s->line);
		if (s->counted)
			printf(",\"changed\":%llu,\"denied\":%llu}\n",
			       (unsigned long long)s->changed,
			       (unsigned long long)s->denied);
		else
			printf(",\"changed\":null,\"denied\":null}\n");
	}
	return 0;
}

static void release(struct runs *x)
{
	for (size_t i = 0; i < x->n; i++) {
		free(x->v[i].line);
		json_free(x->v[i].doc);
	}
	free(x->v);
	undo_place_release(&x->place);
}

int cmd_runs(int argc, char **argv)
{
	struct runs x = { .most = SHOWN, .format = OPT_AS_TEXT };
	const struct opt options[] = {
		{ 'a', "all", OPT_FLAG, &x.all, NULL,
		  "also those that nobody declared: process groups that "
		  "changed something" },
		{ 'n', NULL, OPT_NUMBER, &x.most, "N",
		  "only the newest N (30; 0: all)" },
		OPT_FORMAT(&x.format),
		OPT_END,
	};
	struct errmsg em = ERRMSG_INIT;
	struct timespec now;
	int status = opt_parse(options, &argc, &argv, 0, 1), rc;

	if (status != OPT_GO)
		return status;
	clock_gettime(CLOCK_REALTIME, &now);
	x.now_ns = now.tv_sec * SECOND + now.tv_nsec;
	rc = undo_place_mount(&x.place, argc ? argv[0] : NULL, &em);
	if (rc == -ERR_USAGE) {
		release(&x);
		return opt_misuse("runs", "of which volume? say its DIR");
	}
	if (rc == 0)
		rc = read_list(&x, &em);
	for (size_t i = 0; rc == 0 && i < x.n; i++)
		read_counts(&x, &x.v[i]);
	if (rc == 0)
		rc = x.format == OPT_AS_JSON ? print_json(&x) : print_text(&x);
	release(&x);
	return rc < 0 ? opt_fail("runs", rc, &em) : 0;
}
