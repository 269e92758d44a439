/* undo_say.c - see undo_say.h. */
#include "mount-tools/undo_say.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/text.h"
#include "fs/daemon/control.h"
#include "mount-tools/inverse.h"
#include "mount-tools/inverse_say.h"
#include "mount-tools/print.h"

enum { WHOLE_SECONDS = 19 }; /* of 2026-11-21T10:00:00.123456789Z */

bool undo_say_is_running(const struct inverse *x)
{
	const char *state = json_get_str(inverse_head(x), "state");

	return state && strcmp(state, "running") == 0;
}

bool undo_say_is_unfinished(const struct inverse *x)
{
	return json_get_bool(inverse_head(x), "unfinished", false);
}

bool undo_say_has_work(const struct inverse *x)
{
	for (size_t i = 0; i < inverse_count(x); i++) {
		const struct inverse_item *it = inverse_at(x, i);

		if (it->chosen && it->what != INVERSE_KEEP)
			return true;
	}
	return false;
}

bool undo_say_has_conflicts(const struct inverse *x)
{
	for (size_t i = 0; i < inverse_count(x); i++) {
		const struct inverse_item *it = inverse_at(x, i);

		if (it->chosen &&
		    (it->rc < 0 || json_get(it->line, "conflicts")))
			return true;
	}
	return false;
}

void undo_say_nothing_there(const char *path, const char *word)
{
	struct buf b = BUF_INIT;

	text_term_escape(&b, path, strlen(path));
	fprintf(stderr,
		"vouch undo: %s: nothing is left there of what %s did\n",
		b.n && !b.bad ? (char *)b.p : "", word);
	buf_release(&b);
}

/* --- words --- */

static void add_path(struct buf *b, const char *path)
{
	text_term_escape(b, path, strlen(path));
}

static void add_item(struct buf *b, const struct inverse_item *it, bool planned)
{
	static const char *const done[] = { "removed", "made again", "put back",
					    "" };
	static const char *const will[] = { "remove", "make again", "put back",
					    "" };

	buf_addf(b, "  %-11s ", planned ? will[it->what] : done[it->what]);
	add_path(b, it->path);
	if (it->what == INVERSE_CHANGE)
		inverse_say_parts(b, it->line);
	buf_addc(b, '\n');
}

static void add_lines(struct buf *b, const struct json *lines)
{
	const char *comma = "";

	buf_adds(b, "line ");
	for (const struct json *v = lines->first; v; v = v->next) {
		uint64_t first = 0, n = 0;

		if (v->type == JSON_ARRAY && v->first) {
			(void)!json_u64(v->first, &first);
			(void)!json_u64(v->first->next, &n);
		}
		buf_addf(b, "%s%llu", comma, (unsigned long long)first);
		if (n > 1)
			buf_addf(b, "-%llu",
				 (unsigned long long)(first + n - 1));
		comma = ", ";
	}
	buf_adds(b, ": ");
}

/* What it is about, up to the reason. */
static void add_what(struct buf *b, const char *path, const struct json *c)
{
	const struct json *lines = json_get(c, "lines");
	const char *name = json_get_str(c, "name");
	const char *what = json_get_str(c, "what");
	const char *why = json_get_str(c, "why");

	if (lines && lines->type == JSON_ARRAY)
		add_lines(b, lines);
	else if (what && name && strcmp(what, "directory") == 0) {
		buf_adds(b, "kept, it holds ");
		if (strcmp(path, ".") != 0) {
			add_path(b, path);
			buf_addc(b, '/');
		}
		add_path(b, name);
		return;
	} else if (what && name && strcmp(what, "name") == 0) {
		buf_adds(b, "not called ");
		add_path(b, name);
		buf_adds(b, " again: ");
	} else {
		buf_addf(b, "%s: ", what ? what : "");
		if (name) {
			add_path(b, name);
			buf_adds(b, ": ");
		}
	}
	buf_adds(b, why ? why : "");
}

/* ", by vim of user 1000 in sh.3, 2026-11-21 10:00:00" */
static void add_who(struct buf *b, const struct json *c)
{
	const char *text = json_get_str(c, "exe"), *slash;
	uint64_t uid = 0;

	if (json_get_u64(c, "uid", &uid)) {
		slash = text ? strrchr(text, '/') : NULL;
		buf_adds(b, ", by ");
		if (text)
			add_path(b, slash && slash[1] ? slash + 1 : text);
		buf_addf(b, "%suser %llu", text ? " of " : "",
			 (unsigned long long)uid);
		text = json_get_str(c, "run");
		if (text)
			buf_addf(b, " in %s", text);
	}
	text = json_get_str(c, "time");
	if (text && strlen(text) >= WHOLE_SECONDS)
		buf_addf(b, ", %.10s %.8sZ", text, text + 11);
}

