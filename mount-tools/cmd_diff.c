/*
 * cmd_diff.c - `vouch diff RUN`, `vouch diff WHEN [WHEN]`: what a run changed,
 * or what differs between two states, as git diff shows it; in colours on a
 * terminal.
 *
 * Text goes out as it is, for `git apply` and patch(1), but to a terminal:
 * there a file's bytes are escaped, so that none of them moves the cursor, and
 * the user's pager shows them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/text.h"
#include "mount-tools/ask.h"
#include "mount-tools/opt.h"
#include "mount-tools/pager.h"
#include "mount-tools/print.h"
#include "mount-tools/reader.h"
#include "mount-tools/undo_place.h"
#include "mount-tools/vouch.h"

struct diff {
	const char *in, *at, *to;
	char **words;
	int n;
	bool stat, names, only;
	enum opt_format format;
	struct ctl_place place; /* the volume */
};

static const char *form_of(const struct diff *d)
{
	if (d->format == OPT_AS_JSON)
		return "json";
	return d->stat	? "stat" :
	       d->names ? "names" :
	       d->only	? "only" :
			  "patch";
}

/* --- to a terminal --- */

static const char *colour_of(const char *line, size_t n)
{
	static const struct {
		const char *start, *colour;
	} c[] = {
		{ "+++ ", "\x1b[1m" },	    { "--- ", "\x1b[1m" },
		{ "diff ", "\x1b[1m" },	    { "new file ", "\x1b[1m" },
		{ "deleted ", "\x1b[1m" },  { "rename ", "\x1b[1m" },
		{ "old mode ", "\x1b[1m" }, { "new mode ", "\x1b[1m" },
		{ "@@ ", "\x1b[36m" },	    { "+", "\x1b[32m" },
		{ "-", "\x1b[31m" },
	};

	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		size_t m = strlen(c[i].start);

		if (n >= m && memcmp(line, c[i].start, m) == 0)
			return c[i].colour;
	}
	return NULL;
}

/* Tabs and backslashes stay: text is full of them. */
static void escape(struct buf *out, const char *p, size_t n)
{
	for (size_t i = 0, m; i < n; i += m) {
		for (m = 0; i + m < n && p[i + m] != '\t' && p[i + m] != '\\';
		     m++)
			;
		text_term_escape(out, p + i, m);
		for (; i + m < n && (p[i + m] == '\t' || p[i + m] == '\\'); m++)
			buf_addc(out, p[i + m]);
	}
}

static int show(const char *p, size_t left, bool patch)
{
	struct buf b = BUF_INIT;
	int rc;

	while (left) {
		const char *end = memchr(p, '\n', left);
		size_t n = end ? (size_t)(end - p) : left;
		const char *colour = patch ? colour_of(p, n) : NULL;

		buf_adds(&b, colour ? colour : "");
		escape(&b, p, n);
		buf_adds(&b, colour ? "\x1b[m\n" : "\n");
		p += n + !!end;
		left -= n + !!end;
	}
	rc = print_flush(&b);
	buf_release(&b);
	return rc;
}

/* --- asking --- */

static int put_out(const struct diff *d, const char *base64)
{
	struct buf text = BUF_INIT;
	int rc = base64 ? text_base64_decode(&text, base64, strlen(base64)) :
			  -ERR_FORMAT;

	if (rc == 0 && isatty(STDOUT_FILENO) && d->format == OPT_AS_TEXT) {
		if (text.n)
			pager_start();
		rc = show((char *)text.p, text.n,
			  !d->stat && !d->names && !d->only);
		buf_release(&text);
		return rc;
	}
	if (rc == 0)
		rc = print_flush(&text);
	buf_release(&text);
	return rc;
}

/* A document of the mount, taken to its end. */
static int put_file(FILE *f, struct errmsg *em)
{
	autofree char *line = NULL;
	bool shown = isatty(STDOUT_FILENO);
	size_t cap = 0;
	ssize_t n = 0;
	int rc = 0;

	if (shown)
		pager_start();
	while (rc == 0 && (n = getline(&line, &cap, f)) > 0) {
		if (shown)
			rc = show(line, (size_t)n, true);
		else if (fwrite(line, 1, (size_t)n, stdout) != (size_t)n)
			rc = -errno;
	}
	if (rc == 0 && ferror(f))
		rc = errmsg_set(em, -EIO,
				"the run's changes.diff in the mount cannot be "
				"read to its end");
	return rc;
}

/* What is too long for an answer: the same, in the mount. */
static int put_long(const struct diff *d, const char *name, struct errmsg *em)
{
	struct undo_place place = { .dir = NULL };
	FILE *f = NULL;
	int rc = undo_place_mount(&place, d->place.dir, em);

	if (rc == 0)
		f = undo_place_file(&place, name, em);
	if (rc == 0)
		rc = f ? put_file(f, em) : -EIO;
	if (f)
		fclose(f);
	undo_place_release(&place);
	return rc;
}

/*
 * Who may not ask the daemon has the patch of a run in the mount, as far as he
 * may see it.  1: it was not that which was asked for, or there is none.
 */
