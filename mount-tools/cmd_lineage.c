/*
 * cmd_lineage.c - `vouch lineage PATH`: what the newest version was made from
 * and what was made from it, to any depth; as an indented list, JSON or DOT.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/text.h"
#include "mount-tools/ask.h"
#include "mount-tools/opt.h"
#include "mount-tools/print.h"
#include "mount-tools/vouch.h"

enum { DEPTH_MAX = 40, LINES_MAX = 2000 };

struct tree {
	const struct json *nodes, *edges, *actors;
	struct buf out;
	const char *on_way[DEPTH_MAX]; /* no node below itself */
	const char *done[LINES_MAX];   /* shown with what is below */
	unsigned n_done, lines;
};

static const struct json *find(const struct json *list, const char *key,
			       const char *value)
{
	for (const struct json *v = list ? list->first : NULL; v; v = v->next) {
		const char *s = json_get_str(v, key);

		if (s && value && strcmp(s, value) == 0)
			return v;
	}
	return NULL;
}

static void add_actor(struct tree *t, const struct json *node)
{
	const struct json *a =
		find(t->actors, "entry", json_get_str(node, "actor"));
	const struct json *argv = json_get(a, "argv");
	size_t start;

	if (!a)
		return;
	buf_adds(&t->out, "  by ");
	start = t->out.n;
	for (const struct json *s = argv ? argv->first : NULL; s; s = s->next) {
		if (s != argv->first)
			buf_addc(&t->out, ' ');
		if (t->out.n - start > 80) {
			buf_adds(&t->out, "...");
			break;
		}
		text_term_escape(&t->out, s->text, s->len);
	}
	if (t->out.n == start && json_get_str(a, "exe"))
		text_term_escape(&t->out, json_get_str(a, "exe"),
				 strlen(json_get_str(a, "exe")));
}

static void add_line(struct tree *t, const char *id, unsigned depth,
		     const char *strength)
{
	const struct json *node = find(t->nodes, "id", id);
	const struct json *path = json_get(node, "path");
	uint64_t version = 0;

	(void)!json_get_u64(node, "version", &version);
	for (unsigned i = 0; i < depth; i++)
		buf_adds(&t->out, "    ");
	if (path && path->type == JSON_STRING)
		text_term_escape(&t->out, path->text, path->len);
	else
		buf_adds(&t->out, "(not yours to read)");
	buf_addf(&t->out, "  version %llu", (unsigned long long)version);
	if (strength && strcmp(strength, "exact") != 0) {
		buf_adds(&t->out, "  (");
		text_term_escape(&t->out, strength, strlen(strength));
		buf_addc(&t->out, ')');
	}
	if (node)
		add_actor(t, node);
}

static bool is_in(const char *const *v, unsigned n, const char *id)
{
	for (unsigned i = 0; i < n; i++)
		if (strcmp(v[i], id) == 0)
			return true;
	return false;
}

/* What `id` was made from (up), or what was made from it. */
static void add_below(struct tree *t, const char *id, unsigned depth, bool up)
{
	const struct json *list = t->edges;

	if (depth >= DEPTH_MAX)
		return;
	t->on_way[depth - 1] = id;
	for (const struct json *e = list ? list->first : NULL; e; e = e->next) {
		const char *from = json_get_str(e, up ? "to" : "from");
		const char *to = json_get_str(e, up ? "from" : "to");

		if (!from || !to || strcmp(from, id) != 0 ||
		    is_in(t->on_way, depth, to))
			continue;
		if (t->lines++ >= LINES_MAX)
			return;
		add_line(t, to, depth, json_get_str(e, "strength"));
		if (is_in(t->done, t->n_done, to)) {
			buf_adds(&t->out, "  (above)\n");
			continue;
		}
		buf_addc(&t->out, '\n');
		if (t->n_done < LINES_MAX)
			t->done[t->n_done++] = to;
		add_below(t, to, depth + 1, up);
	}
}

static void add_half(struct tree *t, const char *root, bool up)
{
	size_t start;

	t->n_done = 0;
	buf_adds(&t->out, up ? "made from\n" : "what was made from it\n");
	start = t->out.n;
	add_below(t, root, 1, up);
	if (t->out.n == start)
		buf_adds(&t->out, up ? "    nothing in this volume that is "
				       "known of\n" :
				       "    nothing yet\n");
}

static int print_tree(const char *text, struct errmsg *em)
{
	struct json_doc *doc = NULL;
	autofree struct tree *t = calloc(1, sizeof(*t));
	int rc = t ? json_parse(&doc, text, strlen(text), em) : -ENOMEM;
	const struct json *root = rc == 0 ? json_root(doc) : NULL;
	const char *id = json_get_str(root, "root");

	if (rc == 0 && !id)
		rc = -ERR_FORMAT;
	if (rc == 0) {
		t->nodes = json_get(root, "nodes");
		t->edges = json_get(root, "edges");
		t->actors = json_get(root, "actors");
		add_line(t, id, 0, NULL);
		buf_addc(&t->out, '\n');
		add_half(t, id, true);
		add_half(t, id, false);
		if (json_get_bool(root, "cut", false) || t->lines >= LINES_MAX)
			buf_adds(&t->out, "... there is more; "
					  "--format=json has it\n");
		rc = print_flush(&t->out);
		buf_release(&t->out);
	}
	json_free(doc);
	return rc;
}

static int lineage(int argc, char **argv, const char *format, struct errmsg *em)
{
	struct json_doc *answer = NULL;
	struct ctl_place place;
	struct buf b = BUF_INIT;
	const char *path = NULL, *text = NULL;
	int rc = ctl_find(&place, argv[0], em);

	path = place.path ? place.path : argc > 1 ? argv[1] : NULL;
	if (rc == 0 && !place.path != (argc > 1))
		rc = errmsg_set(em, -ERR_USAGE,
				place.path ? "a path in a mount needs no "
					     "second one" :
					     "which file? give the STORE and "
					     "its PATH inside");
	buf_addf(&b, "\"verb\":\"lineage\",\"as\":\"%s\"",
		 strcmp(format, "dot") == 0 ? "dot" : "json");
	if (rc == 0) {
		ask_add(&b, "path", path);
		rc = b.bad ? -ENOMEM :
			     ask_look(&answer, &place, (char *)b.p, em);
	}
	if (rc == 0) {
		text = json_get_str(json_root(answer), "text");
		rc = text ? 0 : -ERR_FORMAT;
	}
	if (rc == 0 && strcmp(format, "text") == 0)
		rc = print_tree(text, em);
	else if (rc == 0)
		fputs(text, stdout);
	json_free(answer);
	buf_release(&b);
	ctl_place_release(&place);
	return rc;
}

int cmd_lineage(int argc, char **argv)
{
	const char *format = "text";
	const struct opt options[] = {
		{ 0, "format", OPT_TEXT, &format, "text|json|dot",
		  "how to print (text)" },
		OPT_END,
	};
	struct errmsg em = ERRMSG_INIT;
	int status = opt_parse(options, &argc, &argv, 1, 2), rc;

	if (status != OPT_GO)
		return status;
	if (strcmp(format, "text") != 0 && strcmp(format, "json") != 0 &&
	    strcmp(format, "dot") != 0)
		return opt_misuse("lineage", "--format=%s: text, json or dot",
				  format);
	rc = lineage(argc, argv, format, &em);
	if (rc == -ERR_USAGE)
		return opt_misuse("lineage", "%s", errmsg_text(&em, rc));
	return rc < 0 ? opt_fail("lineage", rc, &em) : 0;
}
