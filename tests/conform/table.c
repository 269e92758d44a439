/*
 * table.c - reads a table and makes its cases.
 *
 * A block (who, setup, do, rules) is turned into cases when the next line
 * would change it.  Only variables that the block mentions are multiplied.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/conform/table.h"

struct variable {
	char *name;
	char *label[TABLE_VALUES], *text[TABLE_VALUES];
	size_t n, at;
	bool local; /* of the section */
	bool used;  /* by the block */
};

struct rule {
	char *conditions, *want;
};

struct reader {
	const char *file;
	unsigned line, block_line;
	table_fn *fn;
	void *ctx;
	struct variable vars[TABLE_VARS];
	size_t n_vars;
	struct variable *columns;
	struct rule rules[TABLE_RULES];
	size_t n_rules;
	char *section, *who, *setup, *steps;
	bool readonly;
};

__attribute__((noreturn, format(printf, 2, 3))) static void
wrong(const struct reader *r, const char *format, ...)
{
	va_list ap;

	fprintf(stderr, "%s:%u: ", r->file, r->line);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(2);
}

static char *copy(const char *s, size_t n)
{
	char *p = strndup(s, n);

	if (!p)
		exit(2);
	return p;
}

static void set(char **field, const char *s)
{
	char *p = copy(s, strlen(s));

	free(*field);
	*field = p;
}

static char *trim(char *s)
{
	char *end;

	s += strspn(s, " \t");
	end = s + strlen(s);
	while (end > s && strchr(" \t\n", end[-1]))
		*--end = '\0';
	return s;
}

/* --- variables ----------------------------------------------------------- */

static struct variable *variable(struct reader *r, const char *name, size_t n)
{
	for (size_t i = r->n_vars; i-- > 0;)
		if (strlen(r->vars[i].name) == n &&
		    !strncmp(r->vars[i].name, name, n))
			return &r->vars[i];
	return NULL;
}

static size_t name_length(const char *s)
{
	return strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
}

static void variable_free(struct variable *v)
{
	for (size_t i = 0; i < v->n; i++) {
		free(v->label[i]);
		free(v->text[i]);
	}
	free(v->name);
}

/* NAME value label{text} ... */
static struct variable *define(struct reader *r, char *s)
{
	struct variable *v = &r->vars[r->n_vars];
	size_t n = name_length(s);

	if (n == 0 || r->n_vars == TABLE_VARS || variable(r, s, n))
		wrong(r, "a variable that cannot be: %s", s);
	*v = (struct variable){ .name = copy(s, n), .local = r->section };
	r->n_vars++;
	for (s += n + strspn(s + n, " \t"); *s; s += strspn(s, " \t")) {
		size_t k = strcspn(s, " \t{");
		const char *end = s[k] == '{' ? strchr(s, '}') : NULL;

		if (v->n == TABLE_VALUES || (s[k] == '{' && !end))
			wrong(r, "too many values, or no }: %s", s);
		v->label[v->n] = copy(s, k);
		v->text[v->n++] =
			end ? copy(s + k + 1, (size_t)(end - s) - k - 1) :
			      copy(s, k);
		s = end ? s + (end - s) + 1 : s + k;
	}
	return v;
}

/* Marks what the text mentions, as $NAME, or in conditions as NAME= . */
static void mention(struct reader *r, const char *s, bool conditions)
{
	for (const char *p = s; p && *p; p++) {
		bool here = conditions ? p == s || p[-1] == ' ' : *p == '$';
		const char *name = p + !conditions;
		size_t n = here ? name_length(name) : 0;
		struct variable *v = n ? variable(r, name, n) : NULL;

		if (n && !v && !conditions)
			wrong(r, "unknown variable %s", p);
		if (!v || v->used)
			continue;
		v->used = true;
		for (size_t i = 0; i < v->n; i++)
			mention(r, v->text[i], false);
	}
}

