/*
 * cmd_blame.c - `vouch blame PATH`: who wrote each line, or each byte, of a
 * file; in columns for people, or as the daemon's JSON.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
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
#include "mount-tools/vouch.h"

enum { WHO_MAX = 40, COMMAND_MAX = 200, TIME_LEN = 20 };

struct blame {
	const char *at, *lines, *bytes;
	bool verbose, ranged;
	uint64_t first, until; /* from 0, until excluded */
	enum opt_format format;
};

/* A version, as columns show it. */
struct column {
	const struct json *v;
	char entry[48], time[TIME_LEN + 1];
	struct buf who; /* the run, and the program */
};

struct shown {
	struct column *v;
	size_t n;
	int entry_width, who_width, number_width;
	bool lines;
	struct buf text, out;
	size_t at; /* in text */
};

/* --- ranges --- */

static bool number(const char **s, uint64_t *out)
{
	char *end = NULL;

	if (**s < '0' || **s > '9')
		return false;
	errno = 0;
	*out = strtoull(*s, &end, 10);
	*s = end;
	return errno == 0;
}

/* "3,8", "3,", "3", "3,+6": lines, from 1. */
static bool parse_lines(struct blame *b)
{
	const char *s = b->lines;
	uint64_t last = 0;
	bool count;

	if (!number(&s, &b->first) || b->first == 0)
		return false;
	b->until = b->first--;
	if (!*s)
		return true;
	if (*s++ != ',')
		return false;
	b->until = UINT64_MAX;
	if (!*s)
		return true;
	count = *s == '+';
	s += count;
	if (!number(&s, &last) || *s || last == 0)
		return false;
	b->until = !count			? last :
		   last > UINT64_MAX - b->first ? UINT64_MAX :
						  b->first + last;
	return b->until > b->first;
}

/* "100-199", "100-", "100", "all": bytes, from 0. */
static bool parse_bytes(struct blame *b)
{
	const char *s = b->bytes;
	uint64_t last = 0;

	if (strcmp(s, "all") == 0) {
		b->ranged = false;
		return true;
	}
	if (!number(&s, &b->first) || b->first == UINT64_MAX)
		return false;
	b->until = b->first + 1;
	if (!*s)
		return true;
	if (*s++ != '-')
		return false;
	b->until = UINT64_MAX;
	if (!*s)
		return true;
	if (!number(&s, &last) || *s || last < b->first)
		return false;
	b->until = last == UINT64_MAX ? last : last + 1;
	return true;
}

/* --- columns --- */

static void add_escaped(struct buf *out, const char *s)
{
	text_term_escape(out, s, strlen(s));
}

/* "fix-tests.3 sed", as much as is known. */
static void add_who(struct buf *out, const struct json *v)
{
	const char *run = json_get_str(v, "run");
	const char *exe = json_get_str(json_get(v, "actor"), "exe");
	const char *slash = exe ? strrchr(exe, '/') : NULL;
	const char *strength = json_get_str(v, "strength");

	if (run)
		add_escaped(out, run);
	if (exe) {
		buf_adds(out, run ? " " : "");
		add_escaped(out, slash && slash[1] ? slash + 1 : exe);
	}
	if (!run && !exe)
		buf_adds(out, "the system");
	if (strength && strcmp(strength, "exact") != 0) {
		buf_adds(out, " (");
		add_escaped(out, strength);
		buf_addc(out, ')');
	}
	if (out->n > WHO_MAX && !out->bad)
		out->n = WHO_MAX;
}

static void add_column(struct shown *s, const struct json *v)
{
	struct column *c = &s->v[s->n++];
	const char *entry = json_get_str(v, "entry");
	const char *time = json_get_str(v, "time");
	int n;

	c->v = v;
	n = snprintf(c->entry, sizeof(c->entry), "%s", entry ? entry : "?");
	snprintf(c->time, sizeof(c->time), "%s", time ? time : "");
	if (c->time[0] && c->time[10] == 'T') {
		c->time[10] = ' ';
		c->time[19] = 'Z'; /* whole seconds */
	}
	add_who(&c->who, v);
	if (n > s->entry_width)
		s->entry_width = n;
	if (!c->who.bad && (int)c->who.n > s->who_width)
		s->who_width = (int)c->who.n;
}

static void add_start(struct shown *s, const struct column *c, bool or_older)
{
	buf_addf(&s->out, "%s%-*s  ", or_older ? "^" : " ", s->entry_width,
		 c->entry);
	buf_add(&s->out, c->who.p, c->who.n);
	for (int i = (int)c->who.n; i < s->who_width; i++)
		buf_addc(&s->out, ' ');
	buf_addf(&s->out, "  %s  ", c->time);
}

