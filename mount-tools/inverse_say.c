/* inverse_say.c - see inverse_say.h. */
#include "mount-tools/inverse_say.h"

#include <errno.h>
#include <string.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/text.h"
#include "mount-tools/hint.h"
#include "mount-tools/inverse.h"
#include "mount-tools/print.h"

static bool has_list(const struct json *line, const char *key)
{
	const struct json *v = json_get(line, key);

	return v && v->count > 0;
}

static void add_name(struct buf *out, const struct json *o)
{
	autofree char *dir = NULL, *name = NULL;

	if (inverse_text(o, "dir", &dir) == 0 && *dir) {
		text_term_escape(out, dir, strlen(dir));
		buf_addc(out, '/');
	}
	if (inverse_text(o, "name", &name) == 0)
		text_term_escape(out, name, strlen(name));
}

/* "name: back to a/b", "name: without c" */
static const char *add_moves(struct buf *out, const struct json *line,
			     const char *comma)
{
	const struct json *list = json_get(line, "moves");

	for (const struct json *v = list ? list->first : NULL; v; v = v->next) {
		const struct json *from = json_get(v, "from");
		const struct json *to = json_get(v, "to");

		buf_addf(out, "%sname: %s", comma,
			 !to  ? "without " :
			 from ? "back to " :
				"again ");
		add_name(out, to ? to : from);
		comma = ", ";
	}
	return comma;
}

void inverse_say_parts(struct buf *out, const struct json *line)
{
	static const char *const keys[][2] = {
		{ "mode", "mode" },
		{ "uid", "owner" },
		{ "gid", "group" },
		{ "mtime", "time" },
	};
	const struct json *set = json_get(line, "set");
	const char *comma = " (", *put = json_get_str(line, "put");

	if (put) {
		buf_addf(out, "%s%s", comma,
			 strstr(put, "\"merge\":") ? "its lines" : "content");
		comma = ", ";
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (json_get(set, keys[i][0])) {
			buf_addf(out, "%s%s", comma, keys[i][1]);
			comma = ", ";
		}
	if (has_list(line, "attributes")) {
		buf_addf(out, "%sattributes", comma);
		comma = ", ";
	}
	comma = add_moves(out, line, comma);
	buf_adds(out, comma[0] == ',' ? ")" : "");
}

void inverse_say_sum(struct inverse_sum *out, const struct inverse *x,
		     bool planned)
{
	*out = (struct inverse_sum){ .left = 0 };
	for (size_t i = 0; i < inverse_count(x); i++) {
		const struct inverse_item *it = inverse_at(x, i);
		bool done = planned ? it->what != INVERSE_KEEP : it->done;

		if (!it->chosen)
			continue;
		out->removed += done && it->what == INVERSE_REMOVE;
		out->made += done && it->what == INVERSE_MAKE;
		out->put_back += done && it->what == INVERSE_CHANGE;
		out->left +=
			it->rc < 0 || !done || json_get(it->line, "conflicts");
	}
}

/* "1,204" */
static void add_number(struct buf *out, uint64_t n)
{
	if (n >= 1000) {
		add_number(out, n / 1000);
		buf_addf(out, ",%03u", (unsigned)(n % 1000));
		return;
	}
	buf_addf(out, "%u", (unsigned)n);
}

void inverse_say_totals(struct buf *out, const struct inverse_sum *sum,
			const char *run, const char *dir)
{
	const struct {
		uint64_t n;
		const char *what;
	} v[] = {
		{ sum->put_back, "put back" },
		{ sum->made, "made again" },
		{ sum->removed, "removed" },
		{ sum->left, "left" },
	};
	const char *comma = "";

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		if (!v[i].n)
			continue;
		buf_adds(out, comma);
		add_number(out, v[i].n);
		buf_addf(out, " %s", v[i].what);
		comma = ", ";
	}
	if (*comma && *run) {
		buf_adds(out, "; ");
		inverse_say_back(out, run, dir);
	}
	buf_adds(out, *comma ? "\n" : "");
}

void inverse_say_back(struct buf *out, const char *run, const char *dir)
{
	buf_addf(out, "vouch undo %s", run);
	hint_in(out, dir);
	buf_adds(out, " takes that back");
}

/* " as after entry 12.3": which bytes a line asks for. */
static void add_which(struct buf *out, const struct json *line)
{
	const char *put = json_get_str(line, "put");
	struct json_doc *doc = NULL;
	uint64_t at = 0;

	if (put && json_parse(&doc, put, strlen(put), NULL) == 0 &&
	    json_get_u64(json_get(json_root(doc), "from"), "at", &at)) {
		buf_adds(out, " as after entry ");
		print_number(out, at);
	}
	json_free(doc);
}

bool inverse_say_why(struct buf *out, const struct inverse_item *it)
{
	switch (-it->rc) {
	case EBUSY:
	case ESTALE:
		buf_adds(out, "it changed while this went on: say it again");
		return true;
	case EIO:
		if (strcmp(it->step, "content") != 0)
			return false;
		buf_adds(out, "its bytes");
		add_which(out, it->line);
		buf_adds(out, " are damaged in the store: vouch fsck --repair, "
			      "or scrub, mends them from a replica; then say "
			      "it again");
		return true;
	default:
		return false;
	}
}
