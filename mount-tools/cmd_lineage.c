/*
 * cmd_lineage.c - `vouch lineage PATH`: what the newest version was made from
 * and what was made from it, to any depth; as an indented list, or for other
 * people's programs: vouchfs-statement(5).  `vouch lineage RUN --as=FORM`
 * states the same of all that a run wrote.
 *
 * A word without a slash that is no file here names a run, if there is one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/text.h"
#include "index/idx_runs.h"
#include "mount-tools/ask.h"
#include "mount-tools/opt.h"
#include "mount-tools/print.h"
#include "mount-tools/reader.h"
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

/* Where it was before it came into this volume. */
static void add_import(struct tree *t, const struct json *from)
{
	const struct json *path = json_get(from, "from_path");
	const char *origin = json_get_str(from, "origin");
	const char *trust = json_get_str(from, "trust");

	if (!path || !origin || !trust)
		return;
	buf_adds(&t->out, "  from ");
	text_term_escape(&t->out, path->text, path->len);
	buf_adds(&t->out, " of ");
	text_term_escape(&t->out, origin, strlen(origin));
	buf_adds(&t->out, strcmp(trust, "verified") == 0 ?
				  " (verified)" :
				  " (as its own keys claim)");
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
	add_import(t, json_get(node, "imported"));
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
				       "known of (what comes through a pipe "
				       "is not)\n" :
				       "    nothing yet\n");
}

static int print_tree(const char *text, size_t n, struct errmsg *em)
{
	struct json_doc *doc = NULL;
	autofree struct tree *t = calloc(1, sizeof(*t));
	int rc = t ? json_parse(&doc, text, n, em) : -ENOMEM;
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

/* --- a run, in words --- */

static void add_files(struct buf *out, const char *head,
		      const struct json *list)
{
	buf_addf(out, "%s\n", head);
	if (!list || !list->first)
		buf_adds(out, "    nothing that is known of\n");
	for (const struct json *v = list ? list->first : NULL; v; v = v->next) {
		const struct json *name = json_get(v, "name");
		const struct json *notes = json_get(v, "annotations");
		const char *sure = json_get_str(notes, "strength");

		buf_adds(out, "    ");
		if (name)
			text_term_escape(out, name->text, name->len);
		if (sure && strcmp(sure, "exact") != 0) {
			buf_adds(out, "  (");
			text_term_escape(out, sure, strlen(sure));
			buf_addc(out, ')');
		}
		buf_addc(out, '\n');
	}
}

static int print_run(const char *text, size_t n, struct errmsg *em)
{
	struct json_doc *doc = NULL;
	struct buf out = BUF_INIT;
	int rc = json_parse(&doc, text, n, em);
	const struct json *root = rc == 0 ? json_root(doc) : NULL;
	const struct json *why =
		json_get(json_get(root, "vouchfs"), "incomplete");

	if (rc == 0) {
		add_files(&out, "wrote", json_get(root, "subject"));
		add_files(&out, "and had opened", json_get(root, "materials"));
		buf_adds(&out, "what is not known\n");
		for (const struct json *v = why ? why->first : NULL; v;
		     v = v->next) {
			const char *says = json_get_str(v, "says");

			buf_adds(&out, "    ");
			text_term_escape(&out, says ? says : "",
					 says ? strlen(says) : 0);
			buf_addc(&out, '\n');
		}
		rc = print_flush(&out);
	}
	buf_release(&out);
	json_free(doc);
	return rc;
}

/* --- asking --- */

struct wish {
	const char *as, *in, *to;
	bool text;
	uint64_t version;
	const char *path, *run;
};

static const char *const forms[] = { "json", "dot",	"mermaid",    "prov",
				     "slsa", "in-toto", "openlineage" };

static bool is_form(const char *word)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (strcmp(forms[i], word) == 0)
			return true;
	return false;
}

/*
 * Those that may have to make a plain digest, and sign, need the volume open
 * for writing.
 */
static bool only_looks(const char *as)
{
	return strcmp(as, "json") == 0 || strcmp(as, "dot") == 0 ||
	       strcmp(as, "mermaid") == 0 || strcmp(as, "prov") == 0;
}

static int put_out(const struct wish *w, const char *base64, struct errmsg *em)
{
	struct buf text = BUF_INIT;
	int rc = base64 ? text_base64_decode(&text, base64, strlen(base64)) :
			  -ERR_FORMAT;

	if (rc == 0 && text.n == 0)
		rc = -ERR_FORMAT;
	if (rc == 0 && w->text && w->run)
		rc = print_run((char *)text.p, text.n, em);
	else if (rc == 0 && w->text)
		rc = print_tree((char *)text.p, text.n, em);
	else if (rc == 0 && w->to && strcmp(w->to, "-") != 0)
		rc = print_file(w->to, text.p, text.n, em);
	else if (rc == 0)
		rc = print_flush(&text);
	buf_release(&text);
	return rc;
}