/* A line of the file, so that no byte of it moves the cursor. */
static void add_line(struct shown *s)
{
	const char *p = (const char *)s->text.p + s->at;
	const char *eol =
		s->at < s->text.n ? memchr(p, '\n', s->text.n - s->at) : NULL;
	size_t n = eol ? (size_t)(eol - p) : s->text.n - s->at;

	for (size_t i = 0, m; i < n; i += m) {
		for (m = 0; i + m < n && p[i + m] != '\t' && p[i + m] != '\\';
		     m++)
			;
		text_term_escape(&s->out, p + i, m);
		for (; i + m < n && (p[i + m] == '\t' || p[i + m] == '\\'); m++)
			buf_addc(&s->out, p[i + m]);
	}
	s->at += n + (eol != NULL);
}

static int add_part(struct shown *s, const struct json *part)
{
	uint64_t first = 0, last = 0, who = 0;
	bool older = json_get_bool(part, "or_older", false);

	if (!json_get_u64(part, "first", &first) ||
	    !json_get_u64(part, "last", &last) ||
	    !json_get_u64(part, "version", &who) || who >= s->n)
		return -ERR_FORMAT;
	if (!s->lines) {
		add_start(s, &s->v[who], older);
		buf_addf(&s->out, "%*llu-%llu\n", s->number_width,
			 (unsigned long long)first, (unsigned long long)last);
		return 0;
	}
	for (; first <= last && !s->out.bad; first++) {
		add_start(s, &s->v[who], older);
		buf_addf(&s->out, "%*llu) ", s->number_width,
			 (unsigned long long)first);
		add_line(s);
		buf_addc(&s->out, '\n');
	}
	return s->out.bad ? -ENOMEM : 0;
}

/* --- all that is known of a version --- */

static void add_command(struct buf *out, const struct json *actor)
{
	const struct json *argv = json_get(actor, "argv");
	const struct json *s = argv ? argv->first : NULL;
	uint64_t uid = 0, pid = 0;

	(void)!json_get_u64(actor, "uid", &uid);
	(void)!json_get_u64(actor, "pid", &pid);
	buf_adds(out, "    by    ");
	for (size_t n = 0; s && n < COMMAND_MAX; n += s->len, s = s->next) {
		buf_adds(out, n ? " " : "");
		text_term_escape(out, s->text, s->len);
	}
	buf_addf(out, "%s (uid %llu, pid %llu)\n", s ? " ..." : "",
		 (unsigned long long)uid, (unsigned long long)pid);
}

static void add_inputs(struct buf *out, const struct json *v)
{
	const struct json *list = json_get(v, "opened");
	uint64_t more = 0;

	for (const struct json *i = list ? list->first : NULL; i; i = i->next) {
		const char *path = json_get_str(i, "path");
		const char *strength = json_get_str(i, "strength");
		uint64_t version = 0;

		(void)!json_get_u64(i, "version", &version);
		buf_adds(out, "    had opened  ");
		add_escaped(out, path ? path : "what is not known");
		buf_addf(out, "  version %llu", (unsigned long long)version);
		if (strength && strcmp(strength, "exact") != 0)
			buf_addf(out, " (%s)", strength);
		buf_addc(out, '\n');
	}
	if (json_get_u64(v, "opened_more", &more))
		buf_addf(out, "    had opened  %llu more\n",
			 (unsigned long long)more);
}

static void add_details(struct shown *s, const struct column *c)
{
	const struct json *signer = json_get(c->v, "signer");
	const char *path = json_get_str(c->v, "path");
	const char *key = json_get_str(signer, "key");
	uint64_t version = 0, mount = 0;

	(void)!json_get_u64(c->v, "version", &version);
	(void)!json_get_u64(signer, "mount", &mount);
	buf_addf(&s->out, "\n%s  ", c->entry);
	add_escaped(&s->out, path ? path : "(it had no name)");
	buf_addf(&s->out, "  version %llu\n", (unsigned long long)version);
	if (json_get(c->v, "actor"))
		add_command(&s->out, json_get(c->v, "actor"));
	buf_addf(&s->out, "    signed by mount %llu, key %s\n",
		 (unsigned long long)mount, key ? key : "?");
	add_inputs(&s->out, c->v);
}

/* --- asking --- */

