/*
 * cmd_retain.c - `vouch retain`: the rules of what is kept, and for how long.
 * Each change is a POLICY entry; `vouch gc` acts on it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/glob.h"
#include "base/json.h"
#include "base/text.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/entry.h"
#include "mount-tools/ask.h"
#include "mount-tools/opt.h"
#include "mount-tools/pattern.h"
#include "mount-tools/print.h"
#include "mount-tools/reader.h"
#include "mount-tools/vouch.h"

static const struct {
	char letter;
	uint64_t seconds;
	const char *word;
} units[] = {
	{ 'y', 365 * 86400, "year" }, { 'w', 7 * 86400, "week" },
	{ 'd', 86400, "day" },	      { 'h', 3600, "hour" },
	{ 'm', 60, "minute" },	      { 's', 1, "second" },
};

enum { UNITS = sizeof(units) / sizeof(units[0]) };

/* "30d"; false: not a time, or none that fits. */
static bool parse_age(const char *s, uint64_t *out)
{
	uint64_t n = 0;
	size_t i;

	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(n, 10U, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*s - '0'), &n))
			return false;
	for (i = 0; i < UNITS && units[i].letter != *s; i++)
		;
	if (i == UNITS || s[1] ||
	    __builtin_mul_overflow(n, units[i].seconds, out))
		return false;
	return *out >= 1 && *out <= ENTRY_KEEP_SECONDS_MAX;
}

static void age_text(struct buf *out, uint64_t seconds)
{
	size_t i;

	for (i = 0; i + 1 < UNITS && seconds % units[i].seconds; i++)
		;
	print_count(out, seconds / units[i].seconds, units[i].word);
}

static void keep_text(struct buf *out, const struct idx_rule *v)
{
	if (!v->keep)
		buf_adds(out, "everything");
	if (v->keep & ENTRY_KEEP_COUNT) {
		if (v->versions == 1)
			buf_adds(out, "the last version");
		else
			buf_addf(out, "the last %u versions", v->versions);
	}
	if (v->keep == (ENTRY_KEEP_AGE | ENTRY_KEEP_COUNT))
		buf_adds(out, ", and any version ");
	if (v->keep & ENTRY_KEEP_AGE) {
		buf_adds(out,
			 v->keep & ENTRY_KEEP_COUNT ? "for " : "versions for ");
		age_text(out, v->seconds);
		buf_adds(out, " after they were replaced or deleted");
	}
}

/* --- list --- */

struct list {
	struct buf out;
	bool json;
	char *patterns[LIMIT_RULES]; /* so far */
	unsigned n;
};

static void list_release(struct list *l)
{
	for (unsigned i = 0; i < l->n; i++)
		free(l->patterns[i]);
	buf_release(&l->out);
}

/* The position of an earlier rule that covers all the pattern can; or 0. */
static unsigned shadow(const struct list *l, const char *pattern)
{
	for (unsigned i = 0; i < l->n; i++)
		if (glob_includes(l->patterns[i], pattern))
			return i + 1;
	return 0;
}

static int rule_note(struct list *l, const struct idx_rule *v,
		     unsigned *out_shadow)
{
	*out_shadow = shadow(l, v->pattern);
	if (l->n == LIMIT_RULES)
		return -ERR_CORRUPT;
	l->patterns[l->n] = strdup(v->pattern);
	return l->patterns[l->n++] ? 0 : -ENOMEM;
}

static int on_rule(void *ctx, const struct idx_rule *v)
{
	struct list *l = ctx;
	unsigned by;
	int rc = rule_note(l, v, &by);

	if (rc < 0)
		return rc;
	if (!l->json) {
		buf_addf(&l->out, "%3u  ", v->position + 1);
		text_term_escape(&l->out, v->pattern, strlen(v->pattern));
		buf_adds(&l->out, ": ");
		keep_text(&l->out, v);
		if (by)
			buf_addf(&l->out,
				 "\n     NEVER COUNTS: rule %u has all of it",
				 by);
		buf_addc(&l->out, '\n');
		return 0;
	}
	buf_addf(&l->out,
		 "%s{\"position\":%u,\"pattern\":", l->n > 1 ? "," : "",
		 v->position + 1);
	text_json_string(&l->out, v->pattern, strlen(v->pattern));
	if (v->keep & ENTRY_KEEP_AGE)
		buf_addf(&l->out, ",\"seconds\":%llu",
			 (unsigned long long)v->seconds);
	if (v->keep & ENTRY_KEEP_COUNT)
		buf_addf(&l->out, ",\"versions\":%u", v->versions);
	if (by)
		buf_addf(&l->out, ",\"never_counts\":%u", by);
	buf_addc(&l->out, '}');
	return 0;
}

