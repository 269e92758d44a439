/*
 * cmd_diff.c - `vouch diff RUN`: what a run changed in files, as git diff
 * shows it; in colours on a terminal.
 *
 * Text goes out as it is, for `git apply` and patch(1), but to a terminal:
 * there a file's bytes are escaped, so that none of them moves the cursor.
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
#include "mount-tools/print.h"
#include "mount-tools/reader.h"
#include "mount-tools/vouch.h"

struct diff {
	const char *in, *run;
	bool stat, names;
	enum opt_format format;
};

static const char *form_of(const struct diff *d)
{
	if (d->format == OPT_AS_JSON)
		return "json";
	return d->stat ? "stat" : d->names ? "names" : "patch";
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
	return print_flush(&b);
}

/* --- asking --- */

static int put_out(const struct diff *d, const char *base64)
{
	struct buf text = BUF_INIT;
	int rc = base64 ? text_base64_decode(&text, base64, strlen(base64)) :
			  -ERR_FORMAT;

	if (rc == 0 && isatty(STDOUT_FILENO) && d->format == OPT_AS_TEXT) {
		rc = show((char *)text.p, text.n, !d->stat && !d->names);
		buf_release(&text);
		return rc;
	}
	if (rc == 0)
		rc = print_flush(&text);
	buf_release(&text);
	return rc;
}

static int diff(const struct diff *d, struct errmsg *em)
{
	struct json_doc *answer = NULL;
	struct ctl_place place = { .store = NULL };
	struct buf b = BUF_INIT;
	autofree char *here = NULL;
	int rc = d->in ? 0 : reader_here(&here, em);

	if (rc == 0)
		rc = ctl_find(&place, d->in ? d->in : here, em);
	buf_addf(&b, "\"verb\":\"diff\",\"as\":\"%s\"", form_of(d));
	if (rc == 0) {
		ask_add(&b, "run", d->run);
		rc = b.bad ? -ENOMEM :
			     ask_look(&answer, &place, (char *)b.p, em);
	}
	if (rc == 0)
		rc = put_out(d, json_get_str(json_root(answer), "base64"));
	json_free(answer);
	buf_release(&b);
	ctl_place_release(&place);
	return rc;
}

int cmd_diff(int argc, char **argv)
{
	struct diff d = { .format = OPT_AS_TEXT };
	const struct opt options[] = {
		{ 0, "in", OPT_TEXT, &d.in, "STORE|DIR",
		  "the volume (where you are, or the only one mounted)" },
		{ 0, "stat", OPT_FLAG, &d.stat, NULL,
		  "a line for each file, and the sums" },
		{ 0, "name-status", OPT_FLAG, &d.names, NULL,
		  "names alone: Added, Deleted, Modified, Renamed" },
		OPT_FORMAT(&d.format),
		OPT_END,
	};
	struct errmsg em = ERRMSG_INIT;
	int status = opt_parse(options, &argc, &argv, 1, 1), rc;

	if (status != OPT_GO)
		return status;
	if (d.stat && d.names)
		return opt_misuse("diff", "--stat or --name-status, not both");
	d.run = argv[0];
	rc = diff(&d, &em);
	if (rc == -ERR_USAGE)
		return opt_misuse("diff", "%s", errmsg_text(&em, rc));
	return rc < 0 ? opt_fail("diff", rc, &em) : 0;
}