/* Replaces $NAME by its text, again and again. */
static char *substitute(struct reader *r, const char *s, unsigned depth)
{
	static char out[TABLE_LINE];
	char *p = out, *done;

	if (depth > 8)
		wrong(r, "variables without end: %s", s);
	while (*s) {
		size_t n = *s == '$' ? name_length(s + 1) : 0;
		const struct variable *v = n ? variable(r, s + 1, n) : NULL;
		const char *text = v ? v->text[v->at] : s;
		size_t len = v ? strlen(text) : 1;

		if (p + len >= out + sizeof(out))
			wrong(r, "too long: %s", s);
		memcpy(p, text, len);
		p += len;
		s += v ? n + 1 : 1;
	}
	*p = '\0';
	done = copy(out, (size_t)(p - out));
	if (strchr(done, '$')) {
		char *more = substitute(r, done, depth + 1);
		free(done);
		done = more;
	}
	return done;
}

/* --- cases ----------------------------------------------------------------- */

static size_t bind(struct reader *r, struct binding *b, char *steps,
		   char *setup, char *who)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n_vars; i++)
		if (r->vars[i].used)
			b[n++] = (struct binding){
				r->vars[i].name, r->vars[i].label[r->vars[i].at]
			};
	b[n++] = (struct binding){ "DO", steps };
	b[n++] = (struct binding){ "SETUP", setup };
	b[n++] = (struct binding){ "AS", who };
	return n;
}

static void emit(struct reader *r)
{
	struct binding b[TABLE_VARS + 3];
	char *who = substitute(r, r->who ? r->who : "root", 0);
	char *setup = substitute(r, r->setup ? r->setup : "", 0);
	char *steps = substitute(r, r->steps, 0), *want = NULL;
	char where[64];
	size_t n = bind(r, b, steps, setup, who);

	snprintf(where, sizeof(where), "%.40s:%u", r->file, r->block_line);
	for (size_t i = 0; !want && i < r->n_rules; i++)
		if (table_holds(r->rules[i].conditions, b, n, where))
			want = substitute(r, r->rules[i].want, 0);
	if (!want)
		wrong(r, "no rule for as %s, %s > %s", who, setup, steps);
	struct table_case k = {
		r->file, r->block_line, r->section, r->readonly, who,
		setup,	 steps,		want,	    b,		 n
	};
	if (strcmp(want, "skip"))
		r->fn(r->ctx, &k);
	free(want);
	free(steps);
	free(setup);
	free(who);
}

/* The next combination of the used variables; false after the last. */
static bool advance(struct reader *r)
{
	for (size_t i = r->n_vars; i-- > 0;) {
		struct variable *v = &r->vars[i];

		if (!v->used)
			continue;
		if (++v->at < v->n)
			return true;
		v->at = 0;
	}
	return false;
}

static void forget_rules(struct reader *r)
{
	for (size_t i = 0; i < r->n_rules; i++) {
		free(r->rules[i].conditions);
		free(r->rules[i].want);
	}
	r->n_rules = 0;
}

/* Makes the cases of the block, if there is one. */
static void flush(struct reader *r)
{
	if (r->n_rules == 0)
		return;
	if (!r->section || !r->steps)
		wrong(r, "rules, but no section or nothing to do");
	for (size_t i = 0; i < r->n_vars; i++) {
		r->vars[i].used = false;
		r->vars[i].at = 0;
	}
	mention(r, r->who, false);
	mention(r, r->setup, false);
	mention(r, r->steps, false);
	for (size_t i = 0; i < r->n_rules; i++) {
		mention(r, r->rules[i].conditions, true);
		mention(r, r->rules[i].want, false);
	}
	do {
		emit(r);
	} while (advance(r));
	forget_rules(r);
}

static void add_rule(struct reader *r, char *conditions, const char *want)
{
	if (r->n_rules == TABLE_RULES)
		wrong(r, "too many rules");
	if (r->n_rules == 0)
		r->block_line = r->line;
	r->rules[r->n_rules++] =
		(struct rule){ conditions, copy(want, strlen(want)) };
}