static void head(struct list *l, struct idx_reader *r,
		 const struct idx_policy *p, const struct idx_entry *e)
{
	if (l->json) {
		buf_adds(&l->out, "{\"policy\":\"");
		print_number(&l->out, p->no);
		buf_adds(&l->out, "\",\"rules\":[");
		return;
	}
	buf_adds(&l->out, "policy of entry ");
	print_number(&l->out, p->no);
	buf_adds(&l->out, ", set ");
	print_time(&l->out, e->wall_ns);
	buf_adds(&l->out, " by ");
	print_actor(&l->out, r, e->actor_no);
	buf_addc(&l->out, '\n');
}

static int list(const char *path, enum opt_format format)
{
	struct list l = { .out = BUF_INIT, .json = format == OPT_AS_JSON };
	struct idx_policy p = { .no = 0 };
	struct idx_entry e = { .no = 0 };
	struct errmsg em = ERRMSG_INIT;
	struct reader r;
	int rc = reader_open(&r, path, NULL, READER_INDEX, &em);

	if (rc < 0)
		return opt_fail("retain", rc, &em);
	rc = idx_policy(r.idx, &p);
	if (rc > 0)
		rc = idx_entry(r.idx, &e, p.no);
	if (rc > 0) {
		head(&l, r.idx, &p, &e);
		rc = idx_rules(r.idx, p.no, on_rule, &l);
	} else if (rc == 0 && l.json) {
		buf_adds(&l.out, "{\"rules\":[");
	}
	if (rc == 0 && l.json)
		buf_adds(&l.out, "]}\n");
	else if (rc == 0)
		buf_adds(&l.out, l.n ? "what no rule matches is kept\n" :
				       "no rules: every version is kept\n");
	reader_close(&r);
	if (rc == 0)
		rc = print_flush(&l.out);
	list_release(&l);
	return rc < 0 ? opt_fail("retain", rc, &em) : 0;
}

/* --- set, remove --- */

static int ask(struct json_doc **out, const char *path, struct buf *b,
	       struct errmsg *em)
{
	struct ctl_place place;
	int rc = ctl_find_volume(&place, path, em);

	if (rc == 0)
		rc = b->bad ? -ENOMEM :
			      ask_volume(out, &place, (char *)b->p, em);
	ctl_place_release(&place);
	return rc;
}

static int say(struct buf *words, enum opt_format format,
	       const struct json *answer)
{
	struct buf out = BUF_INIT;
	int rc;

	if (format == OPT_AS_JSON) {
		buf_adds(&out, "{\"ok\":true,\"entry\":\"");
		pattern_entry(&out, answer);
		buf_adds(&out, "\"}\n");
	} else {
		buf_add(&out, words->p, words->n);
		buf_adds(&out, " (entry ");
		pattern_entry(&out, answer);
		buf_adds(&out, ").\n");
	}
	rc = print_flush(&out);
	buf_release(&out);
	return rc < 0;
}

static int on_told(void *ctx, const struct idx_rule *v)
{
	struct list *l = ctx;
	unsigned by;
	int rc = rule_note(l, v, &by);

	if (rc == 0 && by) {
		buf_addf(&l->out, "vouch retain: rule %u, ", v->position + 1);
		text_term_escape(&l->out, v->pattern, strlen(v->pattern));
		buf_addf(&l->out, ", never counts: rule %u, ", by);
		text_term_escape(&l->out, l->patterns[by - 1],
				 strlen(l->patterns[by - 1]));
		buf_adds(&l->out, ", has all of it (--at=N moves a rule)\n");
	}
	return rc;
}

/* Rules that have no effect, since an earlier one takes what they match. */
static void tell_shadowed(const char *path)
{
	struct list l = { .out = BUF_INIT };
	struct idx_policy p = { .no = 0 };
	struct reader r;
	int rc = reader_open(&r, path, NULL, READER_INDEX, NULL);

	if (rc < 0)
		return; /* the rule is set, this is a courtesy */
	if (idx_policy(r.idx, &p) > 0 &&
	    idx_rules(r.idx, p.no, on_told, &l) >= 0 && l.out.n && !l.out.bad)
		fputs((const char *)l.out.p, stderr);
	reader_close(&r);
	list_release(&l);
}

struct set {
	const char *age;
	uint64_t versions, position;
	bool all;
	enum opt_format format;
};

