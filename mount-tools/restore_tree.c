/*
 * restore_tree.c - see restore_tree.h.
 */
#include "mount-tools/restore_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/text.h"
#include "mount-tools/ask.h"
#include "mount-tools/ctl.h"
#include "mount-tools/inverse.h"
#include "mount-tools/inverse_say.h"
#include "mount-tools/print.h"
#include "mount-tools/progress.h"

/* Set for the second start: the run is declared. */
#define DECLARED "VOUCH_RESTORE_DECLARED"

enum { LISTED_MAX = 20 };

/* --- the plan --- */

static int get_plan(const struct restore_tree *t, struct json_doc **out,
		    struct errmsg *em)
{
	struct errmsg own = ERRMSG_INIT;
	struct buf b = BUF_INIT;
	int rc;

	buf_addf(&b, "\"verb\":\"restore-plan\",\"at\":%llu",
		 (unsigned long long)t->at);
	ask_add(&b, "when", t->when);
	rc = b.bad ? -ENOMEM :
		     ctl_call(out, t->place->store, (char *)b.p, &own);
	buf_release(&b);
	if (rc == -EFBIG || rc == -ERR_LIMIT)
		return errmsg_set(em, -ERR_LIMIT,
				  "too much came since %s for one plan",
				  t->when);
	return rc < 0 ? errmsg_set(em, rc, "%s", errmsg_text(&own, rc)) : 0;
}

static int read_all(int fd, struct buf *out)
{
	struct stat st;
	uint8_t *p;

	if (fstat(fd, &st) < 0)
		return -errno;
	p = buf_grow(out, (size_t)st.st_size + 1);
	if (!p)
		return -ENOMEM;
	for (off_t at = 0; at < st.st_size;) {
		ssize_t n = read(fd, p + at, (size_t)(st.st_size - at));

		if (n == 0 || (n < 0 && errno != EINTR))
			return n < 0 ? -errno : -ERR_FORMAT;
		at += n > 0 ? n : 0;
	}
	p[st.st_size] = '\0';
	return 0;
}

/*
 * The file of a long plan, which has no name any more then.  Only its name is
 * taken from the answer: whose daemon it is may not have other files removed.
 */