static int show(const struct blame *b, const struct json *root,
		const char *base64)
{
	const struct json *versions = json_get(root, "versions");
	const struct json *parts = json_get(root, "parts");
	const char *unit = json_get_str(root, "unit");
	struct shown s = { .lines = unit && strcmp(unit, "line") == 0 };
	char digits[32];
	uint64_t count = 0;
	int rc = base64 ? text_base64_decode(&s.text, base64, strlen(base64)) :
			  0;

	(void)!json_get_u64(root, "count", &count);
	s.number_width = snprintf(digits, sizeof(digits), "%llu",
				  (unsigned long long)count);
	s.v = calloc(versions ? versions->count + 1 : 1, sizeof(*s.v));
	if (!s.v)
		rc = -ENOMEM;
	for (const struct json *v = versions ? versions->first : NULL;
	     rc == 0 && v; v = v->next)
		add_column(&s, v);
	for (const struct json *p = parts ? parts->first : NULL; rc == 0 && p;
	     p = p->next)
		rc = add_part(&s, p);
	for (size_t i = 0; rc == 0 && b->verbose && i < s.n; i++)
		add_details(&s, &s.v[i]);
	if (rc == 0)
		rc = print_flush(&s.out);
	for (size_t i = 0; i < s.n; i++)
		buf_release(&s.v[i].who);
	free(s.v);
	buf_release(&s.text);
	buf_release(&s.out);
	return rc;
}

static int put_out(const struct blame *b, const struct json *answer,
		   struct errmsg *em)
{
	const char *text = json_get_str(answer, "text");
	struct json_doc *doc = NULL;
	int rc = text ? 0 : -ERR_FORMAT;

	if (rc == 0 && b->format == OPT_AS_JSON) {
		fputs(text, stdout);
		return 0;
	}
	if (rc == 0)
		rc = json_parse(&doc, text, strlen(text), em);
	if (rc == 0 && isatty(STDOUT_FILENO))
		pager_start();
	if (rc == 0)
		rc = show(b, json_root(doc), json_get_str(answer, "base64"));
	json_free(doc);
	return rc;
}

static int ask(const struct blame *b, const struct ctl_place *place,
	       const char *path, struct errmsg *em)
{
	struct json_doc *answer = NULL;
	struct buf m = BUF_INIT;
	int rc;

	buf_adds(&m, "\"verb\":\"blame\"");
	ask_add(&m, "path", path);
	if (b->at)
		ask_when(&m, "at", b->at);
	if (b->bytes)
		buf_adds(&m, ",\"bytes\":true");
	if (b->ranged)
		buf_addf(&m, ",\"first\":%llu,\"until\":%llu",
			 (unsigned long long)b->first,
			 (unsigned long long)b->until);
	rc = m.bad ? -ENOMEM : ask_look(&answer, place, (char *)m.p, em);
	if (rc == 0)
		rc = put_out(b, json_root(answer), em);
	json_free(answer);
	buf_release(&m);
	return rc;
}

static int blame(const struct blame *b, int argc, char **argv,
		 struct errmsg *em)
{
	struct ctl_place place;
	int rc = ctl_find(&place, argv[0], em);

	if (rc == 0 && !place.path != (argc > 1))
		rc = errmsg_set(em, -ERR_USAGE,
				place.path ? "a path in a mount needs no "
					     "second one" :
					     "which file? give the STORE and "
					     "its PATH inside");
	if (rc == 0)
		rc = ask(b, &place, place.path ? place.path : argv[1], em);
	ctl_place_release(&place);
	return rc;
}

int cmd_blame(int argc, char **argv)
{
	struct blame b = { .format = OPT_AS_TEXT };
	const struct opt options[] = {
		{ 'L', NULL, OPT_TEXT, &b.lines, "FIRST,LAST",
		  "only these lines, from 1 (also FIRST,+COUNT)" },
		{ 0, "bytes", OPT_TEXT, &b.bytes, "FIRST-LAST",
		  "bytes, from 0, not lines; all: every byte" },
		{ 0, "at", OPT_TEXT, &b.at, "WHEN", "the file as it was then" },
		{ 'v', "verbose", OPT_FLAG, &b.verbose, NULL,
		  "each version too: its process, its signer, what that "
		  "process had opened" },
		OPT_FORMAT(&b.format),
		OPT_END,
	};
	struct errmsg em = ERRMSG_INIT;
	int status = opt_parse(options, &argc, &argv, 1, 2), rc;

	if (status != OPT_GO)
		return status;
	if (b.lines && b.bytes)
		return opt_misuse("blame", "-L or --bytes, not both");
	b.ranged = b.lines || b.bytes;
	if (b.lines && !parse_lines(&b))
		return opt_misuse("blame",
				  "-L %s: FIRST,LAST or FIRST,+COUNT, lines "
				  "from 1",
				  b.lines);
	if (b.bytes && !parse_bytes(&b))
		return opt_misuse(
			"blame", "--bytes=%s: FIRST-LAST, bytes from 0, or all",
			b.bytes);
	rc = blame(&b, argc, argv, &em);
	if (rc == -ERR_USAGE)
		return opt_misuse("blame", "%s", errmsg_text(&em, rc));
	return rc < 0 ? opt_fail("blame", rc, &em) : 0;
}