static int ask_for(const struct wish *w, const struct ctl_place *place,
		   struct errmsg *em)
{
	struct json_doc *answer = NULL;
	struct buf b = BUF_INIT;
	int rc;

	buf_addf(&b, "\"verb\":\"lineage\",\"as\":\"%s\"", w->as);
	if (w->version)
		buf_addf(&b, ",\"version\":%llu",
			 (unsigned long long)w->version);
	ask_add(&b, w->run ? "run" : "path", w->run ? w->run : w->path);
	if (b.bad)
		rc = -ENOMEM;
	else if (only_looks(w->as))
		rc = ask_look(&answer, place, (char *)b.p, em);
	else
		rc = ask_volume(&answer, place, (char *)b.p, em);
	if (rc == 0)
		rc = put_out(w, json_get_str(json_root(answer), "base64"), em);
	json_free(answer);
	buf_release(&b);
	return rc;
}

static int of_run(struct wish *w, struct errmsg *em)
{
	struct ctl_place place = { .store = NULL };
	autofree char *here = NULL;
	int rc = w->in ? 0 :
			 reader_here(&here, "which with --in=STORE or --in=DIR",
				     em);

	if (rc == 0)
		rc = ctl_find(&place, w->in ? w->in : here, em);
	if (rc == 0)
		rc = ask_for(w, &place, em);
	ctl_place_release(&place);
	return rc;
}

static int of_path(struct wish *w, int argc, char **argv, struct errmsg *em)
{
	struct ctl_place place;
	int rc = ctl_find(&place, argv[0], em);

	w->path = place.path ? place.path : argc > 1 ? argv[1] : NULL;
	if (rc == 0 && !place.path != (argc > 1))
		rc = errmsg_set(em, -ERR_USAGE,
				place.path ? "a path in a mount needs no "
					     "second one" :
					     "which file? give the STORE and "
					     "its PATH inside");
	if (rc == 0)
		rc = ask_for(w, &place, em);
	ctl_place_release(&place);
	return rc;
}

static bool may_be_run(const char *word)
{
	struct stat st;

	return idx_run_name_ok(word, strlen(word)) && lstat(word, &st) < 0;
}

static int lineage(struct wish *w, int argc, char **argv, struct errmsg *em)
{
	struct errmsg no_run = ERRMSG_INIT;
	int rc;

	if (w->in || (argc == 1 && may_be_run(argv[0]))) {
		w->run = argv[0];
		rc = of_run(w, &no_run);
		if (rc != -ENOENT || w->in)
			return errmsg_set(em, rc, "%s",
					  errmsg_text(&no_run, rc));
		w->run = NULL; /* a file that is gone, then */
	}
	rc = of_path(w, argc, argv, em);
	return rc < 0 && no_run.text[0] ?
		       errmsg_wrap(em, rc, "%s, and", no_run.text) :
		       rc;
}

int cmd_lineage(int argc, char **argv)
{
	const char *format = NULL;
	struct wish w = { .as = NULL };
	const struct opt options[] = {
		{ 0, "as", OPT_TEXT, &w.as, "FORM",
		  "in-toto, slsa (signed), prov, openlineage, dot, mermaid, "
		  "json" },
		{ 0, "format", OPT_TEXT, &format, "text|json|dot",
		  "how to print (text)" },
		{ 0, "in", OPT_TEXT, &w.in, "STORE|DIR",
		  "the volume of a run (where you are, or the only one "
		  "mounted)" },
		{ 'o', "output", OPT_TEXT, &w.to, "FILE",
		  "where to write it (standard output)" },
		{ 0, "version", OPT_NUMBER, &w.version, "N",
		  "an older version (vouch log numbers them)" },
		OPT_END,
	};
	struct errmsg em = ERRMSG_INIT;
	int status = opt_parse(options, &argc, &argv, 1, 2), rc;

	if (status != OPT_GO)
		return status;
	if (w.as && format)
		return opt_misuse("lineage", "--as or --format, not both");
	if (format && strcmp(format, "text") != 0 &&
	    strcmp(format, "json") != 0 && strcmp(format, "dot") != 0)
		return opt_misuse("lineage", "--format=%s: text, json or dot",
				  format);
	if (w.as && !is_form(w.as))
		return opt_misuse("lineage",
				  "--as=%s: in-toto, slsa, prov, openlineage, "
				  "dot, mermaid or json",
				  w.as);
	w.text = !w.as && (!format || strcmp(format, "text") == 0);
	if (w.text && w.to)
		return opt_misuse("lineage", "-o goes with --as");
	if (!w.as)
		w.as = w.text ? "json" : format;
	rc = lineage(&w, argc, argv, &em);
	if (rc == -ERR_USAGE)
		return opt_misuse("lineage", "%s", errmsg_text(&em, rc));
	return rc < 0 ? opt_fail("lineage", rc, &em) : 0;
}