static int put_as_user(const struct diff *d, struct errmsg *em)
{
	struct undo_place place = { .dir = NULL };
	FILE *f = NULL;
	int rc = 1;

	if (d->n != 1 || d->at || strcmp(form_of(d), "patch") != 0 ||
	    undo_place_find(&place, d->place.dir, d->words[0], NULL) < 0)
		goto out;
	f = undo_place_open(&place, "changes.diff", em);
	rc = f ? put_file(f, em) : -EIO;
	if (f)
		fclose(f);
out:
	undo_place_release(&place);
	return rc;
}

static int not_heard(const struct diff *d, int refused, struct errmsg *em)
{
	struct errmsg why = ERRMSG_INIT;
	int rc = put_as_user(d, &why);

	if (rc > 0)
		return refused;
	return rc < 0 ? errmsg_set(em, rc, "%s", errmsg_text(&why, rc)) : 0;
}

/* The volume: what --in says, else that of the first PATH, else here. */
static int find_volume(struct diff *d, struct errmsg *em)
{
	autofree char *here = NULL;
	int rc = -ENOENT;

	if (d->in)
		return ctl_find_volume(&d->place, d->in, em);
	for (int i = d->at ? 0 : 1; i < d->n; i++) {
		rc = ctl_find(&d->place, d->words[i], NULL);
		if (rc == 0 && d->place.path)
			return 0;
		ctl_place_release(&d->place);
	}
	rc = reader_here(&here, "which with --in=STORE or --in=DIR", em);
	return rc < 0 ? rc : ctl_find(&d->place, here, em);
}

/* The path inside the volume that a word may be; "" it lies elsewhere. */
static void add_inner(struct buf *b, const struct diff *d, const char *word)
{
	struct ctl_place place = { .store = NULL };
	const char *inner = "";

	if (ctl_find(&place, word, NULL) == 0 && place.path &&
	    strcmp(place.store, d->place.store) == 0)
		inner = place.path;
	text_json_string(b, inner, strlen(inner));
	ctl_place_release(&place);
}

static void add_words(struct buf *b, const struct diff *d)
{
	buf_adds(b, ",\"words\":[");
	for (int i = 0; i < d->n; i++) {
		buf_adds(b, i ? "," : "");
		text_json_string(b, d->words[i], strlen(d->words[i]));
	}
	buf_adds(b, "],\"times\":[");
	for (int i = 0; i < d->n; i++)
		buf_addf(b, "%s%lld", i ? "," : "",
			 (long long)ask_time(d->words[i]));
	buf_adds(b, "],\"inner\":[");
	for (int i = 0; i < d->n; i++) {
		buf_adds(b, i ? "," : "");
		add_inner(b, d, d->words[i]);
	}
	buf_addc(b, ']');
}

static int diff(struct diff *d, struct errmsg *em)
{
	struct json_doc *answer = NULL;
	struct buf b = BUF_INIT;
	int rc = find_volume(d, em);

	buf_addf(&b, "\"verb\":\"diff\",\"as\":\"%s\"", form_of(d));
	if (d->at)
		ask_when(&b, "at", d->at);
	if (d->to)
		ask_when(&b, "to", d->to);
	if (rc == 0 && d->place.dir)
		buf_adds(&b, ",\"mounted\":true");
	if (rc == 0) {
		add_words(&b, d);
		rc = b.bad ? -ENOMEM :
			     ask_look(&answer, &d->place, (char *)b.p, em);
	}
	if (rc == -EACCES)
		rc = not_heard(d, rc, em);
	else if (rc == 0 && json_get_str(json_root(answer), "file"))
		rc = put_long(d, json_get_str(json_root(answer), "file"), em);
	else if (rc == 0)
		rc = put_out(d, json_get_str(json_root(answer), "base64"));
	json_free(answer);
	buf_release(&b);
	ctl_place_release(&d->place);
	return rc;
}

int cmd_diff(int argc, char **argv)
{
	struct diff d = { .format = OPT_AS_TEXT };
	const struct opt options[] = {
		{ 0, "in", OPT_TEXT, &d.in, "STORE|DIR",
		  "the volume (of the first PATH, where you are, or the only "
		  "one mounted)" },
		{ 0, "at", OPT_TEXT, &d.at, "WHEN",
		  "the first state; all arguments are PATHs then" },
		{ 0, "to", OPT_TEXT, &d.to, "WHEN",
		  "with --at: the second (now)" },
		{ 0, "stat", OPT_FLAG, &d.stat, NULL,
		  "a line for each file, and the sums" },
		{ 0, "name-status", OPT_FLAG, &d.names, NULL,
		  "names alone: Added, Deleted, Modified, Renamed" },
		{ 0, "name-only", OPT_FLAG, &d.only, NULL, "nothing else" },
		OPT_FORMAT(&d.format),
		OPT_END,
	};
	struct errmsg em = ERRMSG_INIT;
	int status = opt_parse(options, &argc, &argv, 0, OPT_ANY), rc;

	if (status != OPT_GO)
		return status;
	if (d.stat + d.names + d.only > 1)
		return opt_misuse("diff", "one of --stat, --name-status and "
					  "--name-only, not both");
	if (d.to && !d.at)
		return opt_misuse("diff", "--to=WHEN is for --at=WHEN");
	if (!argc && !d.at)
		return opt_misuse("diff", "which run, which states?");
	d.words = argv;
	d.n = argc;
	rc = diff(&d, &em);
	if (rc == -ERR_USAGE)
		return opt_misuse("diff", "%s", errmsg_text(&em, rc));
	return rc < 0 ? opt_fail("diff", rc, &em) : 0;
}