/* "  src/a: mode: changed since, by ..." */
static void add_conflict(struct buf *b, const char *path, const struct json *c)
{
	buf_adds(b, "  ");
	add_path(b, path);
	buf_adds(b, ": ");
	add_what(b, path, c);
	add_who(b, c);
	buf_addc(b, '\n');
}

static void add_failure(struct buf *b, const struct inverse_item *it)
{
	buf_adds(b, "  ");
	add_path(b, it->path);
	buf_addf(b, ": %s: ", it->step);
	if (!inverse_say_why(b, it))
		buf_adds(b, it->rc == -EEXIST ? "the name is taken" :
						err_text(it->rc));
	buf_addc(b, '\n');
}

static void say_text(const struct inverse *x, const struct undo_said *s)
{
	struct buf b = BUF_INIT, stays = BUF_INIT, totals = BUF_INIT;
	const bool planned = s->planned;
	struct inverse_sum sum;

	for (size_t i = 0; i < inverse_count(x); i++) {
		const struct inverse_item *it = inverse_at(x, i);
		const struct json *list = json_get(it->line, "conflicts");

		if (!it->chosen)
			continue;
		if (it->what != INVERSE_KEEP && (planned || it->done))
			add_item(&b, it, planned);
		if (it->rc < 0)
			add_failure(&stays, it);
		for (const struct json *c = list ? list->first : NULL; c;
		     c = c->next)
			add_conflict(&stays, it->path, c);
	}
	inverse_say_sum(&sum, x, planned);
	inverse_say_totals(&totals, &sum, s->own, s->dir);
	if (!s->quiet && !b.n && !stays.n)
		printf("%s: there is nothing left to undo\n", s->word);
	else if (!s->quiet && b.n && !b.bad)
		printf("%s of %s:\n%s", planned ? "Would undo" : "Undone",
		       s->word, (char *)b.p);
	if (stays.n && !stays.bad)
		printf("%s of %s:\n%s", planned ? "What stays" : "NOT undone",
		       s->word, (char *)stays.p);
	if (!s->quiet && totals.n && !totals.bad)
		printf("%s%s", planned ? "That is " : "", (char *)totals.p);
	buf_release(&b);
	buf_release(&stays);
	buf_release(&totals);
}

static void say_json(const struct inverse *x, const struct undo_said *s)
{
	struct inverse_sum sum;
	struct buf b = BUF_INIT;
	uint64_t done = 0, left = 0, conflicts = 0;

	for (size_t i = 0; i < inverse_count(x); i++) {
		const struct inverse_item *it = inverse_at(x, i);

		if (!it->chosen)
			continue;
		done += it->done;
		left += it->what != INVERSE_KEEP && !it->done;
		conflicts += json_get(it->line, "conflicts") != NULL;
	}
	inverse_say_sum(&sum, x, s->planned);
	control_add_str(&b, "run", s->word);
	control_add_bool(&b, "planned", s->planned);
	if (*s->own)
		control_add_str(&b, "undo", s->own);
	control_add_u64(&b, "put_back", sum.put_back);
	control_add_u64(&b, "made", sum.made);
	control_add_u64(&b, "removed", sum.removed);
	control_add_u64(&b, "done", done);
	control_add_u64(&b, "left", left);
	control_add_u64(&b, "conflicts", conflicts);
	buf_adds(&b, ",\"items\":[");
	for (size_t i = 0, n = 0; i < inverse_count(x); i++) {
		static const char *const words[] = { "remove", "make", "change",
						     "keep" };
		const struct inverse_item *it = inverse_at(x, i);
		const struct json *list = json_get(it->line, "conflicts");

		if (!it->chosen)
			continue;
		buf_addf(&b, "%s{\"path\":", n++ ? "," : "");
		text_json_string(&b, it->path, strlen(it->path));
		buf_addf(&b, ",\"do\":\"%s\",\"done\":%s,\"conflicts\":%u",
			 words[it->what], it->done ? "true" : "false",
			 list ? list->count : 0);
		if (it->rc < 0) {
			buf_addf(&b, ",\"failed\":\"%s\",\"error\":", it->step);
			text_json_string(&b, err_text(it->rc),
					 strlen(err_text(it->rc)));
		}
		buf_addc(&b, '}');
	}
	if (!b.bad)
		printf("{%s]}\n", (char *)b.p);
	buf_release(&b);
}

void undo_say(const struct inverse *x, const struct undo_said *s)
{
	if (s->format == OPT_AS_JSON)
		say_json(x, s);
	else
		say_text(x, s);
}