/* A rule from the options; false: they say no rule. */
static const char *rule_wrong(const struct set *o, struct idx_rule *out)
{
	if (o->age)
		out->keep |= ENTRY_KEEP_AGE;
	if (o->versions != UINT64_MAX)
		out->keep |= ENTRY_KEEP_COUNT;
	if (o->all == (out->keep != 0))
		return "say --for=AGE, --versions=N or both; or --all";
	if (o->age && !parse_age(o->age, &out->seconds))
		return "--for is a number, 1 or more, and one of s, m, h, d, "
		       "w, y (30d); what it covers is kept that long after it "
		       "was replaced";
	if (out->keep & ENTRY_KEEP_COUNT &&
	    (o->versions < 1 || o->versions > UINT32_MAX))
		return "--versions is 1 or more: the file itself is always "
		       "kept";
	out->versions = (uint32_t)o->versions;
	if (o->position > LIMIT_RULES)
		return "--at is the position of a rule";
	return NULL;
}

static int set(const char *path, const char *pattern, const struct set *o)
{
	struct errmsg em = ERRMSG_INIT;
	struct json_doc *answer = NULL;
	struct idx_rule rule = { .keep = 0 };
	struct buf b = BUF_INIT, words = BUF_INIT;
	const char *wrong = rule_wrong(o, &rule);
	int rc;

	if (wrong)
		return opt_misuse("retain", "%s", wrong);
	buf_adds(&b, "\"verb\":\"retain-set\"");
	ask_add(&b, "pattern", pattern);
	if (rule.keep & ENTRY_KEEP_AGE)
		buf_addf(&b, ",\"seconds\":%llu",
			 (unsigned long long)rule.seconds);
	if (rule.keep & ENTRY_KEEP_COUNT)
		buf_addf(&b, ",\"versions\":%u", rule.versions);
	if (o->position)
		buf_addf(&b, ",\"position\":%llu",
			 (unsigned long long)o->position);
	rc = ask(&answer, path, &b, &em);
	text_term_escape(&words, pattern, strlen(pattern));
	buf_adds(&words, " keeps ");
	keep_text(&words, &rule);
	rc = rc < 0 ? opt_fail("retain", rc, &em) :
		      say(&words, o->format, json_root(answer));
	if (rc == 0)
		tell_shadowed(path);
	buf_release(&words);
	buf_release(&b);
	json_free(answer);
	return rc;
}

static int remove_rule(const char *path, const char *pattern,
		       enum opt_format format)
{
	struct errmsg em = ERRMSG_INIT;
	struct json_doc *answer = NULL;
	struct buf b = BUF_INIT, words = BUF_INIT;
	int rc;

	buf_adds(&b, "\"verb\":\"retain-remove\"");
	ask_add(&b, "pattern", pattern);
	rc = ask(&answer, path, &b, &em);
	buf_adds(&words, "The rule of ");
	text_term_escape(&words, pattern, strlen(pattern));
	buf_adds(&words, " is no more");
	rc = rc < 0 ? opt_fail("retain", rc, &em) :
		      say(&words, format, json_root(answer));
	buf_release(&words);
	buf_release(&b);
	json_free(answer);
	return rc;
}

int cmd_retain(int argc, char **argv)
{
	struct set o = { .versions = UINT64_MAX };
	const struct opt options[] = {
		{ 0, "for", OPT_TEXT, &o.age, "AGE",
		  "set: so long after they were replaced or deleted (30d)" },
		{ 0, "versions", OPT_NUMBER, &o.versions, "N",
		  "set: the newest so many" },
		{ 0, "all", OPT_FLAG, &o.all, NULL, "set: everything" },
		{ 0, "at", OPT_NUMBER, &o.position, "N",
		  "set: the rule's place; the first that matches counts" },
		OPT_FORMAT(&o.format),
		OPT_END,
	};
	int status = opt_parse(options, &argc, &argv, 2, 3);
	bool bare = !o.age && o.versions == UINT64_MAX && !o.all && !o.position;
	autofree char *pattern = NULL;
	const char *wrong = NULL;

	if (status != OPT_GO)
		return status;
	if (argc == 3) {
		wrong = strcmp(argv[0], "set") == 0 ?
				pattern_take_new(&pattern, argv[2]) :
				pattern_take(&pattern, argv[2]);
		if (wrong)
			return opt_misuse("retain", "the pattern: %s: %.200s",
					  wrong, argv[2]);
	}
	if (strcmp(argv[0], "list") == 0 && argc == 2 && bare)
		return list(argv[1], o.format);
	if (strcmp(argv[0], "set") == 0 && argc == 3)
		return set(argv[1], pattern, &o);
	if (strcmp(argv[0], "remove") == 0 && argc == 3 && bare)
		return remove_rule(argv[1], pattern, o.format);
	return opt_misuse("retain", "list, set or remove, and what they need");
}