static int read_file(const struct restore_tree *t, struct buf *out,
		     const char *said)
{
	const char *name = strrchr(said, '/');
	autofree char *path = NULL;
	int fd, rc;

	if (!name || strncmp(name, "/plan-", 6) != 0)
		return -ERR_FORMAT;
	if (asprintf(&path, "%s/cache%s", t->place->store, name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = unlink(path) < 0 ? -errno : read_all(fd, out);
	close(fd);
	return rc;
}

/* Its text, which is in the answer, or becomes *file. */
static int text_of(const struct restore_tree *t, const struct json_doc *answer,
		   struct buf *file, const char **out, struct errmsg *em)
{
	const char *path = json_get_str(json_root(answer), "file");
	int rc = path ? read_file(t, file, path) : 0;

	if (rc < 0)
		return errmsg_set(em, rc, "the plan: %s", err_text(rc));
	*out = path ? (char *)file->p : json_get_str(json_root(answer), "text");
	return *out ? 0 : errmsg_set(em, -ERR_FORMAT, "there is no plan");
}

static bool is_below(const char *path, const char *top)
{
	size_t n = strlen(top);

	return n == 0 || (strncmp(path, top, n) == 0 &&
			  (path[n] == '\0' || path[n] == '/'));
}

static void list_path(struct buf *b, const char *what, const char *path)
{
	buf_addf(b, "  %-11s ", what);
	text_term_escape(b, path, strlen(path));
	buf_addc(b, '\n');
}

/* --- what came since --- */

/* Names that come back, as "directory's inode/name". */
struct names {
	char **v;
	size_t n, cap;
};

static void names_release(struct names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
}

static char *name_key(const struct json *o)
{
	autofree char *name = NULL;
	char *key = NULL;
	uint64_t in = 0;

	if (!json_get_u64(o, "in", &in) || inverse_text(o, "name", &name) < 0 ||
	    asprintf(&key, "%llu/%s", (unsigned long long)in, name) < 0)
		return NULL;
	return key;
}

static int names_add(struct names *l, const struct json *o)
{
	char *key = o ? name_key(o) : NULL;

	if (!key)
		return o ? -ENOMEM : 0;
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 64;
		char **v = realloc(l->v, cap * sizeof(*v));

		if (!v) {
			free(key);
			return -ENOMEM;
		}
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = key;
	return 0;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static const char *do_of(const struct json *line)
{
	const char *what = json_get_str(line, "do");

	return what ? what : "";
}

/* The names that a line brings back. */
static int names_of(struct names *l, const struct json *line)
{
	const struct json *list = json_get(line, "names");
	int rc = 0;

	if (strcmp(do_of(line), "make") == 0)
		for (const struct json *v = list ? list->first : NULL;
		     v && rc == 0; v = v->next)
			rc = names_add(l, v);
	list = json_get(line, "moves");
	for (const struct json *v = list ? list->first : NULL; v && rc == 0;
	     v = v->next)
		rc = names_add(l, json_get(v, "to"));
	return rc;
}

/* Does it stand where something comes back to? */
static bool in_the_way(const struct names *l, const struct json *line)
{
	const struct json *list = json_get(line, "names");
	bool found = false;

	for (const struct json *v = list ? list->first : NULL; v && !found;
	     v = v->next) {
		autofree char *key = name_key(v);
		char *const k = key;

		found = key && l->n &&
			bsearch(&k, l->v, l->n, sizeof(*l->v), by_bytes);
	}
	return found;
}

static int collect(struct names *out, const char *text)
{
	int rc = 0;

	for (size_t n; rc == 0 && *text; text += n + (text[n] == '\n')) {
		struct json_doc *doc = NULL;

		n = strcspn(text, "\n");
		rc = json_parse(&doc, text, n, NULL);
		if (rc == 0)
			rc = names_of(out, json_root(doc));
		json_free(doc);
	}
	if (rc == 0 && out->n)
		qsort(out->v, out->n, sizeof(*out->v), by_bytes);
	return rc;
}

/* How the daemon's lines of what came since begin; others are read once. */
static const char removal[] = "{\"do\":\"remove\"";

/*
 * What came since is no part of the plan, but told; only a file in the place
 * of one that was there goes, as if that had been written.
 */
static int spare(struct restore_tree *t, const struct names *back,
		 const char *line, size_t n, struct buf *list, bool *out)
{
	struct json_doc *doc = NULL;
	autofree char *path = NULL;
	const struct json *o;
	const char *type;
	int rc;

	if (strncmp(line, removal, strlen(removal)) != 0)
		return 0;
	rc = json_parse(&doc, line, n, NULL);
	o = rc == 0 ? json_root(doc) : NULL;
	type = json_get_str(o, "type");
	*out = !(type && strcmp(type, "directory") != 0 && in_the_way(back, o));
	if (*out)
		rc = inverse_text(o, "path", &path);
	if (rc == 0 && *out && is_below(path, t->path) &&
	    t->left++ < LISTED_MAX)
		list_path(list, "left alone", path);
	json_free(doc);
	return rc;
}

static int read_plan(struct restore_tree *t, struct inverse *x,
		     const char *text, struct buf *list, struct errmsg *em)
{
	struct names back = { .n = 0 };
	bool head = true;
	int rc = 0;

	if (!t->exact && strstr(text, removal))
		rc = collect(&back, text);
	while (rc == 0 && *text) {
		size_t n = strcspn(text, "\n");
		bool skip = false;

		if (!head && !t->exact)
			rc = spare(t, &back, text, n, list, &skip);
		if (rc == 0 && !skip)
			rc = inverse_add(x, text, n, em);
		head = false;
		text += n + (text[n] == '\n');
	}
	names_release(&back);
	return rc;
}

/* --- what is told --- */

static void tell(struct restore_tree *t, const struct inverse_item *it,
		 const char *what, const char *why)
{
	struct buf b = BUF_INIT;

	progress_wipe(t->bar);
	text_term_escape(&b, it->path, strlen(it->path));
	if (!b.bad)
		fprintf(stderr, "vouch restore: %s: %s%s%s\n", (char *)b.p,
			what ? what : "", what ? ": " : "", why);
	buf_release(&b);
}

static void tell_failed(struct restore_tree *t, const struct inverse_item *it)
{
	struct buf why = BUF_INIT;

	if (it->rc == -EEXIST || it->rc == -ENOTEMPTY)
		buf_adds(&why, t->exact ?
				       "something else has its name" :
				       "what came since has its name: move it "
				       "away, or say --exact");
	else if (!inverse_say_why(&why, it))
		buf_adds(&why, err_text(it->rc));
	buf_addc(&why, '\0');
	tell(t, it, it->step, why.bad ? err_text(it->rc) : (char *)why.p);
	buf_release(&why);
}

static void tell_conflicts(struct restore_tree *t,
			   const struct inverse_item *it)
{
	const struct json *list = json_get(it->line, "conflicts");

	for (const struct json *c = list ? list->first : NULL; c; c = c->next) {
		const char *why = json_get_str(c, "why");

		if (why && strstr(why, "were released"))
			why = "its bytes then were released";
		tell(t, it, json_get_str(c, "what"), why ? why : "kept");
	}
}

static void count(struct restore_tree *t, const struct inverse_item *it)
{
	const char *type = json_get_str(it->line, "type");
	bool bytes = json_get(it->line, "put") != NULL;

	if (it->what == INVERSE_REMOVE)
		t->removed++;
	else if (it->what == INVERSE_CHANGE && !bytes)
		t->reset++;
	else if (type && strcmp(type, "directory") == 0)
		t->dirs++;
	else if (type && strcmp(type, "symlink") == 0)
		t->links++;
	else if (type && strcmp(type, "file") == 0)
		t->files++;
	else
		t->others++;
}

static void tell_all(struct restore_tree *t, const struct inverse *x)
{
	for (size_t i = 0; i < inverse_count(x); i++) {
		const struct inverse_item *it = inverse_at(x, i);
		bool kept = json_get(it->line, "conflicts") != NULL;

		if (!it->chosen)
			continue;
		if (it->done)
			count(t, it);
		if (it->rc < 0)
			tell_failed(t, it);
		if (kept)
			tell_conflicts(t, it);
		t->failed += it->rc < 0 || kept;
	}
}

static void list_all(const struct restore_tree *t, const struct inverse *x,
		     struct buf *out)
{
	static const char *const words[] = { "remove", "make again", "put back",
					     "cannot" };

	for (size_t i = 0; i < inverse_count(x); i++) {
		const struct inverse_item *it = inverse_at(x, i);

		if (!it->chosen)
			continue;
		list_path(out, words[it->what], it->path);
		if (it->what != INVERSE_CHANGE || out->bad)
			continue;
		out->n--; /* the end of the line comes after them */
		inverse_say_parts(out, it->line);
		buf_addc(out, '\n');
	}
	if (t->left > LISTED_MAX)
		buf_addf(out, "  ... and %llu more that came since\n",
			 (unsigned long long)(t->left - LISTED_MAX));
}

int restore_tree(struct restore_tree *t, struct errmsg *em)
{
	struct json_doc *answer = NULL;
	struct inverse *x = NULL;
	struct buf list = BUF_INIT, file = BUF_INIT;
	const char *text = NULL;
	int rc = get_plan(t, &answer, em);

	if (rc == 0)
		rc = inverse_open(&x, t->place->dir, em);
	if (rc == 0)
		rc = text_of(t, answer, &file, &text, em);
	if (rc == 0)
		rc = read_plan(t, x, text, &list, em);
	buf_release(&file);
	if (rc == 0) {
		(void)inverse_choose(x, t->path);
		inverse_show(x, t->bar);
		if (!t->dry)
			rc = inverse_do(x);
		if (rc == -EBUSY)
			rc = errmsg_set(em, rc,
					"another undo or restore is at work "
					"here: say it again when that has "
					"ended");
		else if (rc < 0)
			rc = errmsg_set(em, rc,
					"%s: what is done is whole; say it "
					"again when that is mended",
					err_text(rc));
		if (!t->dry)
			tell_all(t, x);
	}
	if (rc == 0) {
		progress_wipe(t->bar);
		if (t->dry)
			list_all(t, x, &list);
		rc = t->json || (t->quiet && !t->dry) ? 0 : print_flush(&list);
	}
	buf_release(&list);
	inverse_close(x);
	json_free(answer);
	return rc;
}

/* --- the run --- */

static struct {
	int argc;
	char **argv;
} said;

void restore_remember(int argc, char **argv)
{
	said.argc = argc;
	said.argv = argv;
}

bool restore_is_declared(void)
{
	bool yes = getenv(DECLARED) != NULL;

	unsetenv(DECLARED);
	return yes;
}

int restore_declare(const char *dir)
{
	char self[4096], in[4200];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char **v = calloc((size_t)said.argc + 12, sizeof(*v));
	size_t at = 0;

	if (n < 0 || !v || setenv(DECLARED, "1", 1) < 0) {
		free(v);
		return 0;
	}
	self[n] = '\0';
	snprintf(in, sizeof(in), "--in=%s", dir);
	v[at++] = self;
	v[at++] = (char[]){ "run" };
	v[at++] = (char[]){ "--name=restore" };
	v[at++] = (char[]){ "-q" };
	v[at++] = in;
	v[at++] = (char[]){ "--" };
	v[at++] = self;
	for (int i = 0; i < said.argc; i++)
		v[at++] = said.argv[i];
	fflush(NULL);
	execv(self, v);
	unsetenv(DECLARED);
	free(v);
	return 0;
}