/* row CONDITIONS... WANT WANT ...: a want for each column */
static void row(struct reader *r, char *s)
{
	char *conditions = NULL, *save = NULL;
	size_t column = 0;

	if (!r->columns)
		wrong(r, "a row, but no columns");
	for (char *w = strtok_r(s, " \t", &save); w;
	     w = strtok_r(NULL, " \t", &save)) {
		char *all = NULL;
		bool is_condition = w[0] >= 'A' && w[0] <= 'Z' &&
				    strchr(w, '=') && column == 0;

		if (is_condition) {
			if (asprintf(&all, "%s %s",
				     conditions ? conditions : "", w) < 0)
				exit(2);
			free(conditions);
			conditions = all;
			continue;
		}
		if (column == r->columns->n)
			wrong(r, "more wants than columns: %s", w);
		if (asprintf(&all, "%s %s=%s", conditions ? conditions : "",
			     r->columns->name, r->columns->label[column++]) < 0)
			exit(2);
		add_rule(r, all, w);
	}
	if (column != r->columns->n)
		wrong(r, "%zu wants for %zu columns", column, r->columns->n);
	free(conditions);
}

/* case WHO | SETUP | DO | WANT */
static void single(struct reader *r, char *s)
{
	char *part[4] = { s, NULL, NULL, NULL }, *was[3];
	char *const fields[] = { r->who, r->setup, r->steps };

	for (int i = 1; i < 4; i++) {
		part[i] = strchr(part[i - 1], '|');
		if (!part[i])
			wrong(r, "a case has four parts");
		*part[i]++ = '\0';
	}
	memcpy(was, fields, sizeof(was));
	r->who = trim(part[0]);
	r->setup = trim(part[1]);
	r->steps = trim(part[2]);
	add_rule(r, copy("", 0), trim(part[3]));
	flush(r);
	r->who = was[0];
	r->setup = was[1];
	r->steps = was[2];
}

/* --- lines ------------------------------------------------------------------ */

static void new_section(struct reader *r, const char *name)
{
	while (r->n_vars && r->vars[r->n_vars - 1].local)
		variable_free(&r->vars[--r->n_vars]);
	r->columns = NULL;
	r->readonly = false;
	set(&r->section, name);
	set(&r->who, "root");
	set(&r->setup, "");
	set(&r->steps, "");
}

static void rule_line(struct reader *r, char *rest)
{
	char *colon = strstr(rest, " : ");

	if (!colon)
		wrong(r, "no ` : ' in a rule");
	*colon = '\0';
	rest = trim(rest);
	add_rule(r, copy(rest, strlen(rest)), trim(colon + 3));
}

static void read_line(struct reader *r, char *line)
{
	char *rest = line + strcspn(line, " \t");

	if (*rest)
		*rest++ = '\0';
	rest = trim(rest);
	if (!strcmp(line, "row")) {
		row(r, rest);
		return;
	}
	if (!strcmp(line, "when")) {
		rule_line(r, rest);
		return;
	}
	if (!strcmp(line, "else")) {
		add_rule(r, copy("", 0), rest + strspn(rest, ": "));
		return;
	}
	flush(r);
	if (!strcmp(line, "section"))
		new_section(r, rest);
	else if (!strcmp(line, "each"))
		define(r, rest);
	else if (!strcmp(line, "columns"))
		r->columns = define(r, rest);
	else if (!strcmp(line, "as"))
		set(&r->who, rest);
	else if (!strcmp(line, "setup"))
		set(&r->setup, rest);
	else if (!strcmp(line, "do"))
		set(&r->steps, rest);
	else if (!strcmp(line, "readonly"))
		r->readonly = true;
	else if (!strcmp(line, "case"))
		single(r, rest);
	else
		wrong(r, "not understood: %s", line);
}

void table_read(const char *path, table_fn *fn, void *ctx)
{
	static struct reader r;
	static char line[TABLE_LINE];
	FILE *f = fopen(path, "r");
	size_t used = 0;

	memset(&r, 0, sizeof(r));
	r.file = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	r.fn = fn;
	r.ctx = ctx;
	if (!f)
		wrong(&r, "cannot be opened");
	while (fgets(line + used, (int)(sizeof(line) - used), f)) {
		size_t n = strlen(line);

		r.line++;
		/* a backslash at the end: the next line belongs to it */
		if (n >= 2 && line[n - 1] == '\n' && line[n - 2] == '\\') {
			used = n - 2;
			continue;
		}
		used = 0;
		char *s = trim(line);
		if (*s && *s != '#')
			read_line(&r, s);
	}
	fclose(f);
	flush(&r);
	while (r.n_vars)
		variable_free(&r.vars[--r.n_vars]);
	free(r.section);
	free(r.who);
	free(r.setup);
	free(r.steps);
}
